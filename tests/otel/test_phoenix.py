"""Phoenix, on loopback, shows what is exported. It has an environment of its own: `JACKLINE_TEST_PHOENIX` names its program."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from console_harness import until

from jackline.ingest import ingest
from jackline.stores.sqlite import SQLiteStore
from jackline_otel import Dialect, Endpoint, Exporter

PROGRAM = Path(os.environ.get("JACKLINE_TEST_PHOENIX") or Path(sys.executable).with_name("phoenix"))


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return str(one.getsockname()[1])


@pytest.fixture
def phoenix(tmp_path):
    if not PROGRAM.exists():
        pytest.skip("Phoenix is not installed here; JACKLINE_TEST_PHOENIX names its program")
    port = free_port()
    more = {"PHOENIX_WORKING_DIR": str(tmp_path), "PHOENIX_HOST": "127.0.0.1", "PHOENIX_PORT": port}
    more |= {"PHOENIX_GRPC_PORT": free_port(), "PHOENIX_TELEMETRY_ENABLED": "false"}
    env = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"} | more
    with (tmp_path / "log").open("w") as log:
        child = subprocess.Popen([str(PROGRAM), "serve"], env=env, stdout=log, stderr=log)
    client = httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30)

    def up():
        assert child.poll() is None, (tmp_path / "log").read_text()
        try:
            return client.get("/healthz").status_code == 200
        except httpx.HTTPError:
            return False

    try:
        until(up, "Phoenix", 180)
        yield client
    finally:
        client.close()
        child.terminate()
        child.wait(60)


def test_phoenix_shows_our_trace(home, phoenix):
    endpoint = Endpoint(url=str(phoenix.base_url))
    exporter = Exporter(home, endpoint, Dialect(openinference=True), signals=["traces"])
    done = exporter.run()
    exporter.close()
    assert done.problems == []
    path = "/v1/projects/default/spans?limit=100"
    spans = until(lambda: len(found := phoenix.get(path).json()["data"]) == done.spans and found, "every span")
    shown = {(span["name"], span["span_kind"], span["status_code"]) for span in spans}
    assert shown >= {
        ("invoke_agent worker@2", "AGENT", "UNSET"),
        ("chat gpt-4o-mini", "LLM", "UNSET"),
        ("execute_tool look", "TOOL", "UNSET"),
        ("execute_tool wipe", "TOOL", "ERROR"),
    }
    query = "{ projects { edges { node { traceCount costSummary { total { tokens } } } } } }"
    (project,) = phoenix.post("/graphql", json={"query": query}).json()["data"]["projects"]["edges"]
    ingest(home.path)
    store = SQLiteStore(home.index)
    (session,) = store.sessions()
    store.close()
    tokens = session.input_tokens + session.output_tokens
    assert project["node"] == {"traceCount": 1, "costSummary": {"total": {"tokens": float(tokens)}}}
    money = sum(span["attributes"].get("llm.cost.total", 0.0) for span in spans)
    assert round(money * 1e6) == session.cost_micro_usd

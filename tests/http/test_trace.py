"""What `jackline trace` shows of requests: below their tool, with method, host, status, time and bytes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from alembic import command
from alembic.config import Config
from http_harness import NO, as_tool, refuse_port
from sqlalchemy import create_engine, inspect

from jackline.ingest import ingest
from jackline.stores import schema
from jackline.stores.sql import MIGRATIONS
from jackline.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_server import Server

    from jackline.guard import Guard


def jackline(guard: Guard, *words: str) -> str:
    done = subprocess.run(
        [str(Path(sys.executable).with_name("jackline")), *words],
        env=os.environ | {"JACKLINE_HOME": str(guard.home.path), "COLUMNS": "300"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def traced(good: Server, bad: Server, governing: Callable[..., Guard]) -> Guard:
    guard = governing(refuse_port(bad.port))

    def tool() -> None:
        httpx.post(f"{good.url}/ok", content=b"body", trust_env=False)
        with pytest.raises(httpx.RequestError):
            httpx.get(f"{bad.url}/ok", trust_env=False)
        with pytest.raises(httpx.RequestError):
            httpx.get(f"{good.url}/broken", trust_env=False)

    as_tool(guard, tool)
    guard.close()
    return guard


def test_a_trace_shows_how_each_request_went(traced: Guard, good: Server, bad: Server) -> None:
    lines = [line.strip(" │├└─") for line in jackline(traced, "trace", "job").splitlines()]
    place = next(number for number, line in enumerate(lines) if "tool.call look_up" in line)
    sent, refused, broken = lines[place + 1 : place + 4]
    assert f"http.request POST http://127.0.0.1:{good.port}  200  " in sent
    assert "  4 bytes sent  10 bytes received  " in sent
    assert f"http.request GET http://127.0.0.1:{bad.port}  denied by p0: {NO}" in refused
    assert f"http.request GET http://127.0.0.1:{good.port}  200  " in broken
    assert "  4 bytes received  " in broken
    assert broken.endswith("failed: httpx.RemoteProtocolError")


def test_the_store_answers_it_as_data(traced: Guard, good: Server) -> None:
    told: dict[str, Any] = json.loads(jackline(traced, "trace", "job", "--json"))
    spans = {span["span"]: span for span in told["spans"]}
    sent = next(span for span in told["spans"] if span["method"] == "POST")
    assert (sent["name"], sent["scheme"], sent["port"]) == ("127.0.0.1", "http", good.port)
    assert (sent["status"], sent["sent"], sent["received"]) == (200, 4, 10)
    assert sent["duration_ms"] > 0
    tool = spans[sent["parent"]]
    assert (tool["kind"], tool["method"], tool["status"], tool["sent"]) == ("tool.call", "", 0, None)


def test_an_index_of_before_is_brought_up_to_date(traced: Guard, tmp_path: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    url = f"sqlite:///{tmp_path / 'old.db'}"
    engine = create_engine(url)
    with engine.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "0001")
        connection.execute(schema.meta.insert(), {"name": "epoch", "value": "before"})
    engine.dispose()
    store = SQLiteStore(tmp_path / "old.db")
    try:
        assert store.epoch == "before"
        ingest(traced.home.path, store)
        found = [span for span in store.spans(store.session("job").session) if span.kind == "http.request"]
        assert [span.status for span in found] == [200, 0, 200]
    finally:
        store.close()
    engine = create_engine(url)
    assert "received" in {column["name"] for column in inspect(engine).get_columns("spans")}
    engine.dispose()

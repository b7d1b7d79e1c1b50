"""What peers were seen to fail at, on the console's side: each test names its number in the list of their failures."""

from __future__ import annotations

import json
import time

import pytest
from console_harness import until
from starlette.testclient import TestClient

import jackline
from jackline.home import Home
from jackline.ingest import ingest
from jackline.request import Model
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.journals import ONE, ROOT, completed, decided, story, write
from jackline_console.app import create_app
from jackline_console.settings import Settings

API = "/api/v1"
SPANS = 10_000


@pytest.fixture
def serve(home, folder):
    """Serve the home in this process: a client who may do everything."""
    opened = []

    def served():
        app = create_app(Settings(home=Home(home), bundle=folder / "jackline.yaml"))
        app.state.console.secret = "x"
        client = TestClient(app, base_url=f"http://localhost{API}/", headers={"Authorization": "Bearer x"})
        opened.append(client.__enter__())
        return opened[-1]

    yield served
    for one in opened:
        one.__exit__(None, None, None)


def test_what_repeats_is_kept_once_and_no_longer_than_its_cap(home, folder, serve):
    """P66: a prompt that was stored twice for each call, whole, however long."""
    bundle = folder / "jackline.yaml"
    bundle.write_text(f"{bundle.read_text()}capture: full\n", encoding="utf-8")
    prompt, long = "you are a clerk " * 1000, "x" * 300_000
    with jackline.Guard.load(bundle, home=home) as guard, guard.session() as session:
        for _ in range(40):
            call(guard, prompt)
        call(guard, long)
    size = sum(path.stat().st_size for path in (home / "payloads").iterdir())
    assert len(prompt) < size < 3 * len(prompt) + 70_000, "41 calls: one prompt, and the cap of the other"
    journals = "".join(path.read_text() for path in (home / "journals").glob("*.jsonl"))
    assert "you are a clerk" not in journals
    client = serve()
    spans = until(lambda: whole(client, session.id, 41), "the calls")
    first = client.get(f"payloads/{spans[0]['args']}").json()
    kept = first["messages"] and [client.get(f"payloads/{digest}").json() for digest in first["messages"]]
    assert prompt in json.dumps([first["value"], kept])
    assert len({span["args"] for span in spans}) == 2
    last = client.get(f"payloads/{spans[-1]['args']}").json()
    cut = [client.get(f"payloads/{digest}").json() for digest in last["messages"]] or [last]
    assert any(one["cut"] for one in cut)
    assert all(len(json.dumps(one)) < 70_000 for one in cut)


def call(guard, text):
    model = Model(name="gpt-4o-mini", provider="openai", max_tokens=10, input_bytes=10)
    request = guard.request("model.call", "gpt-4o-mini", {"messages": [{"role": "user", "content": text}]}, model=model)
    guard.complete(request, guard.require(request), result="x", model="gpt-4o-mini")


def whole(client, session, count):
    answer = client.get(f"sessions/{session}/spans")
    items = [item for item in answer.json().get("items", ()) if item["kind"] == "model.call" and item.get("outcome")]
    return items if len(items) == count else None


def test_a_trace_of_ten_thousand_steps_opens_within_a_second(home, serve):
    """P69: warnings at 150 steps, given up at 350. All that the page asks for, by the clock of this process's work."""
    steps = []
    for number in range(SPANS):
        span = f"{number + 1:016x}"
        steps.append(decided(span, "tool.call", f"tool {number % 7}", parent=ROOT, args="a" * 32))
        steps.append(completed(span, "tool.call", f"tool {number % 7}", result="b" * 32))
    write(home, [*story()[:2], *steps])
    with_store = SQLiteStore(home / "index.db")
    ingest(home, with_store)
    with_store.close()
    client = serve()
    until(lambda: client.get(f"sessions/{ONE}").status_code == 200, "the session")
    took = []
    for _ in range(3):
        begun = time.process_time()
        head = client.get(f"sessions/{ONE}").json()
        answer = client.get(f"sessions/{ONE}/spans")
        took.append(time.process_time() - begun)
    assert answer.json()["total"] >= SPANS
    assert head["spans"] == answer.json()["total"]
    assert len(answer.content) < 5_000_000, "digests, and no payloads"
    assert min(took) < 1.0, took
    begun = time.process_time()
    one = client.get(f"sessions/{ONE}/spans/{SPANS // 2:016x}").json()
    graph = client.get(f"sessions/{ONE}/graph").json()
    assert [event["kind"] for event in one["events"]] == ["decided", "completed"]
    assert sum(node["calls"] for node in graph["nodes"] if node["kind"] == "tool") >= SPANS
    assert time.process_time() - begun < 1.0

"""From the line that an agent writes to the alert on record and on the page's stream: a real `jackline up`."""

from __future__ import annotations

import sys
import time

import httpx
import pytest
from alerting import BUNDLE
from console_harness import Process, Reader, program, until

import jackline

MOST_S = 2.0


@pytest.fixture
def up(tmp_path):
    """`jackline up` in a process of its own, and the owner's browser."""
    (tmp_path / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    home = tmp_path / "home"
    process = Process(program(), "up", "--port", "0", "--no-open", home=home, folder=tmp_path)
    process.line()
    link = process.line().strip()
    base = link.partition("/login")[0]
    with httpx.Client(base_url=f"{base}/api/v1", timeout=30) as client:
        assert client.get(link, follow_redirects=False).status_code == 303
        yield tmp_path, home, client
    process.child.terminate()
    process.end()


def test_an_alert_is_on_the_stream_within_two_seconds_of_its_event(up):
    folder, home, client = up
    until(lambda: client.get("/alerts").json()["running"], "the alerter")
    stream = Reader(client, kinds="alert_fired,alert_resolved", live="1")
    stream.next("hello")
    guard = jackline.Guard.load(str(folder / "jackline.yaml"), home=home, application="desk")

    @guard.tool
    def search(query):
        return query

    took = []
    for number in range(5):
        with guard.session(id=f"s{number}") as session:
            for _ in range(3):
                search("x")
            wrote = time.time()
            while True:
                items = stream.next("events")["items"]
                if any(one["event"]["group"].get("session") == session.id for one in items):
                    break
            took.append(time.time() - wrote)
            if number == 0:
                live = until(lambda: next((o for o in stream.next("live")["items"] if o["alerts"]), None), "the row")
                assert (live["session"], live["alerts"][0]["rule"]) == (session.id, "loop")
    sys.stdout.write(f"event to alert on the stream: {max(took) * 1000:.0f} ms at most of {len(took)}\n")
    assert max(took) < MOST_S
    stream.close()
    guard.close()

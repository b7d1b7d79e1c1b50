"""Alerts look at what is reported as at everything else: a new agent that nobody registered, a loop."""

from __future__ import annotations

import time

import pytest
from console_harness import Running, until
from reporting import PROTOBUF, request, span

from jackline.home import Home
from jackline_console.access.users import Users


@pytest.fixture
def up(tmp_path):
    running = Running(tmp_path / "home", tmp_path, config=tmp_path / "config", verb="up")
    yield running
    running.end()


def test_a_reported_agent_that_loops_is_told_of(up):
    users = Users(Home(up.home).path / "console")
    told = {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "search",
        "gen_ai.tool.call.arguments": '{"q": "x"}',
        "gen_ai.tool.call.result": "nothing found",
        "gen_ai.agent.name": "buyer",
    }
    run = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "buyer"}
    spans = [span(number, told, parent=99, at=float(number), took=0.1) for number in range(1, 8)]
    spans.append(span(99, run, took=20.0))
    _, token = users.issue("shop", "reporter", time.time(), None)
    sender = up.plain(headers={"Authorization": f"Bearer {token}", "Content-Type": PROTOBUF})
    assert sender.post(f"{up.base}/v1/traces", content=request(*spans).SerializeToString()).status_code == 200
    viewer = up.token("viewer")

    def fired():
        return {row["rule"] for row in viewer.get("/alerts", params={"state": "all"}).json()["items"]}

    until(lambda: {"unregistered-agent", "loop"} <= fired(), "both alerts")
    (agent,) = viewer.get("/agents").json()["items"]
    assert (agent["name"], agent["managed"]) == ("buyer", False)

"""Alerts look at what is reported as at everything else: a new agent that nobody registered, a loop."""

from __future__ import annotations

import json
import time

import msgspec
import pytest
from console_harness import Running, until
from reporting import PROTOBUF, request, span

from jackline.home import Home
from jackline_console.access.users import Users
from jackline_console.alerts.delivery import AlertEvent
from jackline_console.alerts.delivery_message import decoded, noticed


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
        return {row["rule"]: row["reported"] for row in viewer.get("/alerts", params={"state": "all"}).json()["items"]}

    until(lambda: {"unregistered-agent", "loop"} <= fired().keys(), "both alerts")
    assert (fired()["loop"], fired()["unregistered-agent"]) == (True, True)
    metrics = viewer.get(f"{up.base}/metrics").text
    assert 'jackline_alerts_firing{reported="yes",rule="unregistered-agent",severity="info"} 1.0' in metrics
    (agent,) = viewer.get("/agents").json()["items"]
    assert (agent["name"], agent["managed"]) == ("buyer", False)


@pytest.mark.parametrize("reported", [False, True])
def test_people_and_programs_are_told_that_it_is_only_reported(reported):
    same = {"rule": "loop", "signal": "loop", "severity": "warning", "state": "firing", "unit": "calls"}
    about = {"group": {"session": "s"}, "value": 3.0, "threshold": 3.0, "message": "it loops", "since": 1.0, "at": 2.0}
    notice = noticed(AlertEvent(alert="a" * 32, edge="fired", reported=reported, **same, **about))
    assert ("it is only reported, over OTLP: nothing here can hold it" in notice.text) is reported
    assert json.loads(notice.body)["reported"] is reported
    assert notice.posted(2.0)["labels"].get("reported") == ("yes" if reported else None)
    assert decoded(msgspec.json.encode(notice)) == notice

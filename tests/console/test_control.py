"""What people do in the console takes effect in agents that run beside it, and is on record with who and why."""

from __future__ import annotations

import os
import pwd
import time

import pytest
from console_harness import POLICIES, login, until

from jackline.cli import keys
from jackline.events import (
    AgentAmended,
    ApprovalApproved,
    ApprovalDenied,
    BundleChanged,
    SessionReopened,
    SessionStopped,
)
from jackline.journal import read, verify

ME = pwd.getpwuid(os.getuid()).pw_name


def said(home, kind):
    """The console's own events of a kind, with the writer of their journal."""
    found = []
    for path in sorted((home / "journals").iterdir()):
        lines = list(read(path))
        found += [(lines[0].event.writer, line.event) for line in lines if type(line.event) is kind]
    return found


@pytest.mark.parametrize(("verb", "reason"), [("stop", "stopped"), ("pause", "paused")])
def test_a_session_is_ended_while_it_works_and_reopened(verb, reason, client, agent, home):
    """P29: what a person ends here acts on the next call of every process, not minutes later."""
    one = agent("job-1")
    assert one.told("now") == "works"
    answer = client.post(f"/sessions/{one.id}/{verb}", json={"why": "looks wrong"})
    assert answer.json() | {"at": 0} == {"session": one.id, "done": reason, "who": ME, "why": "looks wrong", "at": 0}
    assert one.told("halted") == f"Session ended by policy 'control': {reason} by {ME}: looks wrong"
    ((writer, event),) = said(home, SessionStopped)
    assert (writer, event.session, event.who, event.why, event.pause) == (
        "console",
        one.id,
        ME,
        "looks wrong",
        verb == "pause",
    )
    row = until(lambda: row_of(client, one.id, "halted"), "the row")
    assert row["stop"]["why"] == "looks wrong"
    assert row["paused"] is (verb == "pause")
    assert client.post(f"/sessions/{one.id}/reopen", json={"why": "was fine"}).json()["done"] == "reopened"
    assert said(home, SessionReopened)[0][1].why == "was fine"
    again = client.post(f"/sessions/{one.id}/reopen", json={"why": "again"})
    assert (again.status_code, again.json()["type"]) == (409, "urn:jackline:problem:state")
    assert agent("job-1").told("now") == "works"


def row_of(client, session, state):
    rows = [row for row in client.get("/live").json()["items"] if row["session"] == session]
    return rows[0] if rows and rows[0]["state"] == state else None


def test_ten_sessions_are_stopped_within_a_second_of_the_request(client, agent):
    """Stop to stopped, from the page's request to the agent's last word: nothing begins after it."""
    took = []
    for number in range(10):
        one = agent(f"job-{number}", "fast")
        assert one.told("now") == "works"
        asked = time.monotonic()
        assert client.post(f"/sessions/{one.id}/stop", json={"why": "enough"}).status_code == 200
        assert one.told("halted").endswith(f"stopped by {ME}: enough")
        took.append(time.monotonic() - asked)
    assert sorted(took)[-2] < 1.0, took


def test_suspending_and_another_bundle_are_in_force_within_a_second(client, agent):
    one = agent("job-1", "fast")
    assert one.told("now") == "works"
    until(lambda: client.get("/agents/desk").status_code == 200, "the agent")
    took = []

    def act(path, given, expected):
        asked = time.monotonic()
        answer = client.post(path, json={"why": "drill", **given})
        assert answer.status_code == 200, answer.text
        assert one.told("now").startswith(expected)
        took.append(time.monotonic() - asked)
        return answer.json()

    strict = POLICIES + "  - {name: no-steps, use: rule, on: tool.call, when: tool.name == 'step', effect: deny}\n"
    revision = client.get("/bundle").json()["revision"]
    for _ in range(3):
        act("/agents/desk/suspend", {}, "denied suspended")
        act("/agents/desk/resume", {}, "works")
        act("/agents/desk/tools/step/suspend", {}, "denied tool suspended")
        act("/agents/desk/tools/step/resume", {}, "works")
        revision = act("/bundle/activate", {"text": strict, "previous": revision}, "denied when")["revision"]
        revision = act("/bundle/activate", {"text": POLICIES, "previous": revision}, "works")["revision"]
    assert sorted(took)[-2] < 1.0, took


@pytest.mark.parametrize("why", ["", "   ", None])
def test_a_reason_is_asked_for(why, client):
    answer = client.post(f"/sessions/{'0' * 32}/stop", json={"why": why})
    assert answer.status_code == 422
    (fault,) = answer.json()["errors"]
    assert fault["place"] == "body.why"


def test_an_agent_and_a_tool_are_suspended_and_resumed(client, agent, home):
    one = agent("job-1")
    assert one.told("now") == "works"
    until(lambda: client.get("/agents/desk").status_code == 200, "the agent")
    client.post("/agents/desk/suspend", json={"why": "odd"})
    assert one.told("now").startswith("denied suspended: agent 'desk' is suspended")
    assert client.get("/agents/desk").json()["status"] == "suspended"
    client.post("/agents/desk/resume", json={"why": "fine"})
    assert one.told("now") == "works"
    done = client.post("/agents/desk/tools/step/suspend", json={"why": "leaks"}).json()
    assert (done["agent"], done["changes"], done["who"]) == ("desk", {"tools": {"step": "suspended"}}, ME)
    assert one.told("now").startswith("denied tool suspended: tool 'step' of agent 'desk' is suspended")
    tool = next(tool for tool in client.get("/agents/desk").json()["tools"] if tool["name"] == "step")
    assert (tool["status"], tool["suspended"], tool["permitted"]) == ("suspended", True, False)
    client.post("/agents/desk/tools/step/resume", json={"why": "mended"})
    assert one.told("now") == "works"
    assert [(event.who, event.why) for _, event in said(home, AgentAmended)] == [
        (ME, why) for why in ("odd", "fine", "leaks", "mended")
    ]
    assert client.post("/agents/nobody/suspend", json={"why": "x"}).json()["type"].endswith(":unknown-agent")
    assert client.post("/agents/desk/tools/nothing/suspend", json={"why": "x"}).json()["type"].endswith(":unknown-tool")


def test_another_bundle_comes_into_force_in_what_runs(client, agent, home, folder):
    one = agent("job-1")
    assert one.told("now") == "works"
    before = client.get("/bundle").json()
    text = POLICIES + "  - {name: no-steps, use: rule, on: tool.call, when: tool.name == 'step', effect: deny}\n"
    given = {"text": text, "previous": before["revision"], "why": "PR 12"}
    done = client.post("/bundle/activate", json=given).json()
    assert (done["done"], done["previous"], done["who"]) == ("activated", before["revision"], ME)
    assert one.told("now").startswith("denied when")
    ((writer, event),) = said(home, BundleChanged)
    assert (writer, event.revision, event.previous, event.why) == (
        "console",
        done["revision"],
        before["revision"],
        "PR 12",
    )
    late = client.post("/bundle/activate", json=given)
    assert (late.status_code, late.json()["type"]) == (409, "urn:jackline:problem:changed")
    broken = client.post(
        "/bundle/activate",
        json={"text": "jackline: 1\npolicies: [{name: x}]\n", "previous": done["revision"], "why": "x"},
    )
    assert broken.status_code == 422
    assert [fault["line"] for fault in broken.json()["errors"]] == [2]
    assert (folder / "jackline.yaml").read_text() == text
    top = until(lambda: first(client, "in_force"), "the new revision")
    assert (top["revision"], top["who"], top["current"], top["kept"]) == (done["revision"], ME, True, True)
    told = client.get("/bundle/diff", params={"from": before["revision"], "to": done["revision"]}).json()
    assert (told["added"], told["removed"], told["changed"]) == (["no-steps"], [], [])
    assert [line["text"] for line in told["lines"] if line["op"] == "add"] == [text.splitlines()[-1]]
    back = {"text": POLICIES, "previous": done["revision"], "why": "too strict"}
    assert client.post("/bundle/activate", json=back).json()["widened"] == ["policy 'no-steps': removed"]
    assert one.told("now") == "works"


def first(client, key):
    """The latest revision, once it has something."""
    top = client.get("/bundle/revisions").json()["items"][0]
    return top if top[key] else None


def approvers(folder, **pinned):
    """Pin keys of approvers, before an agent starts."""
    names = "".join(f'  {name}: {{key: "{key}"}}\n' for name, key in pinned.items())
    (folder / "jackline.yaml").write_text(POLICIES + "approvers:\n" + names, encoding="utf-8")


def key_of(name, config, monkeypatch):
    monkeypatch.setenv("JACKLINE_CONFIG", str(config))
    _, public, _ = keys.made(name)
    return public


def pending(client):
    return until(lambda: client.get("/approvals").json()["items"], "a question")[0]


def test_the_owner_approves_with_a_key_of_their_own(client, agent, folder, config, home, monkeypatch):
    approvers(folder, ana=key_of("ana", config, monkeypatch))
    one = agent("job-1", "refund")
    assert one.told("now").startswith("pending ")
    asked = pending(client)
    assert (asked["agent"], asked["resource"], asked["args"]) == ("desk", "refund", {"order": "A-1", "amount": 600.0})
    assert (asked["may_answer"], asked["as"], asked["cannot"], asked["needed"]) == (["ana"], ["ana"], "", 1)
    context = until(lambda: client.get(f"/approvals/{asked['approval']}").json()["context"], "the events before it")
    assert context[0]["session"] == one.id
    done = client.post(f"/approvals/{asked['approval']}/approve", json={"why": "known customer"}).json()
    assert (done["done"], done["who"], done["state"], done["agreed"]) == ("approved", "ana", "approved", ["ana"])
    assert done["self_approval_possible"] is True
    assert one.told("ran") == "refund"
    ((writer, event),) = said(home, ApprovalApproved)
    assert (writer, event.who, event.why) == ("console", "ana", "known customer")
    late = client.post(f"/approvals/{asked['approval']}/approve", json={})
    assert (late.status_code, late.json()["type"]) == (409, "urn:jackline:problem:too-late")
    over = client.get("/approvals", params={"state": "all"}).json()["items"]
    assert [(one["state"], one["answers"][0]["counts"]) for one in over] == [("consumed", True)]


@pytest.mark.parametrize("verb", ["deny", "edit", "respond"])
def test_other_answers(verb, client, agent, folder, config, home, monkeypatch):
    approvers(folder, ana=key_of("ana", config, monkeypatch))
    one = agent("job-1", "refund")
    one.told("now")
    asked = pending(client)
    given = {
        "deny": {"why": "no receipt"},
        "edit": {"args": {"order": "A-1", "amount": 450.0}},
        "respond": {"text": "offer a voucher"},
    }[verb]
    done = client.post(f"/approvals/{asked['approval']}/{verb}", json=given)
    assert done.status_code == 200, done.text
    if verb == "edit":
        told = one.told("amount")
        assert told == 450.0
    else:
        assert next(iter(given.values())) in one.told("now")
        assert said(home, ApprovalDenied)[0][1].responded is (verb == "respond")


def test_users_answer_as_themselves_with_the_consoles_key(shared, agent, folder, config, home, monkeypatch):
    """Two must agree; a viewer may not, nor whoever has no pinned key, nor the one for whom the agent acts."""
    names = "".join(
        f'  {name}: {{key: "{key_of(name, config, monkeypatch)}"}}\n' for name in ("ana", "otto", "ada", "vera")
    )
    policies = POLICIES.replace("{expires: 30m}", "{expires: 30m, approvals: 2}")
    (folder / "jackline.yaml").write_text(
        f"{policies}approvers:\n{names}".replace('ada: {key: "', 'ada: {user: u-9, key: "'), encoding="utf-8"
    )
    one = agent("job-1", "refund")
    one.told("now")
    ana, otto, vera, ada = (login(shared, name) for name in ("ana", "otto", "vera", "ada"))
    asked = pending(ana)
    assert asked["may_answer"] == ["ana", "otto", "vera"]
    assert asked["as"] == ["ana"]
    path = f"/approvals/{asked['approval']}/approve"
    assert vera.post(path, json={}).json()["type"] == "urn:jackline:problem:role"
    refused = ada.post(path, json={})
    assert refused.status_code == 403
    said = "the agent acts for 'u-9', who may not approve it; nothing was signed, and the attempt is on record"
    assert refused.json()["detail"] == said
    borrowed = ana.post(path, json={"as": "otto"})
    assert borrowed.json()["type"] == "urn:jackline:problem:not-an-approver"
    first = ana.post(path, json={"why": "ok"}).json()
    assert (first["state"], first["agreed"], first["needed"]) == ("pending", ["ana"], 2)
    again = ana.post(path, json={"why": "still"}).json()
    assert again["agreed"] == ["ana"], "one person counts once"
    second = otto.post(path, json={"why": "ok"}).json()
    assert (second["state"], second["agreed"]) == ("approved", ["ana", "otto"])
    assert one.told("ran") == "refund"
    shared.end()
    assert all(report.ok for report in verify(home / "journals"))

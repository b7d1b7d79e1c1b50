"""Checks and records of agents in other processes: the guard's semantics, over HTTP."""

from __future__ import annotations

import concurrent.futures
import time

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from decision_harness import PATIENCE, POLICIES, check, events, record, until

import jackline
from jackline.answers import Answer, public_text, sign
from jackline.approvals import Approvals
from jackline.events import Usage
from jackline.home import Home
from jackline.ledger import Ledger
from jackline.opening import open_registry

CALLS = "few-calls/session/{}/calls"


def test_a_check_is_on_record_before_its_answer_and_its_outcome_after(client, home):
    told = check(client, args={"q": "tea"}, user="u-9", labels={"purpose": "test"}, run="first", call_id="c-1")
    assert (told["effect"], told["permitted"], told["judge_return"]) == ("allow", True, True)
    (decided,) = events(home, "decided")
    assert (decided.agent, decided.resource, decided.call_id) == ("billing", "find", "c-1")
    assert (decided.session, decided.span) == (told["session"], told["span"])
    assert events(home, "completed") == []
    assert record(client, told["decision"], result={"found": 3}).json() == {"decision": told["decision"]}
    (completed,) = events(home, "completed")
    assert (completed.span, completed.settled) == (told["span"], {CALLS.format(told["session"]): 1})
    assert completed.result
    (started,) = events(home, "session_started")
    assert (started.external_id, started.user, started.labels, started.application) == (
        "job-1",
        "u-9",
        {"purpose": "test"},
        "billing",
    )


def test_the_agent_is_the_tokens_and_unmanaged(client, home):
    check(client)
    agent = open_registry(Home(home)).entries["billing"].facts("")
    assert (agent.managed, agent.status, agent.framework) == (False, "seen", "decision-api")
    assert agent.labels == {"source": "decision-api"}


def test_an_agent_that_is_known_stays_as_the_registry_has_it(server, home):
    """A token for an agent that a guard governs elsewhere does not make it an unmanaged one."""
    with jackline.Guard(home=home) as guard:
        guard.agent("support", framework="langchain", version="2")
    assert check(server.client("support", version="2"))["permitted"]
    agent = open_registry(Home(home)).entries["support"].facts("2")
    assert (agent.managed, agent.framework) == (True, "langchain")


def test_unmanaged_agents_may_nothing_unless_the_bundle_or_the_registry_says_so(bundle, serve, home):
    bundle.write_text("jackline: 1\npolicies: []\n", encoding="utf-8")
    client = serve().client("stranger", version="2")
    told = check(client)
    assert (told["effect"], told["policy"], told["rule"]) == ("deny", "registry", "unregistered")
    assert told["reason"] == (
        "agent 'stranger@2' is unregistered; permit it with: jackline agents set stranger --status active"
    )
    assert "decision" not in told


def test_what_is_denied_has_nothing_to_record(client):
    told = check(client, "delete_all")
    assert (told["effect"], told["permitted"], told["reason"]) == ("deny", False, "nothing is deleted")
    assert "decision" not in told


def test_arguments_and_results_come_back_changed(client):
    told = check(client, "mail", args={"to": "ann@example.com", "n": 1})
    assert (told["effect"], told["permitted"]) == ("modify", True)
    assert told["args"] == {"to": "[EMAIL]", "n": 1}
    asked = {"action": "tool.return", "decision": told["decision"], "result": ["from bob@example.com"]}
    returned = client.post("/v1/check", json=asked).json()
    assert (returned["effect"], returned["result"], returned["span"]) == ("modify", ["from [EMAIL]"], told["span"])
    clean = client.post("/v1/check", json={**asked, "result": None}).json()
    assert (clean["effect"], "result" in clean) == ("allow", False)
    assert record(client, told["decision"], digest="a" * 64).status_code == 200


def test_a_halt_is_sticky_for_its_session_and_for_no_other(client, home):
    for _ in range(5):
        assert check(client)["permitted"]
    halted = check(client)
    assert (halted["effect"], halted["policy"]) == ("halt", "few-calls")
    assert check(client, "delete_all")["effect"] == "halt"
    assert check(client, session="job-2")["permitted"]
    assert len(events(home, "session_halted")) == 1


def test_sessions_of_two_agents_with_one_name_are_two(server, client):
    other = server.client("support")
    assert check(client)["session"] != check(other)["session"]


def test_what_did_not_start_is_given_back(client, home):
    told = check(client)
    assert record(client, told["decision"], "not_started", error="no network").status_code == 200
    assert Ledger.open(home / "ledger").balance(CALLS.format(told["session"])) == (0, 0)
    (failed,) = events(home, "failed")
    assert (failed.error, failed.message) == ("abandoned", "no network")


def test_tokens_of_a_model_call_are_booked(client, home):
    asked = {
        "action": "model.call",
        "resource": "gpt-4o-mini",
        "session": "job-1",
        "args": {"messages": [{"role": "user", "content": "hello"}]},
        "model": {"provider": "openai", "max_tokens": 100},
    }
    told = client.post("/v1/check", json=asked).json()
    usage = {"input": 1000, "output": 100}
    assert record(client, told["decision"], result="hi", usage=usage, model="gpt-4o-mini").status_code == 200
    (completed,) = events(home, "completed")
    assert (completed.usage, completed.cost.micro_usd) == (Usage(input=1000, output=100), 210)


def test_a_check_without_a_record_expires(client, home):
    told = check(client, lease_s=1)
    (failed,) = until(lambda: events(home, "failed"), "the end of the lease")
    assert (failed.error, failed.span) == ("outcome unknown", told["span"])
    assert failed.settled == {CALLS.format(told["session"]): 1}
    late = record(client, told["decision"])
    assert (late.status_code, late.json()["type"]) == (409, "urn:jackline:problem:expired")
    assert events(home, "completed") == []


def test_a_record_counts_once(client, home):
    told = check(client)
    assert record(client, told["decision"]).status_code == 200
    again = record(client, told["decision"], "not_started")
    assert (again.status_code, again.json()["detail"]) == (
        409,
        "this decision's outcome is on record already, and stays as it is",
    )
    assert len(events(home, "completed", "failed")) == 1
    (refused,) = events(home, "caller_refused")
    assert (refused.by, refused.what, refused.agent) == ("decision-api", "recorded", "billing")


def test_another_agents_decision_is_as_unknown_as_none(server, client):
    told = check(client)
    other = server.client("support")
    theirs, none = record(other, told["decision"]), record(other, "0" * 32)
    assert (theirs.status_code, none.status_code) == (404, 404)
    assert theirs.json()["detail"] == none.json()["detail"] == "this agent has no open decision of that id"
    assert record(client, told["decision"]).status_code == 200


def test_a_batch_is_answered_in_its_order(client):
    asked = [
        {"action": "tool.call", "resource": name, "session": "job-1"} for name in ("find", "delete_all", "find")
    ] + [{"action": "tool.return", "decision": "0" * 32, "result": 1}]
    told = client.post("/v1/check", json=asked).json()
    assert [one["effect"] for one in told] == ["allow", "deny", "allow", "deny"]
    assert (told[3]["policy"], told[3]["rule"]) == ("jackline", "unknown-decision")
    done = [{"decision": told[n]["decision"], "outcome": "completed"} for n in (0, 2, 0)]
    answers = client.post("/v1/record", json=done).json()
    assert [one.get("error", "") for one in answers] == ["", "", "recorded"]
    assert answers[2]["recorded"] is False


def test_an_agent_that_is_spawned_acts_in_its_parents_session(server, client, home):
    spawn = client.post(
        "/v1/check",
        json={"action": "agent.spawn", "resource": "researcher", "session": "job-1", "args": {"input": "x"}},
    ).json()
    child = server.client("researcher")
    told = check(child, parent=spawn["decision"])
    assert told["session"] == spawn["session"]
    decided = events(home, "decided")[-1]
    started = events(home, "run_started")[-1]
    assert (decided.agent, started.agent, started.depth, started.parent) == (
        "researcher",
        "researcher",
        1,
        spawn["span"],
    )
    assert decided.run == started.run
    stranger = server.client("stranger")
    body = {"action": "tool.call", "resource": "find", "parent": spawn["decision"]}
    refused = stranger.post("/v1/check", json=body)
    assert (refused.status_code, refused.json()["what"]) == (404, "parent")
    assert record(client, spawn["decision"]).status_code == 200
    assert events(home, "run_ended")[-1].agent == "researcher"


def test_a_session_stays_its_users(client):
    check(client, user="u-1")
    body = {"action": "tool.call", "resource": "find", "session": "job-1", "user": "u-2"}
    answer = client.post("/v1/check", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (
        422,
        "the session began for another user, and stays theirs",
    )


@pytest.mark.parametrize("wait", ["", ", wait: block"])
def test_an_escalated_act_is_pending_until_people_answer(wait, bundle, serve, home):
    """Asked again with the same call id: approved runs once, and never again; the connection never hangs."""
    key = Ed25519PrivateKey.generate()
    pinned = f"approvers:\n  ana: {{key: '{public_text(key)}'}}\n"
    policies = POLICIES.replace("expires: 30m", f"to: [ana], expires: 30m{wait}")
    bundle.write_text(policies.replace("policies:\n", f"{pinned}policies:\n", 1), encoding="utf-8")
    client = serve().client("billing")
    asked = {"args": {"order": "A-1", "amount": 900}, "call_id": "c-1"}
    first = check(client, "refund", **asked)
    assert (first["effect"], first["permitted"], first["pending"]) == ("escalate", False, True)
    (approval,) = first["approvals"]
    assert check(client, "refund", **asked)["approvals"] == [approval]
    (found,) = Approvals(home / "approvals").all()
    now = time.time()
    said = Answer(approval=approval, question=found.fingerprint, say="approve", who="ana", at=now)
    found.answer(sign(said, key), "approve", now)
    told = check(client, "refund", **asked)
    assert (told["effect"], told["permitted"]) == ("allow", True)
    assert record(client, told["decision"]).status_code == 200
    again = check(client, "refund", **asked)
    assert not again["permitted"]


def test_a_hundred_clients_at_once(server, home):
    """No more calls than the ceiling are permitted in any session, and each permitted one has one outcome."""
    clients = [server.client(f"agent-{number}") for number in range(100)]

    def work(client):
        permitted = 0
        for _ in range(8):
            told = check(client)
            if told["permitted"]:
                permitted += 1
                assert record(client, told["decision"]).status_code == 200
        return permitted

    with concurrent.futures.ThreadPoolExecutor(100) as pool:
        assert list(pool.map(work, clients, timeout=4 * PATIENCE)) == [5] * 100
    assert len(events(home, "completed")) == 500
    assert len(events(home, "session_halted")) == 100


def test_a_ceiling_holds_for_one_session_asked_by_many_and_by_two_servers(serve, home):
    """Whatever the order: five calls are permitted, and the session is halted for both servers."""
    clients = [serve().client("billing"), serve().client("billing")] * 10
    with concurrent.futures.ThreadPoolExecutor(20) as pool:
        told = list(pool.map(check, clients, timeout=4 * PATIENCE))
    assert sum(one["permitted"] for one in told) == 5
    assert {check(client)["effect"] for client in clients[:2]} == {"halt"}

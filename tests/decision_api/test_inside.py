"""What needs a clock, a fault or a bound: the same application, asked without a network."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import types

import httpx
import pytest
from decision_harness import POLICIES, events, token

import jackline
from jackline.decision import Decision
from jackline.errors import JournalError, LedgerError
from jackline.home import Home
from jackline.request import Agent, Request, Subject
from jackline_console.decisions import act_log, jobs, open_acts
from jackline_console.decisions.act_log import ActLog
from jackline_console.decisions.application import DecisionAPI
from jackline_console.decisions.decider import Decider
from jackline_console.problems import ProblemError
from jackline_console.settings import Settings

NOW = 1_800_000_000.0


@pytest.fixture
async def inside(tmp_path):
    """A guard, its Decision API and a client of `billing`, on a clock that stands still until it is set."""
    path, home = tmp_path / "jackline.yaml", tmp_path / "home"
    path.write_text(POLICIES, encoding="utf-8")
    made = types.SimpleNamespace(home=home, now=NOW)
    with jackline.Guard.load(path, home=home, clock=lambda: made.now, idle=60.0) as guard:
        made.guard, made.api = guard, DecisionAPI(guard, Settings(home=Home(home)), clock=lambda: made.now)
        headers = {"Authorization": f"Bearer {token(home, 'billing')}"}
        transport = httpx.ASGITransport(made.api)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:

            async def check(session="job-1", **more):
                asked = {"action": "tool.call", "resource": "find", "session": session, **more}
                return await client.post("/v1/check", json=asked)

            made.client, made.check = client, check
            yield made
        await made.api.close()


async def test_a_decision_that_cannot_be_recorded_permits_nothing(inside, monkeypatch):
    def full(_event):
        raise JournalError("no space left on device")

    assert (await inside.check()).json()["permitted"]
    monkeypatch.setattr(inside.guard.recorder.journal, "append", full)
    told = (await inside.check()).json()
    monkeypatch.undo()
    assert (told["effect"], told["permitted"], told["policy"]) == ("deny", False, "jackline")
    assert told["reason"] == "the decision could not be recorded: no space left on device"
    assert "decision" not in told


async def test_a_policy_that_breaks_denies(inside, monkeypatch):
    engine = inside.guard._active.engine

    def broken(*_):
        raise RuntimeError("a bug")

    monkeypatch.setattr(type(engine), "decide", broken)
    told = (await inside.check()).json()
    assert (told["effect"], told["reason"]) == ("deny", "it could not be judged: RuntimeError: a bug")


async def test_leases_end_on_their_own_time(inside):
    short = (await inside.check(lease_s=10)).json()
    long = (await inside.check(lease_s=1000)).json()
    inside.now += 11
    again = (await inside.check()).json()
    assert [event.span for event in events(inside.home, "failed")] == [short["span"]]
    for told, status in ((short, 409), (long, 200), (again, 200)):
        answer = await inside.client.post("/v1/record", json={"decision": told["decision"], "outcome": "completed"})
        assert answer.status_code == status


async def test_what_is_open_is_bounded(inside, monkeypatch):
    monkeypatch.setattr(open_acts, "MOST", 2)
    for _ in range(2):
        assert (await inside.check()).status_code == 200
    answer = await inside.check()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "1")
    assert answer.json()["detail"] == "2 acts are open and wait for their records"
    assert len(events(inside.home, "decided")) == 2


async def test_bytes_of_what_is_open_are_bounded(inside, monkeypatch):
    monkeypatch.setattr(open_acts, "MOST_BYTES", 2000)
    assert (await inside.check(args={"q": "x" * 1500})).status_code == 200
    assert (await inside.check(args={"q": "x" * 1500})).status_code == 503
    assert (await inside.check()).status_code == 200


def test_ends_that_are_remembered_are_bounded_and_leases_let_go(monkeypatch, tmp_path):
    monkeypatch.setattr(open_acts, "_ENDED", 10)
    acts = open_acts.OpenActs(ActLog(tmp_path / "open_acts", pytest.fail), lambda act: None)
    request = Request(
        action="tool.call", resource="x", at=NOW, agent=Agent(name="a"), subject=Subject(session="s"), run="r", span="p"
    )
    made = [open_acts.OpenAct(request, Decision(effect="allow"), None, 1, NOW + 1000) for _ in range(1200)]
    for act in made:
        acts.add(act)
        acts.end(acts.find(act.id, "a"))
    acts.sweep(NOW)
    assert (len(acts), acts._bytes, len(acts._leases), len(acts._ended)) == (0, 0, 0, 10)
    with pytest.raises(ProblemError) as forgotten:
        acts.find(made[0].id, "a")
    assert forgotten.value.problem.status == 404
    with pytest.raises(ProblemError) as known:
        acts.find(made[-1].id, "a")
    assert known.value.problem.status == 409


async def test_a_session_that_ended_idle_begins_again(inside):
    first = (await inside.check()).json()
    inside.now += 200
    assert (await inside.check("job-2")).status_code == 200
    assert [event.how for event in events(inside.home, "session_ended")] == ["idle"]
    again = (await inside.check()).json()
    assert again["session"] == first["session"]
    assert len(events(inside.home, "session_started")) == 3
    assert len(events(inside.home, "run_ended")) == 1


async def test_sessions_and_runs_are_bounded(inside, monkeypatch):
    monkeypatch.setattr(jobs, "_MOST", 2)
    monkeypatch.setattr(jobs, "_RUNS", 2)
    for name in ("job-1", "job-2", "job-3"):
        assert (await inside.check(name)).status_code == 200
    assert [event.how for event in events(inside.home, "session_ended")] == ["explicit"]
    for name in ("a", "b"):
        assert (await inside.check("job-3", run=name)).status_code == 200
    assert len(events(inside.home, "run_ended")) == 2


async def test_a_change_that_cannot_be_said_is_no_permission(inside, monkeypatch):
    def stubborn(*_):
        raise ValueError("no native form")

    monkeypatch.setattr("jackline_console.decisions.decider.rewrite", stubborn)
    told = (await inside.check(args={"to": "ann@example.com"})).json()
    assert (told["effect"], told["permitted"], told["rule"]) == ("deny", False, "changed")
    assert told["reason"] == "it cannot be changed as policy asks: no native form"
    (failed,) = events(inside.home, "failed")
    assert failed.error == "abandoned"
    plain = (await inside.check()).json()
    asked = {"action": "tool.return", "decision": plain["decision"], "result": "bob@example.com"}
    withheld = (await inside.client.post("/v1/check", json=asked)).json()
    assert (withheld["effect"], withheld["rule"], "result" in withheld) == ("deny", "changed", False)


async def test_a_tokens_file_that_others_can_write_lets_nobody_in(inside):
    (inside.home / "console" / "access.json").chmod(0o666)
    answer = await inside.check()
    (inside.home / "console" / "access.json").chmod(0o600)
    assert answer.status_code == 503
    assert "others can write" in answer.json()["detail"]
    assert [event.what for event in events(inside.home, "caller_refused")] == ["access"]


async def test_every_action_can_be_asked(inside):
    asked = [
        {"action": "retrieval", "resource": "wiki", "args": {"query": "tea"}},
        {"action": "embedding", "resource": "text-embedding-3-small", "args": {"texts": ["tea"]}},
        {"action": "http.request", "resource": "API.Example.com.", "http": {"method": "post", "path": "/a?b=c"}},
        {"action": "http.request", "resource": "example.com"},
        {"action": "output", "resource": "billing", "args": {"result": "done"}},
    ]
    told = (await inside.client.post("/v1/check", json=[{**one, "session": "job-1"} for one in asked])).json()
    assert [one["effect"] for one in told] == ["allow"] * 5
    assert ["decision" in one for one in told] == [True, True, True, True, False]
    sent = events(inside.home, "decided")[2]
    assert (sent.resource, sent.http.method, sent.http.port) == ("api.example.com", "POST", 443)
    done = {"decision": told[2]["decision"], "outcome": "completed", "status": 204}
    assert (await inside.client.post("/v1/record", json=done)).status_code == 200
    assert events(inside.home, "completed")[0].http.status == 204
    wrong = {"action": "model.return", "decision": told[0]["decision"], "result": 1}
    answer = await inside.client.post("/v1/check", json=wrong)
    assert answer.json()["detail"] == "the decision is about a retrieval, which gives back no model.return"


async def test_the_path_and_query_of_a_request_are_no_record(inside):
    told = {
        "action": "http.request",
        "resource": "example.com",
        "session": "j",
        "http": {"path": "/sk-secret/x?key=sk-secret"},
    }
    assert (await inside.client.post("/v1/check", json=told)).status_code == 200
    files = [*(inside.home / "journals").iterdir(), *(inside.home / "open_acts").glob("*.jsonl")]
    assert len(files) >= 2
    assert not any(b"sk-secret" in path.read_bytes() for path in files)


async def test_closed_twice_is_closed(inside):
    await inside.check()
    with contextlib.suppress(AssertionError):
        await inside.api.close()
    await inside.api.close()
    assert len(events(inside.home, "hold_booked")) == 1
    assert events(inside.home, "failed") == []


@pytest.mark.parametrize(("depth", "status"), [(10, 200), (60, 200), (70, 422), (900, 422), (5000, 400)])
async def test_what_cannot_be_judged_whole_is_not_judged(depth, status, inside):
    """Beyond what policies see there is nothing: no mail address comes through by being deep enough."""
    deep = "bob@example.com"
    for _ in range(depth):
        deep = {"a": deep}
    args = {"to": "ann@example.com", "n": 10**30, "deep": deep} if depth < 1000 else {}
    if args:
        answer = await inside.check(args=args)
    else:
        content = (
            b'{"action":"tool.call","resource":"x","session":"j","args":' + b'{"a":' * depth + b"1" + b"}" * (depth + 1)
        )
        answer = await inside.client.post("/v1/check", content=content)
    assert answer.status_code == status, answer.text
    told = answer.json()
    if status == 200:
        assert (told["effect"], told["args"]["to"], told["args"]["n"]) == ("modify", "[EMAIL]", 10**30)
        assert "bob@example.com" not in answer.text
    elif status == 422:
        assert told["detail"] == "`args` is too deep or has too many values to be judged as a whole"
        assert events(inside.home, "decided") == []


async def test_keys_that_look_like_marks_are_the_callers(inside):
    told = (await inside.check(args={"$deep": {"$large": 1}})).json()
    assert told["effect"] == "allow"
    changed = (await inside.check(args={"$deep": 1, "to": "ann@example.com"})).json()
    assert (changed["effect"], changed["rule"], "args" in changed) == ("deny", "changed", False)


async def test_a_result_that_cannot_be_judged_whole_is_withheld(inside):
    told = (await inside.check()).json()
    asked = {"action": "tool.return", "decision": told["decision"], "result": [0] * 100_001}
    answer = await inside.client.post("/v1/check", json=asked)
    assert (answer.status_code, answer.json()["what"]) == (422, "result")


async def test_a_changed_bundle_is_in_force(inside):
    """The file is looked at once a second; no server is started again."""
    path = inside.home.parent / "jackline.yaml"
    assert (await inside.check("job-0")).json()["permitted"]
    path.write_text(POLICIES.replace("startsWith('delete')", "startsWith('find')"), encoding="utf-8")
    for number in range(1, 200):
        inside.now += 2
        await asyncio.sleep(0.02)
        told = (await inside.check(f"job-{number}")).json()
        if not told["permitted"]:
            break
    assert (told["effect"], told["policy"]) == ("deny", "no-deletes")


async def test_what_is_of_a_model_call_is_refused_of_a_tool(inside):
    """A tool call that says it came from a cache would have its budget given back."""
    told = (await inside.check()).json()
    done = {"decision": told["decision"], "outcome": "completed"}
    for what, value in (("cached", True), ("usage", {"input": 1}), ("model", "m")):
        answer = await inside.client.post("/v1/record", json={**done, what: value})
        expected = f"`{what}` is of a model call, and the decision is about a tool.call"
        assert (answer.status_code, answer.json()["detail"]) == (422, expected)
    assert (await inside.client.post("/v1/record", json=done)).status_code == 200
    (completed,) = events(inside.home, "completed")
    assert list(completed.settled.values()) == [1]


async def test_a_cached_embedding_is_taken(inside):
    asked = {"action": "embedding", "resource": "m", "session": "j", "args": {"texts": ["tea"]}}
    told = (await inside.client.post("/v1/check", json=asked)).json()
    done = {"decision": told["decision"], "outcome": "completed", "cached": True, "usage": {"input": 1}, "model": "m"}
    assert (await inside.client.post("/v1/record", json=done)).status_code == 200


@pytest.mark.parametrize("how", ["its result", "an act within"])
@pytest.mark.parametrize("again", [False, True])
async def test_what_has_shown_that_it_started_is_not_given_back(inside, how, again):
    """Nor at the next server of the home."""
    told = (await inside.check()).json()
    if how == "its result":
        asked = {"action": "tool.return", "decision": told["decision"], "result": 1}
    else:
        asked = {"action": "tool.call", "resource": "find", "parent": told["decision"]}
    assert (await inside.client.post("/v1/check", json=asked)).status_code == 200
    if again:
        inside.api.decider.close()
        inside.api.decider = Decider(inside.guard, lambda: inside.now)
    body = {"decision": told["decision"], "outcome": "not_started"}
    answer = await inside.client.post("/v1/record", json=body)
    assert (answer.status_code, answer.json()["type"]) == (422, "urn:jackline:problem:started")
    assert answer.json()["detail"] == (
        "the act has started: its result was judged, or something was asked for within it"
    )
    assert (await inside.client.post("/v1/record", json={**body, "outcome": "failed"})).status_code == 200
    assert [event.error for event in events(inside.home, "failed")] == ["failed"]


async def test_an_adopted_act_whose_file_stays_is_settled_once(inside, monkeypatch):
    """The disk is full: what the other server left cannot be written anew, and is read again and again."""
    told = (await inside.check()).json()
    inside.api.decider.close()

    def full(*_):
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(act_log, "_put", full)
    inside.api.decider = decider = Decider(inside.guard, lambda: inside.now)
    held = decider.acts.peek(told["decision"])
    decider.acts.adopt()
    assert decider.acts.peek(told["decision"]) is held
    done = {"decision": told["decision"], "outcome": "completed"}
    statuses = []
    for _ in range(3):
        statuses.append((await inside.client.post("/v1/record", json=done)).status_code)
        decider.acts.adopt()
    assert (statuses, len(decider.acts)) == ([200, 409, 409], 0)
    monkeypatch.undo()
    decider.acts.adopt()
    inside.api.decider.close()
    inside.api.decider = Decider(inside.guard, lambda: inside.now)
    again = await inside.client.post("/v1/record", json=done)
    assert again.status_code == 404, "nothing was left open, so that its end is forgotten"
    assert len(events(inside.home, "completed")) == 1


async def test_a_record_that_cannot_be_taken_leaves_the_act_open(inside, monkeypatch):
    told = (await inside.check()).json()
    done = {"decision": told["decision"], "outcome": "completed"}

    def broken(*_, **__):
        raise RuntimeError("a bug")

    monkeypatch.setattr(inside.guard, "complete", broken)
    assert (await inside.client.post("/v1/record", json=done)).status_code == 500
    monkeypatch.undo()
    assert (await inside.client.post("/v1/record", json=done)).status_code == 200
    assert len(events(inside.home, "completed")) == 1


async def test_holds_that_cannot_be_booked_stop_nothing(inside, monkeypatch):
    await inside.check()
    inside.api.decider.close()
    lost = []

    def broken():
        raise LedgerError("the ledger cannot be read")

    monkeypatch.setattr(inside.guard, "book_what_crashed", broken)
    monkeypatch.setattr(inside.guard.recorder, "lose", lost.append)
    inside.api.decider = Decider(inside.guard, lambda: inside.now)
    assert [str(error) for error in lost] == ["the ledger cannot be read"]
    assert len(inside.api.decider.acts) == 1


async def test_an_agent_that_starts_itself_gets_deeper(inside):
    parent, depths = {"session": "job-1"}, []
    for _ in range(3):
        asked = {"action": "agent.spawn", "resource": "billing", "args": {"input": "x"}, **parent}
        told = (await inside.client.post("/v1/check", json=asked)).json()
        depths.append(events(inside.home, "run_started")[-1].depth)
        parent = {"parent": told["decision"]}
    assert depths == [0, 1, 2]


async def test_what_the_registry_remembers_is_bounded(inside):
    """It is written, and known to every guard of the home, whatever is decided."""
    for tool in ({"parameters": {"a": "x" * 65_536}}, {"description": "\u00e4" * 33_000}):
        answer = await inside.check(tool=tool)
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "`parameters` and `description` of the tool are too large",
        )
    for action in ("tool.call", "model.call", "embedding"):
        answer = await inside.check(action=action, resource="x" * 257)
        assert (answer.status_code, answer.json()["detail"]) == (
            422,
            "the name of a tool or model has at most 256 characters",
        )
    assert (await inside.check(labels={str(number): "x" for number in range(17)})).status_code == 422
    assert events(inside.home, "tool_seen", "model_seen", "decided") == []
    whole = {"tool": {"parameters": {"a": "x" * 65_000}}, "labels": {str(number): "x" for number in range(16)}}
    assert (await inside.check(resource="x" * 256, **whole)).status_code == 200


async def test_runs_of_all_sessions_are_bounded(inside, monkeypatch):
    monkeypatch.setattr(jobs, "_ALL_RUNS", 2)
    runs = []
    for name in ("job-1", "job-2", "job-3", "job-1"):
        assert (await inside.check(name)).status_code == 200
        runs.append(events(inside.home, "run_started")[-1].run)
    assert [event.run for event in events(inside.home, "run_ended")] == runs[:2]
    assert len(inside.api.decider._jobs._runs) == 2

"""What one server permitted the next one can put on record; what nobody tells expires, its hold spent."""

from __future__ import annotations

import errno
import json
import os

import pytest
from decision_harness import check, events, record, until

import jackline
from jackline.decision import Decision
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.ledger import Ledger
from jackline.request import Agent, Model, Request, Subject, Tool
from jackline.stores.sqlite import SQLiteStore
from jackline_console.decisions import act_log
from jackline_console.decisions.act_log import ActLog, kept

MONEY = """\
jackline: 1
unregistered: allow
policies:
  - {name: ceiling, use: budget, with: {limit: 1 USD, per: session}}
"""
ASKED = {
    "action": "model.call",
    "resource": "gpt-4o-mini",
    "session": "job-1",
    "args": {"messages": [{"role": "user", "content": "hello"}]},
    "model": {"provider": "openai", "max_tokens": 1000},
}
NOW = 1_800_000_000.0
NEVER = "0" * 32


@pytest.fixture
def money(bundle):
    """A bundle that counts dollars."""
    bundle.write_text(MONEY, encoding="utf-8")


def balance(home, told):
    """What is spent and held in the session of an answer, micro-dollars."""
    return Ledger.open(home / "ledger").balance(f"ceiling/session/{told['session']}/usd")


def counted(home, told):
    """The session's row of the index: acts that are running, and those of which nobody knows."""
    ingest(home)
    store = SQLiteStore(home / "index.db")
    try:
        row = store.session(told["session"])
        return row.running, row.unknown
    finally:
        store.close()


def killed(server):
    for client in server.clients:
        client.close()
    server.kill()


def test_killed_between_check_and_record(serve, home, money):
    """Its hold is spent, its journal sound up to the last line; the next server takes its record, once."""
    server = serve()
    told = server.client("billing").post("/v1/check", json=ASKED).json()
    spent, held = balance(home, told)
    assert (spent, held > 0) == (0, True)
    killed(server)
    (report,) = verify(home / "journals")
    assert (report.ok, report.closed) == (True, False)
    assert counted(home, told) == (0, 1)

    client = serve().client("billing")
    (booked,) = events(home, "hold_booked")
    assert list(booked.settled.values()) == [held]
    assert balance(home, told) == (held, 0)
    assert record(client, told["decision"], usage={"input": 10, "output": 10}).json() == {"decision": told["decision"]}
    (completed,) = events(home, "completed")
    assert (completed.span, completed.session, completed.settled) == (told["span"], told["session"], {})
    assert (completed.usage.input, completed.usage.output, completed.cost.micro_usd) == (10, 10, 8)
    assert balance(home, told) == (held, 0), "booked is booked"
    assert counted(home, told) == (0, 0)
    again = record(client, told["decision"])
    assert (again.status_code, again.json()["type"]) == (409, "urn:jackline:problem:recorded")
    assert record(client, NEVER).status_code == 404
    assert len(events(home, "completed")) == 1

    fresh = client.post("/v1/check", json=ASKED).json()
    assert (fresh["permitted"], fresh["session"]) == (True, told["session"])
    assert record(client, fresh["decision"], usage={"input": 10, "output": 10}).status_code == 200
    assert balance(home, told) == (held + 8, 0)


def test_ended_between_check_and_record(serve, home, money):
    """As a service is restarted: what was held is spent at once, and the outcome still comes on record."""
    server = serve()
    told = server.client("billing").post("/v1/check", json=ASKED).json()
    _, held = balance(home, told)
    server.end()
    assert server.child.returncode == 0
    (booked,) = events(home, "hold_booked")
    assert (list(booked.settled.values()), booked.pid) == ([held], server.child.pid)
    assert balance(home, told) == (held, 0)
    assert [event.how for event in events(home, "session_ended")] == ["explicit"]
    assert [(report.ok, report.closed) for report in verify(home / "journals")] == [(True, True)]
    assert (events(home, "failed"), counted(home, told)) == ([], (0, 1))
    client = serve().client("billing")
    assert record(client, told["decision"], "failed", error="Timeout").status_code == 200
    (failed,) = events(home, "failed")
    assert (failed.span, failed.error, failed.settled) == (told["span"], "Timeout", {})
    assert balance(home, told) == (held, 0)
    assert len(events(home, "hold_booked")) == 1


def test_what_nobody_records_expires_at_the_next_server(serve, home, money):
    server = serve()
    told = server.client("billing").post("/v1/check", json={**ASKED, "lease_s": 1}).json()
    _, held = balance(home, told)
    killed(server)
    client = serve().client("billing")
    (failed,) = until(lambda: events(home, "failed"))
    assert (failed.span, failed.error, failed.settled) == (told["span"], "outcome unknown", {})
    assert balance(home, told) == (held, 0)
    late = record(client, told["decision"])
    assert (late.status_code, late.json()["type"]) == (409, "urn:jackline:problem:expired")
    assert len(events(home, "failed")) == 1


def test_a_record_that_is_sent_again_after_a_restart_is_known(serve, home):
    """The answer was lost with the server: what the client wanted is on record, once."""
    server = serve()
    client = server.client("billing")
    told = check(client)
    assert record(client, told["decision"]).status_code == 200
    killed(server)
    again = record(serve().client("billing"), told["decision"])
    assert (again.status_code, again.json()["type"]) == (409, "urn:jackline:problem:recorded")
    assert len(events(home, "completed")) == 1


def test_another_agent_s_act_is_unknown_after_a_restart_too(serve):
    server = serve()
    told = check(server.client("billing"))
    killed(server)
    server = serve()
    assert record(server.client("other"), told["decision"]).status_code == 404
    assert record(server.client("billing"), told["decision"]).status_code == 200


def test_results_and_inner_acts_of_an_act_go_on_after_a_restart(serve, home):
    """The result is judged by the bundle and the registry as they are now; what happens within has its place."""
    server = serve()
    spawn = {"action": "agent.spawn", "resource": "helper", "session": "job-1", "args": {"input": "go"}}
    asking = server.client("billing")
    started = asking.post("/v1/check", json=spawn).json()
    told = check(asking)
    killed(server)
    server = serve()
    client = server.client("billing")
    returned = {"action": "tool.return", "decision": told["decision"], "result": "bob@example.com"}
    assert client.post("/v1/check", json=returned).json()["result"] == "[EMAIL]"
    inner = check(server.client("helper"), parent=started["decision"])
    assert (inner["permitted"], inner["session"]) == (True, told["session"])
    decided = events(home, "decided")[-1]
    (run,) = [event for event in events(home, "run_started") if event.run == decided.run]
    assert (decided.agent, run.parent, run.depth) == ("helper", started["span"], 1)
    within = check(client, parent=told["decision"])
    assert events(home, "decided")[-1].parent == told["span"]
    assert within["permitted"]
    with jackline.Guard(home=home, application="people") as people:
        people.registry.amend("billing", "ann", {"status": "suspended"})
        people.control.bump()
    assert client.post("/v1/check", json=returned).json()["reason"].startswith("agent 'billing' is suspended")
    assert record(client, told["decision"]).status_code == 200


def test_a_server_that_runs_keeps_its_acts_and_its_neighbour_takes_them_over(serve, home, money):
    one, other = serve(), serve()
    told = one.client("billing").post("/v1/check", json=ASKED).json()
    _, held = balance(home, told)
    client = other.client("billing")
    assert record(client, told["decision"]).status_code == 404
    killed(one)
    assert record(client, told["decision"], usage={"input": 1, "output": 1}).status_code == 200
    assert len(events(home, "hold_booked")) == 1
    assert balance(home, told) == (held, 0)


def test_the_files_hold_neither_arguments_nor_results_and_go_when_nothing_is_open(serve, home):
    server = serve()
    client = server.client("billing")
    told = check(client, args={"note": "a word that nobody else may read"})
    (path,) = (home / "open_acts").glob("*.jsonl")
    assert path.stat().st_mode & 0o777 == 0o600
    line = json.loads(path.read_text())
    assert (line["act"]["id"], line["act"]["request"]["resource"]) == (told["decision"], "find")
    assert record(client, told["decision"], result="another such word").status_code == 200
    kept_there = path.read_text()
    assert "word" not in kept_there
    server.end()
    assert list((home / "open_acts").iterdir()) == []


def act(identity, **changes):
    asked = Request(
        action="tool.call",
        resource="find",
        at=NOW,
        agent=Agent(name="a"),
        subject=Subject(session="s" * 32),
        run="r" * 32,
        span="p" * 16,
        args={"q": 1},
    )
    for name, value in changes.items():
        setattr(asked, name, value)
    return kept(identity, NOW + 60, asked, Decision(effect="allow", session="s" * 32, policy="x"))


@pytest.fixture
def lost():
    return []


@pytest.fixture
def make(tmp_path, lost):
    made = []

    def log():
        made.append(ActLog(tmp_path / "open_acts", lost.append))
        return made[-1]

    yield log
    for one in made:
        one.close()


def test_a_long_life_leaves_a_short_file(make, tmp_path, lost, monkeypatch):
    monkeypatch.setattr(act_log, "_LEAST", 10_000)
    log = make()
    log.add(act("a" * 32))
    for number in range(1000):
        log.add(act(f"{number:032}"))
        log.end(f"{number:032}", "recorded")
    log.add(act("b" * 32))
    (path,) = (tmp_path / "open_acts").glob("*.jsonl")
    assert path.stat().st_size < 11_000
    log.close()
    assert make().adopt().acts.keys() == {"a" * 32, "b" * 32}
    assert lost == []


def test_many_open_acts_are_not_written_again_and_again(make, monkeypatch):
    monkeypatch.setattr(act_log, "_LEAST", 1000)
    log, times = make(), []
    shorten = log._shorten
    monkeypatch.setattr(log, "_shorten", lambda: (times.append(1), shorten()))
    for number in range(1000):
        log.add(act(f"{number:032}"))
    assert times == []
    for number in range(900):
        log.end(f"{number:032}", "recorded")
    assert 1 <= len(times) < 4


def test_what_is_open_is_taken_over_once_with_what_is_over(make, tmp_path):
    first, second = make(), make()
    first.add(act("a" * 32))
    first.add(act("b" * 32))
    first.end("b" * 32, "expired")
    assert second.adopt().acts == {}, "its server runs"
    first.close()
    left = second.adopt()
    assert (left.acts.keys(), left.over) == ({"a" * 32}, {"b" * 32: "expired"})
    assert left.acts["a" * 32] == act("a" * 32)
    assert second.adopt().acts == {}
    assert len(list((tmp_path / "open_acts").glob("*.jsonl"))) == 1
    second.close()
    assert make().adopt() == left


def test_lines_that_cannot_be_read_are_told_and_passed_over(make, tmp_path, lost):
    log = make()
    log.add(act("a" * 32))
    (path,) = (tmp_path / "open_acts").glob("*.jsonl")
    with path.open("ab") as file:
        file.write(b'{"act": {"id"\n\xff\n')
    log.add(act("b" * 32))
    log.close()
    assert make().adopt().acts.keys() == {"a" * 32, "b" * 32}
    assert [f"a line of {path} cannot be read" in str(error) for error in lost] == [True, True]


def test_what_a_kill_left_while_a_file_was_written_anew_is_taken_away(make, tmp_path):
    log = make()
    log.add(act("a" * 32))
    (path,) = (tmp_path / "open_acts").glob("*.jsonl")
    path.with_suffix(".draft").write_bytes(b"half a li")
    log.close()
    other = make()
    assert other.adopt().acts.keys() == {"a" * 32}
    other.end("a" * 32, "recorded")
    other.close()
    assert list((tmp_path / "open_acts").iterdir()) == []


def test_where_the_folder_cannot_be_written_acts_are_known_to_the_process_only(make, tmp_path, lost):
    (tmp_path / "open_acts").write_text("a file")
    log = make()
    assert not log.add(act("a" * 32))
    assert not log.end("a" * 32, "recorded")
    assert log.adopt().acts == {}
    assert [error.errno for error in lost] == [errno.EEXIST]


def test_a_disk_that_is_full_loses_no_act_of_the_process_and_takes_over_nothing(make, tmp_path, lost, monkeypatch):
    first, second = make(), make()
    first.add(act("a" * 32))
    first.close()
    monkeypatch.setattr(act_log, "_put", lambda *_: (_ for _ in ()).throw(OSError(errno.ENOSPC, "full")))
    assert not second.add(act("b" * 32))
    assert second.adopt().acts.keys() == {"a" * 32}
    assert [error.errno for error in lost] == [errno.ENOSPC, errno.ENOSPC]
    monkeypatch.undo()
    assert make().adopt().acts.keys() == {"a" * 32}, "it stays where it is on the disk"


def test_half_a_line_is_ended_and_told(make, tmp_path, lost, monkeypatch):
    write, cut = os.write, [20]

    def short(descriptor, data):
        return write(descriptor, data[: cut.pop()] if cut else data)

    log = make()
    monkeypatch.setattr(act_log.os, "write", short)
    assert not log.add(act("a" * 32))
    assert log.add(act("b" * 32))
    assert "20 of " in str(lost[0])
    log.close()
    assert make().adopt().acts.keys() == {"b" * 32}


def test_what_json_cannot_hold_is_told(make, lost):
    tool = Tool(name="find", parameters={"description": "\ud800"})
    assert not make().add(act("a" * 32, tool=tool))
    assert len(lost) == 1


def test_the_output_that_was_granted_is_what_an_untold_usage_counts_as():
    hold = jackline.decision.Reservation(id="0" * 16, holds=(), output=50)
    asked = act("a" * 32).request
    asked.model = Model(name="m", max_tokens=1000)
    made = kept("a" * 32, NOW, asked, Decision(effect="allow", reservation=hold))
    assert (made.request.model.max_tokens, made.decision.reservation) == (50, None)

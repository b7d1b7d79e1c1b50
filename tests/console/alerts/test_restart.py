"""A restart, a kill, an index made anew: no alert is lost, none is repeated."""

from __future__ import annotations

import os
import signal
import time
from collections import Counter

import pytest
from alerting import BUDGET, BUNDLE, World
from console_harness import Process, program, until

import jackline
from jackline.ingest import rebuild
from jackline.journal import read
from jackline_console.alerts import alerter


def loop(one, session):
    """A session that goes round in circles."""
    with one.guard.session(id=session) as opened:
        for _ in range(3):
            one.tool("search")(1)
        one.look()
    return opened.id


def fired(one):
    return [rule for kind, rule in one.lines() if kind == "alert_fired" and rule != "unregistered-agent"]


@pytest.mark.parametrize("kept", [True, False], ids=["ended", "killed"])
def test_what_is_on_record_is_not_told_again_and_goes_on(world, monkeypatch, kept):
    """Also where a kill left the place of long before: then the same events are looked at again."""
    one = world(BUDGET)
    if not kept:
        one.alerts._keep()
        monkeypatch.setattr(alerter, "keep", lambda _home, _place: None)
    with one.guard.session(id="s"):
        one.spend(0.6)
        before = one.fired("session-cost")
        one.restart(kept=kept)
        one.look()
        assert one.fired("session-cost").alert == before.alert
        one.clock.now += 1
        one.spend(0.3)
        after = one.fired("session-cost")
        assert (after.alert, after.state, after.since) == (before.alert, "firing", before.since)
        one.clock.now += 1
    one.look()
    one.restart(kept=kept)
    one.look()
    assert [kind for kind, rule in one.lines() if rule == "session-cost"] == [
        "alert_fired",
        "alert_fired",
        "alert_resolved",
    ]
    assert one.fired("session-cost").state == "resolved"


def test_what_happened_while_nobody_looked_fires_then(world):
    one = world()
    one.alerts.close()
    with one.guard.session(id="s") as session:
        for _ in range(3):
            one.tool("search")(1)
        one.clock.now += 30
        one.restart()
        assert one.fired("loop").group == {"session": session.id}
        one.restart()
        one.look()
    assert fired(one) == ["loop"]


def test_windows_are_filled_from_the_last_hour(world):
    one = world(BUNDLE.replace(" []", "\n  - {name: no, use: rule, on: tool.call, effect: deny}\n"))
    with one.guard.session(id="s"):
        for number in range(6):
            one.look()
            if number == 4:
                one.clock.now += 10
                one.restart()
            assert one.rows("denials") == []
            with pytest.raises(jackline.Denied):
                one.tool("search")(number)
        assert one.fired("denials").value == 6


def test_an_index_that_is_made_anew_tells_the_same(world):
    one = world()
    loop(one, "first")
    one.look()
    before = [row.plain() for row in one.rows()]
    rebuild(one.home.path, one.store)
    one.position = one.store.head()[1]
    one.look()
    assert [row.plain() for row in one.rows()] == before
    assert fired(one) == ["loop"]
    one.clock.now += 5
    loop(one, "second")
    assert fired(one) == ["loop", "loop"]
    one.alerts.close()
    rebuild(one.home.path, one.store)
    one.begin()
    one.look()
    assert sorted(fired(one)) == ["loop", "loop"]


def test_lines_that_come_in_again_count_once(world):
    one = world(BUNDLE.replace(" []", "\n  - {name: no, use: rule, on: tool.call, effect: deny}\n"))
    with one.guard.session(id="s"):
        for number in range(4):
            with pytest.raises(jackline.Denied):
                one.tool("search")(number)
        one.look()
        rebuild(one.home.path, one.store)
        one.position = one.store.head()[1]
        one.look()
        assert one.rows("denials") == []
        for number in range(2):
            with pytest.raises(jackline.Denied):
                one.tool("search")(number)
        assert one.fired("denials").value == 6


def test_alerts_of_a_rule_that_is_gone_are_resolved(world):
    one = world()
    with one.guard.session(id="s"):
        for _ in range(3):
            one.tool("search")(1)
        one.look()
        one.bundle = f"{BUNDLE}alerts: {{rules: {{loop: {{enabled: false}}}}}}\n"
        one.wait(2)
        assert one.fired("loop").resolved_message == "its rule is gone"
        one.restart()
        one.look()
    assert fired(one) == ["loop"]


def test_only_one_process_of_a_home_looks(world):
    one = world()
    first = one.alerts
    one.begin()
    assert first.running
    assert not one.alerts.running
    first.close()
    one.wait(2)
    assert one.alerts.running


def test_an_edge_that_cannot_be_written_is_written_later(world, monkeypatch):
    one = world()
    real = alerter.Journal.append
    broken = [True]

    def append(journal, event):
        if broken[0] and event.__class__.__name__ == "AlertFired":
            raise jackline.errors.JournalError("no space left")
        return real(journal, event)

    monkeypatch.setattr(alerter.Journal, "append", append)
    loop(one, "s")
    assert one.rows() == []
    assert one.alerts.problem == "no space left"
    assert one.told.edges == []
    broken[0] = False
    one.wait(2)
    assert one.alerts.problem == ""
    assert set(fired(one)) == {"loop"}


class Up:
    """`jackline up` in a process of its own."""

    def __init__(self, world):
        self.process = Process(program(), "up", "--port", "0", "--no-open", home=world.home.path, folder=world.folder)
        self.process.line()

    def kill(self):
        os.kill(self.process.child.pid, signal.SIGKILL)
        self.process.child.wait()
        self.process.end()


def on_record(home):
    """What alerters have put on record: (kind, rule, session), counted."""
    found = Counter()
    for path in sorted(home.journals.glob("*.jsonl")):
        for line in read(path):
            if line.kind in ("alert_fired", "alert_resolved") and line.event is not None:
                found[line.kind, line.event.rule, line.event.group.get("session", "")] += 1
    return found


def test_kills_lose_and_repeat_nothing(tmp_path):
    """A real alerter is killed the moment its line is there, again and again; agents go on meanwhile."""
    one = World(tmp_path, clock=time.time)
    one.alerts.close()
    wanted = set()
    for number in range(4):
        up = Up(one)
        with one.guard.session(id=f"while-it-looks-{number}") as opened:
            for _ in range(3):
                one.tool("search")(1)
            wanted.add(opened.id)
            until(lambda: on_record(one.home)["alert_fired", "loop", opened.id], "the alert")
            up.kill()
        with one.guard.session(id=f"while-nobody-looks-{number}") as opened:
            for _ in range(3):
                one.tool("search")(1)
            wanted.add(opened.id)
    last = Up(one)
    over = {("alert_resolved", "loop", session) for session in wanted}
    until(lambda: over <= on_record(one.home).keys(), "every alert and its end")
    last.process.child.terminate()
    last.process.end()
    found = on_record(one.home)
    assert {key[2] for key in found if key[:2] == ("alert_fired", "loop")} == wanted
    assert {key: count for key, count in found.items() if count != 1} == {}
    one.close()


def test_a_backlog_is_looked_at_slice_by_slice_and_time_does_not_pass_before_its_end(world, monkeypatch):
    """Otherwise a session that ended long ago would be silent for as long as its end is not looked at."""
    one = world()
    one.alerts.close()
    monkeypatch.setattr(alerter, "_SLICE", 7)
    for number in range(5):
        with one.guard.session(id=f"s{number}"):
            for _ in range(3):
                one.tool("search")(1)
            one.clock.now += 400
    one.begin()
    turns = 1
    while not one.alerts._caught_up:
        one.alerts.turn(*one.store.head())
        turns += 1
    one.look()
    one.look()
    assert turns > 5
    assert sorted(set(fired(one))) == ["loop"]
    assert len(fired(one)) == 5


def test_what_has_been_silent_for_hours_is_so_after_a_restart(world):
    """Its last line is older than what fills the windows: the index knows that an act is under way."""
    one = world()

    def work(_value):
        one.wait(130)
        before = one.fired("silent-session").alert
        one.clock.now += 3 * 3600
        with one.guard.session(id="another"):
            one.tool("search")(1)
        one.look()
        one.restart()
        one.wait(3)
        row = one.fired("silent-session")
        assert (row.alert, row.state) == (before, "firing")

    with one.guard.session(id="s"):
        one.tool("work", work)(1)
    one.look()
    one.wait(2)
    assert one.fired("silent-session").state == "resolved"

"""From "it holds" to edges: `for`, cooldown, once each, worse, too little to judge by."""

from __future__ import annotations

import pytest
from alerting import AT

from jackline.alert_rules import RuleEntry, default_rules, made
from jackline.events import AlertFired
from jackline.stores import AlertRow
from jackline_console.alerts import states
from jackline_console.alerts.states import FIRING, NO_DATA, OK, WARNING, Facts, States
from jackline_console.alerts.windows import GROUPS, Window


class Judge:
    def __init__(self, **said):
        entry = RuleEntry.model_validate(said)
        self.edges = []
        rule = made("mine", "session_cost", entry, default_rules()["session-cost"].when)
        self.states = States(rule, ("session",), self.edges.append)

    def __call__(self, level, after, key="s"):
        self.states.judge((key,), level, AT + after, lambda: Facts(level, 1, "", f"level {level}"))

    def told(self):
        found = [(e.state if isinstance(e, AlertFired) else "resolved", e.at - AT) for e in self.edges]
        self.edges.clear()
        return found


@pytest.fixture
def judge():
    return Judge(cooldown="10m")


def test_however_often_it_holds_it_is_told_once(judge):
    for second in range(5):
        judge(FIRING, second)
    assert judge.told() == [("firing", 0)]
    judge(OK, 6)
    judge(OK, 7)
    assert judge.told() == [("resolved", 6)]


def test_a_warning_that_becomes_worse_is_the_same_alert(judge):
    judge(WARNING, 0)
    judge(FIRING, 1)
    judge(WARNING, 2)
    judge(FIRING, 3)
    assert len({edge.alert for edge in judge.edges}) == 1
    assert judge.told() == [("warning", 0), ("firing", 1)]


def test_groups_are_told_apart(judge):
    judge(FIRING, 0, "a")
    judge(FIRING, 1, "b")
    judge(OK, 2, "a")
    assert [(edge.group, edge.rule) for edge in judge.edges] == [
        ({"session": "a"}, "mine"),
        ({"session": "b"}, "mine"),
        ({"session": "a"}, "mine"),
    ]
    assert len({edge.alert for edge in judge.edges}) == 2


def test_it_fires_when_it_has_held_for_so_long():
    judge = Judge(**{"for": "30s"})
    judge(FIRING, 0)
    judge(FIRING, 29)
    judge.states.tick(AT + 29)
    assert judge.told() == []
    judge.states.tick(AT + 31)
    assert judge.told() == [("firing", 31)]
    judge(OK, 32)
    judge.told()
    late = Judge(**{"for": "30s"})
    late(FIRING, 0)
    late(OK, 10)
    late(FIRING, 20)
    late.states.tick(AT + 45)
    assert late.told() == []


def test_within_the_cooldown_it_waits_and_fires_then_if_it_still_holds(judge):
    judge(FIRING, 0)
    judge(OK, 10)
    judge.told()
    judge(FIRING, 20)
    judge(FIRING, 600)
    assert judge.told() == []
    judge.states.tick(AT + 611)
    assert judge.told() == [("firing", 611)]
    judge(OK, 700)
    judge(FIRING, 701)
    judge(OK, 702)
    judge.states.tick(AT + 5000)
    assert judge.told() == [("resolved", 700)]


def test_too_little_to_judge_by_is_said_and_ends_it_after_a_while(judge):
    judge(NO_DATA, 0)
    assert judge.told() == []
    judge(FIRING, 1)
    judge(NO_DATA, 2)
    judge(NO_DATA, 3)
    assert judge.told() == [("firing", 1), ("no_data", 2)]
    judge(FIRING, 10)
    judge(NO_DATA, 11)
    assert judge.told() == [("firing", 10), ("no_data", 11)]
    judge.states.tick(AT + 11 + states.NO_DATA_S)
    assert judge.told() == [("resolved", 11 + states.NO_DATA_S)]


def row(**changes):
    facts = {
        "alert": "a" * 32, "rule": "mine", "signal": "session_cost", "severity": "warning", "state": "firing",
        "group": {"session": "s"}, "value": 1.0, "threshold": 1.0, "unit": "", "message": "x", "since": AT, "last": AT,
        "resolved": None, "resolved_message": "",
    }  # fmt: skip
    return AlertRow(**facts | changes)


def test_what_is_on_record_is_not_told_again(judge):
    assert judge.states.restore(row())
    judge(FIRING, 1)
    assert judge.told() == []
    judge(OK, 2)
    (edge,) = judge.edges
    assert (edge.alert, edge.since) == ("a" * 32, AT)
    again = Judge()
    assert again.states.restore(row(state="resolved", resolved=AT + 5))
    again(FIRING, 5)
    again(FIRING, 6)
    assert again.told() == []
    again.states.tick(AT + 605.5)
    assert again.told() == [("firing", 605.5)]
    assert not again.states.restore(row(group={"agent": "a"}))


def test_what_is_on_at_once_is_bounded(judge, monkeypatch):
    monkeypatch.setattr(states, "MOST", 10)
    for number in range(20):
        judge(FIRING, number, f"s{number}")
    assert len(judge.states.on) == len(judge.told()) == 10


def test_windows_sum_what_is_recent_and_forget_the_rest():
    window = Window(60)
    for second in range(0, 120, 10):
        window.add(("a",), AT + second, 2)
    assert window.sum(("a",), AT + 110, 30) == (8, 4)
    assert window.sum(("a",), AT + 110, 60)[1] in (6, 7)
    assert window.sum(("a",), AT + 500, 60) == (0, 0)
    assert window.sum(("b",), AT, 60) == (0, 0)
    window.add(("a",), AT + 105, 1)
    assert window.sum(("a",), AT + 110, 5)[0] >= 3, "what comes late counts"
    for number in range(GROUPS + 10):
        window.add((str(number),), AT)
    assert len(window) == GROUPS

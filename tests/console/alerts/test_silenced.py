"""Who is told: each edge once, those that a rule names, and nobody of what is silenced."""

from __future__ import annotations

import pytest
from alerting import BUNDLE

from jackline.events import AlertSilenced, AlertSilenceLifted
from jackline.journal import Journal

OPS = (
    "jackline: 1\nnotify: {ops: {apprise: env:OPS}}\npolicies: []\n"
    "alerts: {rules: {loop: {channels: ops}, unregistered-agent: {enabled: false}}}\n"
)


def silence(one, *, seconds=100, rule="", group=None):
    """A person silences alerts in another console."""
    event = AlertSilenced(
        at=one.clock.now,
        silence="5" * 32,
        rule=rule,
        group=group or {},
        until=one.clock.now + seconds,
        who="ana",
        why="known",
    )
    with Journal.open(one.home.journals, writer="console", clock=one.clock) as journal:
        journal.append(event)
    one.silences.take(event)


def loop(one):
    for _ in range(3):
        one.tool("search")(1)
    one.look()


def told(one):
    return [(edge.rule, edge.state) for edge in one.told.edges]


def test_each_edge_is_handed_once_to_those_whom_the_rule_names(world):
    one = world(OPS)
    with one.guard.session(id="s"):
        loop(one)
        loop(one)
        one.clock.now += 1
    one.look()
    one.look()
    assert told(one) == [("loop", "firing"), ("loop", "resolved")]
    assert one.told.channels == [("ops",), ("ops",)]
    fired, resolved = one.told.edges
    assert (fired.edge, resolved.edge, fired.alert == resolved.alert) == ("fired", "resolved", True)
    assert fired.id != resolved.id
    assert fired.message.endswith("made the same call of 'search' 3 times, with nothing new")
    assert resolved.message == "its session ended"


def test_it_is_on_record_before_it_is_handed(world):
    one = world(OPS)
    seen = []
    real = one.told.deliver

    def deliver(alert, channels):
        seen.append([row.alert for row in one.store.alerts()])
        real(alert, channels)

    one.told.deliver = deliver
    with one.guard.session(id="s"):
        loop(one)
    assert seen == [[one.told.edges[0].alert]]


@pytest.mark.parametrize(
    ("said", "silent"),
    [
        ({"rule": "loop"}, True),
        ({"rule": "denials"}, False),
        ({}, True),
        ({"group": {"session": "SESSION"}}, True),
        ({"group": {"session": "another"}}, False),
        ({"group": {"agent": "desk"}}, False),
    ],
)
def test_nobody_is_told_of_what_is_silenced_until_that_ends(world, said, silent):
    one = world(OPS)
    with one.guard.session(id="s") as session:
        said = {
            **said,
            "group": {name: session.id if v == "SESSION" else v for name, v in said.get("group", {}).items()},
        }
        silence(one, **said)
        loop(one)
        assert one.fired("loop").state == "firing"
        assert (told(one) == []) is silent
        one.wait(98)
        assert (told(one) == []) is silent
        one.wait(4)
        assert told(one) == [("loop", "firing")]


def test_what_is_over_before_the_silence_ends_is_never_told(world):
    one = world(OPS)
    with one.guard.session(id="s"):
        silence(one)
        loop(one)
        one.clock.now += 1
    one.look()
    assert one.fired("loop").state == "resolved"
    one.wait(200)
    assert told(one) == []


def test_a_lifted_silence_ends_at_once_and_silences_outlive_a_restart(world):
    one = world(OPS)
    with one.guard.session(id="s"):
        silence(one, seconds=10_000)
        loop(one)
        one.restart()
        one.wait(5)
        assert told(one) == []
        lifted = AlertSilenceLifted(at=one.clock.now, silence="5" * 32, who="ana", why="mended")
        with Journal.open(one.home.journals, writer="console", clock=one.clock) as journal:
            journal.append(lifted)
        one.silences.take(lifted)
        one.wait(2)
        assert told(one) == [("loop", "firing")]
        one.restart()
        one.look()
    assert one.silences.held(one.clock.now) == []


def test_a_delivery_that_raises_stops_nothing(world):
    one = world(BUNDLE)

    def deliver(alert, channels):
        raise RuntimeError("a fault of whoever sends")

    one.told.deliver = deliver
    with one.guard.session(id="s"):
        loop(one)
        assert one.fired("loop").state == "firing"
        assert one.alerts.problem.endswith("could not be handed to its channels")


def test_a_line_that_no_signal_can_read_is_passed_over(world):
    """Journals are written by others: what does not fit its kind says nothing, and the next line is looked at."""
    one = world(BUNDLE)
    with one.guard.session(id="s"):
        row = next(row for row in one.store.events() if row.kind == "journal_opened")
        strange = type(row)(
            **{**row.plain(), "kind": "decided", "body": '{"span": 7}', "position": row.position + 10_000}
        )
        one.alerts._take(strange, one.clock.now)
        one.alerts._position = one.position
        loop(one)
        assert one.fired("loop").state == "firing"

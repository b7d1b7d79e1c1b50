"""What watchers ask of a store: distributions within their error, decisions by agent, what runs, ceilings, notices."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jackline.decision import Hold, Reservation
from jackline.errors import StoreError
from jackline.events import (
    BundleChanged,
    Cost,
    EventsLost,
    RunStarted,
    SessionEnded,
    SessionStarted,
    SessionStopped,
    Usage,
)
from jackline.ingest import ingest, rebuild
from jackline.journal import Journal
from jackline.stores.histograms import ERROR, bucket, distribution, middle, upper
from jackline.testing.journals import AT, ONE, TWO, completed, decided, write

DAY = int(AT) // 86400 * 86400


@given(st.floats(min_value=1, max_value=1e15))
def test_the_middle_of_a_bucket_is_within_the_error_of_every_value_in_it(value):
    number = bucket(value)
    assert abs(middle(number) - value) <= value * (ERROR + 1e-9)
    assert value <= upper(number) * (1 + 1e-9)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_quantiles_are_within_the_error(values):
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    row = distribution({}, sorted(counts.items()), sum(values))
    ordered = sorted(values)
    for share, found in ((0.5, row.p50), (0.9, row.p90), (0.95, row.p95), (0.99, row.p99)):
        true = ordered[max(1, math.ceil(share * len(values))) - 1]
        assert abs(found - true) <= true * (ERROR + 1e-9)
    assert (row.count, row.total) == (len(values), sum(values))
    assert sum(one.count for one in row.buckets) == len(values)


def test_nothing_has_a_distribution_of_nothing():
    row = distribution({"agent": "a"}, [], 0)
    assert (row.agent, row.count, row.p50, row.buckets) == ("a", 0, 0.0, ())


def call(number, session=ONE, micro_usd=1000, ms=10.0):
    span = f"{number:016x}"
    return [
        decided(span, "tool.call", "look", session=session, at=AT + number),
        completed(span, "tool.call", "look", session=session, at=AT + number + 0.5, duration_ms=ms),
        decided(f"{number:015x}f", "model.call", "m", session=session, at=AT + number),
        completed(
            f"{number:015x}f",
            "model.call",
            "m",
            session=session,
            at=AT + number + 0.5,
            duration_ms=2 * ms,
            usage=Usage(input=1, output=1),
            cost=Cost(micro_usd=micro_usd),
        ),
    ]


def test_distributions_follow_what_comes_in_later(home, store):
    """A session's cost is counted once, as it is by now; taking it from one bucket to the next leaves nothing behind."""
    write(home, [SessionStarted(at=AT, session=ONE), *call(1), *call(2, ms=40.0)])
    ingest(home, store)
    (cost,) = store.distributions("session_cost")
    assert (cost.count, cost.total) == (1, 2000)
    assert cost.p50 == pytest.approx(2000, rel=ERROR)
    write(home, call(3, micro_usd=8000))
    ingest(home, store)
    (cost,) = store.distributions("session_cost", ("agent",))
    assert (cost.count, cost.total, len(cost.buckets)) == (1, 10_000, 1)
    assert cost.agent == "support@2"
    (lasted,) = store.distributions("session_duration")
    assert lasted.p50 == pytest.approx(3500, rel=ERROR)
    (tool,) = store.distributions("tool", ("name",))
    assert (tool.name, tool.count, tool.total) == ("look", 3, 60_000)
    assert (tool.p50, tool.p99) == (pytest.approx(10_000, rel=ERROR), pytest.approx(40_000, rel=ERROR))
    (model,) = store.distributions("model", ("agent", "name"), since=AT - 86400, until=AT + 86400)
    assert (model.agent, model.name, model.count) == ("support@2", "m", 3)
    assert store.distributions("tool", since=AT + 2 * 86400) == []
    with pytest.raises(StoreError, match="Cannot group by 'day': distributions have agent, name"):
        store.distributions("tool", ("day",))


def test_they_are_the_same_when_the_index_is_made_anew(home, store):
    for number in range(1, 6):
        write(home, call(number, session=ONE if number % 2 else TWO, micro_usd=number * 700, ms=number * 3.0))
        ingest(home, store)
    before = [store.distributions(what, ("agent", "name")) for what in ("session_cost", "session_duration", "tool")]
    rebuild(home, store)
    assert before == [
        store.distributions(what, ("agent", "name")) for what in ("session_cost", "session_duration", "tool")
    ]


def test_decisions_by_agent(home, store):
    write(home, [decided("a" * 16, "tool.call", "x", "deny"), decided("b" * 16, "tool.call", "x"), *call(3)])
    ingest(home, store)
    (row,) = store.agent_usage()
    assert (row.agent, row.decisions, row.denied, row.halts) == ("support@2", 4, 1, 0)
    assert store.agent_usage(("hour",))[0].hour == int(AT) // 3600 * 3600
    assert store.sessions_of(AT - 1) == {"support@2": 1}
    assert store.sessions_of(AT + 1000) == {}


def test_what_runs_and_what_it_may_still_spend(home, store):
    holds = (
        Hold(scope="day/agent/x/usd", unit="usd", held=10, spent=900, outstanding=0, cap=5000),
        Hold(scope=f"ceiling/session/{ONE}/usd", unit="usd", held=10, spent=400, outstanding=5, cap=500),
        Hold(scope=f"calls/session/{ONE}/calls", unit="calls", held=1, spent=0, outstanding=0, cap=2),
        Hold(scope="each/call/usd", unit="usd", held=10, spent=0, outstanding=0, cap=11, once=True),
    )
    held = decided("a" * 16, "model.call", "m", reservation=Reservation(id="r", holds=holds), at=AT + 5)
    journal = write(home, [SessionStarted(at=AT, session=ONE), held], close=False)
    ingest(home, store)
    ceiling = store.ceilings([ONE, TWO])
    assert {key: row.plain() for key, row in ceiling.items()} == {
        ONE: {
            "policy": "ceiling",
            "scope": f"ceiling/session/{ONE}/usd",
            "unit": "usd",
            "cap": 500,
            "spent": 400,
            "held": 15,
        }
    }
    running = store.running([ONE, TWO])
    assert [(span.span, span.name, span.outcome) for span in running[ONE]] == [("a" * 16, "m", "running")]
    assert [row.session for row in store.live(since=AT + 10_000)] == [ONE], "its process runs"
    assert list(store.living()) == [journal.id]
    journal.append(completed("a" * 16, "model.call", "m"))
    journal.append(SessionEnded(at=AT + 10, session=ONE))
    journal.close()
    ingest(home, store)
    assert store.running([ONE]) == {}
    assert store.span(ONE, "a" * 16) == store.spans(ONE)[0]
    assert store.span(ONE, "b" * 16) is None
    assert store.live(since=AT + 10_000) == []
    assert [row.session for row in store.live(since=AT)] == [ONE]
    assert store.living() == {}


def test_the_end_of_a_stream_and_single_lines(home, store):
    assert store.head() == (store.epoch, 0)
    write(home, [SessionStarted(at=AT, session=ONE), *call(1), *call(100)])
    ingest(home, store)
    epoch, last = store.head()
    assert last == len(list(store.events()))
    assert store.event(last).kind == "journal_closed"
    assert store.event(last + 1) is None
    assert store.counts(ONE) == (9, 4)
    after = store.position_at(AT + 50)
    assert next(row.at for row in store.events(after=after)) == AT + 100
    assert store.position_at(AT + 1e9) == last
    store.clear()
    assert store.head()[0] != epoch


def test_sessions_page_by_page(home, store):
    ids = [f"{number:032x}" for number in range(1, 8)]
    write(home, [event for n, one in enumerate(ids) for event in call(n, session=one)])
    ingest(home, store)
    seen, after = [], None
    while rows := store.page(limit=3, after=after):
        seen += [row.session for row in rows]
        after = (rows[-1].started, rows[-1].session)
    assert seen == ids[::-1]
    assert [row.session for row in store.page(limit=9, since=AT + 3, until=AT + 5)] == [ids[4], ids[3]]
    assert store.page(limit=9, agent="nobody") == []
    assert len(store.page(limit=9, agent="support")) == 7
    assert {row.session for row in store.named(ids[:2])} == set(ids[:2])


def test_rare_kinds_are_found_without_a_look_at_all_others(home, store):
    changed = BundleChanged(at=AT, revision="r", source="f", who="ana", why="x")
    write(home, [*call(1), changed, EventsLost(at=AT + 5, count=3, reason="full"), *call(2)])
    ingest(home, store)
    assert [row.kind for row in store.audits(["bundle_changed", "events_lost"])] == ["events_lost", "bundle_changed"]
    assert store.audits(["bundle_changed"])[0].event == changed
    assert store.audits(["logged_in"]) == []


def test_a_session_is_its_first_agents(home, store):
    """Whatever the order in which journals come in: the agent of the earliest line began it."""
    late = RunStarted(at=AT + 9, session=ONE, run="b" * 32, span="b" * 16, agent="child")
    early = RunStarted(at=AT + 1, session=ONE, run="a" * 32, span="a" * 16, agent="root")
    write(home, [late])
    ingest(home, store)
    assert [row.agent for row in store.distributions("session_cost", ("agent",)) if row.count] == ["child"]
    write(home, [early])
    ingest(home, store)
    assert [row.agent for row in store.distributions("session_cost", ("agent",)) if row.count] == ["root"]


def test_a_console_that_runs_keeps_no_session_running(home, store):
    """What people do to a session is on record in a journal that lives as long as the console."""
    write(home, [SessionStarted(at=AT, session=ONE), *call(1)])
    journal = Journal.open(home / "journals", writer="console")
    journal.append(SessionStopped(at=AT + 5, session=ONE, who="ana", why="x"))
    ingest(home, store)
    assert store.session(ONE).state == "open"
    assert store.living() == {}
    journal.close()


def test_a_sessions_lines_are_found_without_reading_all_of_them(home, store):
    write(home, [SessionStarted(at=AT, session=ONE), *call(1), *call(5), *call(1, session=TWO)])
    ingest(home, store)
    assert [row.kind for row in store.lines(ONE, kinds=["session_started"])] == ["session_started"]
    assert [row.kind for row in store.lines(ONE, text='"' + f"{1:016x}" + '"')] == ["decided", "completed"]
    assert store.lines(ONE, text="%") == [], "no pattern"
    last = store.lines(ONE, until=AT + 2, last=2)
    assert [row.at for row in last] == [AT + 1, AT + 1.5]
    assert len(store.lines(ONE)) == 9

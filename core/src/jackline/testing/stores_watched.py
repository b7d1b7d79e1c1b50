"""What a store must answer to those who watch: what runs, where streams end, sums of any time, how values lie."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import pytest

from jackline.decision import Hold, Reservation
from jackline.errors import StoreError
from jackline.events import (
    ApprovalApproved,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    BundleChanged,
    Cost,
    Event,
    EventsLost,
    RunStarted,
    SessionEnded,
    SessionHalted,
    SessionReopened,
    SessionStarted,
    SessionStopped,
    Usage,
)
from jackline.ingest import ingest, rebuild
from jackline.journal import Journal
from jackline.testing.journals import AT, ONE, TWO, approval, completed, decided, write

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.stores import Store

HOUR, DAY = 3600, 86400
ERROR = 0.02
"""By which a quantile may be wrong."""
SHAPES = ("session_cost", "session_duration", "tool", "model", "decision")


def acts(number: int, session: str = ONE, *, micro_usd: int = 1000, ms: float = 10.0, at: float = AT) -> list[Event]:
    """A tool call and a model call, half a second each."""
    tool, model = f"{number:016x}", f"{number:015x}f"
    paid: dict[str, Any] = {"usage": Usage(input=1, output=1), "cost": Cost(micro_usd=micro_usd)}
    asked: dict[str, Any] = {"session": session, "at": at + number}
    done: dict[str, Any] = {"session": session, "at": at + number + 0.5}
    return [
        decided(tool, "tool.call", "look", latency_us=100, **asked),
        completed(tool, "tool.call", "look", duration_ms=ms, **done),
        decided(model, "model.call", "m", **asked),
        completed(model, "model.call", "m", duration_ms=2 * ms, **paid, **done),
    ]


class WatchedSuite:
    """A part of `StoreSuite`, which brings the fixtures."""

    def test_distributions_follow_what_comes_in_later(self, home: Path, store: Store) -> None:
        """A session's cost is counted once, as it is by now: what was counted too early is taken away again."""
        write(home, [SessionStarted(at=AT, session=ONE), *acts(1), *acts(2, ms=40.0)])
        ingest(home, store)
        (cost,) = store.distributions("session_cost")
        assert (cost.count, cost.total, cost.agent) == (1, 2000, "")
        assert cost.p50 == pytest.approx(2000, rel=ERROR)
        write(home, acts(3, micro_usd=8000))
        ingest(home, store)
        (cost,) = store.distributions("session_cost", ("agent",))
        assert (cost.count, cost.total, len(cost.buckets), cost.agent) == (1, 10_000, 1, "support@2")
        (lasted,) = store.distributions("session_duration")
        assert lasted.p50 == pytest.approx(3500, rel=ERROR)
        late = ApprovalExpired(at=AT + 90_000, session=ONE, approval="a" * 64)
        write(home, [SessionEnded(at=AT + 5, session=ONE, how="root"), late])
        ingest(home, store)
        (lasted,) = store.distributions("session_duration")
        assert (lasted.count, lasted.total) == (1, 5000)
        (tool,) = store.distributions("tool", ("name",))
        assert (tool.name, tool.count, tool.total) == ("look", 3, 60_000)
        assert tool.p50 == pytest.approx(10_000, rel=ERROR)
        assert tool.p99 == pytest.approx(40_000, rel=ERROR)
        assert sum(one.count for one in tool.buckets) == tool.count
        (took,) = store.distributions("decision", ("name",))
        assert (took.name, took.count, took.total) == ("tool.call", 3, 300)

    def test_distributions_of_a_time_and_of_all_time_agree(self, home: Path, store: Store) -> None:
        """Whatever they are grouped by, and whether or not a time is named that has everything; days are whole."""
        events = [event for day in range(3) for event in acts(day, ms=10.0 * (day + 1), at=AT + day * DAY)]
        write(home, events)
        ingest(home, store)
        groupings: tuple[tuple[str, ...], ...] = ((), ("agent",), ("name",), ("agent", "name"))
        for what, by in itertools.product(SHAPES, groupings):
            ever = store.distributions(what, by)
            assert ever == store.distributions(what, by, since=AT - DAY, until=AT + 9 * DAY), (what, by)
            assert sum(row.count for row in ever) == sum(row.count for row in store.distributions(what)), (what, by)
        (second,) = store.distributions("tool", since=AT + DAY, until=AT + DAY + 1)
        assert (second.count, second.total) == (1, 20_000)
        assert store.distributions("tool", since=AT + 9 * DAY) == []
        with pytest.raises(StoreError, match="Cannot group by 'day': distributions have agent, name"):
            store.distributions("tool", ("day",))

    def test_distributions_are_the_same_when_the_store_is_filled_anew(self, home: Path, store: Store) -> None:
        """Also those that were moved from one value to the next in many steps."""
        for number in range(1, 6):
            write(home, acts(number, ONE if number % 2 else TWO, micro_usd=number * 700, ms=number * 3.0))
            ingest(home, store)
        before = [store.distributions(what, by) for what in SHAPES for by in ((), ("agent", "name"))]
        rebuild(home, store)
        assert before == [store.distributions(what, by) for what in SHAPES for by in ((), ("agent", "name"))]

    def test_a_session_is_its_first_agents(self, home: Path, store: Store) -> None:
        """Whatever the order in which journals come in: the agent of the earliest line began it."""
        write(home, [RunStarted(at=AT + 9, session=ONE, run="b" * 32, span="b" * 16, agent="child")])
        ingest(home, store)
        assert [row.agent for row in store.distributions("session_cost", ("agent",))] == ["child"]
        write(home, [RunStarted(at=AT + 1, session=ONE, run="a" * 32, span="a" * 16, agent="root")])
        ingest(home, store)
        assert [row.agent for row in store.distributions("session_cost", ("agent",))] == ["root"]

    def test_sums_of_any_time_are_the_sums_of_its_hours(self, home: Path, store: Store) -> None:
        """Days are summed where all of a day is asked for; the answer is that of the hours, at every edge."""
        start = AT // DAY * DAY
        times = [0, 5 * HOUR, DAY - 1, DAY, DAY + 7 * HOUR, 2 * DAY + 1, 3 * DAY - 1, 3 * DAY + 12 * HOUR]
        write(home, [event for n, at in enumerate(times) for event in acts(n, at=start + at - n, micro_usd=2**n)])
        ingest(home, store)
        hours = [(row.hour or 0, row.cost_micro_usd, row.calls) for row in store.usage(("hour",))]
        assert sum(calls for _, _, calls in hours) == len(times)
        edges = [start + edge for edge in (0, 1, 5 * HOUR, DAY - HOUR, DAY, DAY + 7 * HOUR + 5, 2 * DAY, 3 * DAY + 9e4)]
        for since, until in itertools.combinations_with_replacement([None, *edges, None], 2):
            within = [
                (hour, cost)
                for hour, cost, _ in hours
                if (since is None or hour >= since // HOUR * HOUR) and (until is None or hour < until)
            ]
            told = store.usage(("agent",), since=since, until=until)
            assert sum(row.cost_micro_usd for row in told) == sum(cost for _, cost in within), (since, until)
            days: dict[int, int] = {}
            for hour, cost in within:
                days[hour // DAY * DAY] = days.get(hour // DAY * DAY, 0) + cost
            found = {row.hour: row.cost_micro_usd for row in store.usage(("day",), since=since, until=until)}
            assert found == days, (since, until)
        assert [row.hour for row in store.tool_usage(("day", "tool"))] == [int(start) + n * DAY for n in range(4)]
        assert [row.decisions for row in store.policy_usage(("day",))] == [6, 4, 4, 2]
        assert [row.decisions for row in store.agent_usage(("day", "agent"))] == [6, 4, 4, 2]

    def test_decisions_by_agent(self, home: Path, store: Store) -> None:
        """With what they were, and in how many sessions each agent acted since a time."""
        write(home, [decided("a" * 16, "tool.call", "x", "deny"), decided("b" * 16, "tool.call", "x"), *acts(3)])
        ingest(home, store)
        (row,) = store.agent_usage()
        assert (row.agent, row.decisions, row.denied, row.halts, row.hour) == ("support@2", 4, 1, 0, None)
        assert store.agent_usage(("hour",))[0].hour == int(AT) // HOUR * HOUR
        assert dict(store.sessions_of(AT - 1)) == {"support@2": 1}
        assert dict(store.sessions_of(AT + 1000)) == {}

    def test_what_runs_and_what_it_may_still_spend(self, home: Path, store: Store) -> None:
        """The tightest ceiling of money; a session runs as long as a process that is in it lives."""
        holds = (
            Hold(scope="day/agent/x/usd", unit="usd", held=10, spent=900, outstanding=0, cap=5000),
            Hold(scope=f"ceiling/session/{ONE}/usd", unit="usd", held=10, spent=400, outstanding=5, cap=500),
            Hold(scope=f"calls/session/{ONE}/calls", unit="calls", held=1, spent=0, outstanding=0, cap=2),
            Hold(scope="each/call/usd", unit="usd", held=10, spent=0, outstanding=0, cap=11, once=True),
        )
        held = decided("a" * 16, "model.call", "m", reservation=Reservation(id="r", holds=holds), at=AT + 5)
        journal = write(home, [SessionStarted(at=AT, session=ONE), held], close=False)
        ingest(home, store)
        (ceiling,) = store.ceilings([ONE, TWO]).values()
        told = (ceiling.policy, ceiling.scope, ceiling.unit, ceiling.cap, ceiling.spent, ceiling.held)
        assert told == ("ceiling", f"ceiling/session/{ONE}/usd", "usd", 500, 400, 15)
        (act,) = store.running([ONE, TWO])[ONE]
        assert (act.span, act.name, act.outcome) == ("a" * 16, "m", "running")
        assert [row.session for row in store.live(since=AT + 10_000)] == [ONE], "its process runs"
        assert list(store.living()) == [journal.id]
        journal.append(completed("a" * 16, "model.call", "m"))
        journal.append(SessionEnded(at=AT + 10, session=ONE))
        journal.close()
        ingest(home, store)
        assert dict(store.running([ONE])) == {}
        assert store.span(ONE, "a" * 16) == store.spans(ONE)[0]
        assert store.span(ONE, "b" * 16) is None
        assert store.live(since=AT + 10_000) == []
        assert [row.session for row in store.live(since=AT)] == [ONE]
        assert dict(store.living()) == {}

    def test_a_console_that_runs_keeps_no_session_running(self, home: Path, store: Store) -> None:
        """What people do to a session is on record in a journal that lives as long as the console."""
        write(home, [SessionStarted(at=AT, session=ONE), *acts(1)])
        journal = Journal.open(home / "journals", writer="console")
        journal.append(SessionStopped(at=AT + 5, session=ONE, who="ana", why="x"))
        ingest(home, store)
        assert [row.state for row in store.named([ONE, TWO])] == ["open"]
        assert dict(store.living()) == {}
        journal.close()

    def test_the_end_of_a_stream_and_single_lines(self, home: Path, store: Store) -> None:
        """Streams end at the head; a line is found by its position, and a position by a time."""
        assert store.head() == (store.epoch, 0)
        write(home, [SessionStarted(at=AT, session=ONE), *acts(1), *acts(100)])
        ingest(home, store)
        epoch, last = store.head()
        assert last == max(row.position for row in store.events())
        end = store.event(last)
        assert end is not None
        assert end.kind == "journal_closed"
        assert store.event(last + 1) is None
        assert store.counts(ONE) == (9, 4)
        after = store.position_at(AT + 50)
        assert next(iter(store.events(after=after))).at == AT + 100
        assert store.position_at(AT + 1e9) == last
        store.clear()
        assert store.head()[0] != epoch

    def test_a_sessions_lines_are_found_without_reading_all_of_them(self, home: Path, store: Store) -> None:
        """By kind, text and time; a text is no pattern."""
        write(home, [SessionStarted(at=AT, session=ONE), *acts(1), *acts(5), *acts(1, session=TWO)])
        ingest(home, store)
        assert [row.kind for row in store.lines(ONE, kinds=["session_started"])] == ["session_started"]
        assert [row.kind for row in store.lines(ONE, text='"' + f"{1:016x}" + '"')] == ["decided", "completed"]
        assert store.lines(ONE, text="%") == []
        assert [row.at for row in store.lines(ONE, until=AT + 2, last=2)] == [AT + 1, AT + 1.5]
        assert list(store.lines(ONE)) == list(store.events(ONE))

    def test_sessions_page_by_page(self, home: Path, store: Store) -> None:
        """Each once, the latest started first, also where several started at once."""
        ids = [f"{number:032x}" for number in range(1, 8)]
        write(home, [event for n, one in enumerate(ids) for event in acts(n // 2, session=one)])
        ingest(home, store)
        seen: list[str] = []
        after: tuple[float, str] | None = None
        while rows := store.page(limit=3, after=after):
            seen += [row.session for row in rows]
            after = (rows[-1].started, rows[-1].session)
        assert seen == [ids[place] for place in (6, 4, 5, 2, 3, 0, 1)]
        assert [row.session for row in store.page(limit=9, since=AT + 1, until=AT + 2)] == [ids[2], ids[3]]
        assert store.page(limit=9, agent="nobody") == []
        assert len(store.page(limit=9, agent="support")) == len(ids)
        assert {row.session for row in store.named(ids[:2])} == set(ids[:2])

    def test_a_page_of_a_state_leaves_out_none_that_has_it(self, home: Path, store: Store) -> None:
        """What is halted, was reopened, ended, or went on after its end."""
        ids = [f"{number:032x}" for number in range(5)]
        write(
            home,
            [
                *(SessionStarted(at=AT, session=one) for one in ids),
                *(SessionHalted(at=AT + 1, session=one, reason="r") for one in ids[:2]),
                SessionReopened(at=AT + 2, session=ids[1], who="ana", why="x"),
                *(SessionEnded(at=AT + 3, session=one) for one in ids[2:4]),
                decided("a" * 16, "tool.call", "x", session=ids[3], at=AT + 4),
            ],
        )
        ingest(home, store)
        states = {row.session: row.state for row in store.page(limit=9)}
        assert [states[one] for one in ids] == ["halted", "open", "ended", "open", "open"]
        for state in ("halted", "open", "ended"):
            found = {row.session for row in store.page(limit=9, state=state)}
            assert {one for one, its in states.items() if its == state} <= found, state
        assert [row.session for row in store.page(limit=9, state="halted")] == ids[:1]

    def test_rare_kinds_are_found_without_a_look_at_all_others(self, home: Path, store: Store) -> None:
        """The latest first, as many as are wanted."""
        changed = BundleChanged(at=AT, revision="r", source="f", who="ana", why="x")
        write(home, [*acts(1), changed, EventsLost(at=AT + 5, count=3, reason="full"), *acts(2)])
        ingest(home, store)
        kinds = ["bundle_changed", "events_lost"]
        assert [row.kind for row in store.audits(kinds)] == ["events_lost", "bundle_changed"]
        assert [row.kind for row in store.audits(kinds, 1)] == ["events_lost"]
        assert store.audits(["bundle_changed"])[0].event == changed
        assert store.audits(["logged_in"]) == []

    def test_how_long_people_took(self, home: Path, store: Store) -> None:
        """By how it ended; a yes counts from when it was given, and what is open does not count."""
        said: dict[str, Any] = {"session": ONE, "who": "ana"}
        used = ApprovalConsumed(at=AT + 501, approval="1" * 64, session=ONE, span="03", by=("ana",))
        ends: list[Event] = [
            ApprovalApproved(at=AT + 6, approval="1" * 64, **said),
            used,
            ApprovalDenied(at=AT + 31, approval="2" * 64, why="no", **said),
            ApprovalApproved(at=AT + 8, approval="3" * 64, **said),
        ]
        write(home, [*(approval(digit) for digit in "123"), *ends])
        ingest(home, store)
        rows = {row.state: row for row in store.approval_waits((10.0, 60.0))}
        assert {state: (row.count, row.seconds) for state, row in rows.items()} == {
            "consumed": (1, 5.0),
            "denied": (1, 30.0),
        }

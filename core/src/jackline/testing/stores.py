"""What every store must do, as a suite of tests: subclass StoreSuite, say how a store is opened, run it with pytest."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import pytest

from jackline.errors import StoreError
from jackline.events import (
    AgentAmended,
    AgentSeen,
    AlertFired,
    AlertResolved,
    ApprovalAnswerRefused,
    ApprovalApproved,
    ApprovalConsumed,
    ApprovalDenied,
    ApprovalExpired,
    Cost,
    Decided,
    Event,
    SessionHalted,
    SessionReopened,
    SessionStarted,
    ToolSeen,
    Usage,
)
from jackline.ingest import ingest, lag, rebuild
from jackline.journal import Journal, verify
from jackline.request import Agent, Tool
from jackline.testing.journals import AT, ONE, ROOT, TWO, approval, completed, decided, dump, story, write
from jackline.testing.stores_watched import WatchedSuite

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.stores import Store


class StoreSuite(WatchedSuite):
    """Subclass with `open_store`; every test gets an empty home.

    ```python
    class TestMyStore(StoreSuite):
        def open_store(self, home):
            return MyStore("postgresql://...")
    ```
    """

    def open_store(self, home: Path) -> Store:
        """An empty store the first time, the same content when it is opened again for the same home."""
        raise NotImplementedError

    @pytest.fixture
    def home(self, tmp_path: Path) -> Path:
        """An empty home."""
        return tmp_path / "home"

    @pytest.fixture
    def store(self, home: Path) -> Iterator[Store]:
        """The store under test."""
        store = self.open_store(home)
        yield store
        store.close()

    def test_an_empty_store_answers_with_nothing(self, store: Store) -> None:
        """Nothing is there, and nothing raises."""
        assert list(store.sessions()) == []
        assert store.session("1") is None
        assert list(store.spans(ONE)) == []
        assert list(store.events()) == []
        assert list(store.agents()) == []
        assert list(store.usage(())) == []
        assert dict(store.heads()) == {}

    def test_a_session_is_told_whole(self, home: Path, store: Store) -> None:
        """Counts, money, tokens, identity and times of one session."""
        write(home, story())
        assert ingest(home, store).events == len(story()) + 2
        row = store.session("job-17")
        assert row is not None
        assert (row.session, row.user, row.labels) == (ONE, "u-9", {"a": "1", "b": "2"})
        assert (row.state, row.started, row.ended, row.how) == ("ended", AT, AT + 4, "root")
        assert row.agents == ("support@2",)
        assert (row.cost_micro_usd, row.tokens, row.unpriced) == (700, 120, 0)
        assert (row.decisions, row.denied, row.would_deny, row.halts) == (5, 2, 1, 0)
        assert (row.runs, row.model_calls, row.tool_runs, row.failures) == (1, 1, 2, 1)
        assert (row.unknown, row.running) == (0, 0)

    def test_spans_are_the_trace(self, home: Path, store: Store) -> None:
        """Each step once, with its parent, decision, outcome and line of proof."""
        journal = write(home, story())
        ingest(home, store)
        spans = {span.span: span for span in store.spans(ONE)}
        assert list(spans) == [ROOT, "01", "02", "03", "04"]
        assert (spans[ROOT].kind, spans[ROOT].name, spans[ROOT].outcome) == ("run", "support@2", "completed")
        assert spans[ROOT].duration_ms == 1000 * 4
        assert all(span.parent == ROOT for name, span in spans.items() if name != ROOT)
        model = spans["01"]
        assert (model.kind, model.name, model.model, model.cost_micro_usd) == ("model.call", "gpt-5", "gpt-5-2026", 700)
        assert (model.input_tokens, model.output_tokens, model.cache_read_tokens) == (100, 20, 30)
        assert (model.reasoning_tokens, model.duration_ms, model.matched) == (5, 5.5, "gpt-5")
        tool = spans["02"]
        assert (tool.outcome, tool.effect, tool.args, tool.result) == ("completed", "allow", "d" * 32, "c" * 32)
        assert (tool.return_effect, tool.return_policy, tool.return_reason) == ("deny", "no-pii-out", "a card number")
        assert (spans["03"].outcome, spans["03"].effect, spans["03"].policy) == ("not run", "deny", "crm-read-only")
        assert spans["03"].cost_micro_usd is None
        assert (spans["04"].outcome, spans["04"].error, spans["04"].would) == ("failed", "OSError", "deny")
        assert (spans["02"].journal, spans["02"].seq) == (journal.id, 6)

    def test_the_cost_of_a_session_is_the_sum_over_its_trace(self, home: Path, store: Store) -> None:
        """To the micro-dollar, also where a step has two outcomes."""
        again = completed("01", "model.call", "gpt-5", usage=Usage(input=7), cost=Cost(micro_usd=3))
        write(home, [*story(), again])
        ingest(home, store)
        row = store.session(ONE)
        assert row is not None
        assert row.cost_micro_usd == 700 + 3
        assert row.cost_micro_usd == sum(span.cost_micro_usd or 0 for span in store.spans(ONE))
        assert row.cost_micro_usd == sum(total.cost_micro_usd for total in store.usage(()))

    def test_events_keep_their_order_when_the_clock_is_set_back(self, home: Path, store: Store) -> None:
        """Within one journal the sequence number orders, not the time."""
        times = [AT + 5, AT - 100, AT + 1, AT + 6]
        write(home, [decided(f"0{number}", "output", "answer", at=at) for number, at in enumerate(times)])
        ingest(home, store)
        rows = list(store.events(ONE))
        assert [row.at for row in rows] == times
        assert [row.seq for row in rows] == [2, 3, 4, 5]
        assert isinstance(rows[0].event, Decided)

    def test_a_stream_goes_on_where_it_stopped(self, home: Path, store: Store) -> None:
        """Positions grow, and `after` leaves out what was read."""
        write(home, story())
        ingest(home, store)
        first = list(store.events(limit=4))
        rest = list(store.events(after=first[-1].position))
        assert list(store.events(after=rest[-1].position)) == []
        assert [row.seq for row in (*first, *rest)] == list(range(1, len(story()) + 3))

    def test_many_events_come_in_order(self, home: Path, store: Store) -> None:
        """More than one page of them, some in another journal, and no line twice."""
        for first in range(2):
            spans = range(first, 1600, 2)
            write(home, [decided(f"{span:04}", "output", "answer", at=AT + span // 5) for span in spans])
        ingest(home, store)
        told = [(row.at, row.journal, row.seq) for row in store.events(ONE)]
        assert told == sorted(told)
        assert len(set(told)) == len(told) == len(range(1600))
        assert [row.position for row in store.events()] == sorted(row.position for row in store.events())
        assert [row.seq for row in store.events(ONE, limit=700)] == [seq for _, _, seq in told[:700]]

    def test_every_line_once_however_often_and_in_however_many_steps(self, home: Path, store: Store) -> None:
        """An ingest after each line gives what one ingest gives."""
        journal = Journal.open(home / "journals", clock=lambda: AT)
        for event in story():
            journal.append(event)
            ingest(home, store)
            assert ingest(home, store).events == 0
        journal.close()
        ingest(home, store)
        steps = dump(store)
        assert rebuild(home, store).events == len(story()) + 2
        assert dump(store) == steps

    def test_the_order_of_journals_makes_no_difference(self, home: Path, store: Store) -> None:
        """An outcome in one journal and its decision in another are joined whichever comes in first."""
        events = story()
        other = Journal.open(home / "journals", clock=lambda: AT)
        for event in events[1::2]:
            other.append(event)
            ingest(home, store)
        write(home, events[::2])
        ingest(home, store)
        other.close()
        ingest(home, store)
        apart = dump(store)
        rebuild(home, store)
        assert dump(store) == apart
        row = store.session(ONE)
        assert row is not None
        assert (row.cost_micro_usd, row.tool_runs, row.state) == (700, 2, "ended")
        assert [total.agent for total in store.usage()] == ["support@2"]

    def test_clearing_changes_the_epoch(self, home: Path, store: Store) -> None:
        """A cursor of before is not one of after."""
        write(home, story())
        ingest(home, store)
        before = store.epoch
        rebuild(home, store)
        assert store.epoch != before

    def test_the_content_outlives_the_store_object(self, home: Path, store: Store) -> None:
        """Epoch, positions and rows are there when it is opened again."""
        write(home, story())
        ingest(home, store)
        again = self.open_store(home)
        try:
            assert again.epoch == store.epoch
            assert dump(again) == dump(store)
            assert ingest(home, again).events == 0
        finally:
            again.close()

    def test_heads_prove_a_cut_tail(self, home: Path, store: Store) -> None:
        """What was ingested cannot be cut off unseen."""
        journal = write(home, story())
        ingest(home, store)
        assert store.heads()[journal.id] == journal.head
        lines = journal.path.read_bytes().splitlines(keepends=True)
        journal.path.write_bytes(b"".join(lines[:5]))
        (report,) = verify(home / "journals", store.heads())
        assert (report.ok, report.first_bad) == (False, 6)
        with pytest.raises(StoreError, match="is not rebuilt"):
            rebuild(home, store)

    def test_the_lag_is_told(self, home: Path, store: Store) -> None:
        """Bytes and events that are not in yet."""
        journal = write(home, story())
        behind = lag(home, store)
        assert (behind.bytes, behind.events, behind.journals) == (journal.path.stat().st_size, len(story()) + 2, 1)
        ingest(home, store)
        assert lag(home, store).bytes == 0

    def test_halt_and_reopening(self, home: Path, store: Store) -> None:
        """The later of the two holds."""
        halt = SessionHalted(at=AT + 1, session=TWO, reason="0.50 USD is spent", policy="ceiling", rule="usd")
        journal = write(home, [SessionStarted(at=AT, session=TWO), halt], close=False)
        ingest(home, store)
        row = store.session(TWO)
        assert row is not None
        assert (row.state, row.halted, row.halt_reason, row.halt_policy) == (
            "halted",
            True,
            "0.50 USD is spent",
            "ceiling",
        )
        journal.append(SessionReopened(at=AT + 2, session=TWO, who="ann", why="more budget"))
        ingest(home, store)
        row = store.session(TWO)
        assert row is not None
        assert (row.state, row.halted) == ("running", False)
        journal.close()

    def test_sessions_are_found(self, home: Path, store: Store) -> None:
        """By beginning, external id, agent, user and time; what is ambiguous is said."""
        other = "10" + "2" * 30
        write(home, [*story(), SessionStarted(at=AT + 50, session=other, external_id="job-17", user="u-1")])
        ingest(home, store)
        assert [row.session for row in store.sessions()] == [other, ONE]
        assert [row.session for row in store.sessions(limit=1)] == [other]
        assert [row.session for row in store.sessions(agent="support")] == [ONE]
        assert [row.session for row in store.sessions(agent="support@2", user="u-9")] == [ONE]
        assert [row.session for row in store.sessions(since=AT + 10)] == [other]
        found = store.session("111")
        assert found is not None
        assert found.session == ONE
        assert store.session("%") is None
        for name in ("1", "job-17"):
            with pytest.raises(
                StoreError, match=f"'{name}' names several sessions: {other}, {ONE}. Give more of the id"
            ):
                store.session(name)

    def test_the_inventory(self, home: Path, store: Store) -> None:
        """Agents with versions, models and tools; a tool added later is not permitted until somebody says so."""
        get = Tool(name="crm.get", fingerprint="11", read_only=True)
        delete = Tool(name="crm.delete", fingerprint="22", status="new")
        agent = Agent(name="support", version="2", framework="langchain", team="care")
        events = [
            AgentSeen(at=AT - 5, agent=agent, models=("gpt-5",), tools=(get,), revision="rr"),
            *story(),
            ToolSeen(at=AT + 9, agent="support@2", tool=delete),
        ]
        journal = write(home, events, close=False)
        ingest(home, store)
        (row,) = store.agents()
        assert (row.agent, row.name, row.version, row.team, row.status) == ("support@2", "support", "2", "care", "seen")
        assert (row.models, row.revision, row.first_seen) == (("gpt-5",), "rr", AT - 5)
        tools = {tool.tool: tool for tool in store.tools("support")}
        assert list(tools) == ["crm.delete", "crm.get", "mail.send"]
        assert [tool.permitted for tool in tools.values()] == [False, True, False]
        assert [tool.status for tool in tools.values()] == ["new", "known", ""]
        assert (tools["crm.get"].calls, tools["mail.send"].failures, tools["crm.delete"].denials) == (1, 1, 1)
        assert (tools["crm.delete"].first_seen, tools["crm.delete"].last_seen) == (AT + 1, AT + 9)
        permit = {"permit": {"crm.delete": "22"}, "status": "active", "labels": {"tier": "1"}}
        journal.append(AgentAmended(at=AT + 10, agent="support", who="ann", changes=permit))
        journal.close()
        ingest(home, store)
        (row,) = store.agents()
        assert (row.status, row.labels) == ("active", {"tier": "1"})
        assert [tool.permitted for tool in row.tools] == [True, True, False]

    def test_totals(self, home: Path, store: Store) -> None:
        """By hour, agent, model, tool, policy; whole hours; unknown columns are refused."""
        write(home, story())
        ingest(home, store)
        hour = int(AT) // 3600 * 3600
        (usage,) = store.usage(("hour", "agent", "model"))
        assert (usage.hour, usage.agent, usage.model, usage.calls) == (hour, "support@2", "gpt-5-2026", 1)
        assert (usage.cost_micro_usd, usage.input_tokens, usage.unpriced) == (700, 100, 0)
        assert store.usage(since=AT + 7200) == []
        assert store.usage(until=AT - 7200) == []
        tools = {row.tool: row for row in store.tool_usage()}
        assert {name: (row.calls, row.failures, row.denials) for name, row in tools.items()} == {
            "crm.delete": (0, 0, 1),
            "crm.get": (1, 0, 0),
            "mail.send": (1, 1, 0),
        }
        (denials,) = [row for row in store.policy_usage() if row.policy == "crm-read-only"]
        assert (denials.rule, denials.effect, denials.verdicts) == ("default", "deny", 1)
        (decisions,) = store.policy_usage(())
        assert (decisions.decisions, decisions.hour, decisions.policy) == (5, None, "")
        with pytest.raises(StoreError, match="Cannot group by 'body'"):
            store.usage(("body",))

    def test_approvals_are_told_from_question_to_use(self, home: Path, store: Store) -> None:
        """Who was asked, who said what, how it ended; whatever the order in which journals come in."""
        asked = [approval(name, at=AT + place) for place, name in enumerate("abcde")]
        guard: list[Event] = [*asked, ApprovalExpired(at=AT + 9, approval="d" * 64, session=ONE)]
        guard.append(
            ApprovalConsumed(at=AT + 9, approval="a" * 64, session=ONE, span="07", by=("ana", "ben"), edited=True)
        )
        guard.append(ApprovalAnswerRefused(at=AT + 8, approval="c" * 64, session=ONE, why="a forged one"))
        write(home, guard)
        said: dict[str, Any] = {"at": AT + 7, "session": ONE}
        people: list[Event] = [ApprovalApproved(approval=name * 64, who="ana", why="known", **said) for name in "ac"]
        people.append(ApprovalDenied(approval="b" * 64, who="ben", why="a voucher", responded=True, **said))
        journal = write(home, people, close=False)
        ingest(home, store)
        rows = {row.approval[0]: row for row in store.approvals(ONE)}
        assert [row.approval[0] for row in store.approvals()] == list("edcba")
        assert [rows[name].state for name in "abcde"] == ["consumed", "denied", "pending", "expired", "pending"]
        used = rows["a"]
        assert (used.by, used.why, used.edited, used.used_span, used.ended) == (
            ("ana", "ben"),
            "known",
            True,
            "07",
            AT + 9,
        )
        assert (used.agent, used.action, used.resource, used.to) == ("support@2", "tool.call", "refund", ("finance",))
        assert (used.needed, used.asked, used.expires, used.span, used.args) == (2, AT, AT + 1800, "03", "d" * 32)
        assert (rows["b"].by, rows["b"].why, rows["b"].responded) == (("ben",), "a voucher", True)
        assert (rows["c"].by, rows["c"].yes, rows["c"].refused, rows["c"].refused_why) == (
            ("ana",),
            1,
            1,
            "a forged one",
        )
        found = store.session(ONE)
        assert found is not None
        assert found.waiting == sum(row.expires > time.time() for row in (rows["c"], rows["e"]))
        journal.append(approval("a", at=AT + 10))  # its files were removed, and the step was run again
        journal.close()
        ingest(home, store)
        again = next(row for row in store.approvals() if row.approval == "a" * 64)
        assert (again.state, again.by, again.used_span) == ("pending", (), "")
        before = dump(store)
        rebuild(home, store)
        assert dump(store) == before

    def test_alerts_are_told_from_first_to_last(self, home: Path, store: Store) -> None:
        """What fired, how badly, and whether it is over; whatever the order in which journals come in."""
        told: dict[str, Any] = {"rule": "session-cost", "signal": "session_cost", "severity": "warning", "since": AT}
        one: dict[str, Any] = {**told, "alert": "1" * 32, "group": {"session": ONE}}
        two: dict[str, Any] = {**told, "alert": "2" * 32, "since": AT + 2, "group": {"agent": "a", "tool": "t"}}
        write(
            home, [AlertFired(at=AT + place, state="firing", value=0.8 + place, message="x", **one) for place in (0, 1)]
        )
        ingest(home, store)
        (row,) = store.alerts(open_only=True)
        assert (row.state, row.value, row.since, row.last, row.group) == ("firing", 1.8, AT, AT + 1, {"session": ONE})
        write(
            home,
            [AlertResolved(at=AT + 5, message="over", **one), AlertFired(at=AT, state="firing", message="y", **two)],
        )
        ingest(home, store)
        assert [row.alert[0] for row in store.alerts()] == ["2", "1"]
        assert [row.alert[0] for row in store.alerts(open_only=True)] == ["2"]
        ended = store.alerts(after=(AT + 2, "2" * 32))[0]
        assert (ended.state, ended.resolved, ended.resolved_message) == ("resolved", AT + 5, "over")
        assert [row.alert[0] for row in store.alerts(since=AT + 6)] == ["2"]
        before = dump(store)
        rebuild(home, store)
        assert dump(store) == before

    def test_text_that_looks_like_code_is_text(self, home: Path, store: Store) -> None:
        """Names are values, never parts of a statement."""
        name = "x'; DROP TABLE sessions; --\N{SNOWMAN}%_"
        write(home, [SessionStarted(at=AT, session=name, external_id=name, user=name)])
        ingest(home, store)
        row = store.session(name)
        assert row is not None
        assert (row.session, row.user) == (name, name)
        assert [found.session for found in store.sessions(user=name)] == [name]

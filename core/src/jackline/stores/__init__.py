"""Where journals can be queried: what a store must do, and the records that it answers with.

SQLAlchemy loads with a store (`jackline.stores.sqlite`), not with this module.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from jackline.stores.rollups import RULES, Batch
from jackline.stores.rows import (
    AgentRow,
    AgentUsageRow,
    AlertRow,
    ApprovalRow,
    AuditRow,
    CeilingRow,
    DistributionRow,
    EventRow,
    PolicyUsageRow,
    Position,
    SessionRow,
    SpanRow,
    ToolRow,
    ToolUsageRow,
    UsageRow,
    WaitRow,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from jackline.journal import Head

__all__ = [
    "RULES",
    "AgentRow",
    "AgentUsageRow",
    "AlertRow",
    "ApprovalRow",
    "AuditRow",
    "Batch",
    "CeilingRow",
    "Details",
    "DistributionRow",
    "EventRow",
    "Ingesting",
    "Inventory",
    "PolicyUsageRow",
    "Position",
    "Record",
    "SessionRow",
    "Sessions",
    "SpanRow",
    "Store",
    "ToolRow",
    "ToolUsageRow",
    "Totals",
    "UsageRow",
    "WaitRow",
    "Watching",
]


class Ingesting(Protocol):
    """How lines come in."""

    epoch: str
    """Another after the store was cleared: with it a cursor loses its meaning."""

    def positions(self) -> Mapping[str, Position]:
        """How far each journal is ingested."""

    def apply(self, batch: Batch) -> None:
        """Take a batch in, rows, rollups and positions in one transaction; StoreError where another was faster."""

    def clear(self) -> None:
        """Forget everything, so that it can be ingested anew; the epoch changes."""

    def close(self) -> None:
        """Let go of files and connections."""


class Sessions(Protocol):
    """What happened, session by session."""

    def sessions(
        self, *, limit: int = 50, agent: str = "", user: str = "", since: float | None = None
    ) -> Sequence[SessionRow]:
        """The sessions that were active since then, the latest started first."""

    def session(self, name: str) -> SessionRow | None:
        """The session with this id, beginning of an id, or external id; StoreError where several have it."""

    def spans(self, session: str) -> Sequence[SpanRow]:
        """Every step of a session, in the order in which they were decided or began."""

    def events(self, session: str = "", *, after: int = 0, limit: int = 0) -> Iterator[EventRow]:
        """A session's events in their order; without a session all events as they came in, after a position."""

    def approvals(self, session: str = "", *, limit: int = 1000) -> Sequence[ApprovalRow]:
        """A session's questions to people, the oldest first; without a session the latest of all, the latest first."""


class Inventory(Protocol):
    """Which agents there are, as the registry's events tell it."""

    def agents(self) -> Sequence[AgentRow]:
        """Every version of every agent, by name."""

    def tools(self, agent: str) -> Sequence[ToolRow]:
        """The tools of one agent (`name` or `name@version`), by name."""

    def heads(self) -> Mapping[str, Head]:
        """The last line of each journal that was ingested: what `verify` holds journals to."""

    def sessions_of(self, since: float) -> Mapping[str, int]:
        """In how many sessions each agent acted since then (Unix seconds)."""

    def living(self) -> Mapping[str, tuple[int, str]]:
        """The journals whose processes are there: process id and host of each."""


class Totals(Protocol):
    """Sums that are kept as lines come in. `by` names the columns to group by; times are Unix seconds."""

    def usage(
        self, by: Sequence[str] = ("agent", "model"), *, since: float | None = None, until: float | None = None
    ) -> Sequence[UsageRow]:
        """Cost, tokens and calls of models, by `hour`, `agent`, `model`."""

    def tool_usage(
        self, by: Sequence[str] = ("agent", "tool"), *, since: float | None = None, until: float | None = None
    ) -> Sequence[ToolUsageRow]:
        """Calls, failures and denials of tools, by `hour`, `agent`, `tool`."""

    def policy_usage(
        self,
        by: Sequence[str] = ("policy", "rule", "effect", "mode"),
        *,
        since: float | None = None,
        until: float | None = None,
    ) -> Sequence[PolicyUsageRow]:
        """Verdicts and decisions, by `hour`, `policy`, `rule`, `effect`, `mode`."""

    def agent_usage(
        self, by: Sequence[str] = ("agent",), *, since: float | None = None, until: float | None = None
    ) -> Sequence[AgentUsageRow]:
        """Decisions on agents' acts, by `hour`, `agent`."""

    def distributions(
        self, what: str, by: Sequence[str] = (), *, since: float | None = None, until: float | None = None
    ) -> Sequence[DistributionRow]:
        """How values lie, by `agent`, `name`. `what`: session_cost, session_duration, tool, model, decision."""


class Watching(Protocol):
    """What those who watch ask: where streams end, what runs now, what it may still spend."""

    def head(self) -> tuple[str, int]:
        """The epoch as it is now, and the position of the last line that came in."""

    def live(self, since: float, limit: int = 500) -> Sequence[SessionRow]:
        """Sessions that were active since then, and those of living processes that did not end; latest active first."""

    def named(self, sessions: Iterable[str]) -> Sequence[SessionRow]:
        """These sessions, by their whole ids, in no order; without those that nobody knows."""

    def running(self, sessions: Iterable[str]) -> Mapping[str, Sequence[SpanRow]]:
        """The acts of these sessions that are under way, by session."""

    def ceilings(self, sessions: Iterable[str]) -> Mapping[str, CeilingRow]:
        """The tightest ceiling of each of these sessions, as their last reservation found it."""


class Details(Protocol):
    """Parts of what happened, so that no answer holds more than is shown. Times are Unix seconds."""

    def page(
        self,
        *,
        limit: int,
        after: tuple[float, str] | None = None,
        agent: str = "",
        user: str = "",
        since: float | None = None,
        until: float | None = None,
        state: str = "",
    ) -> Sequence[SessionRow]:
        """Sessions that started in a time, the latest first, after one that is named by its start and id.

        With a state those that may have it.
        """

    def span(self, session: str, span: str) -> SpanRow | None:
        """One step of a session."""

    def lines(
        self, session: str, *, kinds: Sequence[str] = (), text: str = "", until: float | None = None, last: int = 0
    ) -> Sequence[EventRow]:
        """A session's lines in their order: of these kinds, with this text in them, not later; the `last` of those."""

    def counts(self, session: str) -> tuple[int, int]:
        """How many events and how many steps a session has."""

    def event(self, position: int) -> EventRow | None:
        """The line at a position."""


class Record(Protocol):
    """What is asked of the record as a whole. Times are Unix seconds."""

    def position_at(self, at: float) -> int:
        """The position before the first of the latest 100,000 lines that is not older than `at`."""

    def alerts(
        self,
        *,
        open_only: bool = False,
        since: float | None = None,
        after: tuple[float, str] | None = None,
        limit: int = 1000,
    ) -> Sequence[AlertRow]:
        """Alerts, the latest first, behind one by its start and id; `since`: those that were not over then."""

    def audits(self, kinds: Sequence[str], limit: int = 1000) -> Sequence[AuditRow]:
        """The latest lines of rare kinds, the latest first."""

    def approval_waits(self, bounds: Sequence[float]) -> Sequence[WaitRow]:
        """How long people took, of all approvals that are over, by how they ended; `bounds` in seconds."""


@runtime_checkable
class Store(Ingesting, Sessions, Details, Inventory, Totals, Watching, Record, Protocol):
    """The whole of it; `jackline.testing.StoreSuite` proves an implementation."""

"""Acts that were permitted and are not over: recorded once, or their outcome is unknown when the lease ends."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING, Literal

from jackline.plain import new_run_id
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Decision
    from jackline.request import Request
    from jackline.session import Scope

MOST = 100_000
"""Acts that are open at once; beyond them nothing is permitted."""
MOST_BYTES = 512 * 1024 * 1024
"""Of their bodies together."""
_ENDED = 200_000
"""Ends that are remembered, so that a record which is sent again is told from one of nothing."""

End = Literal["recorded", "expired"]


class OpenAct:
    """One act, from its decision to its outcome."""

    __slots__ = ("children", "decision", "expires", "id", "request", "scope", "size")

    def __init__(self, request: Request, decision: Decision, scope: Scope, size: int, expires: float) -> None:
        """`size`: bytes of the body that asked. `expires`: Unix seconds."""
        self.id = new_run_id()
        self.request, self.decision, self.scope = request, decision, scope
        self.size, self.expires = size, expires
        self.children: dict[str, Scope] = {}
        """The runs of the agents that it started, by their keys."""


class OpenActs:
    """Every open act by its decision's id. Used on one event loop."""

    def __init__(self, lapsed: Callable[[OpenAct], object]) -> None:
        """`lapsed` is called with each act whose lease ended, once."""
        self._lapsed = lapsed
        self._open: dict[str, OpenAct] = {}
        self._ended: OrderedDict[str, End] = OrderedDict()
        self._leases: list[tuple[float, str]] = []
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._open)

    def require_room(self, size: int) -> None:
        """Raises ProblemError where no further act can be remembered: then none is permitted."""
        if len(self._open) >= MOST or self._bytes + size > MOST_BYTES:
            detail = f"{len(self._open)} acts are open and wait for their records"
            hint = "record what is over, or ask for shorter leases"
            raise ProblemError(503, "too-many-open", detail, hint=hint, headers={"Retry-After": "1"})

    def add(self, act: OpenAct) -> None:
        """Remember an act until it is taken or lapses."""
        self._open[act.id] = act
        self._bytes += act.size
        heapq.heappush(self._leases, (act.expires, act.id))

    def find(self, identity: str, agent: str) -> OpenAct:
        """The open act of an agent, by its name. Raises ProblemError: another agent's is as unknown as none."""
        act = self.peek(identity)
        if act is None or act.request.agent.name != agent:
            raise self.gone(identity, mine=act is None)
        return act

    def peek(self, identity: str) -> OpenAct | None:
        """The open act of whatever agent."""
        return self._open.get(identity)

    def take(self, identity: str, agent: str) -> OpenAct:
        """The act, which is over with this. Raises ProblemError."""
        act = self.find(identity, agent)
        self._end(act, "recorded")
        return act

    def sweep(self, now: float) -> None:
        """End what has outlived its lease."""
        while self._leases and self._leases[0][0] <= now:
            act = self._open.get(heapq.heappop(self._leases)[1])
            if act is not None:
                self._end(act, "expired")
                self._lapsed(act)
        if len(self._leases) > 2 * len(self._open) + 1000:  # leases of what was recorded
            self._leases = [(act.expires, act.id) for act in self._open.values()]
            heapq.heapify(self._leases)

    def end_all(self) -> None:
        """End everything that is open: its outcome is unknown."""
        self.sweep(float("inf"))

    def gone(self, identity: str, *, mine: bool = True) -> ProblemError:
        """Why there is no such open act."""
        end = self._ended.get(identity) if mine else None
        if end == "recorded":
            detail = "this decision's outcome is on record already, and stays as it is"
            return ProblemError(409, "recorded", detail, what="decision", value=identity)
        if end == "expired":
            detail = "the lease ended before the record came: the outcome is on record as unknown, its hold as spent"
            return ProblemError(409, "expired", detail, what="decision", value=identity, hint="ask for a longer lease")
        return ProblemError(
            404,
            "unknown-decision",
            "this agent has no open decision of that id",
            what="decision",
            value=identity,
            hint="it was another server's, or it was never permitted: what it held is booked as spent",
        )

    def _end(self, act: OpenAct, end: End) -> None:
        del self._open[act.id]
        self._bytes -= act.size
        self._ended[act.id] = end
        if len(self._ended) > _ENDED:
            self._ended.popitem(last=False)

"""Acts that were permitted and are not over: recorded once, or their outcome is unknown when the lease ends."""

from __future__ import annotations

import heapq
from collections import OrderedDict
from typing import TYPE_CHECKING

from jackline.plain import new_run_id
from jackline_console.decisions.act_log import kept
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Decision
    from jackline.request import Request
    from jackline.session import Scope
    from jackline_console.decisions.act_log import ActLog, End

MOST = 100_000
"""Acts that are open at once; beyond them nothing is permitted."""
MOST_BYTES = 512 * 1024 * 1024
"""Of their bodies together."""
_ENDED = 200_000
"""Ends that are remembered, so that a record which is sent again is told from one of nothing."""


class OpenAct:
    """One act, from its decision to its outcome."""

    __slots__ = ("children", "decision", "expires", "id", "request", "scope", "size", "started")

    def __init__(
        self,
        request: Request,
        decision: Decision,
        scope: Scope | None,
        size: int,
        expires: float,
        identity: str = "",
    ) -> None:
        """`size`: bytes of the body that asked. `expires`: Unix seconds. `scope` None: its server has ended."""
        self.id = identity or new_run_id()
        self.request, self.decision, self.scope = request, decision, scope
        self.size, self.expires = size, expires
        self.started = False
        """Its result was judged, or something was asked for within it: that it did not start is no longer believed."""
        self.children: dict[str, Scope] = {}
        """The runs of the agents that it started, by their keys."""


class OpenActs:
    """Every open act by its decision's id. Used on one event loop."""

    def __init__(
        self, log: ActLog, lapsed: Callable[[OpenAct], object], adopted: Callable[[], object] = lambda: None
    ) -> None:
        """`lapsed` is called with each act whose lease ended, once; `adopted` when acts of other servers came in."""
        self._log = log
        self._lapsed, self._adopted = lapsed, adopted
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
        self._remember(act)
        self._log.add(kept(act.id, act.expires, act.request, act.decision))

    def start(self, act: OpenAct) -> None:
        """The act has shown that it started."""
        if not act.started:
            act.started = True
            self._log.add(kept(act.id, act.expires, act.request, act.decision, started=True))

    def adopt(self) -> None:
        """Take over what servers that have ended left open, and what they knew to be over.

        A file that could not be taken away is found again: what is known of its acts here holds.
        """
        left = self._log.adopt(self._ended)
        for one in left.acts.values():
            if one.id not in self._open:
                act = OpenAct(one.request, one.decision, None, 0, one.expires, one.id)
                act.started = one.started
                self._remember(act)
        for identity, end in left.over.items():
            self._know_over(identity, end)
        if left.acts:
            self._adopted()

    def find(self, identity: str, agent: str) -> OpenAct:
        """The open act of an agent, by its name. Raises ProblemError: another agent's is as unknown as none."""
        act = self.peek(identity)
        if act is None or act.request.agent.name != agent:
            raise self.gone(identity, mine=act is None)
        return act

    def peek(self, identity: str) -> OpenAct | None:
        """The open act of whatever agent; one that a server left which has ended meanwhile, too."""
        if identity not in self._open and identity not in self._ended:
            self.adopt()
        return self._open.get(identity)

    def end(self, act: OpenAct) -> None:
        """The act is over: its outcome is on record."""
        self._end(act, "recorded")

    def sweep(self, now: float) -> None:
        """End what has outlived its lease."""
        while self._leases and self._leases[0][0] <= now:
            act = self._open.get(heapq.heappop(self._leases)[1])
            if act is not None:
                try:
                    self._lapsed(act)
                finally:
                    self._end(act, "expired")
        if len(self._leases) > 2 * len(self._open) + 1000:  # leases of what was recorded
            self._leases = [(act.expires, act.id) for act in self._open.values()]
            heapq.heapify(self._leases)

    def leave(self) -> list[OpenAct]:
        """Leave what is open to the next server; gives it."""
        left = list(self._open.values())
        self._open.clear()
        self._leases.clear()
        self._bytes = 0
        self._log.close()
        return left

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
            hint="it is another server's, or it was never permitted",
        )

    def _remember(self, act: OpenAct) -> None:
        self._open[act.id] = act
        self._bytes += act.size
        heapq.heappush(self._leases, (act.expires, act.id))

    def _end(self, act: OpenAct, end: End) -> None:
        del self._open[act.id]
        self._bytes -= act.size
        self._log.end(act.id, end)
        self._know_over(act.id, end)

    def _know_over(self, identity: str, end: End) -> None:
        self._ended[identity] = end
        if len(self._ended) > _ENDED:
            self._ended.popitem(last=False)

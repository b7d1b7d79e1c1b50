"""Which policies can answer a request: bound by a bundle, indexed by action, tool and agent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from jackline.condition import Condition, any_of
from jackline.policy import PHASES, Granting, Policy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from jackline.decision import Decision, Mode, Verdict
    from jackline.request import Action, Agent, Request

    Joined = Callable[[Mapping[str, Any]], Any]

OnError = Literal["deny", "halt", "skip"]

_METER = PHASES.index("meter")
"""What a sub-agent spends is its parent's to answer for."""

_MEMO = 4096
"""Candidate lists kept; the memo is emptied when it is full."""

_TOGETHER = 64
"""Conditions that are joined to one code object at most: making it takes some 0.1 ms a condition."""


class Bound:
    """A policy as a bundle binds it: its name, whom it selects, and how it counts."""

    __slots__ = (
        "answered", "governs", "mode", "name", "observes", "on_error", "only_where", "phase", "policy", "selects",
        "trusted",
    )  # fmt: skip

    def __init__(
        self,
        policy: Policy,
        name: str,
        *,
        selects: Callable[[Agent], bool] | None = None,
        mode: Mode = "enforce",
        on_error: OnError = "deny",
        trusted: bool = True,
    ) -> None:
        self.policy = policy
        self.name = name
        self.selects = selects
        self.mode: Mode = mode
        self.on_error: OnError = on_error
        self.trusted = trusted
        self.phase = PHASES.index(policy.phase)
        self.observes = bool(getattr(policy, "observes", True))
        condition = getattr(policy, "only_where", None)
        self.only_where = condition if trusted and isinstance(condition, Condition) else None
        self.governs: frozenset[Action] = policy.governs if isinstance(policy, Granting) else frozenset()
        self.answered: tuple[object, Verdict | None] = (None, None)
        """The last verdict that was found sound, and it under this name: most policies answer with the same again."""

    def covers(self, agent: Agent) -> bool:
        """Whether this policy is for `agent`; a query that cannot be evaluated selects."""
        if self.selects is None:
            return True
        try:
            return bool(self.selects(agent))
        except Exception:  # noqa: BLE001 - an agents query that fails must not take its policy away
            return True

    def covers_request(self, request: Request) -> bool:
        """Whether this policy is for the request's agent; a meter also where it is for an agent that spawned it."""
        if self.covers(request.agent):
            return True
        return self.phase == _METER and any(map(self.covers, request.ancestors))


class Candidates:
    """The policies that can answer one kind of request, in the order in which they are asked."""

    __slots__ = (
        "always", "answered", "bound", "delegating", "granting", "joined", "keep", "names", "observing", "standing",
        "waits",
    )  # fmt: skip

    def __init__(
        self,
        bound: Sequence[Bound],
        action: Action,
        request: Request,
        delegating: tuple[tuple[Agent, Bound], ...],
        joined: Joined | None,
    ) -> None:
        self.answered: Decision | None = None
        """The last combined answer: the same verdicts give it again."""
        self.standing: Verdict | None = None
        """What the registry alone says of the agent."""
        self.bound = tuple(bound)
        self.names = tuple(item.name for item in bound)
        self.always = tuple(item for item in bound if item.only_where is None)
        self.joined = joined
        """All of their conditions in one code object, see `any_of`."""
        self.granting = tuple(item for item in bound if action in item.governs)
        self.delegating = delegating
        self.observing = tuple(item for item in bound if item.observes)
        self.waits = any(not item.trusted for item in bound)
        self.keep = (request.agent, request.ancestors)  # holds what the memo's key names by identity


class Index:
    """Policies by action and tool name, so that what cannot match is never looked at."""

    def __init__(self, bound: Sequence[Bound], standing: Callable[[Agent], Verdict | None]) -> None:
        """`standing`: what the registry alone says of an agent."""
        self._bound = bound
        self._standing = standing
        self._order = {id(item): place for place, item in enumerate(bound)}
        self._anywhere: dict[Action | None, list[Bound]] = {}
        self._exact: dict[tuple[Action | None, str], list[Bound]] = {}
        self._prefixed: dict[Action | None, list[Bound]] = {}
        self._memo: dict[tuple[Any, ...], Candidates] = {}
        self._joined: dict[tuple[Condition, ...], Joined] = {}
        for item in bound:
            reach = item.policy.reach
            for action in reach.actions if reach.actions is not None else (None,):
                if reach.tools is None and not reach.tool_prefixes:
                    self._anywhere.setdefault(action, []).append(item)
                    continue
                for name in reach.tools or ():
                    self._exact.setdefault((action, name), []).append(item)
                if reach.tool_prefixes:
                    self._prefixed.setdefault(action, []).append(item)

    def of(self, request: Request, action: Action | None = None) -> Candidates:
        """The policies that can answer this request; found once for each action, tool, agent and ancestry.

        `action` asks about another action under the same circumstances.
        """
        action = action or request.action
        tool = request.tool.name if request.tool is not None else None
        ancestors = request.ancestors
        key = (action, tool, id(request.agent), tuple(map(id, ancestors)) if ancestors else ())
        found = self._memo.get(key)
        if found is None:
            found = self._find(request, action, tool)
            if len(self._memo) >= _MEMO:
                self._memo.clear()
                self._joined.clear()
            self._memo[key] = found
        return found

    def _find(self, request: Request, action: Action, tool: str | None) -> Candidates:
        found = {id(item): item for item in self._reaching(action, tool)}
        ordered = sorted(found.values(), key=lambda item: self._order[id(item)])
        bound = [item for item in ordered if item.covers_request(request)]
        delegating = tuple(
            (ancestor, item)
            for ancestor in request.ancestors
            for item in self._bound
            if action in item.governs and item.covers(ancestor)
        )
        candidates = Candidates(bound, action, request, delegating, self._join(bound))
        candidates.standing = self._standing(request.agent)
        return candidates

    def _reaching(self, action: Action, tool: str | None) -> Iterator[Bound]:
        for key in (action, None):
            yield from self._anywhere.get(key, ())
            if tool is not None:
                yield from self._exact.get((key, tool), ())
                for item in self._prefixed.get(key, ()):
                    if tool.startswith(item.policy.reach.tool_prefixes):
                        yield item

    def _join(self, bound: Sequence[Bound]) -> Joined | None:
        """All conditions of the candidates in one code object; None where there are none, or too many."""
        conditions = tuple(item.only_where for item in bound if item.only_where is not None)
        if not 0 < len(conditions) <= _TOGETHER:
            return None
        found = self._joined.get(conditions)
        if found is None:
            try:
                found = self._joined[conditions] = any_of(conditions)
            except Exception:  # noqa: BLE001 - too little stack or memory to compile: each is asked by itself
                return None
        return found

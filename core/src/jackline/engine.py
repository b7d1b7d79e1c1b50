"""The combined answer: policies that can match are asked in three phases, and the most severe effect wins.

`Engine.decide` is synchronous, does no I/O and knows no clock; what it costs follows the policies that can match.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.condition import Condition
from jackline.decision import SEVERITY, Decision, Finding, Mode, Verdict
from jackline.facts import facts
from jackline.policy import PHASES, Granting, Policy, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jackline.events import Event
    from jackline.request import Action, Agent, Request

__all__ = ["Bound", "Engine", "combine", "facts"]

OnError = Literal["deny", "halt", "skip"]

_METER = PHASES.index("meter")
"""What a sub-agent spends is its parent's to answer for."""

_MEMO = 4096
"""Candidate lists kept; the memo is emptied when it is full."""


class Bound:
    """A policy as a bundle binds it: its name, whom it selects, and how it counts."""

    __slots__ = (
        "governs", "mode", "name", "observes", "on_error", "only_where", "phase", "policy", "selects", "trusted"
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


class _Candidates:
    """The policies that can answer one kind of request, in the order in which they are asked."""

    __slots__ = ("bound", "delegating", "granting", "keep", "names", "observing", "waits")

    def __init__(self, bound: Sequence[Bound], request: Request, delegating: tuple[tuple[Agent, Bound], ...]) -> None:
        self.bound = tuple(bound)
        self.names = tuple(item.name for item in bound)
        self.granting = tuple(item for item in bound if request.action in item.governs)
        self.delegating = delegating
        self.observing = tuple(item for item in bound if item.observes)
        self.waits = any(not item.trusted for item in bound)
        self.keep = (request.agent, request.ancestors)  # holds what the memo's key names by identity


class Engine:
    """All policies of one bundle revision, indexed by action, tool and agent."""

    def __init__(
        self,
        bound: Sequence[Bound] = (),
        revision: str = "",
        mode: Mode = "enforce",
        *,
        unregistered: Literal["allow", "deny"] = "allow",
        unmanaged: Literal["allow", "deny"] = "deny",
        call: Callable[[Callable[[], Verdict | None]], Verdict | None] | None = None,
    ) -> None:
        """`call` runs an untrusted policy elsewhere, with a deadline; without it they are asked in place."""
        self.bound = tuple(sorted(bound, key=lambda item: item.phase))  # stable: listed order within a phase
        self.revision = revision
        self.mode: Mode = mode
        self.unregistered = unregistered
        self.unmanaged = unmanaged
        self.call = call
        self._memo: dict[tuple[Any, ...], _Candidates] = {}
        self._index = _Index(self.bound)

    def candidates(self, request: Request) -> _Candidates:
        """The policies that can answer this request; found once for each action, tool, agent and ancestry."""
        tool = request.tool.name if request.tool is not None else None
        key = (request.action, tool, id(request.agent), tuple(map(id, request.ancestors)))
        found = self._memo.get(key)
        if found is None:
            found = self._find(request, tool)
            if len(self._memo) >= _MEMO:
                self._memo.clear()
            self._memo[key] = found
        return found

    def judges(self, request: Request) -> bool:
        """Whether any policy can answer this request at all."""
        return bool(self.candidates(request).bound)

    def waits(self, request: Request) -> bool:
        """Whether a policy that may take long can answer this request."""
        return self.call is not None and self.candidates(request).waits

    def decide(self, request: Request, states: dict[str, State]) -> Decision:
        """Ask every candidate and combine the answers. Claims are returned, not reserved."""
        candidates = self.candidates(request)
        verdicts: list[Verdict] = []
        standing = self._standing(request.agent)
        if standing is not None:
            verdicts.append(standing)
        current = request
        args: dict[str, Any] | None = None
        for item in candidates.bound:
            condition = item.only_where
            if condition is not None:
                try:
                    if condition.run(current.view or facts(current)) is False:
                        continue
                except Exception:  # noqa: BLE001, S110 - the policy itself says what that means
                    pass
            state = states.get(item.name)
            if state is None:
                state = states[item.name] = State()
            verdict = self._ask(item, current, state)
            if verdict is None:
                continue
            verdicts.append(verdict)
            if verdict.args is not None and verdict.mode == "enforce" == self.mode:
                args = verdict.args
                original = request.args if request.original is None else request.original
                current = msgspec.structs.replace(current, args=args, original=original, view=None)
        if candidates.granting or candidates.delegating:
            verdicts.extend(_default_deny(candidates, current, verdicts))
        return combine(verdicts, candidates.names, request, revision=self.revision, mode=self.mode, args=args)

    def observe(self, event: Event, request: Request, states: dict[str, State]) -> int:
        """Tell what happened to every candidate of the request; return how many of them failed at it."""
        failures = 0
        for item in self.candidates(request).observing:
            state = states.get(item.name)
            if state is None:
                state = states[item.name] = State()
            try:
                item.policy.observe(event, state)
            except Exception:  # noqa: BLE001 - observation never disturbs the agent; the guard counts it
                failures += 1
        return failures

    def _ask(self, item: Bound, request: Request, state: State) -> Verdict | None:
        try:
            if item.trusted or self.call is None:
                verdict = item.policy.evaluate(request, state)
            else:
                verdict = self.call(lambda: item.policy.evaluate(_copied(request), state))
            if verdict is None:
                return None
            if type(verdict) is not Verdict or verdict.effect not in SEVERITY:
                return _failing(item, f"answered {_shown(verdict)}, expected a Verdict with a known effect, or None")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a policy raises, the act is denied
            return _failing(item, f"raised {type(error).__name__}: {error}")
        if verdict.policy == item.name and verdict.mode == item.mode:
            return verdict
        return msgspec.structs.replace(verdict, policy=item.name, mode=item.mode)

    def _standing(self, agent: Agent) -> Verdict | None:
        """What the registry alone says of an agent."""
        if agent.status == "active" and agent.managed:
            return None
        rule: str = agent.status
        if rule not in ("suspended", "retired"):
            unknown = (self.unregistered if agent.managed else self.unmanaged) == "deny"
            if agent.status != "seen" or not unknown:
                return None
            rule = "unregistered"
        return Verdict(
            effect="deny",
            policy="registry",
            rule=rule,
            reason=f"agent '{agent.key}' is {rule}; permit it with: jackline agents set {agent.name} --status active",
        )

    def _find(self, request: Request, tool: str | None) -> _Candidates:
        bound = [item for item in self._index.reaching(request.action, tool) if item.covers_request(request)]
        delegating = tuple(
            (ancestor, item)
            for ancestor in request.ancestors
            for item in self.bound
            if request.action in item.governs and item.covers(ancestor)
        )
        return _Candidates(bound, request, delegating)


class _Index:
    """Policies by action and tool name, so that what cannot match is never looked at."""

    def __init__(self, bound: Sequence[Bound]) -> None:
        self._order = {id(item): place for place, item in enumerate(bound)}
        self._anywhere: dict[Action | None, list[Bound]] = {}
        self._exact: dict[tuple[Action | None, str], list[Bound]] = {}
        self._prefixed: dict[Action | None, list[Bound]] = {}
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

    def reaching(self, action: Action, tool: str | None) -> list[Bound]:
        found = {id(item): item for item in self._matching(action, tool)}
        return sorted(found.values(), key=lambda item: self._order[id(item)])

    def _matching(self, action: Action, tool: str | None) -> Iterator[Bound]:
        for key in (action, None):
            yield from self._anywhere.get(key, ())
            if tool is not None:
                yield from self._exact.get((key, tool), ())
                for item in self._prefixed.get(key, ()):
                    if tool.startswith(item.policy.reach.tool_prefixes):
                        yield item


def combine(
    verdicts: Sequence[Verdict],
    evaluated: tuple[str, ...],
    request: Request,
    *,
    revision: str = "",
    mode: Mode = "enforce",
    args: dict[str, Any] | None = None,
) -> Decision:
    """The most severe effect wins; among equals the first. What only observes is told apart in `would`.

    Where nothing but an observing policy objects, the decision names that one: it is what people look for.
    """
    top: Verdict | None = None
    strict: Verdict | None = None
    for verdict in verdicts:
        rank = SEVERITY[verdict.effect]
        if strict is None or rank > SEVERITY[strict.effect]:
            strict = verdict
        if verdict.mode == "enforce" and (top is None or rank > SEVERITY[top.effect]):
            top = verdict
    would = strict.effect if strict is not None else "allow"
    if mode == "observe":
        top = None
    effect = top.effect if top is not None else "allow"
    named = strict if effect == "allow" and would != effect else top
    return Decision(
        effect=effect,
        reason=named.reason if named is not None else "",
        policy=named.policy if named is not None else "",
        rule=named.rule if named is not None else "",
        revision=revision,
        mode=mode,
        would=would if would != effect else None,
        verdicts=tuple(verdicts),
        evaluated=evaluated,
        args=args,
        span=request.span,
        session=request.subject.session,
    )


def _default_deny(candidates: _Candidates, request: Request, verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Permission is never inherited: nobody allowed it, or an ancestor may not hand it on."""
    what = f"{request.action} '{request.resource}'"
    if candidates.granting:
        names = {item.name for item in candidates.granting}
        if not any(v.effect == "allow" and v.policy in names and v.rule != "error" for v in verdicts):
            yield _denial(candidates.granting, f"no policy permits {what} for agent '{request.agent.key}'", "default")
    for ancestor in request.ancestors:
        handing = [item for agent, item in candidates.delegating if agent is ancestor]
        if handing and (refusal := _refused_delegation(handing, request, ancestor)):
            reason = refusal.reason or f"agent '{ancestor.key}' may not hand on {what} to '{request.agent.key}'"
            yield _denial(handing, reason, refusal.rule or "delegate")


def _refused_delegation(handing: Sequence[Bound], request: Request, ancestor: Agent) -> Verdict | None:
    answers: list[Verdict] = []
    for item in handing:
        try:
            answer = item.policy.delegates(request, ancestor)  # type: ignore[attr-defined]
        except Exception as error:  # noqa: BLE001 - a policy that fails denies
            answer = _failing(item, f"raised {type(error).__name__}: {error}")
        if answer is not None:
            answers.append(answer)
    refusal = next((answer for answer in answers if answer.effect != "allow"), None)
    return refusal or (None if answers else Verdict(effect="deny"))


def _denial(bound: Sequence[Bound], reason: str, rule: str) -> Verdict:
    first = next((item for item in bound if item.mode == "enforce"), bound[0])
    return Verdict(effect="deny", policy=first.name, mode=first.mode, rule=rule, reason=reason)


def _failing(item: Bound, what: str) -> Verdict:
    """A policy that fails denies, unless its entry says otherwise; skipping it is a finding and never a permission."""
    skipped = item.on_error == "skip"
    return Verdict(
        effect="allow" if item.on_error == "skip" else item.on_error,
        findings=(Finding(kind="policy error", place=item.name),) if skipped else (),
        policy=item.name,
        mode=item.mode,
        rule="error",
        reason=f"policy '{item.name}' {what}",
    )


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line's worth


def _copied(request: Request) -> Request:
    """A request of which nothing is shared: a policy that is not trusted may change its copy as it likes."""
    return msgspec.json.decode(msgspec.json.encode(request), type=type(request))

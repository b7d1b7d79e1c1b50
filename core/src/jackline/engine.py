"""The combined answer: policies that can match are asked in three phases, and the most severe effect wins.

`Engine.decide` is synchronous, does no I/O and knows no clock; what it costs follows the policies that can match.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import msgspec

from jackline.candidates import Bound, Candidates, Index, OnError
from jackline.decision import PERMITTING, SEVERITY, Claim, Decision, Finding, Mode, Verdict
from jackline.facts import facts, origin
from jackline.plain import words
from jackline.policy import PHASES, State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from jackline.events import Event
    from jackline.provenance import Tracing
    from jackline.request import Action, Agent, Request

S = TypeVar("S", bound=msgspec.Struct)

_MODIFY = PHASES.index("modify")
_LISTS = (tuple, list)
_FINDINGS = frozenset({Finding})

__all__ = ["Bound", "Engine", "OnError", "combine", "facts"]


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
        tracing: Tracing | None = None,
    ) -> None:
        """`call` runs an untrusted policy elsewhere, with a deadline; without it they are asked in place.

        `tracing` says where values come from, where a condition asks.
        """
        self.bound = tuple(sorted(bound, key=lambda item: item.phase))  # stable: listed order within a phase
        self.revision = revision
        self.mode: Mode = mode
        self.unregistered = unregistered
        self.unmanaged = unmanaged
        self.call = call
        self.tracing = tracing
        self._observed = any(item.observes for item in self.bound)
        self.observes_elsewhere = call is not None and any(item.observes and not item.trusted for item in self.bound)
        """Whether telling an outcome may take long."""
        self._index = Index(self.bound, self.standing)

    def judges(self, request: Request, action: Action | None = None) -> bool:
        """Whether any policy can answer this request at all, or `action` in its place."""
        return bool(self._index.of(request, action).bound)

    def candidates(self, request: Request) -> Candidates:
        """Who can answer this request, and what the registry alone says of its agent."""
        return self._index.of(request)

    def waits(self, request: Request) -> bool:
        """Whether a policy that may take long can answer this request."""
        return self.call is not None and self._index.of(request).waits

    def decide(self, request: Request, states: dict[str, State]) -> Decision:
        """Ask every candidate and combine the answers. Claims are returned, not reserved."""
        if self.tracing is None:
            return self._decided(request, states)
        self.tracing.begin(request, states)
        decision = self._decided(request, states)
        if decision.effect in PERMITTING:
            self.tracing.permitted(request, states)
        return decision

    def _decided(self, request: Request, states: dict[str, State]) -> Decision:
        candidates = self._index.of(request)
        verdicts = [candidates.standing] if candidates.standing is not None else []
        verdicts.extend(suspended(request))
        current = request
        asked = candidates.bound
        if candidates.joined is not None and _false(candidates.joined, request):
            asked = candidates.always
        while (change := self._ask_each(asked, current, states, verdicts)) is not None:
            item, current = change
            asked = candidates.bound[candidates.bound.index(item) + 1 :]
        if candidates.granting or candidates.delegating:
            verdicts.extend(_default_deny(candidates, current, verdicts))
        if current is not request:
            names, args = candidates.names, current.args
            return combine(verdicts, names, request, revision=self.revision, mode=self.mode, args=args)
        told = tuple(verdicts)
        known = candidates.answered
        if known is None or known.verdicts != told:
            known = combine(told, candidates.names, request, revision=self.revision, mode=self.mode)
            candidates.answered = known
        return msgspec.structs.replace(known, verdicts=told, span=request.span, session=request.subject.session)

    def _ask_each(
        self, asked: Sequence[Bound], request: Request, states: dict[str, State], verdicts: list[Verdict]
    ) -> tuple[Bound, Request] | None:
        """Ask until one changes the arguments: it and the changed request, which those after it are asked about."""
        for item in asked:
            state = states.get(item.name)
            if state is None:
                state = states[item.name] = State()
            if request.origins is not None:
                request.origins.latest = {}
            verdict = self._ask(item, request, state)
            if verdict is None:
                continue
            if request.origins is not None and request.origins.latest:
                detail = {**verdict.detail, "provenance": request.origins.latest}
                verdict = msgspec.structs.replace(verdict, detail=detail)
            verdicts.append(verdict)
            if verdict.args is not None and verdict.mode == "enforce" == self.mode:
                original = request.args if request.original is None else request.original
                return item, msgspec.structs.replace(request, args=verdict.args, original=original, view=None)
        return None

    def observe(self, event: Event, request: Request, states: dict[str, State]) -> int:
        """Tell what happened to every candidate of the request; return how many of them failed at it."""
        failures = 0
        if not self._observed:
            return failures
        for item in self._index.of(request).observing:
            state = states.get(item.name)
            if state is None:
                state = states[item.name] = State()
            try:
                if item.trusted or self.call is None:
                    item.policy.observe(event, state)
                else:
                    self.call(partial(item.policy.observe, _copied(event), state))
            except KeyboardInterrupt:
                raise
            except BaseException:  # noqa: BLE001 - observation never disturbs the agent; the guard counts it
                failures += 1
        return failures

    def _ask(self, item: Bound, request: Request, state: State) -> Verdict | None:
        try:
            if item.trusted or self.call is None:
                verdict = item.policy.evaluate(request, state)
            else:
                verdict = self.call(lambda: item.policy.evaluate(_copied_request(request), state))
            if verdict is None:
                return None
            known, answer = item.answered
            if verdict is known:
                return answer
            if type(verdict) is not Verdict or verdict.effect not in SEVERITY:
                return _failing(item, f"answered {_shown(verdict)}, expected a Verdict with a known effect, or None")
            flaw = _flaw(verdict, item)
            if flaw:
                return _failing(item, f"answered a Verdict {flaw}")
        except KeyboardInterrupt:
            raise
        except BaseException as error:  # noqa: BLE001 - whatever a policy raises, the act is denied
            return _failing(item, f"raised {type(error).__name__}: {words(error)}")
        answer = verdict
        if verdict.policy != item.name or verdict.mode != item.mode:
            answer = msgspec.structs.replace(verdict, policy=item.name, mode=item.mode)
        item.answered = verdict, answer
        return answer

    def standing(self, agent: Agent) -> Verdict | None:
        """What the registry alone says against an agent, whatever it asks."""
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


def suspended(request: Request) -> Iterator[Verdict]:
    """What the registry says of a tool that a person took from the agent; the provider's run inside the model call."""
    tool, agent = request.tool, request.agent
    if tool is None and request.model is not None:
        tool = next((each for each in request.model.tools if each.provider and each.status == "suspended"), None)
    if tool is not None and tool.status == "suspended":
        resume = f"permit it with: jackline agents set {agent.name} --resume {tool.name}"
        reason = f"tool '{tool.name}' of agent '{agent.key}' is suspended; {resume}"
        yield Verdict(effect="deny", policy="registry", rule="tool suspended", reason=reason)


def _false(joined: Callable[[dict[str, Any]], Any], request: Request) -> bool:
    """Whether all conditions are false: so it is for most requests."""
    try:
        return joined(request.view or facts(request)) is False
    except Exception:  # noqa: BLE001 - each is asked by itself, and says what that means
        return False


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


def _default_deny(candidates: Candidates, request: Request, verdicts: Sequence[Verdict]) -> Iterator[Verdict]:
    """Permission is never inherited: nobody allowed it, or an ancestor may not hand it on."""
    what = _named(request)
    if candidates.granting:
        names = {item.name for item in candidates.granting}
        if not any(v.effect == "allow" and v.policy in names and v.rule != "error" for v in verdicts):
            yield _denial(candidates.granting, f"no policy permits {what} for agent '{request.agent.key}'", "default")
    for ancestor in request.ancestors:
        handing = [item for agent, item in candidates.delegating if agent is ancestor]
        if handing and (refusal := _refused_delegation(handing, request, ancestor)):
            reason = refusal.reason or f"agent '{ancestor.key}' may not hand on {what} to '{request.agent.key}'"
            yield _denial(handing, reason, refusal.rule or "delegate")


def _named(request: Request) -> str:
    """What is asked for, in words; an outgoing request with all that a list of permissions may name."""
    http = request.facts.get("http") if request.action == "http.request" else None
    if not isinstance(http, dict):
        return f"{request.action} '{request.resource}'"
    where = origin(str(http.get("scheme", "")), request.resource, http.get("port", 0))
    return f"{request.action} '{http.get('method', '')} {where}'"


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


def _flaw(verdict: Any, item: Bound) -> str:
    """What is wrong with a verdict's parts; empty where they are what they should be. Structs do not look at them."""
    if verdict.args is not None and item.phase != _MODIFY:
        return "with other arguments, which only a policy of phase 'modify' may change: others have judged them by now"
    if type(verdict.reason) is not str or type(verdict.rule) is not str or not isinstance(verdict.detail, dict):
        return "whose reason, rule or detail is of another type"
    if verdict.args is not None and not isinstance(verdict.args, dict):
        return "whose arguments are of another type"
    if type(verdict.claims) not in _LISTS or not isinstance(verdict.output, (int, type(None))):
        return "whose claims or output are of another type"
    for claim in verdict.claims:
        if type(claim) is not Claim or type(claim.fixed) is not int or type(claim.cap) is not int:
            return "whose claims are of another type"
    if type(verdict.findings) not in _LISTS or not _FINDINGS.issuperset(map(type, verdict.findings)):
        return "whose findings are of another type"
    return ""


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 80 else f"{text[:77]}..."  # noqa: PLR2004 - a line's worth


def _copied_request(request: Request) -> Request:
    copied = _copied(msgspec.structs.replace(request, origins=None, view=None))
    copied.origins = request.origins  # it answers, and cannot be changed by asking
    return copied


def _copied(shared: S) -> S:
    """A request or event of which nothing is shared: a policy that is not trusted may change its copy as it likes."""
    return msgspec.json.decode(msgspec.json.encode(shared), type=type(shared))

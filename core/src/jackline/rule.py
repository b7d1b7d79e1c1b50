"""The core's own policy, `use: rule`: one condition and the effect that it has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from jackline.condition import EvaluationError
from jackline.decision import SEVERITY, Verdict
from jackline.facts import facts
from jackline.options import Gate
from jackline.policy import Phase, Reach
from jackline.request import ACTIONS, Action
from jackline.wording import shown

if TYPE_CHECKING:
    from jackline.build_context import BuildContext
    from jackline.condition import Condition
    from jackline.engine import OnError
    from jackline.events import Event
    from jackline.policy import State
    from jackline.request import Request

ROOTS_OF: dict[str, frozenset[Action]] = {
    "tool": frozenset({"tool.call", "tool.return"}),
    "model": frozenset({"model.call", "model.return"}),
    "http": frozenset({"http.request"}),
}
"""Roots that only some actions have."""

_TOOL_ACTIONS = ROOTS_OF["tool"]
_ANY = frozenset(ACTIONS)


class RuleOptions(Gate):
    """What a rule says; `when`, `effect` and `reason` stand beside `with:`."""

    effect: Literal["allow", "escalate", "deny", "halt"]
    """What happens where the condition is true."""
    when: str | None = None
    """The condition; without it the rule always applies."""
    reason: str = ""
    """What people and models are told; without it, the condition itself."""


class Rule:
    """Answers with its effect where its condition is true.

    A condition that cannot be evaluated counts as true for escalate, deny and halt and as false for allow,
    unless the entry's `on_error` says otherwise. A rule's allow permits nothing by itself.
    """

    Options = RuleOptions
    inline = frozenset({"when", "effect", "reason"})
    phase: Phase = "judge"
    observes = False

    def __init__(
        self,
        options: RuleOptions,
        reach: Reach,
        condition: Condition | None,
        on_error: OnError | None,
        verdict: Verdict,
    ) -> None:
        self.options = options
        self.reach = reach
        self.only_where = condition
        self._on_error = on_error
        self._verdict = verdict

    @classmethod
    def build(cls, name: str, options: RuleOptions, context: BuildContext) -> Rule:
        """Make the rule of a bundle entry; what is wrong with it is noted in the context."""
        condition = None if options.when is None else context.compile(options.when, path="when")
        reach = _reach(context.on, condition)
        if condition is not None:
            _check_roots(condition, reach, context)
            _check_reached(condition, context)
        if options.effect != "escalate":
            for key in Gate.model_fields:
                if getattr(options, key) is not None:
                    context.problem(f"`{key}` belongs to `effect: escalate`", path=key, hint="leave it out")
        context.check_gate(options)
        verdict = Verdict(
            effect=options.effect,
            reason=options.reason or options.when or f"always {options.effect}",
            rule="when" if options.when else "always",
            policy=name,
            mode=context.mode,
            detail=options.terms(),
        )
        return cls(options, reach, condition, context.on_error, verdict)

    def evaluate(self, request: Request, state: State) -> Verdict | None:  # noqa: ARG002 - the protocol
        """Answer the rule's verdict, or None where its condition is false."""
        condition = self.only_where
        if condition is None:
            return self._verdict
        try:
            found = condition.evaluate(facts(request))
        except EvaluationError as error:
            return self._unevaluated(error)
        if found is True:
            return self._verdict
        if found is False:
            return None
        return self._unevaluated(EvaluationError(f"it gives {shown(found)}, expected true or false"))

    def observe(self, event: Event, state: State) -> None:
        """Keep nothing: a rule judges each request by itself."""

    def widens(self, previous: Rule) -> tuple[str, ...]:
        """Say how this rule permits more than the one it replaces."""
        return tuple(_widened(self, previous))

    def _unevaluated(self, error: EvaluationError) -> Verdict | None:
        effect = self._on_error or self._verdict.effect
        if effect == "skip" or effect == "allow":  # noqa: PLR1714 - mypy narrows by comparisons
            return None
        return Verdict(
            effect=effect,
            reason=f"{self._verdict.reason} (counted as true, since it cannot be evaluated: {error.message})",
            rule="error",
            policy=self._verdict.policy,
            mode=self._verdict.mode,
            detail=self._verdict.detail,
        )


def _reach(on: frozenset[Action] | None, condition: Condition | None) -> Reach:
    if condition is None:
        return Reach(actions=on)
    known = condition.conjuncts
    actions = on if known.actions is None else frozenset(each for each in on or _ANY if each in known.actions)
    named = known.tools is not None or bool(known.tool_prefixes)
    if named and actions is not None and actions <= _TOOL_ACTIONS:
        return Reach(actions=actions, tools=known.tools or frozenset(), tool_prefixes=tuple(known.tool_prefixes))
    return Reach(actions=actions)


def _check_roots(condition: Condition, reach: Reach, context: BuildContext) -> None:
    """Refuse a rule that cannot be evaluated on some of its actions: there it would count as true."""
    if "action" in condition.roots or "has(" in condition.source:
        return
    actions = _ANY if reach.actions is None else reach.actions
    for root, having in ROOTS_OF.items():
        if root in condition.roots and not actions <= having:
            without = next(action for action in ACTIONS if action in actions - having)
            known = ", ".join(action for action in ACTIONS if action in having)
            context.problem(
                f"`{root}` is not known on {without}",
                path="when",
                hint=f"write `on: [{known}]`, or guard it: action == '{known.partition(',')[0]}' && ...",
            )


def _check_reached(condition: Condition, context: BuildContext) -> None:
    """Refuse a rule that can never be true on any action or of any tool."""
    known = condition.conjuncts
    if known.actions is not None and not known.actions & (context.on or _ANY):
        asks = ", ".join(sorted(known.actions)) or "two actions at once"
        names = f", and `on` names {', '.join(sorted(context.on))}" if context.on and known.actions else ""
        context.problem(
            f"the rule is never asked: its condition asks for {asks}{names}",
            path="when",
            hint="name an action in `on` that the condition asks for" if names else "compare `action` with one of them",
        )
    elif known.tools is not None and not known.tools and not known.tool_prefixes:
        context.problem(
            "the rule is never asked: no tool has all the names that its condition asks for",
            path="when",
            hint="write tool.name in ['a', 'b'], or combine them with ||",
        )


def _widened(new: Rule, old: Rule) -> list[str]:
    was, now = old.options, new.options
    if was.effect == "allow":
        return []
    found: list[str] = []
    if SEVERITY[now.effect] < SEVERITY[was.effect]:
        found.append(f"effect {now.effect} instead of {was.effect}")
    if now.when is not None and now.when != was.when:
        found.append(f"another condition: {now.when}")
    return found + now.widened(was) if was.effect == now.effect == "escalate" else found

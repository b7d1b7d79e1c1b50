"""Whether a list of entries permits a tool: a short plan for each tool, made once, walked at each call."""

from __future__ import annotations

import shlex
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from jackline.condition import EvaluationError
from jackline.decision import Effect, Finding, Verdict
from jackline.facts import facts
from jackline_tool_access.lookalike import disguised
from jackline_tool_access.patterns import LONG

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from jackline.condition import Condition
    from jackline.request import Request, Tool
    from jackline_tool_access.patterns import Pattern

_CACHED = 4096
"""Plans remembered; a model that invents tool names must not fill the memory."""


@dataclass(frozen=True, slots=True)
class Listed:
    """An entry, compiled."""

    pattern: Pattern
    rule: str
    condition: Condition | None = None
    fingerprint: str | None = None
    reason: str = ""


class Step(NamedTuple):
    """One answer of a plan: given where the condition holds, or where there is none."""

    condition: Condition | None
    on_error: bool
    """What a condition that cannot be evaluated counts as: True for a denial, False for a permission."""
    verdict: Verdict | None


@dataclass(frozen=True, slots=True)
class Strictness:
    """What else must hold of a listed tool."""

    read_only: bool = False
    new_tools: bool = False
    """True where a pattern permits a new tool; an exact name always does."""
    changed_tools: bool = False
    """True where an entry without a fingerprint permits a changed tool."""
    skips_errors: bool = False
    """True where a condition that cannot be evaluated does not deny."""


class Answer(Protocol):
    """Makes a verdict in the policy's name."""

    def __call__(  # noqa: D102 - the class says it
        self, effect: Effect, rule: str, reason: str, findings: tuple[Finding, ...] = (), **detail: str
    ) -> Verdict: ...


class Access:
    """Entries that permit and entries that deny, asked tool by tool."""

    def __init__(
        self, answer: Answer, permits: Sequence[Listed], denies: Sequence[Listed], strictness: Strictness
    ) -> None:
        self._answer = answer
        self._permits = permits
        self._denies = denies
        self._strictness = strictness
        self._plans: dict[tuple[object, ...], tuple[Step, ...]] = {}

    def judge(self, tool: Tool, request: Request) -> Verdict | None:
        """Allow, deny, or None where no entry matches."""
        agent = request.agent.name
        key = (tool.name, tool.fingerprint, tool.status, tool.read_only, agent)
        plan = self._plans.get(key)
        if plan is None:
            plan = tuple(self._steps(tool, agent))
            if len(self._plans) >= _CACHED:
                self._plans.clear()
            if len(tool.name) <= LONG:
                self._plans[key] = plan
        condition, _, verdict = plan[0]
        if condition is None:
            return verdict
        return _walk(plan, facts(request))

    def _steps(self, tool: Tool, agent: str) -> Iterator[Step]:
        """Yield the answers in the order in which they count; a step without a condition ends the plan."""
        strict = self._strictness
        for entry in self._denies:
            if entry.fingerprint in (None, tool.fingerprint) and entry.pattern.resembles(tool.name):
                yield Step(entry.condition, on_error=not strict.skips_errors, verdict=self._denial(entry, tool))
        if strict.read_only and tool.read_only is not True:
            yield Step(None, on_error=True, verdict=self._writes(tool))
        withheld: Verdict | None = None
        for entry in self._permits:
            if entry.pattern.matches(tool.name):
                problem = self._problem(entry, tool, agent)
                if problem is None:
                    permission = self._answer("allow", entry.rule, entry.reason or "listed")
                    yield Step(entry.condition, on_error=False, verdict=permission)
                withheld = withheld or problem
            elif entry.pattern.exact and disguised(tool.name) and entry.pattern.resembles(tool.name):
                withheld = withheld or self._disguise(entry, tool)
        yield Step(None, on_error=False, verdict=withheld)

    def _problem(self, entry: Listed, tool: Tool, agent: str) -> Verdict | None:
        """Why an entry that names the tool does not permit it as it is now."""
        name, pin = tool.name, entry.fingerprint
        if pin is not None:
            has = tool.fingerprint or "(none)"
            is_pinned = pin == tool.fingerprint
            return None if is_pinned else self._no(entry, f"tool {name!r} is {has}, not the pinned {pin}", tool, agent)
        if not entry.pattern.exact and disguised(name):
            return self._disguise(entry, tool)
        if tool.status == "changed" and not self._strictness.changed_tools:
            return self._no(entry, f"tool {name!r} has changed since it was permitted", tool, agent)
        if tool.status == "new" and not entry.pattern.exact and not self._strictness.new_tools:
            return self._no(entry, f"tool {name!r} is new and only a pattern lists it", tool, agent)
        return None

    def _no(self, entry: Listed, what: str, tool: Tool, agent: str) -> Verdict:
        """Deny, with the two ways to permit it."""
        command = f"jackline agents set {shlex.quote(agent)} --permit {shlex.quote(tool.name)}"
        by_name = tool.status == "new" and entry.fingerprint is None
        listing = "list it by name" if by_name else f"pin fingerprint {tool.fingerprint or '(none)'}"
        reason = f"{what}. After review, run `{command}`, or {listing} in this policy"
        return self._answer("deny", entry.rule, reason, tool=tool.status)

    def _writes(self, tool: Tool) -> Verdict:
        says = "declares that it writes" if tool.read_only is False else "does not declare that it only reads"
        return self._answer("deny", "read_only", f"tool {tool.name!r} {says}, and only tools that read are permitted")

    def _denial(self, entry: Listed, tool: Tool) -> Verdict:
        if not entry.pattern.matches(tool.name):
            return self._disguise(entry, tool)
        return self._answer("deny", entry.rule, entry.reason or f"tool {tool.name!r} is on the deny list")

    def _disguise(self, entry: Listed, tool: Tool) -> Verdict:
        """Deny a look-alike. The name is shown escaped, so that a reader sees what it really is."""
        note = f"{tool.name!a} may be mistaken for a name that {entry.pattern.text!r} lists"
        finding = Finding(kind="confusable", place="tool.name", note=note)
        return self._answer("deny", entry.rule, f"tool {note}", (finding,))


def _walk(plan: tuple[Step, ...], known: Mapping[str, Any]) -> Verdict | None:
    """Give the first answer that counts; the last step of every plan has no condition."""
    return next(step.verdict for step in plan if step.condition is None or _holds(step, known))


def _holds(step: Step, known: Mapping[str, Any]) -> bool:
    assert step.condition is not None
    try:
        result = step.condition.evaluate(known)
    except EvaluationError:
        return step.on_error
    return result is True or (result is not False and step.on_error)

"""What a policy is given when a bundle builds it: conditions with places, prices, and a way to refuse."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.condition import Condition, ConditionError, Schema, compile_condition
from jackline.errors import Problem
from jackline.wording import counted, nearest

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.answers import Approvers
    from jackline.bundle_model import PolicyEntry
    from jackline.decision import Mode
    from jackline.engine import OnError
    from jackline.options import Gate
    from jackline.registrations import Registrations
    from jackline.request import Action
    from jackline.yaml_source import Document, Path

_STAND_IN = "true"
"""Compiled in the place of a condition that is wrong, so that the rest of its policy is checked as well."""


class Placed(NamedTuple):
    """A condition of a bundle and where it stands, for when the registry learns of further tools."""

    condition: Condition
    path: Path
    document: Document
    schema: Schema
    known: frozenset[str]
    """The tools whose schemas were known when it was compiled."""

    def unverified(self) -> list[Problem]:
        """Say what of `args` no schema could check."""
        tools = self.condition.conjuncts.tools
        if tools and tools <= self.known:
            return []
        whose = f"tool '{', '.join(sorted(tools))}'" if tools else "the tools that it is about"
        hint = f"it is checked when the schema of {whose} is known"
        return [
            self.document.problem(self.path, f"`{part}` is not verified", hint) for part in self.condition.unverified
        ]

    def check(self, tool: str, schema: Mapping[str, Any]) -> Problem | None:
        """Check it against the schema of a tool, where it is about that tool."""
        if tool not in (self.condition.conjuncts.tools or ()):
            return None
        try:
            compile_condition(self.condition.source, self.schema.with_args(schema))
        except ConditionError as error:
            return condition_problem(self.document, self.path, self.condition.source, error)
        return None


class BuildContext:
    """One policy's view of the bundle that builds it."""

    def __init__(
        self,
        entry: PolicyEntry,
        document: Document,
        around: Callable[[Path], Path],
        *,
        schema: Schema,
        prices: Callable[[], Any],
        tool_schemas: Mapping[str, Mapping[str, Any]],
        registrations: Registrations,
        approvers: Approvers | None = None,
    ) -> None:
        self.name: str = entry.name
        self.use: str = entry.use
        self.mode: Mode = entry.mode
        self.on: frozenset[Action] | None = None if entry.on is None else frozenset(entry.on)
        """The actions that the entry names; None where it names none."""
        self.on_error: OnError | None = entry.on_error
        """What the entry says of errors; None where it says nothing."""
        self.schema = schema
        self.options: Any = None
        """The instance of the class's Options."""
        self.prices = prices
        """Gives the price table; made when first asked."""
        self.problems: list[Problem] = []
        self.placed: list[Placed] = []
        self.unanswered: list[Problem] = []
        """Gates that name who must answer, in a bundle that knows nobody."""
        self.approvers = approvers
        """Who may answer what is escalated; None where the bundle names nobody."""
        self._document = document
        self._around = around
        self._tool_schemas = tool_schemas
        self._registrations = registrations

    def detector(self, name: str) -> Any:
        """Import the class of a registered detector. Raises PluginError that says what is wrong with it."""
        return self._registrations.detector(name)

    def compile(self, source: str, *, path: str | Sequence[str | int], result: str | None = "bool") -> Condition:
        """Compile a condition that stands at `path` of the options, such as `("rules", 0, "when")`.

        `result` is the type it must have; None takes any. One that does not compile is noted with its place
        in the file, and a stand-in is returned, so that one load finds all that is wrong; the bundle is refused.
        """
        where = self._around(_path(path))
        try:
            condition = compile_condition(source, self.schema)
            self._check_args(source, condition)
        except ConditionError as error:
            self.problems.append(condition_problem(self._document, where, source, error))
            return compile_condition(_STAND_IN, self.schema)
        if result is not None and (message := wrong_type(condition, result)) is not None:
            self.problems.append(self._document.problem(where, message, "compare it with a value"))
        self.placed.append(Placed(condition, where, self._document, self.schema, frozenset(self._tool_schemas)))
        return condition

    def problem(self, message: str, *, path: str | Sequence[str | int] = (), hint: str = "") -> None:
        """Refuse the bundle for something at `path` of the options."""
        self.problems.append(self._document.problem(self._around(_path(path)), message, hint))

    def check_gate(self, gate: Gate, *, path: Sequence[str | int] = ()) -> None:
        """Refuse a gate that nobody could open: an unknown approver or group, or fewer people than must agree.

        It stands at `path` of the options. In a bundle without approvers it is noted: what it escalates is not done.
        """
        if not self.approvers:
            self._note_unanswered(gate, path)
            return
        known = {*self.approvers.people, *self.approvers.groups}
        unknown = [(place, name) for place, name in enumerate(gate.to or ()) if name not in known]
        for place, name in unknown:
            listed = self._document.has(self._around((*path, "to", place)))
            where = (*path, "to", place) if listed else (*path, "to")
            self.problem(f"'{name}' is no approver and no group", path=where, hint=nearest(name, known))
        able = self.approvers.named(gate.to or ())
        if not unknown and len(able) < (gate.approvals or 1):
            asked = counted(len(able), "approver")
            message = f"{gate.approvals} approvals are needed, and {asked} may answer: {', '.join(able)}"
            self.problem(message, path=(*path, "approvals"), hint="ask for fewer, or name more in `to`")

    def _note_unanswered(self, gate: Gate, path: Sequence[str | int]) -> None:
        said = "to" if gate.to else "approvals" if gate.approvals else ""
        if said:
            asked = f"{', '.join(gate.to)} would be asked" if gate.to else f"{gate.approvals} approvals would be needed"
            message = f"nobody can answer: {asked}, and the bundle has no `approvers:`"
            hint = "what it escalates is recorded and not done; name people under `approvers:`"
            self.unanswered.append(self._document.problem(self._around((*path, said)), message, hint))

    def _check_args(self, source: str, condition: Condition) -> None:
        """Check `args` against the schema of each known tool that the condition is about."""
        for tool in sorted(condition.conjuncts.tools or ()):
            known = self._tool_schemas.get(tool)
            if known is not None:
                compile_condition(source, self.schema.with_args(known))


def condition_problem(document: Document, path: Path, source: str, error: ConditionError) -> Problem:
    """Place a condition's error: its line and column within the text become the file's."""
    lines = source.split("\n")
    offset = sum(len(line) + 1 for line in lines[: error.line - 1]) + error.column - 1
    hint = f"did you mean {error.suggestion}?" if error.suggestion else ""
    return Problem(document.file, *document.place_within(path, offset), error.message, hint)


def wrong_type(condition: Condition, result: str) -> str | None:
    """Say that a condition gives another type than `result`; None where it may give it."""
    if condition.result_type in (result, "dyn"):
        return None
    return f"this condition gives {condition.result_type}, expected {result}"


def _path(path: str | Sequence[str | int]) -> Path:
    return (path,) if isinstance(path, str) else tuple(path)

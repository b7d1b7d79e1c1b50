"""The policy `tool_access`: default deny, by exact name and glob, for tools, models, sub-agents and requests."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, ClassVar, Self

from jackline.decision import Verdict
from jackline.policy import Phase, Reach, State
from jackline.request import Tool
from jackline_tool_access.access import Access, Listed, Strictness
from jackline_tool_access.egress import Egress
from jackline_tool_access.options import Entry, ToolAccessOptions
from jackline_tool_access.patterns import Names, Pattern
from jackline_tool_access.widening import widened

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from jackline.build_context import BuildContext
    from jackline.decision import Effect, Finding
    from jackline.events import Event
    from jackline.request import Action, Agent, Request

    Judge = Callable[[Request], Verdict | None]

_ABSENT = frozenset({"model", "http"})
"""Roots that a tool call never has: a condition that names one could only fail."""


class ToolAccess:
    """Permission by list: a tool that no entry allows is denied, and so is one that is not what was listed."""

    phase: ClassVar[Phase] = "judge"
    observes: ClassVar[bool] = False
    Options: ClassVar[type[ToolAccessOptions]] = ToolAccessOptions

    def __init__(self, name: str, options: ToolAccessOptions, context: BuildContext) -> None:
        self.name = name
        self.options = options
        self._mode = context.mode
        strictness = Strictness(
            read_only=options.read_only,
            new_tools=options.new_tools == "allow",
            changed_tools=options.changed_tools == "allow",
            skips_errors=context.on_error == "skip",
        )
        denies = _compiled("deny", options.deny, context)
        self._own = Access(self._answer, _compiled("allow", options.allow, context), denies, strictness)
        self._handed_on = self._own
        if options.delegate is not None:
            delegated = _compiled("delegate", options.delegate, context)
            self._handed_on = Access(self._answer, delegated, denies, strictness)
        offers = [
            Listed(Pattern(text), f"provider_tools[{index}]: {text}")
            for index, text in enumerate(options.provider_tools or ())
        ]
        # A provider's tool declares nothing about itself: listing it is the permission.
        self._offered = Access(self._answer, offers, denies, replace(strictness, read_only=False))
        self._models = None if options.models is None else Names("models", options.models)
        self._spawn = Names("spawn", options.spawn or [])
        self._egress = None if options.egress is None else Egress(name, options.egress, self._answer)
        self._permissions: dict[str, Verdict] = {}
        self._judges = self._judges_by_action()
        self.reach = Reach(actions=frozenset(self._judges))
        self.governs: frozenset[Action] = frozenset(self._judges) - (
            frozenset() if self._models is not None else {"model.call"}
        )

    @classmethod
    def build(cls, name: str, options: ToolAccessOptions, context: BuildContext) -> Self:
        """Make the policy of a bundle entry; conditions that do not compile are the bundle's errors."""
        for path, message, hint in options.mistakes():
            context.problem(message, path=path, hint=hint)
        return cls(name, options, context)

    def evaluate(self, request: Request, state: State) -> Verdict | None:  # noqa: ARG002 - keeps no memory
        """Allow what an entry lists, deny what may not be, None for what no entry names."""
        judge = self._judges.get(request.action)
        return None if judge is None else judge(request)

    def observe(self, event: Event, state: State) -> None:
        """Keep no memory: a list answers the same every time."""

    def delegates(self, request: Request, ancestor: Agent) -> Verdict | None:  # noqa: ARG002 - the policy is its own
        """Whether the ancestor that this policy selects may hand on what its sub-agent asks for."""
        if request.action == "tool.call":
            return self._handed_on.judge(_tool(request), request) if self.options.governs_tools else None
        return self.evaluate(request, State())

    def widens(self, previous: ToolAccess) -> tuple[str, ...]:
        """How these options permit more than `previous` did, a sentence each; empty where they do not."""
        return widened(self.options, previous.options)

    def _judges_by_action(self) -> dict[Action, Judge]:
        judges: dict[Action, Judge] = {}
        if self.options.governs_tools:
            judges["tool.call"] = self._tool_call
        if self._models is not None or self.options.deny or self.options.closes_provider_tools:
            judges["model.call"] = self._model_call
        if self._models is not None:
            judges["embedding"] = self._model
        if self.options.spawn is not None:
            judges["agent.spawn"] = self._agent_spawn
        if self._egress is not None:
            judges["http.request"] = self._egress.judge
        return judges

    def _tool_call(self, request: Request) -> Verdict | None:
        tool = request.tool
        return self._own.judge(_tool(request) if tool is None else tool, request)

    def _model_call(self, request: Request) -> Verdict | None:
        if request.model is not None:
            for tool in request.model.tools:
                if tool.provider:
                    denial = self._offer(tool, request)
                    if denial is not None:
                        return denial
        return self._model(request)

    def _offer(self, tool: Tool, request: Request) -> Verdict | None:
        """Deny a tool that would run at the provider, where no call of it could be judged."""
        verdict = self._offered.judge(tool, request)
        if verdict is not None:
            return None if verdict.effect == "allow" else verdict
        if not self.options.closes_provider_tools:
            return None
        reason = (
            f"the call offers the provider's tool {tool.name!r}, which policy '{self.name}' does not list: "
            "list it under provider_tools, or do not offer it"
        )
        return self._answer("deny", "provider_tools", reason)

    def _model(self, request: Request) -> Verdict | None:
        if self._models is None:
            return None
        rule = self._models.rule(request.resource if request.model is None else request.model.name)
        return None if rule is None else self._allowed(rule)

    def _agent_spawn(self, request: Request) -> Verdict | None:
        rule = self._spawn.rule(request.resource)
        if rule is not None:
            return self._allowed(rule)
        if self.options.spawn:
            return None
        reason = f"policy '{self.name}' lets agent {request.agent.name!r} start no sub-agents"
        return self._answer("deny", "spawn: false", reason)

    def _allowed(self, rule: str) -> Verdict:
        known = self._permissions.get(rule)
        if known is None:
            known = self._permissions[rule] = self._answer("allow", rule, "listed")
        return known

    def _answer(
        self, effect: Effect, rule: str, reason: str, findings: tuple[Finding, ...] = (), **detail: str
    ) -> Verdict:
        return Verdict(
            effect=effect,
            policy=self.name,
            mode=self._mode,
            rule=rule,
            reason=reason,
            findings=findings,
            detail=detail,
        )


def _compiled(section: str, entries: Sequence[Entry] | None, context: BuildContext) -> list[Listed]:
    """Compile a list of the bundle; what is wrong with its conditions is noted in the context."""
    compiled: list[Listed] = []
    for index, entry in enumerate(entries or ()):
        condition = None
        if entry.when is not None:
            path = (section, index, "when")
            condition = context.compile(entry.when, path=path)
            for root in sorted(condition.roots & _ABSENT):
                context.problem(f"`{root}` is not known on tool.call", path=path, hint="ask for tool, args or agent")
        rule = f"{section}[{index}]: {entry.tool}"
        compiled.append(Listed(Pattern(entry.tool), rule, condition, entry.fingerprint, entry.reason))
    return compiled


def _tool(request: Request) -> Tool:
    """Return the tool that is called; one of which nothing is known counts as new."""
    return request.tool or Tool(name=request.resource, status="new")

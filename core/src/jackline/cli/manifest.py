"""The manifest of agents that people keep in git: what it may say, and how it differs from what was seen."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

from pydantic import BeforeValidator, Field

from jackline.bundle import read_bundle
from jackline.errors import BundleError, Problem
from jackline.options import Options
from jackline.request import AgentStatus
from jackline.validation import validate
from jackline.yaml_source import parse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from jackline.roster import Entry

_HINTS = {
    "agents": "write `agents:` and a list",
    "name": "give the agent's name, as `jackline agents list` shows it",
}
_Name = Annotated[str, Field(min_length=1, max_length=256)]


def _tool(value: Any) -> Any:
    return {"name": value} if isinstance(value, str) else value


class DeclaredTool(Options):
    """A tool that the agent may have: a name alone, or with the fingerprint that was reviewed."""

    name: _Name
    fingerprint: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")] | None = None


class DeclaredAgent(Options):
    """One agent; what is left out is not changed."""

    name: _Name
    status: AgentStatus | None = None
    managed: bool | None = None
    """Its owner vouches that every act of it is asked about."""
    team: str | None = None
    environment: str | None = None
    labels: dict[str, str] | None = None
    """The labels that people give it; one that is taken out of the manifest is taken away."""
    models: tuple[_Name, ...] | None = None
    """The models that it may be seen with; policies say which it may call."""
    tools: tuple[Annotated[DeclaredTool, BeforeValidator(_tool)], ...] | None = None
    """All tools that are permitted; those seen beside them lose their permission."""


class Manifest(Options):
    """The whole file."""

    agents: tuple[DeclaredAgent, ...]


class Difference(NamedTuple):
    """One way in which what was seen is not what was declared."""

    agent: str
    kind: str
    """`agent_undeclared`, `agent_never_seen`, `tool_undeclared`, `tool_never_seen`, `tool_changed`,
    `model_undeclared`, `model_never_seen`."""
    name: str
    message: str


def load(path: Path) -> Manifest:
    """Read a manifest. Raises BundleError with every problem and its place."""
    document = parse(read_bundle(path), str(path), "manifest")
    if not isinstance(document.data, dict):
        problem = document.problem((), "a manifest is a map", "the file starts with `agents:`")
        raise BundleError(problems=(*document.problems, problem))
    found, problems = validate(Manifest, document.data, document, hints=_HINTS)
    problems = [*document.problems, *problems]
    if found is not None:
        for place, agent in enumerate(found.agents):
            names = [earlier.name for earlier in found.agents[:place]]
            if agent.name in names:
                hint = "write one entry for each agent"
                problems.append(document.problem(("agents", place, "name"), f"'{agent.name}' is declared twice", hint))
            problems += _twice(document, place, agent)
    if found is None or problems:
        raise BundleError(problems=tuple(sorted(problems, key=lambda problem: (problem.line, problem.column))))
    return found


def _twice(document: Any, place: int, agent: DeclaredAgent) -> Iterator[Problem]:
    names: set[str] = set()
    for at, tool in enumerate(agent.tools or ()):
        if tool.name in names:
            yield document.problem(("agents", place, "tools", at), f"the tool '{tool.name}' is declared twice")
        names.add(tool.name)


def changes(declared: DeclaredAgent, entry: Entry | None) -> dict[str, Any]:
    """What to amend so that the registry says what the manifest says; empty where it does."""
    amended = entry.amended if entry is not None else {}
    wanted = {key: getattr(declared, key) for key in ("status", "managed", "team", "environment")}
    found = {key: value for key, value in wanted.items() if value is not None and amended.get(key) != value}
    if declared.labels is not None:
        before = {key: value for key, value in amended.get("labels", {}).items() if value is not None}
        taken = dict.fromkeys(before.keys() - declared.labels.keys())
        labels = {key: value for key, value in declared.labels.items() if before.get(key) != value}
        if labels or taken:
            found["labels"] = {**labels, **taken}
    if declared.tools is not None:
        found |= _permissions(declared.tools, entry)
    said = _declared(declared)
    if amended.get("declared", {}) != said:
        found["declared"] = said
    return found


def _permissions(declared: tuple[DeclaredTool, ...], entry: Entry | None) -> dict[str, Any]:
    """Permit what is declared, and take back the permission of what is not."""
    tools = entry.tools if entry is not None else {}
    permits = entry.permits if entry is not None else {}
    permit: dict[str, str] = {}
    for tool in declared:
        known = tools.get(tool.name)
        now = known.permitted if known is not None else permits.get(tool.name)
        # A name alone permits the tool as it is found first: applying again does not wave a changed one through.
        if now is None or (tool.fingerprint is not None and now != tool.fingerprint):
            permit[tool.name] = tool.fingerprint or "*"
    names = {tool.name for tool in declared}
    held = {name for name, known in tools.items() if known.permitted is not None} | permits.keys()
    found: dict[str, Any] = {"permit": permit, "forbid": sorted(held - names)}
    return {key: value for key, value in found.items() if value}


def _declared(agent: DeclaredAgent) -> dict[str, Any]:
    """What is kept in the registry of a manifest's entry."""
    found: dict[str, Any] = {}
    if agent.tools is not None:
        found["tools"] = {tool.name: tool.fingerprint for tool in agent.tools}
    if agent.models is not None:
        found["models"] = sorted(agent.models)
    return found


def drift(manifest: Manifest, entries: Mapping[str, Entry]) -> Iterator[Difference]:
    """Compare what was declared with what was seen."""
    declared = {agent.name: agent for agent in manifest.agents}
    for name in sorted(declared.keys() | entries.keys()):
        entry = entries.get(name)
        if name not in declared:
            yield Difference(name, "agent_undeclared", name, "was seen and is not declared")
        elif entry is None or not (entry.versions or entry.tools or entry.models):
            yield Difference(name, "agent_never_seen", name, "is declared and was never seen")
        else:
            yield from _tool_drift(declared[name], entry)
            yield from _model_drift(declared[name], entry)


def _tool_drift(declared: DeclaredAgent, entry: Entry) -> Iterator[Difference]:
    if declared.tools is None:
        return
    wanted = {tool.name: tool.fingerprint for tool in declared.tools}
    for tool in sorted(wanted.keys() | entry.tools.keys()):
        known = entry.tools.get(tool)
        if known is None:
            yield Difference(entry.name, "tool_never_seen", tool, f"the tool '{tool}' is declared and was never seen")
        elif tool not in wanted:
            yield Difference(entry.name, "tool_undeclared", tool, f"the tool '{tool}' was seen and is not declared")
        else:
            reviewed = wanted[tool] or known.permitted
            if reviewed not in (None, "*", known.tool.fingerprint):
                told = f"the tool '{tool}' has the fingerprint {known.tool.fingerprint}, {reviewed} is permitted"
                yield Difference(entry.name, "tool_changed", tool, told)


def _model_drift(declared: DeclaredAgent, entry: Entry) -> Iterator[Difference]:
    if declared.models is None:
        return
    for model in sorted(entry.models - set(declared.models)):
        yield Difference(entry.name, "model_undeclared", model, f"the model '{model}' was seen and is not declared")
    for model in sorted(set(declared.models) - entry.models):
        yield Difference(entry.name, "model_never_seen", model, f"the model '{model}' is declared and was never seen")

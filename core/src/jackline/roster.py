"""What registry events say of agents and their tools: one fold, for guards and for the store."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from jackline.events import AgentAmended, AgentSeen, Event, ModelSeen, ToolSeen
from jackline.request import REPORTED, Agent, Tool, ToolStatus

if TYPE_CHECKING:
    from collections.abc import Mapping

Told = AgentSeen | ToolSeen | ModelSeen | AgentAmended
KINDS: tuple[type[Event], ...] = (AgentSeen, ToolSeen, ModelSeen, AgentAmended)
"""The events that say something of an agent."""


class ToolEntry(msgspec.Struct, kw_only=True):
    """One tool of one agent."""

    tool: Tool
    first_seen: float
    permitted: str | None = None
    """The permitted fingerprint; `*` until the tool is seen; None where nobody permitted it."""
    since: float = 0.0
    """Since when the tool stands as it does: first seen, changed, or its permission taken back (Unix seconds)."""

    suspended: bool = False
    """A person said that the agent may not use it, whatever is permitted."""

    def status(self, fingerprint: str) -> ToolStatus:
        """`suspended`, or `known`, or `new` (never permitted), or `changed` (another fingerprint is permitted)."""
        if self.suspended:
            return "suspended"
        if self.permitted is None:
            return "new"
        return "known" if self.permitted in (fingerprint, "*") else "changed"


class Entry(msgspec.Struct, kw_only=True):
    """What is known of one agent, over its versions."""

    name: str
    first_seen: float
    versions: dict[str, Agent] = {}
    revisions: dict[str, str] = {}
    """The bundle revision under which each version was seen last."""
    tools: dict[str, ToolEntry] = {}
    models: set[str] = set()
    amended: dict[str, Any] = {}
    permits: dict[str, str] = {}
    suspended: set[str] = set()
    """The tools that it may not use, those among them that it does not have yet."""
    settling: bool = False
    """True in the process that saw the agent first, until its tools are declared: tools it calls are its first."""

    @property
    def reported(self) -> bool:
        """Whether nothing but reports told of it, by its code's word: people's labels change nothing."""
        return bool(self.versions) and all(_reports(one) for one in self.versions.values())

    def is_new(self, seen: Agent) -> bool:
        """Whether what is seen is governed and all before it was reported: nothing of that is permitted to it."""
        return self.reported and not _reports(seen)

    def facts(self, version: str) -> Agent:
        """The agent as policies see it: what the code says, amended by what people say."""
        seen = self.versions.get(version)
        if seen is None:  # an agent that only reports is none that is governed because its version is not known
            managed = not self.versions or any(one.managed for one in self.versions.values())
            seen = Agent(name=self.name, version=version, managed=managed)
        labels = {**seen.labels, **self.amended.get("labels", {})}
        changes = {
            key: self.amended[key] for key in ("status", "team", "environment", "managed") if key in self.amended
        }
        return msgspec.structs.replace(seen, labels={k: v for k, v in labels.items() if v is not None}, **changes)


class Roster:
    """Every agent by name, as the events so far tell it."""

    def __init__(self) -> None:
        self.entries: dict[str, Entry] = {}

    def parts(self, key: str) -> tuple[str, str]:
        """The name and version that a key is of. A name may have an `@` in it: the agents that are known decide."""
        name, mark, version = key.rpartition("@")
        if key not in self.entries and mark and name in self.entries and version in self.entries[name].versions:
            return name, version
        return key, ""

    def apply(self, event: Told) -> Entry:
        """Take in one event; events come in the order in which they were written."""
        name = event.agent.name if isinstance(event, AgentSeen) else self.parts(event.agent)[0]
        entry = self.entries.get(name)
        if entry is None:
            entry = self.entries[name] = Entry(name=name, first_seen=event.at)
        if isinstance(event, AgentSeen):
            _seen(entry, event)
        elif isinstance(event, ToolSeen):
            _tool_seen(entry, event)
        elif isinstance(event, ModelSeen):
            entry.models.add(event.model)
        else:
            _amended(entry, event.changes, event.at)
        return entry


def _reports(agent: Agent) -> bool:
    return not agent.managed and agent.labels.get("source") == REPORTED


def _seen(entry: Entry, event: AgentSeen) -> None:
    if entry.is_new(event.agent):
        entry.tools.clear()
        entry.models.clear()
    entry.versions[event.agent.version] = event.agent
    entry.revisions[event.agent.version] = event.revision
    entry.models.update(event.models)
    for tool in event.tools:
        known = ToolEntry(tool=tool, first_seen=event.at, since=event.at, permitted=tool.fingerprint)
        known.suspended = tool.name in entry.suspended
        entry.tools.setdefault(tool.name, known)


def _tool_seen(entry: Entry, event: ToolSeen) -> None:
    tool = event.tool
    known = entry.tools.get(tool.name)
    if known is None:
        permitted = tool.fingerprint if event.baseline else entry.permits.get(tool.name)
        known = ToolEntry(
            tool=tool,
            first_seen=event.at,
            since=event.at,
            permitted=permitted,
            suspended=tool.name in entry.suspended,
        )
        entry.tools[tool.name] = known
    if known.tool.fingerprint != tool.fingerprint:
        known.since = event.at
    known.tool = tool
    if known.permitted == "*":
        known.permitted = tool.fingerprint


def _amended(entry: Entry, changes: Mapping[str, Any], at: float) -> None:
    for name, fingerprint in changes.get("permit", {}).items():
        entry.permits[name] = fingerprint
        known = entry.tools.get(name)
        if known is not None:
            known.permitted = known.tool.fingerprint if fingerprint == "*" else fingerprint
    for name in changes.get("forbid", ()):
        entry.permits.pop(name, None)
        if name in entry.tools:
            entry.tools[name].permitted = None
            entry.tools[name].since = at
    for name, suspended in changes.get("tools", {}).items():
        (entry.suspended.add if suspended == "suspended" else entry.suspended.discard)(name)
        if name in entry.tools:
            entry.tools[name].suspended = name in entry.suspended
            entry.tools[name].since = at
    labels = {**entry.amended.get("labels", {}), **changes.get("labels", {})}
    entry.amended.update({key: item for key, item in changes.items() if key not in ("permit", "forbid", "tools")})
    if labels:
        entry.amended["labels"] = labels

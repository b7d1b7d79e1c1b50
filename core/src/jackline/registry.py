"""What agents run and what they have: seen by adapters, amended by people, the same in every process of the host.

The file `registry.jsonl` is a projection of the journals that guards can read without a database: agent and tool
events, one a line. It can be deleted; it is then made again from the journals.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import threading
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.events import AgentAmended, AgentSeen, Event, ModelSeen, ToolSeen
from jackline.request import Tool
from jackline.roster import KINDS, Entry, Roster, Told

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from jackline.request import Agent, ToolStatus

_decode = msgspec.json.Decoder(Told).decode
_encode = msgspec.json.Encoder().encode

_TOOLS = 10_000
"""Tools that are remembered of one agent; a further one is treated as new and not written."""

_MODELS = 1_000
"""Models that are remembered of one agent; a further one is not written."""

_ANSWERED = 20_000
"""Answers about tools that are kept, of all agents; all are forgotten when there are more."""


class Registry:
    """All agents of the host. Thread-safe; lookups of what is known take no lock."""

    def __init__(self, path: Path, record: Callable[[Event], object], clock: Callable[[], float]) -> None:
        """`record` journals an event; it is called before the projection is written."""
        self.path = path
        self._record = record
        self._clock = clock
        self._lock = threading.RLock()
        self._offset = 0
        self.roster = Roster()
        self._agents: dict[tuple[str, str], Agent] = {}
        """By name and version: an agent's key is for people, and a name may look like another's key."""
        self._tools: dict[tuple[object, ...], Tool] = {}
        self._reported: set[tuple[str, str]] = set()
        self._models: set[tuple[str, str]] = set()
        self.lost = 0
        """Lines that could not be written; what they say holds in this process only."""

    @property
    def entries(self) -> dict[str, Entry]:
        """What is known of each agent, by name."""
        return self.roster.entries

    def open(self, history: Callable[[], Iterable[Event]] | None = None) -> Registry:
        """Read the projection; where it is missing, make it from `history` (the journals' events, in order)."""
        with self._lock:
            if not self.path.exists() and history is not None:
                with self._exclusive() as append:
                    for event in history():
                        if isinstance(event, KINDS):
                            append(event)
            self.refresh()
        return self

    def refresh(self) -> bool:
        """Read what other processes have added; answer whether that changed anything."""
        with self._lock:
            try:
                with self.path.open("rb") as file:
                    if os.fstat(file.fileno()).st_size < self._offset:  # made anew
                        self._offset = 0
                        self.entries.clear()
                    file.seek(self._offset)
                    data = file.read()
            except FileNotFoundError:
                return False
            whole = data[: data.rfind(b"\n") + 1]
            for line in whole.splitlines():
                self._apply_line(line)
            self._offset += len(whole)
            if whole:
                self._forget()
            return bool(whole)

    def agent(
        self, seen: Agent, *, tools: Sequence[Tool] | None = None, models: Sequence[str] = (), revision: str = ""
    ) -> Agent:
        """Take note of an agent, and of the tools that it declares; return it as policies see it."""
        identity = (seen.name, seen.version)
        known = self._agents.get(identity)
        if known is not None and tools is None and not models:
            return known
        with self._lock:
            entry = self.entries.get(seen.name)
            if entry is None or (identity not in self._reported and entry.versions.get(seen.version) != seen):
                self._first_sight(seen, tools, models, revision)
            self._reported.add(identity)
            entry = self.entries[seen.name]
            if tools is not None:
                self._declare(entry, tools)
            for model in models:
                self._see_model(entry, model)
            return self._current(entry, seen.version)

    def declare(self, agent: Agent, tools: Sequence[Tool], *, first: bool = False) -> None:
        """Take note of the tools that a known agent has; the first declaration counts as permitted.

        `first`: so does this one, whatever was declared before: they come from where none of its tools came from.
        """
        with self._lock:
            entry = self.entries.get(agent.name)
            if entry is not None:
                entry.settling = entry.settling or first
                self._declare(entry, tools)

    def facts(self, agent: Agent) -> Agent:
        """The agent as it is now; the same object until something changes."""
        return self._agents.get((agent.name, agent.version)) or self.agent(agent)

    def taken(self, agent: Agent, action: str, tool: str) -> Tool | None:
        """The tool of a call that does not describe it, where a person took that tool from the agent."""
        entry = self.entries.get(agent.name) if action == "tool.call" else None
        return Tool(name=tool, status="suspended") if entry is not None and tool in entry.suspended else None

    def tool(self, agent: Agent, tool: Tool) -> Tool:
        """The tool with its status for this agent; the same object until something changes."""
        key = (agent.name, tool.name, tool.fingerprint, tool.read_only, tool.provider)
        found = self._tools.get(key)
        if found is not None:
            return found
        with self._lock:
            entry = self.entries.get(agent.name)
            if entry is None:
                self.agent(agent)
                entry = self.entries[agent.name]
            status = self._see_tool(entry, tool)
            found = msgspec.structs.replace(tool, status=status)
            if len(self._tools) >= _ANSWERED:  # a model that invents names must not fill the memory
                self._tools.clear()
            self._tools[key] = found
            return found

    def schemas(self) -> dict[str, dict[str, Any]]:
        """The JSON Schemas of arguments by tool name; a name under which agents have different tools is left out."""
        found: dict[str, dict[str, Any]] = {}
        differing: set[str] = set()
        for entry in list(self.entries.values()):
            for name, known in list(entry.tools.items()):
                schema = known.tool.parameters
                if schema and found.setdefault(name, schema) != schema:
                    differing.add(name)
        return {name: schema for name, schema in found.items() if name not in differing}

    def model(self, agent: Agent, model: str) -> None:
        """Take note that the agent uses a model."""
        if (agent.name, model) in self._models:
            return
        with self._lock:
            entry = self.entries.get(agent.name)
            if entry is not None:
                self._see_model(entry, model)

    def amend(self, name: str, who: str, changes: dict[str, Any], why: str = "") -> AgentAmended:
        """Change what the registry says of an agent; `permit` maps tool names to fingerprints or `*`."""
        event = AgentAmended(at=self._clock(), agent=name, who=who, why=why, changes=changes)
        with self._lock:
            self._write([event])
            self.refresh()
        return event

    def after_fork(self) -> None:
        """Give the child of a fork a lock that nobody holds."""
        self._lock = threading.RLock()

    def _first_sight(self, seen: Agent, tools: Sequence[Tool] | None, models: Sequence[str], revision: str) -> None:
        with self._exclusive() as append:
            self.refresh()
            entry = self.entries.get(seen.name)
            if entry is not None and entry.versions.get(seen.version) == seen:
                return
            new = entry is None or entry.is_new(seen)
            event = AgentSeen(
                at=self._clock(),
                agent=seen,
                models=tuple(models),
                tools=tuple(tools or ()) if new else (),
                revision=revision,
            )
            self._record(event)
            append(event)
        self.refresh()
        if seen.name not in self.entries or self.entries[seen.name].versions.get(seen.version) != seen:
            self.roster.apply(event)  # the projection could not be written
        if new:
            self.entries[seen.name].settling = tools is None

    def _declare(self, entry: Entry, tools: Sequence[Tool]) -> None:
        for tool in tools:
            self._see_tool(entry, tool)
        entry.settling = False

    def _see_tool(self, entry: Entry, tool: Tool) -> ToolStatus:
        known = entry.tools.get(tool.name)
        if known is not None and known.tool.fingerprint == tool.fingerprint:
            return known.status(tool.fingerprint)
        if known is None and len(entry.tools) >= _TOOLS:
            return "suspended" if tool.name in entry.suspended else "new"
        event = ToolSeen(
            at=self._clock(),
            agent=entry.name,
            tool=tool,
            previous=known.tool.fingerprint if known is not None else "",
            baseline=known is None and entry.settling,
        )
        self._record(event)
        self._write([event])
        self.refresh()
        known = entry.tools.get(tool.name)
        if known is None or known.tool.fingerprint != tool.fingerprint:
            self.roster.apply(event)
            known = entry.tools[tool.name]
        return known.status(tool.fingerprint)

    def _see_model(self, entry: Entry, model: str) -> None:
        if model not in entry.models:
            if len(entry.models) >= _MODELS:  # whoever invents names must not fill disk and memory
                return
            event = ModelSeen(at=self._clock(), agent=entry.name, model=model)
            self._record(event)
            self._write([event])
            entry.models.add(model)
        self._models.add((entry.name, model))

    def _current(self, entry: Entry, version: str) -> Agent:
        found = entry.facts(version)
        return self._agents.setdefault((found.name, found.version), found)

    def _forget(self) -> None:
        """Drop what was answered before a change; agents that did not change stay the same object."""
        self._tools.clear()
        self._models.clear()
        for key, agent in list(self._agents.items()):
            entry = self.entries.get(agent.name)
            now = entry.facts(agent.version) if entry is not None else None
            if now != agent:
                del self._agents[key]

    def _apply_line(self, line: bytes) -> None:
        try:
            event = _decode(line)
        except msgspec.MsgspecError:
            self.lost += 1
            return
        self.roster.apply(event)

    def _write(self, events: Sequence[Event]) -> None:
        with self._exclusive() as append:
            for event in events:
                append(event)

    @contextlib.contextmanager
    def _exclusive(self) -> Iterator[Callable[[Event], None]]:
        """The projection under its lock; what cannot be written is counted, never raised into an agent."""
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
        except OSError:
            self.lost += 1
            yield lambda _event: None
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield lambda event: self._append(descriptor, event)
        finally:
            os.close(descriptor)

    def _append(self, descriptor: int, event: Event) -> None:
        line = _encode(event) + b"\n"
        try:
            if os.write(descriptor, line) != len(line):
                os.write(descriptor, b"\n")  # a torn line is passed over by readers
                self.lost += 1
        except OSError:
            self.lost += 1

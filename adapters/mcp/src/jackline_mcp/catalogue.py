"""The tools of one server, as one caller is shown them: known, new, changed or poisoned, and which it may use."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from jackline_mcp.findings import findings
from jackline_mcp.translate import tool_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.guard import Guard
    from jackline.request import Agent, Tool
    from jackline.session import Scope

Care = Literal["allow", "alert", "deny"]
WHO = "jackline-mcp"
"""In whose name the registry is told that a tool is suspended."""
_TOOLS = 10_000
"""Tools of one server that are kept."""


class Cares(NamedTuple):
    """What is done about a tool; that it is new or has changed is an event in any case.

    `deny`: it is suspended in the registry until a person resumes it. `alert`: a poisoned one has a label that says
    so, in its event and for conditions. `allow`: signs of poison are not looked for.
    """

    new: Care = "alert"
    changed: Care = "deny"
    poisoned: Care = "deny"


class Catalogue:
    """What a server says of its tools; every list that passes is looked at before its caller sees it."""

    def __init__(self, guard: Guard, agent: Agent, server: str, prefix: str, cares: Cares) -> None:
        """`prefix`: in front of each tool's name where policies and the registry name it."""
        self._guard = guard
        self._agent = agent
        self._server = server
        self._prefix = prefix
        self._cares = cares
        self._lock = threading.Lock()
        self._tools: dict[str, tuple[dict[str, Any], Tool]] = {}
        self.changes = 0
        """How often the list was said to have changed; to be read before a server is asked for it."""
        self._seen_at = -1

    @property
    def complete(self) -> bool:
        """Whether every page of the list was seen since it changed last."""
        return self._seen_at == self.changes

    @complete.setter
    def complete(self, seen: bool) -> None:
        if seen:
            self._seen_at = self.changes
        else:
            self.changes += 1

    def name(self, name: str) -> str:
        """The name of a tool for policies."""
        return f"{self._prefix}{name}"

    def tool(self, name: str) -> Tool:
        """A tool as it was listed last."""
        found = self._tools.get(name)
        return found[1] if found is not None else tool_of(self.name(name), None, self._server)

    def knows(self, name: str) -> bool:
        """Whether a tool is in the server's list, as far as anybody knows; then it need not be asked for again."""
        return self.complete and name in self._tools

    def learn(self, descriptors: Sequence[Any], *, whole: bool, since: int | None = None) -> None:
        """Take note of what a server lists. `whole`: this is all that it has, or had when `changes` was `since`."""
        since = self.changes if since is None else since
        with self._lock:
            tools = {} if whole else dict(self._tools)
            fresh: list[Tool] = []
            for one in descriptors:
                if not isinstance(one, dict) or not isinstance(one.get("name"), str):
                    continue
                known = tools.get(one["name"])
                if known is not None and known[0] == one:
                    continue
                if known is None and len(tools) >= _TOOLS:
                    continue
                signs = findings(one) if self._cares.poisoned != "allow" else ()
                tool = tool_of(self.name(one["name"]), one, self._server, signs)
                tools[one["name"]] = one, tool
                fresh.append(tool)
            if fresh:
                self._register(fresh)
            self._tools = tools
            if whole:
                self._seen_at = max(self._seen_at, since)

    def shown(self, descriptors: Sequence[Any], scope: Scope) -> list[Any]:
        """The tools of a list that the caller may use at all, as the server described them; of those learned."""
        return [one for one in descriptors if self._may_use(one, scope)]

    def _may_use(self, descriptor: Any, scope: Scope) -> bool:
        if not isinstance(descriptor, dict) or not isinstance(descriptor.get("name"), str):
            return False
        if descriptor["name"] not in self._tools:
            return False
        name = self.name(descriptor["name"])
        tool = self.tool(descriptor["name"])
        return self._guard.permissible(self._guard.request("tool.call", name, {}, scope=scope, tool=tool))

    def _register(self, tools: Sequence[Tool]) -> None:
        """Tell the registry; what is new to it is looked at with care. A server's first list is permitted as it is."""
        registry = self._guard.registry
        entry = registry.entries.get(self._agent.name)
        before = {} if entry is None else {name: known.tool for name, known in entry.tools.items()}
        first = not any(known.labels.get("server") == self._server for known in before.values())
        wrong: dict[str, str] = {}
        for tool in tools:
            known = before.get(tool.name)
            if known is not None and known.fingerprint == tool.fingerprint:
                continue  # it was looked at then; if a person resumed it since, so it stays
            why = self._objection(tool, known, first=first)
            if why:
                wrong[tool.name] = why
        registry.declare(self._agent, tools, first=first)
        for name, why in wrong.items():
            self._guard.recorder.note(registry.amend(self._agent.name, WHO, {"tools": {name: "suspended"}}, why))
        if wrong:
            self._guard.control.bump()

    def _objection(self, tool: Tool, known: Tool | None, *, first: bool) -> str:
        signs = tool.labels.get("findings", "")
        if signs and self._cares.poisoned == "deny":
            return f"its description is poisoned: {signs}"
        if known is not None and self._cares.changed == "deny":
            return f"it has changed since it was seen: {known.fingerprint} became {tool.fingerprint}"
        if known is None and not first and self._cares.new == "deny":
            return "it is new"
        return ""

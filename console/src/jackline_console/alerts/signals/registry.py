"""Things that should not happen, or that people should know of: agents, tools, bundles, losses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from jackline_console.alerts.signals.signal import Signal
from jackline_console.alerts.states import FIRING, OK, Facts
from jackline_console.alerts.windows import Key

if TYPE_CHECKING:
    from collections.abc import Callable


class Happened(Signal):
    """Counts, by group, over the rule's window; over when the window is empty."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self._window = self.window(self.when.window)

    def count(self, key: Key, at: float, amount: int, told: Callable[[float], str]) -> None:
        """So many more."""
        self._window.add(key, at, amount)
        total, _ = self._window.sum(key, at, self.when.window)
        if total >= self.when.count:
            limit = float(self.when.count)
            self.states.judge(key, FIRING, at, lambda: Facts(total, limit, "", told(total)))

    def tick(self, now: float) -> None:
        """What is older than the window counts no more."""
        for key in list(self.states.on):
            if self._window.sum(key, now, self.when.window)[0] < self.when.count:
                self.states.judge(key, OK, now, why="it has not happened again")
        super().tick(now)


class Unregistered(Signal):
    """An agent with status `seen`."""

    def agent(self, name: str, status: str, at: float) -> None:
        """An agent, or a version of it, was seen."""
        if status == "seen":
            told = f"agent '{name}' acts, and nobody has registered it"
            self.states.judge((name,), FIRING, at, lambda: Facts(None, None, "", told))

    def amended(self, agent: str, changes: dict[str, Any], at: float) -> None:
        """Somebody said what it is."""
        if changes.get("status", "seen") != "seen":
            self.states.judge((agent,), OK, at, why=f"it is {changes['status']} now")


class _Tool(Happened):
    """A tool of an agent."""

    names: ClassVar[dict[str, tuple[str, ...]]] = {"tool": ("agent", "tool")}

    def amended(self, agent: str, changes: dict[str, Any], at: float) -> None:
        """Somebody permitted or forbade it."""
        said = {*(changes.get("permit") or ()), *(changes.get("forbid") or ()), *(changes.get("tools") or ())}
        for key in [key for key in self.states.on if key[0] == agent and key[1] in said]:
            self._window.forget(key)
            self.states.judge(key, OK, at, why="somebody has said whether it may be used")


class NewTool(_Tool):
    """One that the agent had not when it was first seen."""

    def tool(self, agent: str, tool: str, previous: str, at: float) -> None:
        """A tool was seen."""
        if not previous:
            self.count((agent, tool), at, 1, lambda _: f"agent '{agent}' has a new tool: '{tool}'")


class ChangedTool(_Tool):
    """One whose schema is another."""

    def tool(self, agent: str, tool: str, previous: str, at: float) -> None:
        """A tool was seen."""
        if previous:
            self.count((agent, tool), at, 1, lambda _: f"the tool '{tool}' of agent '{agent}' is another than before")


class LostEvents(Happened):
    """Observations that could not be written."""

    def lost(self, count: int, at: float) -> None:
        """So many more."""
        self.count((), at, count, lambda total: f"{total:.0f} observations could not be written")


class WidenedBundle(Happened):
    """A bundle that permits more than the one before."""

    def widened(self, ways: tuple[str, ...], at: float) -> None:
        """One came into force."""
        more = f" (and {len(ways) - 1} more)" if len(ways) > 1 else ""
        self.count((), at, 1, lambda _: f"a new bundle permits more: {ways[0]}{more}")

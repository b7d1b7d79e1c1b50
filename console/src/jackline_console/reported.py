"""What is only reported: told over OTLP after the act; nothing of ours stands before it."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from jackline.opening import open_registry
from jackline.request import REPORTED
from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jackline.home import Home
    from jackline.roster import Entry
    from jackline.stores import Store

NAMESPACE = REPORTED
"""Of sessions that are reported; also the label `source` of agents that are."""
LABELS = {"source": NAMESPACE}
GOVERNS = "jackline.init() in its process, the gateway for its tools, or the Decision API would"


def is_reported(entry: Entry | None) -> bool:
    """Whether an agent was never seen but by what it reports, by its code's word: people's labels change nothing."""
    return entry is not None and entry.reported


def refuse(what: str, name: str) -> NoReturn:
    """Say that an act of a person's on something reported would do nothing."""
    raise ProblemError(
        409,
        "reported",
        f"{what} '{name}' is only reported, over OTLP: nothing of Jackline's stands before its acts, so this would "
        "change nothing of what it does",
        what=what,
        value=name,
        expected=f"a governed {what}",
        hint=f"{GOVERNS} stand before its acts",
    )


class Subjects:
    """Tells of alerts whether they are about something reported."""

    def __init__(self, home: Home, store: Store) -> None:
        self._home, self._store = home, store

    def reported(self, groups: Iterable[Mapping[str, str]]) -> list[bool]:
        """For each group of an alert (`session`, `agent`, `tool`), in order; False for one of a tool, or of all."""
        told = list(groups)
        named = {group["session"] for group in told if group.get("session")}
        sessions = {row.session for row in self._store.named(named) if row.namespace == NAMESPACE} if named else set()
        agents = any(group.get("agent") and not group.get("session") for group in told)
        roster = open_registry(self._home).roster if agents else None
        found = []
        for group in told:
            if group.get("session"):
                found.append(group["session"] in sessions)
            else:
                agent = group.get("agent", "")
                found.append(
                    roster is not None and bool(agent) and is_reported(roster.entries.get(roster.parts(agent)[0]))
                )
        return found

"""The registry as the page *Agents* shows it: the command line's view, with what happened lately."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.cli import inventory
from jackline.cli.manifest import DeclaredAgent, Manifest, drift
from jackline.opening import open_registry
from jackline_console.models.agents import AgentView, Drift, Recent, ToolView, Version
from jackline_console.reported import is_reported

if TYPE_CHECKING:
    from collections.abc import Mapping

    from jackline.bundle import Bundle
    from jackline.cli.inventory import AgentView as Known
    from jackline.roster import Entry
    from jackline.stores import AgentRow
    from jackline_console.console import Console

DAY_S = 86400.0


class Roster:
    """What is known of all agents at one moment."""

    def __init__(self, console: Console, days: int) -> None:
        self._days = days
        store, since = console.store, console.clock() - days * DAY_S
        rows = store.agents()
        self.known = {agent.name: agent for agent in inventory.agents(console.home, store, rows)}
        self.entries = open_registry(console.home).entries  # after what is known: it has every agent that that has
        self._rows: dict[str, list[AgentRow]] = {}
        for row in rows:
            self._rows.setdefault(row.name, []).append(row)
        self._usage = {row.agent: row for row in store.usage(("agent",), since=since)}
        self._decided = {row.agent: row for row in store.agent_usage(since=since)}
        self._sessions = store.sessions_of(since)
        found = console.bundles.found()
        self._bundle: Bundle | None = found.bundle if found is not None else None

    def view(self, agent: Known) -> AgentView:
        """One agent."""
        newest, entry = agent.versions[-1], self.entries[agent.name]
        rows = {row.version: row for row in self._rows.get(agent.name, ())}
        return AgentView(
            name=agent.name,
            status=newest.status,
            managed=newest.managed,
            reported=is_reported(entry),
            team=newest.team,
            environment=newest.environment,
            labels=dict(newest.labels),
            versions=[_version(one, entry, rows) for one in agent.versions],
            models=list(agent.models),
            declared=dict(agent.declared),
            tools=[_tool(one, entry) for one in agent.tools],
            drift=_drift(agent.name, agent.declared, entry),
            policies=self._policies(agent),
            first_seen=agent.first_seen,
            last_seen=agent.last_seen,
            cost_micro_usd=agent.cost_micro_usd,
            unpriced=agent.unpriced,
            recent=self._recent(agent),
        )

    def _policies(self, agent: Known) -> list[str] | None:
        if self._bundle is None:
            return None
        if is_reported(self.entries[agent.name]):
            return []  # whatever selects it, nothing of it is decided
        return [entry.name for entry in self._bundle.entries if any(map(entry.selects, agent.versions))]

    def _recent(self, agent: Known) -> Recent:
        keys = {agent.name, *(version.key for version in agent.versions)}
        spent = [self._usage[key] for key in keys if key in self._usage]
        decided = [self._decided[key] for key in keys if key in self._decided]
        decisions = sum(row.decisions for row in decided)
        denied = sum(row.denied + row.halts for row in decided)
        return Recent(
            days=self._days,
            cost_micro_usd=sum(row.cost_micro_usd for row in spent),
            unpriced=sum(row.unpriced for row in spent),
            decisions=decisions,
            denied=denied,
            denial_rate=denied / decisions if decisions else None,
            sessions=sum(self._sessions.get(key, 0) for key in keys),
        )


def _version(version: Any, entry: Entry, rows: Mapping[str, AgentRow]) -> Version:
    row = rows.get(version.version)
    return Version(
        version=version.version,
        key=version.key,
        framework=version.framework,
        framework_version=version.framework_version,
        revision=entry.revisions.get(version.version, ""),
        first_seen=row.first_seen if row is not None else entry.first_seen,
        last_seen=row.last_seen if row is not None else 0.0,
    )


def _tool(tool: Any, entry: Entry) -> ToolView:
    return ToolView(**tool._asdict(), suspended=tool.name in entry.suspended)


def _drift(name: str, declared: Mapping[str, Any], entry: Entry) -> list[Drift]:
    """How what was seen differs from what a manifest said; nothing where none did."""
    if not declared:
        return []
    tools = declared.get("tools")
    told = DeclaredAgent.model_validate(
        {
            "name": name,
            "tools": None if tools is None else [{"name": key, "fingerprint": tools[key]} for key in tools],
            "models": declared.get("models"),
        }
    )
    return [
        Drift(kind=one.kind, name=one.name, message=one.message)
        for one in drift(Manifest(agents=(told,)), {name: entry})
    ]

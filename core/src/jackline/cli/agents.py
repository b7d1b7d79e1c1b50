"""`agents list`, `show` and `set`: who runs here, with what, and what people say of it."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import bundles, inventory, output, state
from jackline.cli import status as status_verb
from jackline.errors import JacklineError
from jackline.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.bundle import Bundle
    from jackline.cli.inventory import AgentView, ToolView
    from jackline.condition import Condition
    from jackline.home import Home
    from jackline.request import Agent


class Status(StrEnum):
    """What people can say of an agent; `seen` takes it back."""

    seen = "seen"
    active = "active"
    suspended = "suspended"
    retired = "retired"


def list_(
    ctx: typer.Context,
    where: Annotated[str, typer.Option(help="Only agents for which this condition over `agent` holds.")] = "",
    as_json: output.Json = False,
) -> None:
    """List the agents that were seen or declared.

    For example: jackline agents list --where "agent.team == 'crm' && agent.status != 'retired'"
    """
    from jackline.selection import selects  # noqa: PLC0415 - conditions only where agents are listed

    condition = _compiled(ctx, where) if where else None
    with state.index(ctx.obj) as found:
        agents = inventory.agents(ctx.obj, found.store)
        unclear: list[str] = []
        if condition is not None:
            agents = [agent for agent in agents if selects(condition, agent.versions, unclear)]
        if as_json:
            output.answer({"agents": [agent.plain() for agent in agents], **found.standing()})
            return
        found.tell()
    columns = ("agent", "framework", "status", "team", "environment", "tools", "not permitted", "last seen", "cost")
    output.show(output.table(columns, [_row(agent) for agent in agents], right=("tools", "not permitted", "cost")))
    for told in unclear:
        output.note(told)


def show(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    bundle: Annotated[Path | None, typer.Option(help="Say which policies of this bundle select it.")] = None,
    as_json: output.Json = False,
) -> None:
    """Show one agent: versions, models, tools with fingerprints, what is not permitted and since when, and its cost.

    The policies that select it are those of --bundle, or of jackline.yaml where there is one.

    For example: jackline agents show support
    """
    loaded = _bundle(bundle, ctx.obj)
    with state.index(ctx.obj) as found:
        agent = inventory.named(inventory.agents(ctx.obj, found.store), name)
        policies = _selecting(loaded, agent.versions) if loaded is not None else None
        if as_json:
            source = loaded.source if loaded is not None else None
            output.answer({**agent.plain(), "bundle": source, "policies": policies, **found.standing()})
            return
        found.tell()
    _show_agent(agent)
    if policies is None or loaded is None:
        output.say("policies: no bundle here; name one with --bundle")
    else:
        output.say(f"policies of {loaded.source} that select it: {', '.join(policies) or 'none'}")


def set_(
    ctx: typer.Context,
    name: Annotated[str, typer.Argument(help="The agent's name.")],
    *,
    status: Annotated[Status | None, typer.Option(help="A suspended or retired agent may do nothing.")] = None,
    team: Annotated[str | None, typer.Option(help="Who answers for it.")] = None,
    environment: Annotated[str | None, typer.Option(help="Where it runs.")] = None,
    label: Annotated[
        list[str] | None, typer.Option(help="KEY=VALUE, or KEY- to take it away; may be repeated.")
    ] = None,
    permit: Annotated[
        list[str] | None, typer.Option(help="A tool to permit as it is now, or TOOL=FINGERPRINT.")
    ] = None,
    forbid: Annotated[list[str] | None, typer.Option(help="A tool whose permission is taken back.")] = None,
    suspend: Annotated[list[str] | None, typer.Option(help="A tool to take from it, whatever is permitted.")] = None,
    resume: Annotated[list[str] | None, typer.Option(help="A suspended tool that it may use again.")] = None,
    managed: Annotated[
        bool | None,
        typer.Option("--managed/--unmanaged", help="Whether its owner vouches that every act of it is asked about."),
    ] = None,
    why: Annotated[str, typer.Option(help="The reason, for the record.")] = "",
    as_json: output.Json = False,
) -> None:
    """Change what the registry says of an agent; every process follows at its next request.

    For example: jackline agents set support --permit crm_export --why "reviewed in PR 12"
    """
    changes: dict[str, Any] = {"status": status.value if status is not None else None}
    changes |= {"managed": managed, "team": team, "environment": environment, "labels": _labels(label or ())}
    changes |= {"permit": _permits(permit or ()), "forbid": list(forbid or ())}
    changes |= {"tools": dict.fromkeys(suspend or (), "suspended") | dict.fromkeys(resume or (), "active")}
    changes = {key: value for key, value in changes.items() if value not in (None, {}, [])}
    if not changes:
        raise typer.BadParameter("say what to change, such as --status active or --permit TOOL")
    agent = inventory.named(inventory.agents(ctx.obj, None), name)
    if managed:
        inventory.require_asking(state.registry(ctx.obj).entries.get(agent.name))
    _require_tools(agent, [name for key in ("permit", "forbid", "tools") for name in changes.get(key, ())])
    who = amend(ctx.obj, agent.name, changes, why)
    if as_json:
        output.answer({"agent": agent.name, "who": who, "why": why, "changes": changes})
    else:
        output.say(f"{agent.name}: {changes_said(changes)}, by {who}")


def amend(home: Home, name: str, changes: dict[str, Any], why: str) -> str:
    """Journal a change, make it, and let every process look; gives who did it."""
    somebody = state.somebody(home)
    somebody.amend(name, changes, why)
    return somebody.who


def _compiled(ctx: typer.Context, where: str) -> Condition:
    """Check a condition over `agent`; one that is wrong ends the verb, as a command that was typed wrongly."""
    from jackline.condition import ConditionError  # noqa: PLC0415 - only where it is asked
    from jackline.selection import agent_query  # noqa: PLC0415

    try:
        return agent_query(where)
    except ConditionError as error:
        meant = f"; did you mean '{error.suggestion}'?" if error.suggestion else ""
        line = where.split("\n")[error.line - 1]
        told = f"--where:{error.line}:{error.column}: {error.message}{meant}\n  {line}\n  {' ' * (error.column - 1)}^"
        output.fail(ctx, told)
        raise typer.Exit(2) from None


def _bundle(path: Path | None, home: Home) -> Bundle | None:
    if path is None and not status_verb.BUNDLE.is_file():
        return None
    return bundles.load(path or status_verb.BUNDLE, home)


def _selecting(bundle: Bundle, versions: Sequence[Agent]) -> list[str]:
    return [entry.name for entry in bundle.entries if any(entry.selects(version) for version in versions)]


def _labels(told: Sequence[str]) -> dict[str, str | None]:
    labels: dict[str, str | None] = {}
    for item in told:
        key, equals, value = item.partition("=")
        if equals and key:
            labels[key] = value
        elif not equals and item.endswith("-") and len(item) > 1:
            labels[item[:-1]] = None
        else:
            raise typer.BadParameter(f"--label {item!r} is neither KEY=VALUE nor KEY-")
    return labels


def _permits(told: Sequence[str]) -> dict[str, str]:
    return {tool: fingerprint or "*" for tool, _, fingerprint in (item.partition("=") for item in told)}


def _require_tools(agent: AgentView, names: Sequence[str]) -> None:
    """A misspelt tool would be permitted for whoever brings it later: a manifest may do that, a hand may not."""
    known = [tool.name for tool in agent.tools]
    for name in names:
        if name not in known:
            hint = nearest(name, known) or "it was seen with no tool"
            told = "declare a tool that is still to come in a manifest: jackline agents apply FILE"
            raise JacklineError(f"agent '{agent.name}' was never seen with a tool '{name}'; {hint}; {told}")


def changes_said(changes: dict[str, Any]) -> str:
    """Say changes in a line: `status active, permit crm_get`."""
    told = [f"{key} {_value(value)}" for key, value in changes.items() if key != "declared"]
    return ", ".join(told) or "what is declared"


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return " ".join(_pair(key, item) for key, item in value.items())
    return " ".join(value) if isinstance(value, list) else str(value)


def _pair(key: str, item: str | None) -> str:
    """As it is typed: `KEY=VALUE`, `KEY-` for a label that goes, a tool alone for its present fingerprint."""
    return f"{key}-" if item is None else key if item == "*" else f"{key}={item}"


def _row(agent: AgentView) -> tuple[object, ...]:
    newest = agent.versions[-1]
    refused = sum(not tool.permitted for tool in agent.tools)
    return (
        agent.name,
        newest.framework,
        status_text(newest.status),
        newest.team,
        newest.environment,
        len(agent.tools),
        output.text(refused, "red") if refused else "0",
        output.moment(agent.last_seen),
        output.cost(agent.cost_micro_usd, agent.unpriced),
    )


def status_text(status: str) -> Any:
    """A status, in red where the agent may do nothing."""
    return output.text(status, "red" if status in ("suspended", "retired") else "")


def _show_agent(agent: AgentView) -> None:
    newest = agent.versions[-1]
    output.show(output.text(agent.name, "bold"))
    labels = " ".join(f"{key}={value}" for key, value in sorted(newest.labels.items()))
    facts = [
        ("status", status_text(newest.status)),
        ("managed", inventory.managed_text(newest)),
        ("team", newest.team),
        ("environment", newest.environment),
        ("labels", labels),
        ("first seen", output.moment(agent.first_seen)),
        ("last seen", output.moment(agent.last_seen) or "never: it was only declared"),
        ("models", ", ".join(agent.models)),
        ("cost", output.cost(agent.cost_micro_usd, agent.unpriced)),
    ]
    for version in agent.versions:
        framework = f"{version.framework} {version.framework_version}".strip()
        facts.append(("version", " ".join(filter(None, (version.version or "(none)", framework)))))
    output.show(output.table(("", ""), [fact for fact in facts if fact[1]]))
    if agent.tools:
        columns = ("tool", "fingerprint", "standing", "first seen", "last seen", "calls", "failed", "denied")
        rows = [_tool_row(tool) for tool in agent.tools]
        output.show(output.table(columns, rows, right=("calls", "failed", "denied")))


def _tool_row(tool: ToolView) -> tuple[object, ...]:
    return (
        tool.name,
        tool.fingerprint,
        _standing(tool),
        output.moment(tool.first_seen),
        output.moment(tool.last_seen),
        tool.calls,
        tool.failures,
        tool.denials,
    )


def _standing(tool: ToolView) -> Any:
    """`permitted`, or since when it is not: `seen, not permitted since 2026-05-09 07:35:25`.

    The registry permits a tool that its agent had from the first; where policies let none of its calls through, that is
    what is said.
    """
    if tool.permitted:
        denied = tool.denials and not tool.calls
        return output.text("registered, every call was denied", "red") if denied else "permitted"
    since = output.moment(tool.not_permitted_since)
    if tool.status == "suspended":
        return output.text(f"suspended since {since}", "red")
    if tool.status == "changed":
        return output.text(f"changed, not permitted since {since} (permitted: {tool.permitted_fingerprint})", "red")
    return output.text(f"seen, not permitted since {since}", "red")

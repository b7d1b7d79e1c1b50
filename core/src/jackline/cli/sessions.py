"""`sessions`: one line for each job that agents did."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from jackline.cli import output, state
from jackline.wording import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.stores import SessionRow

_STYLES = {"halted": "red", "crashed": "yellow", "running": "green"}
_COLUMNS = (
    "session",
    "id",
    "agent",
    "started",
    "took",
    "cost",
    "tokens",
    "models",
    "tools",
    "decisions",
    "denied",
    "state",
)
_NUMBERS = ("took", "cost", "tokens", "models", "tools", "decisions", "denied")
_ALL = 1_000_000_000


def sessions(
    ctx: typer.Context,
    agent: Annotated[str, typer.Option(help="Only sessions in which this agent acted: NAME or NAME@VERSION.")] = "",
    since: Annotated[str, typer.Option(help="Only sessions active since: 30m, 24h, 7d, or 2026-05-09T08:00.")] = "",
    halted: Annotated[bool, typer.Option("--halted", help="Only sessions that a policy or a person ended.")] = False,
    limit: Annotated[int, typer.Option(min=1, help="At most so many, the latest first.")] = 50,
    live: Annotated[bool, typer.Option("--live", help="Those that run now, told anew as events come in.")] = False,
    as_json: output.Json = False,
) -> None:
    """List sessions: who acted, what it cost, how much was decided and denied, and how it ended.

    For example: jackline sessions --since 24h --halted, or: jackline sessions --live
    """
    if live:
        if since or halted:
            raise typer.BadParameter("--live shows what runs now: leave --since and --halted out")
        from jackline.cli import sessions_live  # noqa: PLC0415 - approvals and control only where sessions run

        sessions_live.watch(ctx.obj, agent=agent, limit=limit, as_json=as_json)
        return
    start = _moment(since) if since else None
    with state.index(ctx.obj) as found:
        rows = found.store.sessions(limit=_ALL if halted else limit, agent=agent, since=start)
        rows = [row for row in rows if row.halted or not halted][:limit]
        if as_json:
            output.answer({"sessions": [{**row.plain(), "tokens": row.tokens} for row in rows], **found.standing()})
            return
        found.tell()
    _show(rows)


def _show(rows: Sequence[SessionRow]) -> None:
    if not rows:
        output.say("no session matches")
        return
    output.show(output.table(_COLUMNS, [_row(row) for row in rows], right=_NUMBERS))
    for row in rows:
        if row.halted:
            output.say(f"{row.session[:12]} halted: {row.halt_reason}", style="red")
        if row.would_deny:
            told = f"{row.would_deny} decisions would have been escalate, deny or halt"
            output.say(f"{row.session[:12]} observed: {told}", style="yellow")
        if row.waiting:
            told = f"{counted(row.waiting, 'question')} to people waiting; see: jackline approvals"
            output.say(f"{row.session[:12]} has {told}", style="yellow")
        if row.unknown:
            output.say(f"{row.session[:12]} has {counted(row.unknown, 'act')} whose outcome is unknown", style="yellow")


def _row(row: SessionRow) -> tuple[Any, ...]:
    return (
        row.session[:12],
        row.external_id,
        ", ".join(row.agents),
        output.moment(row.started),
        output.span((row.ended or row.last_at) - row.started),
        output.cost(row.cost_micro_usd, row.unpriced),
        row.tokens,
        row.model_calls,
        row.tool_runs,
        row.decisions,
        output.text(refused, "red") if (refused := row.denied + row.halts) else "0",
        output.text(row.state, _STYLES.get(row.state, "")),
    )


def _moment(told: str) -> float:
    """Read `24h` or a calendar time (this machine's where it names no zone) as Unix seconds."""
    from pydantic_core import PydanticCustomError  # noqa: PLC0415 - only where a time is given

    from jackline.options import duration  # noqa: PLC0415

    try:
        return time.time() - duration(told)
    except PydanticCustomError:
        try:
            return datetime.fromisoformat(told).timestamp()
        except ValueError:
            raise typer.BadParameter(f"--since {told!r}: write 30m, 24h, 7d, or 2026-05-09T08:00") from None

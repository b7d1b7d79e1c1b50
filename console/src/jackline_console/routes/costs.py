"""The page *Costs*: sums that are kept as lines come in, never made of them when somebody looks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from fastapi import APIRouter, Query

from jackline.opening import open_registry
from jackline_console.access.gate import Viewer
from jackline_console.models.costs import (
    BucketView,
    CostRow,
    Costs,
    CostSeries,
    Distribution,
    Distributions,
    Series,
    Sums,
    ToolSums,
    ToolUsage,
)
from jackline_console.problems import ProblemError
from jackline_console.routes.asking import Here, Since, Until

if TYPE_CHECKING:
    from collections.abc import Iterable

    from jackline.request import Agent
    from jackline.stores import DistributionRow, UsageRow
    from jackline_console.console import Console

router = APIRouter(tags=["costs"])
HOUR = 3600
DAY = 86400
_KEYS = ("agent", "model", "team", "managed", "day", "hour")
_OF_AGENTS = ("team", "managed")
"""Keys that the registry knows of an agent."""
_WEEK = 7 * DAY
_SUMS = tuple(Sums.model_fields)
_WHAT = {
    "session_cost": ("session_cost", 1.0),
    "session_duration": ("session_duration", 1e-3),
    "tool_duration": ("tool", 1e-3),
    "model_duration": ("model", 1e-3),
}
"""What is asked for -> what the store calls it, and the factor to its unit: micro-dollars, seconds, milliseconds."""
_TIMES = 20_000
What = Literal["session_cost", "session_duration", "tool_duration", "model_duration"]


@router.get("/costs")
def costs(
    here: Here,
    _who: Viewer,
    by: Annotated[str, Query(max_length=40)] = "agent",
    since: Since = None,
    until: Until = None,
) -> Costs:
    """Cost, tokens and calls by one or two of agent, model, team, managed, day, hour; the dearest first."""
    keys = _keys(by)
    start, end = _span(here, since, until)
    needed = {"agent" if key in _OF_AGENTS else key for key in keys}
    rows = here.store.usage(tuple(sorted(needed)), since=start, until=end)
    known = _known(here) if set(keys) & set(_OF_AGENTS) else {}
    found: dict[tuple[Any, ...], dict[str, int]] = {}
    for row in rows:
        _add(found.setdefault(tuple(_value(key, row, known) for key in keys), dict.fromkeys(_SUMS, 0)), row)
    total = dict.fromkeys(_SUMS, 0)
    for row in rows:
        _add(total, row)
    items = [CostRow(key=dict(zip(keys, values, strict=True)), **sums) for values, sums in found.items()]
    items.sort(key=lambda item: (-item.cost_micro_usd, str(item.key)))
    return Costs(items=items, total=Sums(**total))


@router.get("/costs/series")
def series(
    here: Here,
    _who: Viewer,
    by: Literal["agent", "model", "team", "managed"] = "agent",
    step: Literal["hour", "day"] = "hour",
    since: Since = None,
    until: Until = None,
    top: Annotated[int, Query(ge=1, le=50)] = 8,
) -> CostSeries:
    """Cost over time, one line for each of the dearest, and one for the rest."""
    start, end = _span(here, since, until)
    size = HOUR if step == "hour" else DAY
    first, last = int(start) // size * size, int(end) // size * size
    if (last - first) // size > _TIMES:
        expected = f"at most {_TIMES} steps"
        raise ProblemError(422, "invalid", "too many steps", what="since", expected=expected, hint="step=day")
    times = list(range(first, last + 1, size))
    known = _known(here) if by in _OF_AGENTS else {}
    rows = here.store.usage((step, "model" if by == "model" else "agent"), since=start, until=end)
    found: dict[str, dict[int, list[int]]] = {}
    for row in rows:
        at = (row.hour or 0) // size * size
        sums = found.setdefault(str(_value(by, row, known)), {}).setdefault(at, [0, 0])
        sums[0] += row.cost_micro_usd
        sums[1] += row.calls
    order = sorted(found, key=lambda name: (-sum(one[0] for one in found[name].values()), name))
    lines = [Series(name=name, **_line(found[name], times)) for name in order[:top]]
    rest: dict[int, list[int]] = {}
    for name in order[top:]:
        for at, (amount, calls) in found[name].items():
            sums = rest.setdefault(at, [0, 0])
            sums[0] += amount
            sums[1] += calls
    if rest:
        lines.append(Series(name="", **_line(rest, times)))
    return CostSeries(times=times, series=lines)


@router.get("/distributions")
def distributions(
    here: Here,
    _who: Viewer,
    what: What = "session_cost",
    by: Literal["", "agent", "tool", "model"] = "",
    since: Since = None,
    until: Until = None,
) -> Distributions:
    """How values lie, from buckets that are kept as lines come in: whole days, within two per cent."""
    start, end = _span(here, since, until)
    named, factor = _WHAT[what]
    if by in ("tool", "model") and by != named:
        raise ProblemError(
            422,
            "invalid",
            f"{what} is not by {by}",
            what="by",
            value=by,
            expected="agent, or nothing",
            hint="leave it out",
        )
    column = {"": (), "agent": ("agent",)}.get(by, ("name",))
    rows = here.store.distributions(named, column, since=start, until=end)
    items = [_distribution(row, factor) for row in rows if row.count]
    return Distributions(items=sorted(items, key=lambda item: (-item.count, item.name)))


@router.get("/tools/usage")
def tool_usage(
    here: Here, _who: Viewer, by: Literal["tool", "agent"] = "tool", since: Since = None, until: Until = None
) -> ToolUsage:
    """Calls, failures and denials of tools."""
    start, end = _span(here, since, until)
    items = []
    for row in here.store.tool_usage((by,), since=start, until=end):
        rate = row.failures / row.calls if row.calls else None
        mean = row.duration_us / row.calls / 1000 if row.calls else None
        facts = {"calls": row.calls, "failures": row.failures, "denials": row.denials}
        items.append(ToolSums(key=getattr(row, by), **facts, failure_rate=rate, mean_ms=mean))
    return ToolUsage(items=sorted(items, key=lambda item: (-item.calls, item.key)))


def _keys(by: str) -> list[str]:
    keys = [key.strip() for key in by.split(",")]
    wrong = [key for key in keys if key not in _KEYS]
    if wrong or not 1 <= len(keys) <= 2 or len(set(keys)) != len(keys):  # noqa: PLR2004 - what a table can show
        expected = f"one or two of {', '.join(_KEYS)}"
        raise ProblemError(422, "invalid", f"cannot group by '{by[:40]}'", what="by", value=by, expected=expected)
    return keys


def _span(here: Console, since: float | None, until: float | None) -> tuple[float, float]:
    end = until if until is not None else here.clock() + HOUR
    start = since if since is not None else max(0.0, end - _WEEK)
    if start > end:
        raise ProblemError(
            422,
            "invalid",
            "`since` is later than `until`",
            what="since",
            value=int(start),
            expected=f"at most {int(end)}",
        )
    return start, end


def _known(here: Console) -> dict[str, Agent]:
    """Each agent, by its name and by its keys, as the registry says now."""
    found: dict[str, Agent] = {}
    for name, entry in open_registry(here.home).entries.items():
        for version in sorted(entry.versions):
            facts = entry.facts(version)
            found[facts.key] = facts
        found[name] = entry.facts(max(entry.versions, default=""))
    return found


def _value(key: str, row: UsageRow, known: dict[str, Agent]) -> str | int:
    if key in _OF_AGENTS:
        agent = known.get(row.agent)
        if key == "team":
            return agent.team if agent is not None else ""
        return "no" if agent is not None and not agent.managed else "yes"
    if key in ("day", "hour"):
        size = DAY if key == "day" else HOUR
        return (row.hour or 0) // size * size
    return row.agent if key == "agent" else row.model


def _add(sums: dict[str, int], row: UsageRow) -> None:
    for name in _SUMS:
        sums[name] += getattr(row, name)


def _line(found: dict[int, list[int]], times: Iterable[int]) -> dict[str, list[int]]:
    pairs = [found.get(at, (0, 0)) for at in times]
    return {"micro_usd": [pair[0] for pair in pairs], "calls": [pair[1] for pair in pairs]}


def _distribution(row: DistributionRow, factor: float) -> Distribution:
    return Distribution(
        name=row.agent or row.name,
        count=row.count,
        sum=row.total * factor,
        min=row.least * factor,
        max=row.most * factor,
        p50=row.p50 * factor,
        p90=row.p90 * factor,
        p95=row.p95 * factor,
        p99=row.p99 * factor,
        buckets=[BucketView(to=one.to * factor, count=one.count) for one in row.buckets],
    )

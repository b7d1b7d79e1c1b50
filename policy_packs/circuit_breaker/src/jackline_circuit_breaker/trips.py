"""What a detector found, and what the caps of a session say."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from jackline.request import Request
    from jackline_circuit_breaker.options import CircuitBreakerOptions, Response

_RUNS = 64
"""Runs whose sub-agents are counted; the one that began first makes way."""


class Trip(NamedTuple):
    """One detector's answer to one request."""

    rule: str
    """The option that it belongs to."""
    action: Response
    reason: str


def said(memory: dict[str, Any], trip: Trip) -> bool:
    """Whether a finding is on record already and nothing has changed since."""
    return trip.action == "record" and trip.rule in memory.get("said", ())


def again(count: int, at: int, action: Response) -> bool:
    """Whether a count is passed; a finding is given when it is reached, and when as many more were seen."""
    return count >= at and (action != "record" or count % at == 0)


def capped(options: CircuitBreakerOptions, request: Request, memory: dict[str, Any], found: list[Trip]) -> None:
    """Add what the caps say: how many steps, how long, how deep, how many sub-agents."""
    steps, time, depth, fan_out = options.steps, options.wall_time, options.depth, options.fan_out
    if steps is not None and again(memory.get("steps", 0), steps.max, steps.action):
        taken = memory["steps"]
        found.append(Trip("steps", steps.action, f"the session has taken {taken} steps, the most is {steps.max}"))
    if time is not None and request.at - memory.get("first", request.at) > time.max:
        spent = request.at - memory["first"]
        reason = f"the session has been at work for {spent:.0f} s, the most is {time.max:.0f} s"
        trip = Trip("wall_time", time.action, reason)
        if not said(memory, trip):
            found.append(trip)
    spawning = request.action == "agent.spawn"
    if depth is not None and request.depth + spawning > depth.max:
        deep = request.depth + spawning
        found.append(Trip("depth", depth.action, f"{deep} agents would be above this one, the most is {depth.max}"))
    if fan_out is not None and spawning:
        started = memory.get("spawned", {}).get(request.run, 0)
        if started >= fan_out.max:
            reason = f"this run has started {started} sub-agents, the most is {fan_out.max}"
            found.append(Trip("fan_out", fan_out.action, reason))


def stepped(memory: dict[str, Any], action: str, run: str) -> None:
    """Count an act that may start."""
    memory["steps"] = memory.get("steps", 0) + 1
    if action == "agent.spawn":
        spawned = memory.setdefault("spawned", {})
        spawned[run] = spawned.get(run, 0) + 1
        if len(spawned) > _RUNS:
            del spawned[next(iter(spawned))]

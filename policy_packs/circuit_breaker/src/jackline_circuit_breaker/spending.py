"""Model calls that become dearer and dearer: a moving average against the session's median."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jackline_circuit_breaker.options import Cost

_KEPT = 31
"""Costs of which the median is taken."""
_WEIGHT = 0.3
"""How much the latest cost counts in the moving average."""
_ENOUGH = 8
"""Fewer calls say nothing about a session."""


def spent(memory: dict[str, Any], micro_usd: int) -> None:
    """Note what a model call cost."""
    costs = memory.setdefault("costs", [])
    costs.append(micro_usd)
    if len(costs) > _KEPT:
        del costs[0]
    before = memory.get("average")
    memory["average"] = float(micro_usd) if before is None else before + _WEIGHT * (micro_usd - before)


def accelerated(memory: dict[str, Any], options: Cost) -> str:
    """How the calls became dearer; empty where they did not."""
    average = memory.get("average", 0.0)
    costs = memory.get("costs", ())
    if average <= options.floor or len(costs) < _ENOUGH:
        return ""
    median = sorted(costs)[len(costs) // 2]
    if average <= options.times * median:
        return ""
    return f"model calls cost {average / 1e6:.4f} USD of late, the session's median is {median / 1e6:.4f} USD"

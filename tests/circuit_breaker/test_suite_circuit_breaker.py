from __future__ import annotations

from jackline.request import Request, Tool
from jackline.testing.policies import PolicySuite, request
from jackline_circuit_breaker import CircuitBreaker

BLOCKING = ("no_progress", "repeats", "cycles", "errors", "same_result", "similar", "cost")


class TestCircuitBreaker(PolicySuite):
    use = CircuitBreaker
    options = (
        {},
        dict.fromkeys(BLOCKING, "deny"),
        dict.fromkeys(BLOCKING, "halt"),
        {**dict.fromkeys(BLOCKING, "off"), "steps": 3, "wall_time": "1s", "depth": 0, "fan_out": 0},
        {**dict.fromkeys(BLOCKING, "record"), "steps": {"max": 2, "action": "record"}},
        {"repeats": {"action": "deny", "at": 1}, "polls": {"tools": ["search"], "unchanged": 2}, "halt_after": 1},
        {"errors": {"streak": 2, "open_for": "1s", "longest": "4s", "results": ["order*"]}, "halt_after": None},
    )

    def requests(self) -> list[Request]:
        loop = [
            request("tool.call", name, args={"q": word}) for _ in range(6) for name, word in (("a", "x"), ("b", "y"))
        ]
        near = [request("tool.call", "search", args={"query": f"order number {number}"}) for number in range(9)]
        poll = [request("tool.call", "wait", tool=Tool(name="wait", labels={"poll": "yes"}))] * 4
        spawn = [request("agent.spawn", "worker", depth=depth) for depth in range(4)]
        return [*super().requests(), *loop, *near, *poll, *spawn]

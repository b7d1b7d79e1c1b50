"""What the circuit breaker costs for each event: `python benchmarks/breaker.py [sessions.json]`.

An event is a question (`evaluate`), a decision or an outcome (`observe`); a call has three. Thread CPU time, without
the engine and the journal. The goal is 10 us an event. Where taubench sessions are, their calls are replayed as well.
"""

from __future__ import annotations

import gc
import itertools
import json
import statistics
import sys
import time
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jackline.events import Completed, Decided, Event, Failed
from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from jackline.request import Request

GOAL = 10.0
ROUNDS = 15
EVENTS = 3
TEXT = "nonstop flights from New York to Seattle in economy class for two adults and a child, with a bag"
Call = tuple[str, dict[str, Any], str]


def made(calls: Iterable[Call]) -> list[tuple[Request, Decided, Event]]:
    """What a guard asks and tells for each call; a result that begins with `!` is an error."""
    base, found = request("tool.call"), []
    for number, (tool, args, result) in enumerate(calls):
        at, span = base.at + number, f"{number:016x}"
        asked = replace(base, resource=tool, tool=replace(base.tool, name=tool), args=args, at=at, span=span)
        what = {"at": at, "session": "5e" * 16, "run": asked.run, "span": span, "action": "tool.call", "resource": tool}
        decided = Decided(**what, agent="support", effect="allow")
        ended = (
            Failed(**what, error=result[1:])
            if result.startswith("!")
            else Completed(**what, duration_ms=1.0, result=result)
        )
        found.append((asked, decided, ended))
    return found


def session(policy: CircuitBreaker, events: Sequence[tuple[Request, Decided, Event]]) -> float:
    """Nanoseconds of one session."""
    evaluate, observe, state = policy.evaluate, policy.observe, State()
    started = time.thread_time_ns()
    for asked, decided, ended in events:
        verdict = evaluate(asked, state)
        if verdict is None or verdict.effect == "allow":
            observe(decided, state)
            observe(ended, state)
        else:
            observe(replace(decided, effect=verdict.effect, verdicts=(verdict,)), state)
    return time.thread_time_ns() - started


def show(what: str, calls: Iterable[Call], **options: Any) -> float:
    policy = CircuitBreaker.build("loops", CircuitBreaker.Options.model_validate(options), Context())
    events = made(calls)
    session(policy, events)
    gc.collect()
    gc.disable()
    took = [session(policy, events) / len(events) / EVENTS / 1_000 for _ in range(ROUNDS)]
    gc.enable()
    median = statistics.median(took)
    print(f"{what:64} {median:7.2f} us {min(took):7.2f} {'' if median <= GOAL else ' over the goal'}")
    return median


def digest(value: object) -> str:
    return blake2b(str(value).encode(), digest_size=16).hexdigest()


def flights(numbers: Iterable[int]) -> Iterable[tuple[str, dict[str, Any], int]]:
    for number in numbers:
        args = {"query": f"{TEXT} {number}", "page": number, "filters": {"cabin": "economy", "stops": [0, 1]}}
        yield "search_flights", args, number


def recorded(path: Path) -> list[list[Call]]:
    found = []
    for each in json.loads(path.read_text("utf-8")):
        results = {step["tool_call_id"]: str(step["content"]) for step in each["traj"] if step["role"] == "tool"}
        calls: list[Call] = []
        for step in each["traj"]:
            for call in step.get("tool_calls") or ():
                text = results.get(call["id"], "")
                result = "!Error" if text.startswith("Error") else digest(text)
                calls.append((call["function"]["name"], json.loads(call["function"]["arguments"]), result))
        found.append(calls)
    return found


def main() -> None:
    print(f"{'per event, ' + str(EVENTS) + ' events a call':64} {'median':>10} {'least':>7}")
    many = range(300)
    show("new arguments, new results (200 B)", ((tool, args, digest(n)) for tool, args, n in flights(many)))
    show("nearly the same arguments, the same result: every call sketched", ((t, a, "no") for t, a, _ in flights(many)))
    show("the same call, blocked from the fourth on", (("search", {"query": TEXT}, "no") for _ in many))
    show("the same call, only recorded", (("search", {"query": TEXT}, "no") for _ in many), no_progress="record")
    show("a cycle of three", (("search", {"query": TEXT[: 20 + n % 3]}, digest(n % 3)) for n in many))
    show("a tool that fails", ((t, a, "!TimeoutError") for t, a, _ in flights(many)))
    show("64 tools in turn", ((f"tool_{n % 64}", {"number": n}, digest(n)) for n in range(1000)))
    show("polls", (("status", {"job": 7}, digest(n)) for n in many), polls={"tools": ["status"]})
    show("32 kB of arguments, new results", (("write", {"text": "x" * 32_000, "n": n}, digest(n)) for n in many))
    path = Path(sys.argv[1]) if len(sys.argv) > 1 else Path("../shared/data/trajectories/taubench/gpt-4o-airline.json")
    if path.is_file():
        show("taubench, all sessions as one", itertools.chain.from_iterable(recorded(path)))


if __name__ == "__main__":
    main()

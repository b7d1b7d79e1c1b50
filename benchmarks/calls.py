"""Cases in plain Python: the engine alone, a governed function, and the parts that a governed call is made of."""

from __future__ import annotations

import itertools
import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any

import bundles
import ingest
import ledger
from timing import Case, Local

from jackline import Guard
from jackline.journal import Journal
from jackline.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

SMALL, LARGE = 200, 32_000
DIFFERENT = 5_000
"""Arguments in turn, more than a guard remembers the digests of."""


def search(query: str, limit: int = 5, region: str = "emea") -> str:
    """The tool: what is measured is not its work."""
    return "3 results"


def folder(stack: ExitStack) -> Path:
    return Path(stack.enter_context(tempfile.TemporaryDirectory()))


def guarded(stack: ExitStack, text: str) -> Guard:
    """A guard with a bundle in a home of its own, inside a session."""
    place = folder(stack)
    guard = stack.enter_context(Guard.load(bundles.written(place, text), home=place / "home", application="bench"))
    stack.enter_context(guard.session(id="bench"))
    return guard


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; what they opened is closed with the stack."""
    return [yardstick(), *decisions(stack), *functions(stack), *parts(stack)]


def yardstick() -> Case:
    args = {"query": bundles.texts(SMALL, 1)[0], "limit": 5, "region": "emea"}
    return Case("yardstick: json.loads(json.dumps(arguments)), 200 B", Local(lambda: json.loads(json.dumps(args))))


def decisions(stack: ExitStack) -> list[Case]:
    few = bundles.bundle(*bundles.rules(bundles.TOOL_RULES[:1]))
    ten = bundles.bundle(*bundles.rules(bundles.TOOL_RULES))
    other = bundles.rules(bundles.elsewhere(bundles.MANY - len(bundles.TOOL_RULES)), first="other")
    many = bundles.bundle(*bundles.rules(bundles.TOOL_RULES), *other)
    return [
        Case("engine.decide, 1 candidate rule", Local(decision(stack, few, 1)), goal=2),
        Case("engine.decide, 10 candidate rules", Local(decision(stack, ten, 10)), goal=6),
        Case("engine.decide, 1,000 rules, 10 candidates", Local(decision(stack, many, 10)), goal=8),
    ]


def decision(stack: ExitStack, text: str, candidates: int) -> Callable[[], object]:
    """Decide about one tool call, what conditions see of it made anew each time."""
    guard = guarded(stack, text)
    tool = guard.tool(search).jackline_tool  # type: ignore[attr-defined]
    args = {"query": bundles.texts(SMALL, 1)[0], "limit": 5, "region": "emea"}
    request = guard.request("tool.call", "search", args, tool=tool)
    engine, states = guard._active.engine, guard.sessions.get(request.subject).states
    first = engine.decide(request, states)
    assert first.effect == "allow"
    assert len(first.evaluated) == candidates

    def decide() -> object:
        request.view = None
        return engine.decide(request, states)

    return decide


def functions(stack: ExitStack) -> list[Case]:
    """A function under ten rules and a budget: decided, recorded, reserved, run, recorded, settled."""
    guard = guarded(stack, bundles.ten_rules_and_a_budget())
    governed = guard.tool(search)

    def case(name: str, size: int, count: int, goal: float | None = None) -> Case:
        given = bundles.texts(size, count)
        one, other = itertools.cycle(given), itertools.cycle(given)
        subject, bare = Local(lambda: governed(next(one))), Local(lambda: search(next(other)))
        return Case(name, subject, bare, goal)

    return [
        case("plain-Python tool call, 10 rules + budget, 200 B", SMALL, DIFFERENT, goal=25),
        case("  the same arguments each time", SMALL, 1),
        case("plain-Python tool call, 10 rules + budget, 32 kB", LARGE, DIFFERENT),
    ]


def parts(stack: ExitStack) -> list[Case]:
    place = folder(stack)
    opened = Ledger.open(place / "ledger")
    stack.callback(opened.close)
    claims = ledger.claims()
    journal = stack.enter_context(Journal.open(place / "journals"))
    events: Any = itertools.cycle(list(ingest.session(1))[2:-2])
    return [
        Case("ledger: reserve + settle, 2 scopes", Local(lambda: ledger.pair(opened, claims)), goal=20),
        Case("journal: append, event of 350 or 700 B", Local(lambda: journal.append(next(events)))),
    ]

"""Cases of the packs: what a tool call costs with one policy of each, and the circuit breaker by itself."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import breaker
import bundles
import pii_calls
from calls import DIFFERENT, SMALL, guarded
from timing import Case, Local

from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import ExitStack

EVENT_GOAL = 10.0
"""Microseconds of one event that the circuit breaker is told."""
LIMITS = "limits: [1000000 USD, 1000000000 calls]"
RISK = "amount: {of: [limit], steps: [{above: 100, add: 50}]}, new_destination: {of: [region], add: 30}"
ENTRIES = {
    "pii: redact": ["  - {name: pii, use: pii}"],
    "circuit_breaker": ["  - {name: loops, use: circuit_breaker}"],
    "budget: 2 policies, 4 scopes": [
        f"  - {{name: ceiling, use: budget, with: {{{LIMITS}, per: [session, day]}}}}",
        f"  - {{name: user-month, use: budget, with: {{{LIMITS}, per: [user, month]}}}}",
    ],
    "escalation: below its gate": [
        f"  - {{name: risky, use: escalation, with: {{{RISK}, gates: [{{at: 80, to: anyone}}]}}}}"
    ],
}


def cases(stack: ExitStack) -> list[Case]:
    """Every case of this file; what they opened is closed with the stack."""
    return [*governed(stack), *events()]


def governed(stack: ExitStack) -> list[Case]:
    """A function under one pack, with its decision and outcome in the journal; the bare one is the same function."""
    texts = bundles.texts(SMALL, DIFFERENT)
    dense = [f"{pii_calls.DENSE} {number}" for number in range(DIFFERENT)]
    return [
        *(call(stack, f"tool call, {name}, 200 B", entries, texts) for name, entries in ENTRIES.items()),
        call(stack, "tool call, pii: redact, 400 B with 4 values", ENTRIES["pii: redact"], dense),
    ]


def call(stack: ExitStack, what: str, entries: list[str], given: list[str]) -> Case:
    """One governed call; its result is another each time, as it is of a tool that gives something new."""
    numbers = itertools.count()

    def search(query: str, limit: int = 5, region: str = "emea") -> str:
        return f"{next(numbers)} results"

    governed = guarded(stack, bundles.bundle(*entries)).tool(search)
    one, other = itertools.cycle(given), itertools.cycle(given)
    return Case(what, Local(lambda: governed(next(one))), Local(lambda: search(next(other))))


def events() -> list[Case]:
    """The circuit breaker alone: the three events of a call that gives something new, and of a near duplicate."""
    return [
        Case("circuit_breaker: 3 events, new results", Local(told("new")), goal=3 * EVENT_GOAL),
        Case("circuit_breaker: 3 events, near duplicates", Local(told("")), goal=3 * EVENT_GOAL),
    ]


def told(result: str) -> Callable[[], object]:
    """Tell a policy of one call after the other in one session."""
    policy = CircuitBreaker.build("loops", CircuitBreaker.Options(), breaker.Context())
    many = breaker.flights(range(1000))
    stories = itertools.cycle(
        breaker.made((tool, args, breaker.digest(n) if result else "no") for tool, args, n in many)
    )
    state: Any = breaker.State()

    def one() -> None:
        asked, decided, ended = next(stories)
        policy.evaluate(asked, state)
        policy.observe(decided, state)
        policy.observe(ended, state)

    return one

"""How long conditions take to load and to answer, as medians of thread CPU time: `python benchmarks/condition.py`."""

from __future__ import annotations

import statistics
import time
from typing import TYPE_CHECKING, Any

from jackline.condition import Schema, compile_condition, emitter
from jackline.condition.evaluator import evaluate

if TYPE_CHECKING:
    from collections.abc import Callable

RULE = "tool.name.startsWith('db.') && args.amount > 500 && !('finance' in agent.labels)"
FACTS: dict[str, Any] = {
    "action": "tool.call",
    "tool": {"name": "db.delete", "labels": {}},
    "args": {"amount": 600, "to": [f"user{number}@example.com" for number in range(10)]},
    "agent": {"name": "support", "labels": {"tier": "gold"}},
    "session": {"cost_usd": 0.1},
}
OTHER = {**FACTS, "tool": {"name": "search", "labels": {}}}
REPEATS = 21


def median(work: Callable[[], object], times: int) -> float:
    """Microseconds for one call, the loop's own cost taken off."""

    def run(call: Callable[[], object]) -> float:
        started = time.thread_time_ns()
        for _ in range(times):
            call()
        return (time.thread_time_ns() - started) / times / 1000

    empty = statistics.median(run(lambda: None) for _ in range(REPEATS))
    return statistics.median(run(work) for _ in range(REPEATS)) - empty


def show(what: str, microseconds: float) -> None:
    print(f"{what:56} {microseconds:10.2f} us")


def load(rules: int, facts: dict[str, Any] | None) -> float:
    """Microseconds to load so many different rules, and to ask each once where facts are given."""
    sources = [RULE.replace("500", str(number)) for number in range(rules)]

    def work() -> None:
        for source in sources:
            condition = compile_condition(source, Schema.default())
            if facts is not None:
                condition.evaluate(facts)

    return statistics.median(median(work, 1) for _ in range(3))


def main() -> None:
    schema = Schema.default()
    condition = compile_condition(RULE, schema)
    answer = condition.evaluate
    print(RULE)
    show("load (read and check)", median(lambda: compile_condition(RULE, schema), 200))
    show("make the code object (once, when first asked)", median(lambda: emitter.build(condition._tree), 200))
    show("answer: match", median(lambda: answer(FACTS), 20_000))
    show("answer: no match", median(lambda: answer(OTHER), 20_000))
    show("answer by the tree walker alone", median(lambda: evaluate(condition._tree, FACTS), 2_000))
    absorbed = compile_condition("args.nope == 1 || tool.name == 'db.delete'", schema)
    show("answer with an absorbed error", median(lambda: absorbed.evaluate(FACTS), 2_000))
    macro = compile_condition("args.to.exists(a, !a.endsWith('@example.com'))", schema)
    show("exists() over 10 elements", median(lambda: macro.evaluate(FACTS), 5_000))
    regex = compile_condition(r"tool.name.matches('^db\\.(delete|drop)$')", schema)
    show("matches() with a fixed pattern", median(lambda: regex.evaluate(FACTS), 5_000))
    hostile = compile_condition("args.text.matches('(a+)+$')", schema)
    text = {"args": {"text": "a" * 100_000 + "!"}}
    show("matches('(a+)+$') on 100 kB", median(lambda: hostile.evaluate(text), 3))
    show("load 1,000 rules", load(1_000, None))
    show("load 1,000 rules and ask each once", load(1_000, FACTS))


if __name__ == "__main__":
    main()

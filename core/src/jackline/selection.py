"""Which agents a query over the registry selects: the same answer for the command line and the console."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.condition import ConditionError, EvaluationError, Schema, compile_condition
from jackline.facts import agent_facts

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.condition import Condition
    from jackline.request import Agent


def agent_query(where: str) -> Condition:
    """Compile a condition over the one root `agent`. Raises ConditionError, with its place."""
    condition = compile_condition(where, Schema.default().only("agent"))
    if condition.result_type not in ("bool", "dyn"):
        raise ConditionError(f"this condition gives {condition.result_type}; compare it with a value")
    return condition


def selects(condition: Condition, versions: Sequence[Agent], unclear: list[str]) -> bool:
    """Whether the condition holds for a version of an agent; one that it has no answer for is noted in `unclear`."""
    for version in versions:
        try:
            if condition.evaluate(agent_facts(version)) is True:
                return True
        except EvaluationError as error:
            unclear.append(f"{version.key} is not listed: --where has no answer for it ({error})")
    return False

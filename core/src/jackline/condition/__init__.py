"""Conditions: a subset of CEL over the facts of a request, checked when a bundle loads, fast when it is asked."""

from jackline.condition.compiler import Condition, any_of, compile_condition
from jackline.condition.conjuncts import Conjuncts
from jackline.condition.errors import BudgetExceeded, ConditionError, EvaluationError
from jackline.condition.schema import Schema

__all__ = [
    "BudgetExceeded",
    "Condition",
    "ConditionError",
    "Conjuncts",
    "EvaluationError",
    "Schema",
    "any_of",
    "compile_condition",
]

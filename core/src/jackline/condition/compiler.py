"""From a condition's text to something that answers a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.condition import checker, emitter, evaluator, parser, syntax
from jackline.condition.conjuncts import Conjuncts, conjuncts
from jackline.condition.errors import BudgetExceeded, EvaluationError, position
from jackline.condition.functions import TRACING
from jackline.condition.values import kind_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from jackline.condition.schema import Schema
    from jackline.condition.syntax import Node


class Condition:
    """A condition that was checked. Its code object is made when it is first evaluated; safe to share by threads."""

    __slots__ = ("_tree", "conjuncts", "result_type", "roots", "run", "source", "traces", "unverified")

    def __init__(
        self, source: str, tree: Node, result_type: str, roots: frozenset[str], unverified: tuple[str, ...]
    ) -> None:
        self.source = source
        self.result_type = result_type
        """`bool`, `dyn`, `list(string)`, ..."""
        self.roots = roots
        """The roots that it names."""
        self.unverified = unverified
        """Paths into `args` and `original` whose type the schema does not settle."""
        self.conjuncts: Conjuncts = conjuncts(tree)
        self.traces = any(name in TRACING for name in syntax.calls(tree))
        """Whether it asks where values come from."""
        self._tree = tree
        self.run: Callable[[Mapping[str, Any]], Any] = self._first
        """The code object alone. What it returns is the answer; where it raises, ask `evaluate`."""

    def __repr__(self) -> str:
        return f"Condition({self.source!r})"

    def evaluate(self, facts: Mapping[str, Any]) -> Any:
        """Answer for these facts, plain data by root name. Raises EvaluationError where there is no answer."""
        try:
            return self.run(facts)
        except BudgetExceeded:
            raise
        except Exception:  # noqa: BLE001 - whatever the fast way stumbled over, the slow way decides
            return self._explain(facts)

    def holds(self, facts: Mapping[str, Any]) -> bool:
        """Answer true or false. Raises EvaluationError also where the value is neither, as a `dyn` one may be."""
        value = self.evaluate(facts)
        if value is True or value is False:
            return value is True
        raise EvaluationError(f"a condition gives true or false, not {kind_of(value)}: {self.source}")

    def _first(self, facts: Mapping[str, Any]) -> Any:
        try:
            self.run = emitter.build(self._tree)
        except Exception:  # noqa: BLE001 - too little stack or memory to compile: the slow way needs neither
            self.run = self._explain
        return self.run(facts)

    def _explain(self, facts: Mapping[str, Any]) -> Any:
        try:
            return evaluator.evaluate(self._tree, facts)
        except EvaluationError as error:
            line, column = position(self.source, error.offset)
            error.args = (f"line {line}, column {column}: {error.message}",)
            raise
        except RecursionError:
            raise EvaluationError("there is too little stack left to evaluate this condition") from None


def any_of(conditions: Sequence[Condition]) -> Callable[[Mapping[str, Any]], Any]:
    """One code object for many conditions: False where each is false. Anything else, an error too, tells nothing."""
    trees = tuple(condition._tree for condition in conditions)  # noqa: SLF001 - of this module's own class
    return emitter.build(trees[0] if len(trees) == 1 else syntax.Logic(0, 0, "||", trees))


def compile_condition(source: str, schema: Schema | None) -> Condition:
    """Read and check a condition; raises ConditionError.

    Without a schema names, types and functions are not checked: what is wrong then shows at evaluation.
    """
    tree = parser.parse(source)
    result_type, roots, unverified = checker.check(source, tree, schema)
    return Condition(source, tree, str(result_type), roots, unverified)

"""The slow way: walks the tree, absorbs errors in `&&` and `||` in either order, and says where one arose.

The code object is always tried first; this runs when it raised, and decides alone what the outcome is.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, TypeVar

from jackline.condition import containers, syntax, values
from jackline.condition.errors import BudgetExceeded, EvaluationError
from jackline.condition.functions import FUNCTIONS, ORIGINS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

T = TypeVar("T")

BINARY: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "==": values.equals,
    "!=": values.differs,
    "<": values.less,
    "<=": values.less_equal,
    ">": values.greater,
    ">=": values.greater_equal,
    "in": containers.member,
    "+": values.add,
    "-": values.subtract,
    "*": values.multiply,
    "/": values.divide,
    "%": values.modulo,
}


def evaluate(tree: syntax.Node, facts: Mapping[str, Any]) -> Any:
    """Evaluate a tree; raises EvaluationError with the offset of what failed."""
    return _Evaluator(facts).value(tree)


class _Evaluator:
    """One evaluation of a tree over one set of facts."""

    def __init__(self, facts: Mapping[str, Any]) -> None:
        self.facts = facts
        self.budget = containers.Budget()
        self.variables: dict[str, Any] = {}

    def value(self, node: syntax.Node) -> Any:
        """Evaluate a node; raises EvaluationError with the offset of what failed."""
        try:
            return _WALK[type(node)](self, node)
        except EvaluationError as error:
            if error.offset < 0:
                error.offset = getattr(node, "place", node.offset)
            raise
        except RecursionError:
            raise
        except Exception as error:
            place = getattr(node, "place", node.offset)
            raise EvaluationError(f"{type(error).__name__}: {error}", place) from error

    def ident(self, node: syntax.Ident) -> Any:
        """A variable hides a root of the same name, a root a type's name."""
        if node.name in self.variables:
            return self.variables[node.name]
        if node.name in self.facts:
            return self.facts[node.name]
        if node.name in values.TYPES:
            return values.TYPES[node.name]
        raise EvaluationError(f"there is no '{node.name}' in this request; guard it with has({node.name}.<field>)")

    def select(self, node: syntax.Select) -> Any:
        container = self.value(node.operand)
        if type(container) is dict and node.field not in container:
            place = syntax.path(node)
            advice = f"; guard it with has({place})" if place else ""
            raise EvaluationError(f"no such key: '{node.field}'{advice}")
        return containers.select(container, node.field)

    def has(self, node: syntax.Has) -> bool:
        root = node.operand
        if isinstance(root, syntax.Ident) and root.name not in self.variables and root.name not in self.facts:
            return False
        return containers.has(self.value(root), node.field)

    def logic(self, node: syntax.Logic) -> bool:
        """One operand that decides is enough, whatever fails beside it."""
        decisive = node.operator == "||"
        failure: EvaluationError | None = None
        for operand in node.operands:
            try:
                if self.truth(operand) is decisive:
                    return decisive
            except BudgetExceeded:
                raise
            except EvaluationError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive

    def truth(self, node: syntax.Node) -> bool:
        """Evaluate a node that must be a boolean."""
        value = self.value(node)
        if value is True or value is False:
            return value is True
        raise EvaluationError(f"expected true or false, not {values.kind_of(value)}", node.offset)

    def unary(self, node: syntax.Unary) -> Any:
        if node.operator == "!":
            return not self.truth(node.operand)
        return values.negate(self.value(node.operand))

    def binary(self, node: syntax.Binary) -> Any:
        return BINARY[node.operator](self.value(node.left), self.value(node.right))

    def choice(self, node: syntax.Choice) -> Any:
        return self.value(node.then if self.truth(node.test) else node.otherwise)

    def call(self, node: syntax.Call) -> Any:
        arguments = [self.value(each) for each in (*([node.target] if node.target else []), *node.arguments)]
        function = FUNCTIONS.get(node.function)
        if function is None or not any(
            overload.member is (node.target is not None) and len(overload.parameters) == len(arguments)
            for overload in function.overloads
        ):
            raise EvaluationError(f"there is no such function: {node.function}() with {len(arguments)} operands")
        if function.traces:
            return function.call(self.facts.get(ORIGINS), *arguments, syntax.path(node.arguments[0]))
        return function.call(*arguments)

    def map_of(self, node: syntax.MapOf) -> Any:
        return containers.make_map([(self.value(key), self.value(value)) for key, value in node.entries])

    def macro(self, node: syntax.Macro) -> Any:
        items = self.value(node.items)
        hidden = self.variables
        try:
            if node.name in {"exists", "all"}:
                return self.quantify(node, items)
            check = None if node.test is None else self.bound(node.variable, node.test, self.truth)
            if node.transform is not None:
                change = self.bound(node.variable, node.transform, self.value)
                return containers.change(self.budget, items, check, change)
            assert check is not None
            kept = containers.keep(self.budget, items, check)
            return kept if node.name == "filter" else len(kept) == 1
        finally:
            self.variables = hidden

    def bound(self, variable: str, node: syntax.Node, walk: Callable[[syntax.Node], T]) -> Callable[[Any], T]:
        """Make the function that walks a node with an element as the variable's value."""
        outer = self.variables

        def with_element(element: Any) -> T:
            self.variables = {**outer, variable: element}
            return walk(node)

        return with_element

    def quantify(self, node: syntax.Macro, items: Any) -> bool:
        """`exists` is a chain of `||` over the elements, `all` one of `&&`: errors are absorbed likewise."""
        assert node.test is not None
        decisive = node.name == "exists"
        check = self.bound(node.variable, node.test, self.truth)
        failure: EvaluationError | None = None
        for element in containers.elements(items):
            self.budget.spend()
            try:
                if check(element) is decisive:
                    return decisive
            except BudgetExceeded:
                raise
            except EvaluationError as error:
                failure = failure or error
        if failure is not None:
            raise failure
        return not decisive


_WALK: Final[dict[type[syntax.Node], Callable[[_Evaluator, Any], Any]]] = {
    syntax.Literal: lambda _, node: node.value,
    syntax.Ident: _Evaluator.ident,
    syntax.Select: _Evaluator.select,
    syntax.Has: _Evaluator.has,
    syntax.Index: lambda walk, node: containers.index(walk.value(node.operand), walk.value(node.key)),
    syntax.Unary: _Evaluator.unary,
    syntax.Binary: _Evaluator.binary,
    syntax.Logic: _Evaluator.logic,
    syntax.Choice: _Evaluator.choice,
    syntax.Call: _Evaluator.call,
    syntax.ListOf: lambda walk, node: [walk.value(each) for each in node.items],
    syntax.MapOf: _Evaluator.map_of,
    syntax.Macro: _Evaluator.macro,
}

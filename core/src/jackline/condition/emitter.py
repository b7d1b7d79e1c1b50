"""Turns a tree into a Python code object that is fast where all goes well and raises where anything does not.

Only the node kinds that this module constructs can appear: subscripts, never attributes; names of this module's
table and of macros' variables, never others; calls of this module's functions only. Whatever raises is evaluated
again by `evaluator`, so a guard here need only refuse what Python would take and CEL would not.
"""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any, Final

from jackline.condition import containers, syntax, values
from jackline.condition.errors import EvaluationError
from jackline.condition.evaluator import BINARY
from jackline.condition.functions import FUNCTIONS, ORIGINS, pattern, search

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from types import CodeType


def fail() -> None:
    """Give the slow evaluator the word."""
    raise EvaluationError("not evaluated")


_ARITHMETIC: Final = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide", "%": "modulo"}
_COMPARE: Final[dict[str, tuple[type[ast.cmpop], str]]] = {
    "<": (ast.Lt, "less"),
    "<=": (ast.LtE, "less_equal"),
    ">": (ast.Gt, "greater"),
    ">=": (ast.GtE, "greater_equal"),
    "==": (ast.Eq, "equals"),
    "!=": (ast.NotEq, "differs"),
}
_MACRO: Final = {
    "exists": containers.exists,
    "all": containers.every,
    "exists_one": containers.exists_one,
    "filter": containers.keep,
    "map": containers.change,
}
_EXACT: Final = 2**53
"""Beyond it an int beside a double is rounded, which Python's own comparison does not do."""

GLOBALS: Final[dict[str, Any]] = {
    "__builtins__": {},
    "type": type,
    "dict": dict,
    "get": dict.get,
    "nothing": {},
    "startswith": str.startswith,
    "endswith": str.endswith,
    "holds": str.__contains__,
    "fail": fail,
    "budget": containers.Budget,
    "negate": values.negate,
    "index": containers.index,
    "member": containers.member,
    "make_map": containers.make_map,
    "search": search,
    **{name: BINARY[operator] for operator, name in _ARITHMETIC.items()},
    **{name: BINARY[operator] for operator, (_, name) in _COMPARE.items()},
    **{f"m_{name}": function for name, function in _MACRO.items()},
    **{f"f_{name}": function.call for name, function in FUNCTIONS.items()},
    **{f"y_{name.rpartition('.')[2]}": value for name, value in values.TYPES.items()},
}
_DIRECT: Final = {"startsWith": "startswith", "endsWith": "endswith", "contains": "holds"}
_PLACE: Final[dict[str, Any]] = {"lineno": 1, "col_offset": 0}
_LOAD: Final = ast.Load()
_STORE: Final = ast.Store()


def build(tree: syntax.Node) -> Callable[[Mapping[str, Any]], Any]:
    """Make the function of a tree. It may raise anything; the evaluator then decides."""
    root, objects = expression(tree)
    code = compile(root, "<condition>", "eval", dont_inherit=True, optimize=0)
    names = {**GLOBALS, **objects} if objects else GLOBALS
    verify(code, names)
    return eval(code, names)  # type: ignore[no-any-return]  # noqa: S307 - the code was made here, node by node


def expression(tree: syntax.Node) -> tuple[ast.Expression, dict[str, Any]]:
    """Make the Python expression of a tree, and the objects that it names beside the table's."""
    emitter = _Emitter()
    body, _ = emitter.emit(tree)
    if emitter.uses_budget:
        body = _call(_function(["b"], body), [_call(_name("budget"), [])])
    return ast.Expression(_function(["facts"], body)), emitter.objects


def verify(code: CodeType, names: Mapping[str, Any]) -> None:
    """Attributes and globals share one table of names in a code object: none may be outside of ours."""
    if not names.keys() >= set(code.co_names):
        raise AssertionError(f"the emitter named {sorted(set(code.co_names) - names.keys())}")
    for constant in code.co_consts:
        if isinstance(constant, type(code)):
            verify(constant, names)


def _name(name: str) -> ast.expr:
    return ast.Name(name, _LOAD, **_PLACE)


def _constant(value: Any) -> ast.expr:
    return ast.Constant(value, **_PLACE)


def _call(function: ast.expr, arguments: list[ast.expr]) -> ast.expr:
    return ast.Call(function, arguments, [], **_PLACE)


def _subscript(container: ast.expr, key: str) -> ast.expr:
    if isinstance(container, (ast.Constant, ast.List)):  # a field of what has none; Python would warn of it
        return _call(_name("fail"), [])
    return ast.Subscript(container, _constant(key), _LOAD, **_PLACE)


def _compare(left: ast.expr, operator: ast.cmpop, right: ast.expr) -> ast.expr:
    return ast.Compare(left, [operator], [right], **_PLACE)


def _either(test: ast.expr, then: ast.expr, otherwise: ast.expr) -> ast.expr:
    return ast.IfExp(test, then, otherwise, **_PLACE)


def _function(parameters: list[str], body: ast.expr) -> ast.expr:
    arguments = ast.arguments([], [ast.arg(each, **_PLACE) for each in parameters], None, [], [], None, [])
    return ast.Lambda(arguments, body, **_PLACE)


Emitted = tuple[ast.expr, str]
"""An expression, and what its value surely is when it does not raise: `bool`, `string`, or nothing."""


class _Emitter:
    def __init__(self) -> None:
        self.temporaries = 0
        self.uses_budget = False
        self.objects: dict[str, Any] = {}
        self.variables: frozenset[str] = frozenset()

    def emit(self, node: syntax.Node) -> Emitted:
        return _EMIT[type(node)](self, node)

    def plain(self, node: syntax.Node) -> ast.expr:
        return _EMIT[type(node)](self, node)[0]

    def kept(self, value: ast.expr) -> tuple[ast.expr, ast.expr]:
        """Name a value in passing: the expression that names it, and one that reads it again."""
        self.temporaries += 1
        name = f"t{self.temporaries}"
        return ast.NamedExpr(ast.Name(name, _STORE, **_PLACE), value, **_PLACE), _name(name)

    def boolean(self, node: syntax.Node) -> ast.expr:
        value, kind = self.emit(node)
        if kind == "bool":
            return value
        keep, again = self.kept(value)
        test = ast.BoolOp(
            ast.Or(),
            [_compare(keep, ast.Is(), _constant(value=True)), _compare(again, ast.Is(), _constant(value=False))],
            **_PLACE,
        )
        return _either(test, again, _call(_name("fail"), []))

    def literal(self, node: syntax.Literal) -> Emitted:
        kind = type(node.value)
        if kind is values.Uint:
            self.objects[f"u{node.value:d}"] = node.value
            return _name(f"u{node.value:d}"), ""
        return _constant(node.value), {bool: "bool", str: "string"}.get(kind, "")

    def ident(self, node: syntax.Ident) -> Emitted:
        if node.name in self.variables:
            return _name(f"v_{node.name}"), ""
        root = _subscript(_name("facts"), node.name)
        if node.name not in values.TYPES:
            return root, ""
        test = _compare(_constant(node.name), ast.In(), _name("facts"))
        return _either(test, root, _name(f"y_{node.name}")), ""

    def select(self, node: syntax.Select) -> Emitted:
        return _subscript(self.plain(node.operand), node.field), ""

    def has(self, node: syntax.Has) -> Emitted:
        root = node.operand
        if isinstance(root, syntax.Ident) and root.name not in self.variables:
            holder = _call(_name("get"), [_name("facts"), _constant(root.name), _name("nothing")])
        else:
            holder = self.plain(root)
        return self.key_in(node.field, holder, "fail"), "bool"

    def key_in(self, key: str, holder: ast.expr, otherwise: str) -> ast.expr:
        """Test for a key where the holder is a dict; a string or a list would answer something else."""
        keep, again = self.kept(holder)
        test = _compare(_call(_name("type"), [keep]), ast.Is(), _name("dict"))
        arguments = [_constant(key), again] if otherwise == "member" else []
        return _either(test, _compare(_constant(key), ast.In(), again), _call(_name(otherwise), arguments))

    def index(self, node: syntax.Index) -> Emitted:
        key = node.key
        if isinstance(key, syntax.Literal) and type(key.value) is str:
            return _subscript(self.plain(node.operand), key.value), ""
        return _call(_name("index"), [self.plain(node.operand), self.plain(key)]), ""

    def unary(self, node: syntax.Unary) -> Emitted:
        if node.operator == "!":
            return ast.UnaryOp(ast.Not(), self.boolean(node.operand), **_PLACE), "bool"
        return _call(_name("negate"), [self.plain(node.operand)]), ""

    def logic(self, node: syntax.Logic) -> Emitted:
        operator = ast.And() if node.operator == "&&" else ast.Or()
        return ast.BoolOp(operator, [self.boolean(each) for each in node.operands], **_PLACE), "bool"

    def choice(self, node: syntax.Choice) -> Emitted:
        test = self.boolean(node.test)
        then, kind = self.emit(node.then)
        otherwise, other = self.emit(node.otherwise)
        return _either(test, then, otherwise), kind if kind == other else ""

    def binary(self, node: syntax.Binary) -> Emitted:
        operator = node.operator
        if operator == "in":
            return self.membership(node), "bool"
        if operator in {"==", "!="}:
            return self.equality(node), "bool"
        if operator in _COMPARE:
            return self.order(node), "bool"
        return _call(_name(_ARITHMETIC[operator]), [self.plain(node.left), self.plain(node.right)]), ""

    def equality(self, node: syntax.Binary) -> ast.expr:
        python, function = _COMPARE[node.operator]
        left, right = node.left, node.right
        if isinstance(left, syntax.Literal):
            left, right = right, left
        value: Any = right.value if isinstance(right, syntax.Literal) else fail
        same = node.operator == "=="
        if (value is None or value is True or value is False) and not isinstance(left, syntax.Literal):
            return _compare(self.plain(left), ast.Is() if same else ast.IsNot(), _constant(value))
        # Only 0 and 1 are equal to a boolean in Python; beyond 2**53 a double beside an int is rounded.
        if type(value) in {str, bytes} or (type(value) in {int, float} and value not in {0, 1} and abs(value) < _EXACT):
            return _compare(self.plain(left), python(), _constant(value))
        return _call(_name(function), [self.plain(node.left), self.plain(node.right)])

    def order(self, node: syntax.Binary) -> ast.expr:
        python, function = _COMPARE[node.operator]
        if _small(node.right) and not isinstance(node.left, syntax.Literal):
            keep, again = self.kept(self.plain(node.left))
            return self.number(keep, again, _compare(again, python(), self.plain(node.right)))
        if _small(node.left) and not isinstance(node.right, syntax.Literal):
            keep, again = self.kept(self.plain(node.right))
            return self.number(keep, again, _compare(self.plain(node.left), python(), again))
        left, kind = self.emit(node.left)
        right, other = self.emit(node.right)
        if "string" in {kind, other}:
            return _compare(left, python(), right)
        return _call(_name(function), [left, right])

    def number(self, keep: ast.expr, again: ast.expr, then: ast.expr) -> ast.expr:
        """Python orders booleans as numbers; any other type beside a number raises by itself."""
        test = ast.BoolOp(
            ast.And(),
            [_compare(keep, ast.IsNot(), _constant(value=True)), _compare(again, ast.IsNot(), _constant(value=False))],
            **_PLACE,
        )
        return _either(test, then, _call(_name("fail"), []))

    def membership(self, node: syntax.Binary) -> ast.expr:
        left, right = node.left, node.right
        if isinstance(right, syntax.ListOf) and right.items:
            texts = [each.value for each in right.items if isinstance(each, syntax.Literal) and type(each.value) is str]
            if len(texts) == len(right.items):
                return _compare(self.plain(left), ast.In(), _constant(tuple(texts)))
        if isinstance(left, syntax.Literal) and type(left.value) is str:
            return self.key_in(left.value, self.plain(right), "member")
        return _call(_name("member"), [self.plain(left), self.plain(right)])

    def call(self, node: syntax.Call) -> Emitted:
        arguments = [self.plain(each) for each in (*([node.target] if node.target else []), *node.arguments)]
        if node.function == "dyn" and len(arguments) == 1 and node.target is None:
            return arguments[0], ""
        function = FUNCTIONS.get(node.function)
        shapes = [
            each
            for each in (function.overloads if function else ())
            if each.member is (node.target is not None) and len(each.parameters) == len(arguments)
        ]
        if not shapes:
            return _call(_name("fail"), []), ""
        kind = {"bool": "bool", "string": "string"}.get(shapes[0].result, "")
        last = node.arguments[-1] if node.arguments else None
        if node.function == "matches" and isinstance(last, syntax.Literal) and type(last.value) is str:
            name = f"k{len(self.objects)}"
            self.objects[name] = pattern(last.value)
            return _call(_name("search"), [_name(name), arguments[0]]), kind
        if function is not None and function.traces:
            path = _constant(syntax.path(node.arguments[0]))
            arguments = [_subscript(_name("facts"), ORIGINS), *arguments, path]
        direct = _DIRECT.get(node.function)
        return _call(_name(direct or f"f_{node.function}"), arguments), kind

    def list_of(self, node: syntax.ListOf) -> Emitted:
        return ast.List([self.plain(each) for each in node.items], _LOAD, **_PLACE), ""

    def map_of(self, node: syntax.MapOf) -> Emitted:
        pairs: list[ast.expr] = [
            ast.Tuple([self.plain(key), self.plain(value)], _LOAD, **_PLACE) for key, value in node.entries
        ]
        return _call(_name("make_map"), [ast.List(pairs, _LOAD, **_PLACE)]), ""

    def macro(self, node: syntax.Macro) -> Emitted:
        self.uses_budget = True
        items = self.plain(node.items)
        outer = self.variables
        self.variables = outer | {node.variable}
        parameter = [f"v_{node.variable}"]
        test = _constant(None) if node.test is None else _function(parameter, self.boolean(node.test))
        arguments = [_name("b"), items, test]
        if node.transform is not None:
            arguments.append(_function(parameter, self.plain(node.transform)))
        self.variables = outer
        kind = "" if node.name in {"map", "filter"} else "bool"
        return _call(_name(f"m_{node.name}"), arguments), kind


def _small(node: syntax.Node) -> bool:
    """A number beside which Python's comparison is CEL's."""
    return isinstance(node, syntax.Literal) and type(node.value) in {int, float} and abs(node.value) < _EXACT


_EMIT: Final[dict[type[syntax.Node], Callable[[_Emitter, Any], Emitted]]] = {
    syntax.Literal: _Emitter.literal,
    syntax.Ident: _Emitter.ident,
    syntax.Select: _Emitter.select,
    syntax.Has: _Emitter.has,
    syntax.Index: _Emitter.index,
    syntax.Unary: _Emitter.unary,
    syntax.Binary: _Emitter.binary,
    syntax.Logic: _Emitter.logic,
    syntax.Choice: _Emitter.choice,
    syntax.Call: _Emitter.call,
    syntax.ListOf: _Emitter.list_of,
    syntax.MapOf: _Emitter.map_of,
    syntax.Macro: _Emitter.macro,
}

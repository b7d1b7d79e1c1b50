"""Finds, when a condition loads, what would fail or could never be true: names, types, functions, fixed values."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jackline.condition import operands, syntax, times
from jackline.condition import types as t
from jackline.condition.errors import ConditionError, EvaluationError, closest, located
from jackline.condition.functions import FUNCTIONS, pattern
from jackline.condition.parser import MACROS
from jackline.condition.values import TYPES, Uint

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.condition.schema import Schema
    from jackline.condition.types import Type

_LITERAL: Final[dict[type, Type]] = {
    type(None): t.NULL,
    bool: t.BOOL,
    int: t.INT,
    Uint: t.UINT,
    float: t.DOUBLE,
    str: t.STRING,
    bytes: t.BYTES,
}
_OPEN_ROOTS: Final = frozenset(("args", "original"))


class _Checker:
    """One check of one condition against a schema."""

    def __init__(self, source: str, schema: Schema) -> None:
        self.source = source
        self.schema = schema
        self.variables: dict[str, Type] = {}
        self.roots: set[str] = set()
        self.unverified: dict[str, None] = {}

    def type(self, node: syntax.Node) -> Type:
        """Give a node's type; raises ConditionError."""
        return _RULES[type(node)](self, node)

    def wrong(self, node: syntax.Node | int, message: str, suggestion: str | None = None) -> ConditionError:
        """Make the error for a place."""
        offset = node if isinstance(node, int) else node.offset
        return located(self.source, offset, message, suggestion)

    def ident(self, node: syntax.Ident) -> Type:
        if node.name in self.variables:
            return self.variables[node.name]
        root = self.schema.roots.get(node.name)
        if root is not None:
            self.roots.add(node.name)
            return root.type
        if node.name in TYPES:
            return t.TYPE
        known = sorted({*self.schema.roots, *self.variables})
        meant = _CONSTANTS.get(node.name) or self._elsewhere(node.name) or closest(node.name, known)
        raise self.wrong(node, f"there is no '{node.name}'; known are {', '.join(known)}", meant)

    def _elsewhere(self, name: str) -> str | None:
        """Find the one root that has a field of this name."""
        homes = [root for root, field in self.schema.roots.items() if name in field.type.fields and root != "original"]
        return f"{homes[0]}.{name}" if len(homes) == 1 else None

    def select(self, node: syntax.Select | syntax.Has) -> Type:
        kind = self.field(node)
        if kind.kind == "dyn":
            self.note(node)
        return kind

    def has(self, node: syntax.Has) -> Type:
        self.select(node)
        return t.BOOL

    def note(self, node: syntax.Node) -> None:
        """Remember a path into the arguments that no schema settles."""
        path = syntax.path(node)
        root = path.partition(".")[0].partition("[")[0]
        if root in _OPEN_ROOTS and root not in self.variables:
            self.unverified[path] = None

    def inner(self, node: syntax.Node) -> Type:
        """The type of what a field or an element is taken from; only the longest path is noted."""
        if isinstance(node, syntax.Select):
            return self.field(node)
        if isinstance(node, syntax.Index):
            return self.element(node)
        return self.type(node)

    def field(self, node: syntax.Select | syntax.Has) -> Type:
        holder = self.inner(node.operand)
        if holder.kind == "dyn":
            return t.DYN
        if holder.kind == "record":
            return self.named(node.place, holder, node.field)
        if holder.kind == "map" and t.comparable(holder.key or t.DYN, t.STRING):
            return holder.item or t.DYN
        what = operands.said(node.operand, holder)
        advice = operands.field_advice(node, holder)
        raise self.wrong(node.place, f"{what} has no fields{advice}")

    def named(self, place: int, holder: Type, name: str) -> Type:
        if name in holder.fields:
            return holder.fields[name].type
        if holder.item is not None:
            return holder.item
        fields = ", ".join(holder.fields) or "no fields"
        raise self.wrong(place, f"{holder.name} has no field '{name}'; it has {fields}", closest(name, holder.fields))

    def index(self, node: syntax.Index) -> Type:
        kind = self.element(node)
        if kind.kind == "dyn":
            self.note(node)
        return kind

    def element(self, node: syntax.Index) -> Type:
        holder, key = self.inner(node.operand), self.type(node.key)
        if holder.kind == "dyn":
            return t.DYN
        if holder.kind == "list":
            if key.kind not in {"int", "uint", "dyn"}:
                raise self.wrong(node.key, f"a list is indexed by an int, not by {operands.said(node.key, key)}")
            return holder.item or t.DYN
        if holder.kind in {"map", "record"}:
            if not t.comparable(holder.key or t.DYN, key):
                message = f"{operands.said(node.operand, holder)} has {holder.key} keys, not {key} ones"
                raise self.wrong(node.key, message)
            if holder.kind == "record" and isinstance(node.key, syntax.Literal):
                return self.named(node.key.offset, holder, node.key.value)
            return holder.item or t.DYN
        raise self.wrong(node, f"{operands.said(node.operand, holder)} is neither a list nor a map: it has no elements")

    def unary(self, node: syntax.Unary) -> Type:
        if node.operator == "!":
            self.logical(node.operand, "!")
            return t.BOOL
        kind = self.type(node.operand)
        if kind.kind not in {"int", "double", "number", "dyn"}:
            raise self.wrong(node, f"- needs an int or a double, not {operands.said(node.operand, kind)}")
        return kind

    def logical(self, node: syntax.Node, operator: str) -> None:
        kind = self.type(node)
        if kind.kind not in {"bool", "dyn"}:
            what = operands.said(node, kind)
            raise self.wrong(node, f"{operator} needs true or false, not {what}{operands.truth_advice(node, kind)}")

    def logic(self, node: syntax.Logic) -> Type:
        for operand in node.operands:
            self.logical(operand, node.operator)
        return t.BOOL

    def choice(self, node: syntax.Choice) -> Type:
        self.logical(node.test, "?")
        then, otherwise = self.type(node.then), self.type(node.otherwise)
        if "dyn" in {then.kind, otherwise.kind}:
            return t.DYN
        if not t.comparable(then, otherwise) and t.NULL not in (then, otherwise):
            message = f"both cases must have one type: {then} and {otherwise} do not go together; wrap one in dyn()"
            raise self.wrong(node.otherwise, message)
        return t.join(then, otherwise)

    def binary(self, node: syntax.Binary) -> Type:
        left, right = self.type(node.left), self.type(node.right)
        problem, result = operands.combine(node, left, right)
        if problem:
            raise self.wrong(node.place if problem.at_operator else problem.node, problem.message, problem.suggestion)
        return result

    def call(self, node: syntax.Call) -> Type:
        function = FUNCTIONS.get(node.function)
        if function is None:
            raise self.unknown(node)
        if function.traces and "args" not in self.schema.roots:
            raise self.wrong(node.place, f"{node.function}() asks about a request, and there is none here")
        parts = (*([node.target] if node.target is not None else []), *node.arguments)
        kinds = [self.type(each) for each in parts]
        self.fixed(node, parts, kinds)
        problem, result = operands.apply(function, node, parts, kinds)
        if problem:
            raise self.wrong(node.place if problem.at_operator else problem.node, problem.message, problem.suggestion)
        return t.one_of(*function.values) if function.values else result

    def unknown(self, node: syntax.Call) -> ConditionError:
        if node.function in MACROS:
            return self.wrong(node.place, f"{node.function}() is called on a list: list.{node.function}(x, ...)")
        callable_names = [*FUNCTIONS, *MACROS, "has"]
        meant = _OTHER_NAMES.get(node.function) or closest(node.function, callable_names)
        return self.wrong(node.place, f"there is no function '{node.function}'", meant)

    def fixed(self, node: syntax.Call, parts: tuple[Any, ...], kinds: list[Type]) -> None:
        """Check arguments whose value is written out: patterns, time zones, times."""
        last = parts[-1].value if parts and isinstance(parts[-1], syntax.Literal) else None
        check = _FIXED.get(node.function)
        alone = node.function in {"timestamp", "duration"}
        if check is None or not isinstance(last, str) or alone is not (len(parts) == 1) or kinds[0].kind == "duration":
            return
        try:
            check(last)
        except EvaluationError as error:
            raise self.wrong(parts[-1], error.message) from None
        except ImportError:
            raise self.wrong(node.place, "matches() needs google-re2: pip install google-re2") from None

    def list_of(self, node: syntax.ListOf) -> Type:
        kinds = [self.type(each) for each in node.items]
        joined = kinds[0] if kinds else t.DYN
        for kind in kinds[1:]:
            joined = t.join(joined, kind)
        return t.list_of(joined)

    def map_of(self, node: syntax.MapOf) -> Type:
        key = item = None
        for key_node, value_node in node.entries:
            key_type, value_type = self.type(key_node), self.type(value_node)
            if key_type.kind not in {"bool", "int", "uint", "string", "dyn"}:
                message = f"a map's key is a string, an int, a uint or a bool, not {operands.said(key_node, key_type)}"
                raise self.wrong(key_node, message)
            key = key_type if key is None else t.join(key, key_type)
            item = value_type if item is None else t.join(item, value_type)
        return t.map_of(item or t.DYN, key or t.DYN)

    def macro(self, node: syntax.Macro) -> Type:
        items = self.type(node.items)
        if items.kind not in {"list", "map", "record", "dyn"}:
            what = operands.said(node.items, items)
            raise self.wrong(node.place, f"{node.name}() goes through a list or a map, not {what}")
        element = (items.item if items.kind == "list" else items.key) or t.DYN
        outer = self.variables
        self.variables = {**outer, node.variable: element}
        try:
            if node.test is not None:
                self.logical(node.test, f"{node.name}()")
            made = self.type(node.transform) if node.transform is not None else element
        finally:
            self.variables = outer
        return t.list_of(made) if node.name in {"map", "filter"} else t.BOOL


def check(source: str, tree: syntax.Node, schema: Schema | None) -> tuple[Type, frozenset[str], tuple[str, ...]]:
    """Check a tree: its type, the roots that it names, and the paths into `args` that could not be checked.

    Without a schema nothing is checked, and macros' variables count as roots.
    """
    if schema is None:
        return t.DYN, frozenset(syntax.names(tree)), ()
    checker = _Checker(source, schema)
    result = checker.type(tree)
    return result, frozenset(checker.roots), tuple(checker.unverified)


_CONSTANTS: Final = {"True": "true", "False": "false", "None": "null", "nil": "null", "undefined": "null"}
_OTHER_NAMES: Final = {
    "len": "size",
    "length": "size",
    "count": "size",
    "lower": "lowerAscii",
    "toLowerCase": "lowerAscii",
    "upper": "upperAscii",
    "toUpperCase": "upperAscii",
    "strip": "trim",
    "includes": "contains",
    "any": "exists",
    "some": "exists",
    "every": "all",
    "match": "matches",
    "regex": "matches",
    "str": "string",
    "float": "double",
}
_FIXED: Final[dict[str, Callable[[str], Any]]] = {
    "matches": pattern,
    "timestamp": times.timestamp,
    "duration": times.duration,
    **dict.fromkeys((*times.PARTS, "getMilliseconds"), times.zone),
}
_RULES: Final[dict[type[syntax.Node], Callable[[_Checker, Any], Type]]] = {
    syntax.Literal: lambda _, node: _LITERAL[type(node.value)],
    syntax.Ident: _Checker.ident,
    syntax.Select: _Checker.select,
    syntax.Has: _Checker.has,
    syntax.Index: _Checker.index,
    syntax.Unary: _Checker.unary,
    syntax.Binary: _Checker.binary,
    syntax.Logic: _Checker.logic,
    syntax.Choice: _Checker.choice,
    syntax.Call: _Checker.call,
    syntax.ListOf: _Checker.list_of,
    syntax.MapOf: _Checker.map_of,
    syntax.Macro: _Checker.macro,
}

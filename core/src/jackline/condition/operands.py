"""Which types an operator or a function takes, and how to say that these are the wrong ones."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from msgspec import Struct

from jackline.condition import syntax
from jackline.condition import types as t
from jackline.condition.errors import closest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.condition.functions import Function, Overload
    from jackline.condition.types import Type

ORDER: Final = frozenset(("<", "<=", ">", ">="))
EQUALITY: Final = frozenset(("==", "!="))
_SAME: Final[dict[str, frozenset[str]]] = {
    "+": frozenset(("int", "uint", "double", "string", "bytes", "list", "duration")),
    "-": frozenset(("int", "uint", "double", "duration")),
    "*": frozenset(("int", "uint", "double")),
    "/": frozenset(("int", "uint", "double")),
    "%": frozenset(("int", "uint")),
}
_MIXED: Final = {
    ("+", "timestamp", "duration"): t.TIMESTAMP,
    ("+", "duration", "timestamp"): t.TIMESTAMP,
    ("-", "timestamp", "duration"): t.TIMESTAMP,
    ("-", "timestamp", "timestamp"): t.DURATION,
}
_ALONE: Final = {"+": {"timestamp"}, "-": {"timestamp"}}
_ARTICLE: Final = {"int": "an int", "bytes": "bytes", "null_type": "null", "record": "a map", "dyn": "a value"}


class Problem(Struct, frozen=True):
    """What is wrong with an operation, and where."""

    node: syntax.Node
    message: str
    suggestion: str | None = None
    at_operator: bool = False


Outcome = tuple[Problem | None, "Type"]


def said(node: syntax.Node, kind: Type) -> str:
    """Name an operand for a message: `agent.name (a string)`, `'5' (a string)`, `a bool`."""
    what = _ARTICLE.get(kind.kind, f"a {kind.kind if kind.nullable else kind}") + (" or null" if kind.nullable else "")
    path = syntax.path(node)
    if isinstance(node, syntax.Literal):
        path = "" if node.value is None else _written(node.value)
    return f"{path} ({what})" if path else what


def _written(value: object) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f"{value}u" if type(value).__name__ == "Uint" else repr(value)


def field_advice(node: syntax.Select | syntax.Has, holder: Type) -> str:
    """Say what may have been meant by a field of something that has none."""
    if holder.kind == "list":
        return f": take an element with [0], or test all with .exists(x, x.{node.field} == ...)"
    return ""


def truth_advice(node: syntax.Node, kind: Type) -> str:
    """Say how to make a truth of a value that is none."""
    path = syntax.path(node)
    if not path:
        return ""
    examples = {"string": "!= ''", "list": ".size() > 0", "map": ".size() > 0", "record": ".size() > 0"}
    example = examples.get(kind.kind, "!= 0" if kind.kind in t.NUMERIC else "")
    return f": write {path}{'' if example.startswith('.') else ' '}{example}" if example else ""


def combine(node: syntax.Binary, left: Type, right: Type) -> Outcome:
    """Check a binary operation's operands and give its type."""
    operator = node.operator
    if operator in EQUALITY:
        return _equality(node, left, right)
    if operator in ORDER:
        return _order(node, left, right)
    if operator == "in":
        return _membership(node, left, right)
    return _arithmetic(node, left, right)


def _equality(node: syntax.Binary, left: Type, right: Type) -> Outcome:
    if not t.comparable(left, right):
        return _unlike(node, left, right, "can never be equal"), t.BOOL
    return _fixed_values(node.left, left, node.right) or _fixed_values(node.right, right, node.left), t.BOOL


def _order(node: syntax.Binary, left: Type, right: Type) -> Outcome:
    for side, kind in ((node.left, left), (node.right, right)):
        if kind.kind not in t.ORDERED and kind.kind != "dyn":
            return Problem(node, f"{node.operator} cannot order {said(side, kind)}", at_operator=True), t.BOOL
    if not t.comparable(left, right):
        return _unlike(node, left, right, "cannot be compared"), t.BOOL
    return None, t.BOOL


def _unlike(node: syntax.Binary, left: Type, right: Type, verdict: str) -> Problem:
    message = f"{said(node.left, left)} and {said(node.right, right)} {verdict}"
    for literal, other in ((node.right, left), (node.left, right)):
        fixed = _converted(literal, other)
        if fixed:
            return Problem(node, f"{message}; nothing is converted by itself", fixed, at_operator=True)
    return Problem(node, message, at_operator=True)


def _converted(literal: syntax.Node, wanted: Type) -> str | None:
    """Write a literal as the type that the other side has, where that can be done."""
    if not isinstance(literal, syntax.Literal):
        return None
    value = literal.value
    if isinstance(value, str) and wanted.kind in t.NUMERIC and value.strip().lstrip("-").replace(".", "", 1).isdigit():
        return value.strip()
    if isinstance(value, str) and wanted.kind == "bool" and value.lower() in {"true", "false"}:
        return value.lower()
    if wanted.kind == "string" and value is not None and not isinstance(value, (str, bytes)):
        return repr(_written(value)).replace('"', "'")
    return None


def _fixed_values(side: syntax.Node, kind: Type, other: syntax.Node) -> Problem | None:
    """A string that has a few possible values is never equal to another one."""
    if not kind.values or not isinstance(other, syntax.Literal) or not isinstance(other.value, str):
        return None
    if other.value in kind.values:
        return None
    message = f"{syntax.path(side) or 'this'} is never {other.value!r}; it is one of {', '.join(kind.values)}"
    return Problem(other, message, closest(other.value, kind.values))


def _membership(node: syntax.Binary, left: Type, right: Type) -> Outcome:
    if right.kind == "string":
        path = syntax.path(node.right)
        advice = f": write {path or 'the text'}.contains(...)"
        return Problem(node, f"in looks into a list or a map, not into a string{advice}", at_operator=True), t.BOOL
    if right.kind not in {"list", "map", "record", "dyn"}:
        message = f"in looks into a list or a map, not into {said(node.right, right)}"
        return Problem(node, message, at_operator=True), t.BOOL
    inside = (right.item if right.kind == "list" else right.key) or t.DYN
    if right.kind != "dyn" and not t.comparable(left, inside):
        what = "elements" if right.kind == "list" else "keys"
        message = f"{said(node.left, left)} is never in {said(node.right, right)}: its {what} are {inside}"
        return Problem(node, message, at_operator=True), t.BOOL
    if isinstance(node.right, syntax.ListOf):
        for item in node.right.items:
            problem = _fixed_values(node.left, left, item)
            if problem:
                return problem, t.BOOL
    if right.kind == "record" and right.item is None and isinstance(node.left, syntax.Literal):
        name = str(node.left.value)
        if name not in right.fields:
            message = f"{right.name} has no field '{name}'; it has {', '.join(right.fields)}"
            return Problem(node.left, message, closest(name, right.fields)), t.BOOL
    return _fixed_values(node.left, left, node.left) or _element_values(node, right), t.BOOL


def _element_values(node: syntax.Binary, right: Type) -> Problem | None:
    if right.kind != "list" or right.item is None:
        return None
    return _fixed_values(node.right, right.item, node.left)


def _arithmetic(node: syntax.Binary, left: Type, right: Type) -> Outcome:
    operator = node.operator
    takes = _SAME[operator] | _ALONE.get(operator, set())
    for side, kind in ((node.left, left), (node.right, right)):
        if kind.kind == "number":
            message = (
                f"{said(side, kind)} may be an int or a double, and {operator} never mixes them: "
                f"write double({syntax.path(side) or '...'})"
            )
            return Problem(side, message, at_operator=True), t.DYN
        if kind.kind != "dyn" and kind.kind not in takes:
            return Problem(node, f"{operator} does not take {said(side, kind)}", at_operator=True), t.DYN
    if "dyn" in {left.kind, right.kind}:
        known = right if left.kind == "dyn" else left
        return None, known if known.kind in {"int", "uint", "double", "string", "bytes"} else t.DYN
    mixed = _MIXED.get((operator, left.kind, right.kind))
    if mixed is not None:
        return None, mixed
    if left.kind != right.kind or left.kind not in _SAME[operator]:
        return _unmixed(node, left, right), t.DYN
    return None, t.join(left, right) if left.kind == "list" else t.SIMPLE[left.kind]


def _unmixed(node: syntax.Binary, left: Type, right: Type) -> Problem:
    message = f"{node.operator} does not take {said(node.left, left)} and {said(node.right, right)}"
    if left.kind in t.NUMERIC and right.kind in t.NUMERIC:
        message += ": numbers of two types are not mixed; convert one with int() or double()"
    elif "string" in {left.kind, right.kind} and node.operator == "+":
        message += ": convert one with string()"
    return Problem(node, message, at_operator=True)


def apply(function: Function, node: syntax.Call, parts: tuple[syntax.Node, ...], kinds: list[Type]) -> Outcome:
    """Check a call's operands and give its type."""
    member = node.target is not None
    styled = [each for each in function.overloads if each.member is member]
    if not styled:
        written = "x.{0}(...)" if not member else "{0}(x)"
        return Problem(node, f"{node.function}() is written {written.format(node.function)}", at_operator=True), t.DYN
    sized = [each for each in styled if len(each.parameters) == len(parts)]
    if not sized:
        return Problem(node, f"{node.function}() is written {_ways(function, member=member)}", at_operator=True), t.DYN
    fitting = [each for each in sized if all(map(_fits, kinds, each.parameters))]
    if not fitting:
        return _misfit(function, parts, kinds, sized), t.DYN
    never = _never(node, parts, kinds)
    results = {each.result for each in fitting}
    known = len(results) == 1 and node.function != "dyn"
    return never, t.NAMED[results.pop()] if known else t.DYN


def _fits(kind: Type, wanted: str) -> bool:
    if wanted == "dyn" or kind.kind in {"dyn", wanted}:
        return True
    return (kind.kind, wanted) in {("record", "map"), ("number", "int"), ("number", "double")}


def _ways(function: Function, *, member: bool) -> str:
    pairs = zip(function.signatures, function.overloads, strict=True)
    return " or ".join(each.partition(" -> ")[0] for each, overload in pairs if overload.member is member)


def _misfit(
    function: Function, parts: tuple[syntax.Node, ...], kinds: list[Type], sized: Sequence[Overload]
) -> Problem:
    wanted = [sorted({each.parameters[at] for each in sized}) for at in range(len(parts))]
    # The first operand that fits no overload is the one to name; False sorts before True.
    wrong = min(range(len(parts)), key=lambda at: any(_fits(kinds[at], choice) for choice in wanted[at]))
    message = f"{function.name}() takes {' or '.join(wanted[wrong])} here, not {said(parts[wrong], kinds[wrong])}"
    return Problem(parts[wrong], message)


_AFFIX: Final = {"startsWith": str.startswith, "endsWith": str.endswith, "contains": str.__contains__}


def _never(node: syntax.Call, parts: tuple[syntax.Node, ...], kinds: list[Type]) -> Problem | None:
    """A string that has a few possible values may have none with such a beginning."""
    holds = _AFFIX.get(node.function)
    last = parts[-1]
    if holds is None or not kinds[0].values or not isinstance(last, syntax.Literal):
        return None
    if any(holds(value, last.value) for value in kinds[0].values):
        return None
    possible = ", ".join(kinds[0].values)
    message = f"{node.function}({last.value!r}) never holds: {said(parts[0], kinds[0])} is one of {possible}"
    return Problem(last, message)

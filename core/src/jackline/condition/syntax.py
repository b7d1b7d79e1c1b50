"""The syntax tree of a condition. Every node knows where it starts and how deep it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

if TYPE_CHECKING:
    from collections.abc import Iterator


class Node(Struct, frozen=True):
    """A part of a condition; `offset` counts characters from the start, `depth` levels below, itself included."""

    offset: int
    depth: int


class Literal(Node, frozen=True):
    """A constant: None, bool, int, Uint, float, str or bytes."""

    value: Any


class Ident(Node, frozen=True):
    """A root, a macro's variable, or the name of a type."""

    name: str


class Select(Node, frozen=True):
    """`operand.field`; `place` is the field's offset."""

    operand: Node
    field: str
    place: int


class Has(Node, frozen=True):
    """`has(operand.field)`; `place` is the field's offset."""

    operand: Node
    field: str
    place: int


class Index(Node, frozen=True):
    """`operand[key]`."""

    operand: Node
    key: Node


class Unary(Node, frozen=True):
    """`!operand` or `-operand`."""

    operator: str
    operand: Node


class Binary(Node, frozen=True):
    """Arithmetic, a comparison, or `in`; `place` is the operator's offset."""

    operator: str
    left: Node
    right: Node
    place: int


class Logic(Node, frozen=True):
    """A chain of `&&` or of `||`: two or more operands."""

    operator: str
    operands: tuple[Node, ...]


class Choice(Node, frozen=True):
    """`test ? then : otherwise`."""

    test: Node
    then: Node
    otherwise: Node


class Call(Node, frozen=True):
    """`function(arguments)` or `target.function(arguments)`; `place` is the name's offset."""

    function: str
    target: Node | None
    arguments: tuple[Node, ...]
    place: int


class ListOf(Node, frozen=True):
    """`[a, b]`."""

    items: tuple[Node, ...]


class MapOf(Node, frozen=True):
    """`{key: value}`."""

    entries: tuple[tuple[Node, Node], ...]


class Macro(Node, frozen=True):
    """`items.exists(variable, test)` and its like; `transform` is what `map` makes of an element."""

    name: str
    items: Node
    variable: str
    test: Node | None
    transform: Node | None
    place: int


def path(node: Node) -> str:
    """Write a chain of fields as the author did (`args.to[0]`), or nothing where it is none."""
    if isinstance(node, Ident):
        return node.name
    if isinstance(node, (Select, Has)):
        inner = path(node.operand)
        return f"{inner}.{node.field}" if inner else ""
    if isinstance(node, Index) and isinstance(node.key, Literal) and isinstance(node.key.value, (str, int)):
        inner = path(node.operand)
        return f"{inner}[{node.key.value!r}]" if inner else ""
    return ""


def calls(part: Any) -> Iterator[str]:
    """Give the name of every function that a tree calls."""
    if isinstance(part, Call):
        yield part.function
    if isinstance(part, Node):
        for field in part.__struct_fields__:
            yield from calls(getattr(part, field))
    elif isinstance(part, tuple):
        for each in part:
            yield from calls(each)


def names(part: Any) -> Iterator[str]:
    """Give every identifier in a tree, macros' variables among them."""
    if isinstance(part, Ident):
        yield part.name
    elif isinstance(part, Node):
        for field in part.__struct_fields__:
            yield from names(getattr(part, field))
    elif isinstance(part, tuple):
        for each in part:
            yield from names(each)

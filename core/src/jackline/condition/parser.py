"""Reads a condition into its syntax tree: the CEL grammar, with macros recognised and nesting bounded."""

from __future__ import annotations

from typing import Any, Final

from jackline.condition import lexer
from jackline.condition.errors import ConditionError, located
from jackline.condition.syntax import (
    Binary,
    Call,
    Choice,
    Has,
    Ident,
    Index,
    ListOf,
    Literal,
    Logic,
    Macro,
    MapOf,
    Node,
    Select,
    Unary,
)
from jackline.condition.values import INT_MAX, Uint

MAX_DEPTH: Final = 64
"""Levels that a condition may be nested; with it no later step can run out of stack."""

MACROS: Final = ("all", "exists", "exists_one", "filter", "map")
CONSTANTS: Final = {"true": True, "false": False, "null": None}
_UNUSABLE = "as break const continue else for function if import let loop namespace package return var void while"
RESERVED: Final = frozenset(_UNUSABLE.split(" "))
_RANK: Final = {
    **dict.fromkeys(("*", "/", "%"), 6),
    **dict.fromkeys(("+", "-"), 5),
    **dict.fromkeys(("<", "<=", ">", ">=", "==", "!=", "in"), 4),
    "&&": 3,
    "||": 2,
}
_WORDS: Final = {
    "and": "&&",
    "or": "||",
    "not": "!",
    "is": "==",
    "AND": "&&",
    "OR": "||",
    "NOT": "!",
    "IN": "in",
    **{name: f".{name}(...)" for name in ("contains", "startsWith", "endsWith", "matches")},
}


def parse(source: str) -> Node:
    """Read a whole condition. Raises ConditionError."""
    try:
        return _Parser(source).whole()
    except RecursionError:
        raise located(source, 0, "there is too little stack left to read this condition") from None


class _Parser:
    def __init__(self, source: str) -> None:
        self.source = source
        self.tokens = lexer.tokens(source)
        self.at = 0
        self.token = self.tokens[0]
        self.level = 0

    def whole(self) -> Node:
        if self.token.kind == "end":
            raise self.wrong("a condition cannot be empty: write true for one that always holds")
        tree = self.expression()
        if self.token.kind != "end":
            raise self.unexpected("the end, or an operator such as && or ==")
        return tree

    def advance(self) -> lexer.Token:
        token = self.token
        self.at += 1
        self.token = self.tokens[self.at]
        return token

    def operator(self) -> str:
        token = self.token
        if token.kind == "name":
            return "in" if token.value == "in" else ""
        return token.kind

    def expression(self) -> Node:
        self.level += 1
        if self.level > MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep: use several rules")
        start = self.token.offset
        node = self.binary(2)
        if self.token.kind == "?":
            self.advance()
            then = self.binary(2)
            self.expect(":", "':' and the value for the other case")
            otherwise = self.expression()
            node = Choice(start, self.depth(node, then, otherwise), node, then, otherwise)
        self.level -= 1
        return node

    def binary(self, least: int) -> Node:
        start = self.token.offset
        left = self.unary()
        while True:
            operator = self.operator()
            rank = _RANK.get(operator, 0)
            if rank < least:
                return left
            if operator in {"&&", "||"}:
                left = self.chain(operator, rank, left, start)
                continue
            place = self.advance().offset
            right = self.binary(rank + 1)
            left = Binary(start, self.depth(left, right), operator, left, right, place)

    def chain(self, operator: str, rank: int, first: Node, start: int) -> Node:
        operands = [first]
        while self.token.kind == operator:
            self.advance()
            operands.append(self.binary(rank + 1))
        return Logic(start, self.depth(*operands), operator, tuple(operands))

    def unary(self) -> Node:
        token = self.token
        if token.kind not in {"!", "-"}:
            return self.postfix()
        run = []
        while self.token.kind == token.kind:
            run.append(self.advance().offset)
        node = self.negative(run) if token.kind == "-" else self.postfix()
        for offset in reversed(run):
            node = Unary(offset, self.depth(node), token.kind, node)
        return node

    def negative(self, run: list[int]) -> Node:
        """Read what stands after minus signs; the last sign becomes part of a number."""
        value: Any = self.token.value if self.token.kind == "literal" else None
        if type(value) in {int, float}:
            offset = run.pop()
            self.tokens[self.at] = self.token = lexer.Token("literal", -value, offset)
        return self.postfix()

    def postfix(self) -> Node:
        start = self.token.offset
        node = self.primary()
        while True:
            kind = self.token.kind
            if kind == ".":
                self.advance()
                node = self.member(node, start)
            elif kind == "[":
                self.advance()
                key = self.expression()
                self.expect("]", "']'")
                node = Index(start, self.depth(node, key), node, key)
            elif kind == "{" and isinstance(node, (Ident, Select)):
                raise self.wrong("messages cannot be made here: conditions know numbers, strings, lists and maps")
            else:
                return node

    def member(self, operand: Node, start: int) -> Node:
        token = self.token
        if token.kind == "quoted":
            self.advance()
            return Select(start, self.depth(operand), operand, token.value, token.offset)
        if token.kind != "name" or token.value in CONSTANTS or token.value == "in":
            raise self.unexpected("a field or a function after '.'")
        self.advance()
        if self.token.kind != "(":
            return Select(start, self.depth(operand), operand, token.value, token.offset)
        arguments = self.arguments()
        if token.value in MACROS:
            return self.macro(operand, token, arguments, start)
        depth = self.depth(operand, *arguments)
        return Call(start, depth, token.value, operand, arguments, token.offset)

    def macro(self, items: Node, token: lexer.Token, arguments: tuple[Node, ...], start: int) -> Node:
        name = token.value
        variable = arguments[0] if arguments else None
        if len(arguments) not in ((2, 3) if name == "map" else (2,)) or not isinstance(variable, Ident):
            what = "x, x.size()" if name == "map" else "x, x == 'a'"
            raise located(
                self.source,
                token.offset,
                f"{name}() needs a variable's name and an expression: write .{name}({what})",
            )
        last = arguments[-1]
        tested = arguments[1] if arguments[1] is not last or name != "map" else None
        transform = last if name == "map" else None
        depth = self.depth(items, *arguments)
        return Macro(start, depth, name, items, variable.name, tested, transform, token.offset)

    def arguments(self) -> tuple[Node, ...]:
        self.advance()
        found = []
        while self.token.kind != ")":
            found.append(self.expression())
            if self.token.kind != ",":
                break
            self.advance()
            if self.token.kind == ")":
                raise self.unexpected("another argument after ','")
        self.expect(")", "',' or ')'")
        return tuple(found)

    def primary(self) -> Node:
        token = self.token
        kind = token.kind
        if kind == "literal":
            if type(token.value) is int and token.value > INT_MAX:
                raise self.wrong(f"{token.value} is more than the largest int, {INT_MAX}")
            self.advance()
            return Literal(token.offset, 1, token.value)
        if kind == "name":
            return self.name()
        if kind == "(":
            self.advance()
            node = self.expression()
            self.expect(")", "')'")
            return node
        if kind == "[":
            return self.list_of()
        if kind == "{":
            return self.map_of()
        if kind == "." and self.tokens[self.at + 1].kind == "name":
            self.advance()
            return self.name()
        raise self.unexpected("a value")

    def name(self) -> Node:
        token = self.token
        if token.value in CONSTANTS:
            self.advance()
            return Literal(token.offset, 1, CONSTANTS[token.value])
        if token.value in RESERVED or token.value == "in":
            raise self.wrong(f"'{token.value}' is a reserved word and cannot be a name")
        self.advance()
        if self.token.kind != "(":
            return Ident(token.offset, 1, token.value)
        arguments = self.arguments()
        if token.value == "has":
            return self.has(token, arguments)
        return Call(token.offset, self.depth(*arguments), token.value, None, arguments, token.offset)

    def has(self, token: lexer.Token, arguments: tuple[Node, ...]) -> Node:
        field = arguments[0] if len(arguments) == 1 else None
        if not isinstance(field, Select):
            given = field.name if isinstance(field, Ident) else "args"
            message = f"has() asks for a field: write has({given}.name) with the field's name"
            raise located(self.source, token.offset, message)
        return Has(token.offset, field.depth, field.operand, field.field, field.place)

    def list_of(self) -> Node:
        start = self.advance().offset
        items = []
        while self.token.kind != "]":
            items.append(self.expression())
            if self.token.kind != ",":
                break
            self.advance()
        self.expect("]", "',' or ']'")
        return ListOf(start, self.depth(*items), tuple(items))

    def map_of(self) -> Node:
        start = self.advance().offset
        entries = []
        while self.token.kind != "}":
            key = self.expression()
            self.expect(":", "':' and the key's value")
            entries.append((key, self.expression()))
            if self.token.kind != ",":
                break
            self.advance()
        self.expect("}", "',' or '}'")
        return MapOf(start, self.depth(*(node for entry in entries for node in entry)), tuple(entries))

    def depth(self, *children: Node) -> int:
        depth = 1
        for child in children:
            if child.depth >= depth:
                depth = child.depth + 1
        if depth > MAX_DEPTH:
            raise self.wrong(f"nested more than {MAX_DEPTH} levels deep: use several rules")
        return depth

    def expect(self, kind: str, wanted: str) -> None:
        if self.token.kind != kind:
            raise self.unexpected(wanted)
        self.advance()

    def unexpected(self, wanted: str) -> ConditionError:
        token = self.token
        if token.kind == "end":
            return self.wrong(f"the condition ends too early: expected {wanted}")
        if token.kind == "literal":
            shown = f"{token.value}u" if type(token.value) is Uint else repr(token.value)
        else:
            shown = f"'{token.value}'"
        before = self.tokens[self.at - 1] if self.at else token
        words = [_WORDS.get(str(each.value)) for each in (token, before) if each.kind == "name"]
        word = next((each for each in words if each), None)
        return self.wrong(f"did not expect {shown} here: expected {wanted}", word)

    def wrong(self, message: str, suggestion: str | None = None) -> ConditionError:
        return located(self.source, self.token.offset, message, suggestion)

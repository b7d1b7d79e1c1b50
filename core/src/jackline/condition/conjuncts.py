"""Finds what must hold for a condition to be true, so that an engine asks it only where it can be."""

from __future__ import annotations

from msgspec import Struct

from jackline.condition import syntax


class Conjuncts(Struct, frozen=True):
    """Necessary conditions: where one does not hold, the whole is false without an error.

    `tools` and `tool_prefixes` read as in `jackline.policy.Reach`: `tools` None means any tool; otherwise the tool's
    name is in `tools` or starts with one of `tool_prefixes`. `actions` None means any action.
    """

    tools: frozenset[str] | None = None
    tool_prefixes: tuple[str, ...] = ()
    actions: frozenset[str] | None = None


ANY = Conjuncts()


def conjuncts(tree: syntax.Node) -> Conjuncts:
    """Find them in `&&` chains, in `||` of such, and in comparisons of `tool.name` and `action` with fixed strings."""
    if isinstance(tree, syntax.Logic):
        parts = [conjuncts(each) for each in tree.operands]
        found = parts[0]
        for part in parts[1:]:
            found = _both(found, part) if tree.operator == "&&" else _either(found, part)
        return found
    if isinstance(tree, syntax.Binary) and tree.operator in {"==", "in"}:
        return _compared(tree)
    if isinstance(tree, syntax.Call) and tree.function == "startsWith" and tree.target is not None:
        prefix = tree.arguments[0] if tree.arguments else None
        if (
            isinstance(prefix, syntax.Literal)
            and isinstance(prefix.value, str)
            and _subject(tree.target) == "tool.name"
        ):
            return Conjuncts(tools=frozenset(), tool_prefixes=(prefix.value,))
    return ANY


def _compared(node: syntax.Binary) -> Conjuncts:
    left, right = node.left, node.right
    if node.operator == "==" and isinstance(left, syntax.Literal):
        left, right = right, left
    if (node.operator == "in") is isinstance(right, syntax.Literal):
        return ANY
    texts = _texts(right)
    subject = _subject(left)
    if texts is None or not subject:
        return ANY
    return Conjuncts(tools=texts) if subject == "tool.name" else Conjuncts(actions=texts)


def _subject(node: syntax.Node) -> str:
    path = syntax.path(node)
    return path if path in {"tool.name", "action"} else ""


def _texts(node: syntax.Node) -> frozenset[str] | None:
    """The strings that a literal, or a list of literals, holds."""
    items = node.items if isinstance(node, syntax.ListOf) else (node,)
    texts = [each.value for each in items if isinstance(each, syntax.Literal) and isinstance(each.value, str)]
    return frozenset(texts) if len(texts) == len(items) else None


def _both(left: Conjuncts, right: Conjuncts) -> Conjuncts:
    actions = left.actions if right.actions is None else right.actions
    if left.actions is not None and right.actions is not None:
        actions = left.actions & right.actions
    if left.tools is None or right.tools is None:
        named = right if left.tools is None else left
        return Conjuncts(named.tools, named.tool_prefixes, actions)
    names = {name for name in left.tools if _reaches(right, name)}
    names |= {name for name in right.tools if _reaches(left, name)}
    longer = {each for each in left.tool_prefixes if each.startswith(right.tool_prefixes)}
    longer |= {each for each in right.tool_prefixes if each.startswith(left.tool_prefixes)}
    return Conjuncts(frozenset(names), tuple(sorted(longer)), actions)


def _reaches(where: Conjuncts, name: str) -> bool:
    return where.tools is None or name in where.tools or name.startswith(where.tool_prefixes)


def _either(left: Conjuncts, right: Conjuncts) -> Conjuncts:
    actions = None if left.actions is None or right.actions is None else left.actions | right.actions
    if left.tools is None or right.tools is None:
        return Conjuncts(actions=actions)
    prefixes = tuple(sorted({*left.tool_prefixes, *right.tool_prefixes}))
    return Conjuncts(left.tools | right.tools, prefixes, actions)

"""Names and globs as the bundle writes them, matched exactly or not at all."""

from __future__ import annotations

import fnmatch
import re

from jackline_tool_access.lookalike import disguised, skeleton

_CLASS = re.compile(r"\[!?\]?[^\]]*\]")
_CACHED = 1024
"""Names remembered per list; a model that invents names must not fill the memory."""

LONG = 200
"""Characters of a name that is remembered; a longer one is looked at each time."""


def objection(text: str) -> tuple[str, str] | None:
    """Say why `text` is no name and no glob, and what would be right; None where it is one."""
    if not text or text != text.strip():
        return f"{text!r} is not a name: it is empty, or has space around it", "write the name alone"
    rest = _CLASS.sub("", text)
    if "[" in rest:
        return f"{text!r} opens a character class and does not close it", "write [[] for the character itself"
    if "{" in rest or "}" in rest:
        return f"{text!r} has braces, which globs here do not know", "list each name; write [{] for the character"
    if "(?!)" in fnmatch.translate(text):
        return f"{text!r} can never match", "the range in its character class runs backwards"
    return None


class Pattern:
    """An exact name, or a glob with `*`, `?` and character classes. Case and every character count."""

    __slots__ = ("_literal", "_match", "_match_skeleton", "_skeleton", "exact", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        wild = re.search(r"[*?[]", text)
        self.exact = wild is None
        self._literal = text if wild is None else text[: wild.start()]
        self._skeleton = skeleton(text)
        self._match = re.compile(fnmatch.translate(text)).match
        self._match_skeleton = re.compile(fnmatch.translate(self._skeleton)).match

    def matches(self, name: str) -> bool:
        """Whether this is exactly the name, or the glob covers it, however the name is disguised."""
        if self.exact:
            return name == self.text
        return name.startswith(self._literal) and self._match(name) is not None

    def resembles(self, name: str) -> bool:
        """Whether this matches the name, or one that a reader may take it for."""
        if self.matches(name):
            return True
        return skeleton(name) == self._skeleton if self.exact else self._match_skeleton(skeleton(name)) is not None


class Names:
    """A list of names and globs that permit, asked by name: models, agents to spawn."""

    def __init__(self, section: str, texts: list[str]) -> None:
        self._rules = [(Pattern(text), f"{section}[{index}]: {text}") for index, text in enumerate(texts)]
        self._known: dict[str, str | None] = {}

    def rule(self, name: str) -> str | None:
        """Return the first entry that lists the name, as the rule of a verdict.

        A glob lists no disguised name, except `*`, which says that any will do.
        """
        try:
            return self._known[name]
        except KeyError:
            pass
        plain = not disguised(name)
        found = (
            rule
            for pattern, rule in self._rules
            if pattern.matches(name) and (plain or pattern.exact or pattern.text == "*")
        )
        answer = next(found, None)
        if len(self._known) >= _CACHED:
            self._known.clear()
        if len(name) <= LONG:
            self._known[name] = answer
        return answer

"""Recognisers that a bundle brings, and values that it lets pass."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

import re2  # type: ignore[import-untyped]

from jackline_pii.folding import fold
from jackline_pii.shapes import Shape

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline_pii.options import Custom


def recogniser(custom: Custom) -> Shape:
    """Make a detector of a bundle's pattern; where words are given, one of them must be near."""
    words = tuple(fold(word).text for word in custom.words)
    members = {
        "__doc__": f"A bundle's own: {custom.name}.",
        "kind": custom.name,
        "pattern": f"((?m:{custom.pattern}))",  # all of it, whatever groups it has; each text has lines of its own
        "words": words,
        "told": custom.confidence,
        "alone": 0.0 if words else custom.confidence,
    }
    return type(custom.name, (Shape,), members)()  # type: ignore[no-any-return]


class Allowed:
    """Values that may pass: exact ones, and those with `*`, in any case."""

    def __init__(self, values: Sequence[str]) -> None:
        plain = [fold(value).text.lower() for value in values]
        self._exact = frozenset(value for value in plain if "*" not in value)
        globs = [".*".join(map(re.escape, value.split("*"))) for value in plain if "*" in value]
        self._globs = re2.compile("|".join(f"(?:{pattern})" for pattern in globs)) if globs else None

    def __contains__(self, value: str) -> bool:
        if not self._exact and self._globs is None:
            return False
        plain = fold(value).text.lower().strip()
        return plain in self._exact or (self._globs is not None and self._globs.fullmatch(plain) is not None)

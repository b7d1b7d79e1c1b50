"""Labels that cannot grow without end: whoever names tools, agents or models does not say how many series there are."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

OTHER = "other"
"""Where what is too much is summed up."""
_LONGEST = 100


class Bounded:
    """The series of one family: `Bounded(most)` of them are told apart, the rest is summed up.

    A series that was told apart once stays so: what is summed up under `other` never shrinks, and Prometheus takes
    nothing for a counter that began anew. Those with the greatest sums come first.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: set[tuple[str, ...]] = set()
        self._first: set[str] = set()
        self._lock = threading.Lock()

    def sums(
        self, rows: Iterable[tuple[tuple[str, ...], tuple[float, ...]]]
    ) -> dict[tuple[str, ...], tuple[float, ...]]:
        """The rows by their labels, added up where labels are the same; a row's first number is its weight."""
        ordered = sorted(rows, key=lambda row: (-row[1][0], row[0]))
        found: dict[tuple[str, ...], tuple[float, ...]] = {}
        with self._lock:
            for named, values in ordered:
                key = self._told(tuple(map(_clean, named)))
                before = found.get(key)
                found[key] = values if before is None else tuple(map(sum, zip(before, values, strict=True)))
        return found

    def _told(self, key: tuple[str, ...]) -> tuple[str, ...]:
        if key in self._known:
            return key
        if len(self._known) < self._most:
            self._known.add(key)
            self._first.add(key[0])
            return key
        # The first label (the agent, the policy) stays where it is known, so that the sum says whose it is.
        first = key[0] if len(key) > 1 and key[0] in self._first else OTHER
        return (first, *[OTHER] * (len(key) - 1))


def _clean(name: str) -> str:
    """A name as a label: short, and text that can be sent whatever a journal says."""
    return name[:_LONGEST].encode(errors="replace").decode()

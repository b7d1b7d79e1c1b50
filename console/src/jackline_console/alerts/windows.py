"""Sums over the last seconds, for many groups, in bounded memory."""

from __future__ import annotations

from collections import deque

GROUPS = 20_000
"""Groups that one signal remembers; those beyond it, least recently added to first, start anew."""
PARTS = 60
"""Into how many parts the longest window is cut: what is older leaves part by part."""

Key = tuple[str, ...]


class Window:
    """Amounts and how many there were, by group and time."""

    def __init__(self, longest: float, parts: int = PARTS) -> None:
        """`longest`: the longest window (seconds) that is asked for."""
        self._width = max(longest / parts, 0.001)
        self._parts = parts + 1
        self._groups: dict[Key, deque[list[float]]] = {}

    def add(self, key: Key, at: float, amount: float = 1.0) -> None:
        """Count an amount; what is older than the newest joins the nearest part."""
        part = at // self._width
        row = self._groups.pop(key, None)
        if row is None:
            row = deque(maxlen=self._parts)
            if len(self._groups) >= GROUPS:
                del self._groups[next(iter(self._groups))]
        self._groups[key] = row
        if row and part <= row[-1][0]:
            row[-1][1] += amount
            row[-1][2] += 1
        else:
            row.append([part, amount, 1])

    def sum(self, key: Key, now: float, span: float) -> tuple[float, int]:
        """The amount of the last `span` seconds, and how many there were; up to one part longer."""
        oldest, amount, count = (now - span) // self._width, 0.0, 0
        for part, each, times in reversed(self._groups.get(key, ())):
            if part < oldest:
                break
            amount += each
            count += int(times)
        return amount, count

    def forget(self, key: Key) -> None:
        """Begin a group anew."""
        self._groups.pop(key, None)

    def __len__(self) -> int:
        return len(self._groups)

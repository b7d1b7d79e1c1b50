"""What one session has heard, as keyed hashes: bounded for each origin by itself, so that none crowds out another."""

from __future__ import annotations

import base64
import threading
from array import array
from typing import TYPE_CHECKING, Any, Final, Literal

from jackline.policy import State

if TYPE_CHECKING:
    from collections.abc import Iterable

Origin = Literal["user", "trusted", "untrusted", "unknown"]
Heard = Literal["user", "trusted", "untrusted", "model", "handed"]
NAME: Final = "$provenance"
"""Under which a session keeps it beside the policies' states; no policy can be called so."""
CAPACITY: Final = 20_000
"""Hashes kept of each origin: 8 bytes each aside, some 100 bytes each in memory."""
UNTRUSTED: Final = 50_000
"""The same of what only outsiders said: theirs is the most. Once some is thrown out, all that is unknown is theirs."""
SEEN: Final = 10_000
"""Messages that are not read again: a prompt repeats with every turn."""
_TABLES: Final = ("user", "trusted", "untrusted", "model", "handed", "seen", "runs")
"""Beside the origins: what models said, what they gave to tools, which messages and runs were met."""
_RANK: Final[dict[Origin, int]] = {"user": 0, "trusted": 1, "untrusted": 2, "unknown": 3}


def worst(origins: Iterable[Origin]) -> Origin:
    """The least trustworthy of these; `user` where there are none: nothing comes from nobody else."""
    return max(origins, key=_RANK.__getitem__, default="user")


class Memory(State):
    """The hashes of one session, least recently heard first. Safe to share by threads."""

    __slots__ = ("_lock", "_tables", "fed", "forgotten", "root")

    def __init__(self, memory: dict[str, Any] | None = None) -> None:
        kept = memory or {}
        self._lock = threading.Lock()
        self._tables: dict[str, dict[int, None]] = {name: _unpacked(kept.get(name, "")) for name in _TABLES}
        self.forgotten: set[str] = set(kept.get("forgotten", ()))
        """The tables that have thrown out something."""
        self.root: str = kept.get("root", "")
        """The agent that the user speaks to: the first at the root of the session."""
        self.fed: bool = kept.get("fed", False)
        """Whether a tool gave something that no prompt has held yet: the next one may hold it, whatever its role."""

    @property
    def memory(self) -> dict[str, Any]:  # type: ignore[override]
        """As plain data, for when the session leaves memory."""
        with self._lock:
            kept: dict[str, Any] = {name: _packed(table) for name, table in self._tables.items() if table}
            return {**kept, "forgotten": sorted(self.forgotten), "root": self.root, "fed": self.fed}

    def after_fork(self) -> None:
        """In the child of a fork: a lock that nobody holds."""
        self._lock = threading.Lock()

    def first(self, table: Literal["seen", "runs"], key: int) -> bool:
        """Whether this message or run is met for the first time."""
        with self._lock:
            new = key not in self._tables[table]
            self._put(table, (key,), SEEN)
            return new

    def hear(self, keys: list[int], origin: Heard, *, raising: bool = True, whole: bool = True) -> None:
        """Remember where this was heard. What is known from somebody better stays so.

        `whole`: nothing of it was left out; what was counts as forgotten. `raising`: what was known as untrusted, or as
        a model's own, becomes this. A tool that is trusted never raises what a tool was given before: it may only give
        back what it was told.
        """
        with self._lock:
            if not whole:
                self.forgotten.add("untrusted" if origin == "trusted" else origin)
            if origin in ("user", "trusted") and not raising:
                keys = self._without(keys, "untrusted", "model", "handed")
            elif origin == "trusted" and "handed" in self.forgotten:
                origin = "untrusted"  # it is no longer known what was given to tools
            elif origin == "trusted":
                keys = self._without(keys, "handed")
            elif origin in ("model", "handed"):
                user, trusted = self._tables["user"], self._tables["trusted"]
                keys = [key for key in keys if key not in user and key not in trusted]
            self._put(origin, keys)

    def _without(self, keys: list[int], *names: str) -> list[int]:
        """The keys that none of these tables has; none at all where one of them has forgotten something."""
        if not self.forgotten.isdisjoint(names):
            return []
        tables = [self._tables[name] for name in names]
        return [key for key in keys if not any(key in table for table in tables)]

    def known(self, keys: list[int]) -> int:
        """How many of these have been heard from anybody."""
        with self._lock:
            tables = [self._tables[name] for name in _TABLES[:4]]
            return sum(any(key in table for table in tables) for key in keys)

    def origin(self, keys: tuple[int, ...]) -> Origin:
        """The best origin of any of these. What may have been forgotten counts as untrusted."""
        with self._lock:
            for name in ("user", "trusted", "untrusted"):
                table = self._tables[name]
                if any(key in table for key in keys):
                    return name
            return "untrusted" if "untrusted" in self.forgotten else "unknown"

    def _put(self, name: str, keys: Iterable[int], capacity: int = 0) -> None:
        table = self._tables[name]
        capacity = capacity or (UNTRUSTED if name == "untrusted" else CAPACITY)
        for key in keys:
            if key in table:
                del table[key]
            table[key] = None
        if len(table) > capacity:
            self.forgotten.add(name)
            for key in [key for key, _ in zip(table, range(len(table) - capacity), strict=False)]:
                del table[key]


def _packed(table: dict[int, None]) -> str:
    return base64.b64encode(array("Q", table).tobytes()).decode()


def _unpacked(text: str) -> dict[int, None]:
    found = array("Q")
    found.frombytes(base64.b64decode(text))
    return dict.fromkeys(found)

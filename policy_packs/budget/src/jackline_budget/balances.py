"""The ledger's balances as people see them: by policy and scope, the parts of a rolling window as one."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import unquote

from jackline_budget.periods import PARTS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from jackline.decision import Unit
    from jackline.ledger import Entry

WHOLE = 176
"""Bytes of a key that the ledger keeps; a longer one cannot be told from others that begin alike."""
_WINDOW = re.compile(r"(.*/window/([0-9.e+]+[wdhms])/)([0-9]+)/([a-z]+)")
_SESSION = re.compile(r".*/session/([0-9a-f]{32})/.*")
_SECONDS = {"w": 604800.0, "d": 86400.0, "h": 3600.0, "m": 60.0, "s": 1.0}


class Standing(NamedTuple):
    """One scope of one budget: what was spent, what is held, by how much people raised its limit."""

    scope: str
    """The ledger's key; of a rolling window without the number of its part."""
    key: str
    """The ledger's key that a top-up goes to; empty where no part of the window counts any more, or it is too long."""
    unit: Unit
    spent: int
    held: int
    raised: int
    limit: int | None
    """As the bundle says; None where it names no such budget."""

    @property
    def policy(self) -> str:
        """The policy's name in the bundle."""
        return unquote(self.scope.partition("/")[0])

    @property
    def left(self) -> int | None:
        """What can still be asked for; None where the limit is not known."""
        return None if self.limit is None else max(0, self.limit + self.raised - self.spent - self.held)

    @property
    def session(self) -> str:
        """The id of the session that the scope is of; empty where it is of none."""
        found = _SESSION.fullmatch(self.scope)
        return found[1] if found is not None else ""


def group(key: str) -> str:
    """The scope of a ledger's key: the same for all parts of a rolling window."""
    found = _WINDOW.fullmatch(key)
    return key if found is None else found[1] + found[4]


def standings(entries: Iterable[Entry], limits: Mapping[tuple[str, str], int], now: float) -> list[Standing]:
    """Every scope, by its name; `limits` by policy and unit, `now` in Unix seconds."""
    scopes: dict[str, list[Entry]] = {}
    for entry in entries:
        scopes.setdefault(group(entry.scope), []).append(entry)
    made = [_standing(scope, parts, now) for scope, parts in sorted(scopes.items())]
    return [each._replace(limit=limits.get((each.policy, each.unit))) for each in made]


def _standing(scope: str, parts: list[Entry], now: float) -> Standing:
    held = sum(entry.held for entry in parts)
    window = _WINDOW.fullmatch(parts[0].scope)
    if window is not None:
        oldest = int(now * PARTS // seconds(window[2])) + 1 - PARTS
        parts = [entry for entry in parts if entry.turn >= oldest] or parts[:0]
    latest = max(parts, key=lambda entry: entry.turn, default=None)
    whole = latest is not None and len(latest.scope.encode()) < WHOLE
    return Standing(
        scope=scope,
        key=latest.scope if latest is not None and whole else "",
        unit=scope.rpartition("/")[2],  # type: ignore[arg-type]
        spent=sum(entry.spent for entry in parts),
        held=held,
        raised=sum(entry.raised for entry in parts),
        limit=None,
    )


def seconds(text: str) -> float:
    """How long a window is whose key has this: `1d`."""
    return float(text[:-1]) * _SECONDS[text[-1]]

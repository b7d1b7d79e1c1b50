"""What a behaviour of an adapter is, and which cells of behaviour x path there are: the rows of the support matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from jackline.testing.paths import Carries, Path

F = TypeVar("F", bound="Callable[..., Any]")
State = Literal["proven", "not offered", "not applicable", "failing"]
KEY = "jackline-cell"
"""The name of the property of a test's report that says which cells it proves."""


class Behaviour(NamedTuple):
    """One guarantee."""

    id: str
    """Stable: it names a row of the support matrix."""
    says: str
    """The guarantee as one sentence."""
    needs: tuple[Carries, ...] = ()
    """What a path must carry for it to apply."""


class Cell(NamedTuple):
    """One behaviour on one path of one adapter."""

    adapter: str
    behaviour: str
    path: str
    group: str
    state: State
    reason: str = ""
    """Why it is not offered, or does not apply."""


def behaviour(identity: str, says: str, *needs: Carries) -> Callable[[F], F]:
    """Mark a test of a suite as the proof of a behaviour."""

    def mark(test: F) -> F:
        test.behaviour = Behaviour(identity, says, needs)  # type: ignore[attr-defined]
        return test

    return mark


def behaviours_of(suite: type) -> tuple[Behaviour, ...]:
    """The behaviours that a suite has tests for, in the order of its definition."""
    found: dict[str, Behaviour] = {}
    for kind in reversed(suite.__mro__):
        for member in vars(kind).values():
            marked = getattr(member, "behaviour", None)
            if isinstance(marked, Behaviour):
                found[marked.id] = marked
    return tuple(found.values())


def cells(adapter: str, reasons: Mapping[str, str], behaviours: tuple[Behaviour, ...], paths: list[Path]) -> list[Cell]:
    """Every cell of an adapter; `reasons` are its `gaps()`. KeyError: a path names another gap."""
    return [
        Cell(adapter, row.id, path.name, path.group, *_state(row, path, reasons))
        for path in paths
        for row in behaviours
    ]


def _state(row: Behaviour, path: Path, reasons: Mapping[str, str]) -> tuple[State, str]:
    lacks = path.lacks(row.needs)
    if lacks:
        return "not applicable", lacks
    gap = path.gap or path.gaps.get(row.id, "")
    return ("not offered", reasons[gap]) if gap else ("proven", "")


def refused(behaviours: tuple[Behaviour, ...], paths: list[Path]) -> Iterator[tuple[Path, Behaviour]]:
    """The cells that are not offered and whose refusal is tested: one for a path that is not offered at all."""
    for path in paths:
        for row in behaviours:
            if not path.lacks(row.needs) and (path.gap or row.id in path.gaps):
                yield path, row
                if path.gap:
                    break

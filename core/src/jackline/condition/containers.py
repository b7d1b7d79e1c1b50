"""Lists and maps in conditions: making, indexing, membership, and the macros with their element budget."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from jackline.condition.errors import BudgetExceeded, EvaluationError
from jackline.condition.values import INT_MIN, NUMBERS, BoolKey, Uint, equals, kind_of, no_overload

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

ELEMENTS: Final = 10_000
"""Elements that the macros of one evaluation may look at, nested ones counted together."""

_ABSENT: Final = object()
_PIECE: Final = 1_000
_KEYS: Final = frozenset((str, bool, int, Uint, float))
"""What can be looked up in a map; a double finds the integer that it equals."""


class Budget:
    """Counts down what one evaluation may still look at."""

    __slots__ = ("left",)

    def __init__(self) -> None:
        self.left = ELEMENTS

    def spend(self, elements: int = 1) -> None:
        """Take note of work; raises BudgetExceeded when it was too much."""
        self.left -= elements
        if self.left < 0:
            raise BudgetExceeded(f"macros may look at {ELEMENTS} elements in one evaluation, these are more")


def key_of(value: Any) -> Any:
    """Turn a value into a map's key. Booleans, ints, uints and strings can be keys."""
    kind = type(value)
    if kind is str or kind is int or kind is Uint:
        return value
    if kind is bool:
        return BoolKey(value)
    raise EvaluationError(f"{kind_of(value)} cannot be the key of a map")


def look_up(mapping: dict[Any, Any], key: Any) -> Any:
    """Find the value of a key, numbers by value; `ABSENT` where there is none."""
    kind = type(key)
    if kind is str or kind is int or kind is Uint:
        return mapping.get(key, _ABSENT)
    if kind is bool:
        return mapping.get(BoolKey(key), _ABSENT)
    if kind is float and key == key and INT_MIN <= key < 2 * -INT_MIN and key == int(key):  # noqa: PLR0124 - NaN
        return mapping.get(int(key), _ABSENT)
    return _ABSENT


def make_map(entries: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """Make a map; a key given twice is an error."""
    made: dict[Any, Any] = {}
    for key, value in entries:
        known = key_of(key)
        if known in made:
            raise EvaluationError(f"the key {key!r} is given twice")
        made[known] = value
    return made


def index(container: Any, key: Any) -> Any:
    """CEL's `container[key]`."""
    kind = type(container)
    if kind is dict:
        found = look_up(container, key)
        if found is _ABSENT:
            raise EvaluationError(f"no such key: {key!r}")
        return found
    if kind is not list:
        raise no_overload("[]", container, key)
    place = int(key) if type(key) in NUMBERS and key == key and key - key == 0 else -1  # noqa: PLR0124 - NaN, infinity
    if place != key or not 0 <= place < len(container):
        raise EvaluationError(f"no element {key!r} in a list of {len(container)}")
    return container[place]


def select(container: Any, field: str) -> Any:
    """CEL's `container.field`, on maps."""
    if type(container) is not dict:
        raise EvaluationError(f"{kind_of(container)} has no field '{field}'")
    if field not in container:
        raise EvaluationError(f"no such key: '{field}'")
    return container[field]


def has(container: Any, field: str) -> bool:
    """CEL's `has(container.field)`, on maps."""
    if type(container) is not dict:
        raise EvaluationError(f"{kind_of(container)} has no field '{field}'")
    return field in container


def member(value: Any, container: Any) -> bool:
    """CEL's `value in container`."""
    kind = type(container)
    if kind is dict:
        if type(value) not in _KEYS:
            raise no_overload("in", value, container)
        return look_up(container, value) is not _ABSENT
    if kind is list:
        return any(equals(value, each) for each in container)
    raise no_overload("in", value, container)


def elements(container: Any) -> Iterable[Any]:
    """Give what a macro goes through: a list's elements or a map's keys."""
    if type(container) is list:
        return container
    if type(container) is dict:
        return [key.value if type(key) is BoolKey else key for key in container]
    raise EvaluationError(f"a macro needs a list or a map, not {kind_of(container)}")


def truth(value: Any) -> bool:
    """Check that a value is a boolean."""
    if value is True or value is False:
        return bool(value)
    raise EvaluationError(f"expected true or false, not {kind_of(value)}")


def exists(budget: Budget, container: Any, test: Callable[[Any], Any]) -> bool:
    """Say whether the test holds for any element; the first error ends it."""
    for each in elements(container):
        budget.spend()
        if truth(test(each)):
            return True
    return False


def every(budget: Budget, container: Any, test: Callable[[Any], Any]) -> bool:
    """Say whether the test holds for all elements; the first error ends it."""
    for each in elements(container):
        budget.spend()
        if not truth(test(each)):
            return False
    return True


def exists_one(budget: Budget, container: Any, test: Callable[[Any], Any]) -> bool:
    """Say whether the test holds for exactly one element."""
    return len(keep(budget, container, test)) == 1


def keep(budget: Budget, container: Any, test: Callable[[Any], Any]) -> list[Any]:
    """Give the elements for which the test holds."""
    kept = []
    for each in elements(container):
        budget.spend()
        if truth(test(each)):
            kept.append(each)
    return kept


def change(
    budget: Budget, container: Any, test: Callable[[Any], Any] | None, transform: Callable[[Any], Any]
) -> list[Any]:
    """Give what `transform` makes of the elements; long results cost more of the budget, since they are kept."""
    made = []
    for each in elements(container):
        budget.spend()
        if test is not None and not truth(test(each)):
            continue
        result = transform(each)
        if type(result) in {str, bytes, list}:
            budget.spend(len(result) // _PIECE)
        made.append(result)
    return made

"""The values of conditions and what operators do with them: CEL's semantics on plain Python data."""

from __future__ import annotations

import math
from typing import Any, Final

from msgspec import Struct

from jackline.condition.errors import EvaluationError

INT_MIN: Final = -(2**63)
INT_MAX: Final = 2**63 - 1
UINT_MAX: Final = 2**64 - 1
# The years 1 to 9999, as google.protobuf.Timestamp has them, in nanoseconds.
TIME_MIN: Final = -62_135_596_800 * 10**9
TIME_MAX: Final = 253_402_300_800 * 10**9 - 1


class Uint(int):
    """An unsigned 64-bit integer; a plain `int` is CEL's signed one."""

    __slots__ = ()


class Timestamp(Struct, frozen=True, order=True):
    """A point in time: nanoseconds since 1970, UTC."""

    ns: int


class Duration(Struct, frozen=True, order=True):
    """A span of time in nanoseconds."""

    ns: int


class TypeValue(Struct, frozen=True):
    """A type as a value: what `type(x)` gives."""

    name: str


class BoolKey(Struct, frozen=True):
    """A boolean as a map's key: to Python, True and 1 would be the same key."""

    value: bool


KIND: Final[dict[type, str]] = {
    type(None): "null_type",
    bool: "bool",
    int: "int",
    Uint: "uint",
    float: "double",
    str: "string",
    bytes: "bytes",
    list: "list",
    dict: "map",
    Timestamp: "google.protobuf.Timestamp",
    Duration: "google.protobuf.Duration",
    TypeValue: "type",
}
NUMBERS: Final = frozenset({int, Uint, float})
ORDERED: Final = frozenset({str, bytes, bool, Timestamp, Duration})
TYPES: Final = {name: TypeValue(name) for name in KIND.values()}
SHORT: Final = {"google.protobuf.Timestamp": "timestamp", "google.protobuf.Duration": "duration", "null_type": "null"}


def kind_of(value: Any) -> str:
    """Name the type of a value in the author's words; a foreign object is an error."""
    try:
        kind = KIND[type(value)]
    except KeyError:
        raise EvaluationError(f"a {type(value).__name__} is no value of a condition") from None
    return SHORT.get(kind, kind)


def no_overload(operator: str, *operands: Any) -> EvaluationError:
    """Say that an operator or function does not take these types."""
    return EvaluationError(f"{operator} does not take ({', '.join(kind_of(each) for each in operands)})")


def type_of(value: Any) -> TypeValue:
    """CEL's `type(value)`."""
    kind_of(value)
    return TYPES[KIND[type(value)]]


def equals(left: Any, right: Any) -> bool:
    """CEL's `==`: numbers by value across types, other types never equal to each other."""
    kind = type(left)
    if kind is type(right):
        if kind is list:
            return len(left) == len(right) and all(map(equals, left, right))
        if kind is dict:
            return len(left) == len(right) and all(
                key in right and equals(value, right[key]) for key, value in left.items()
            )
        if kind not in KIND:
            raise no_overload("==", left, right)
        return bool(left == right)
    if kind in NUMBERS and type(right) in NUMBERS:
        left, right = _same(left, right)
        return bool(left == right)
    if kind not in KIND or type(right) not in KIND:
        raise no_overload("==", left, right)
    return False


def differs(left: Any, right: Any) -> bool:
    """CEL's `!=`."""
    return not equals(left, right)


def less(left: Any, right: Any) -> bool:
    """CEL's `<`."""
    left, right = _comparable("<", left, right)
    return bool(left < right)


def less_equal(left: Any, right: Any) -> bool:
    """CEL's `<=`."""
    left, right = _comparable("<=", left, right)
    return bool(left <= right)


def greater(left: Any, right: Any) -> bool:
    """CEL's `>`."""
    left, right = _comparable(">", left, right)
    return bool(left > right)


def greater_equal(left: Any, right: Any) -> bool:
    """CEL's `>=`."""
    left, right = _comparable(">=", left, right)
    return bool(left >= right)


def _comparable(operator: str, left: Any, right: Any) -> tuple[Any, Any]:
    kind, other = type(left), type(right)
    if kind in NUMBERS and other in NUMBERS:
        return _same(left, right)
    if kind is other and kind in ORDERED:
        return left, right
    raise no_overload(operator, left, right)


def _same(left: Any, right: Any) -> tuple[Any, Any]:
    """An integer beside a double is rounded to a double, as every implementation of CEL does."""
    try:
        if type(left) is float:
            return left, float(right)
        if type(right) is float:
            return float(left), right
    except OverflowError:
        return left, right
    return left, right


def add(left: Any, right: Any) -> Any:
    """CEL's `+`."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind is int:
            return signed(left + right)
        if kind in {float, str, bytes, list}:
            return left + right
        if kind is Uint:
            return unsigned(int(left) + int(right))
    if kind is Duration and other in {Duration, Timestamp}:
        return span(left.ns + right.ns) if other is Duration else moment(left.ns + right.ns)
    if kind is Timestamp and other is Duration:
        return moment(left.ns + right.ns)
    raise no_overload("+", left, right)


def subtract(left: Any, right: Any) -> Any:
    """CEL's `-` between two values."""
    kind, other = type(left), type(right)
    if kind is other:
        if kind is int:
            return signed(left - right)
        if kind is float:
            return left - right
        if kind is Uint:
            return unsigned(int(left) - int(right))
        if kind in {Duration, Timestamp}:
            return span(left.ns - right.ns)
    if kind is Timestamp and other is Duration:
        return moment(left.ns - right.ns)
    raise no_overload("-", left, right)


def multiply(left: Any, right: Any) -> Any:
    """CEL's `*`."""
    kind = type(left)
    if kind is type(right):
        if kind is int:
            return signed(left * right)
        if kind is float:
            return left * right
        if kind is Uint:
            return unsigned(int(left) * int(right))
    raise no_overload("*", left, right)


def divide(left: Any, right: Any) -> Any:
    """CEL's `/`: towards zero for integers; doubles follow IEEE 754."""
    kind = type(left)
    if kind is not type(right) or kind not in NUMBERS:
        raise no_overload("/", left, right)
    if kind is float:
        return _divide_doubles(left, right)
    if right == 0:
        raise EvaluationError("divide by zero")
    quotient = abs(int(left)) // abs(int(right))
    if kind is Uint:
        return Uint(quotient)
    return signed(quotient if (left < 0) == (right < 0) else -quotient)


def _divide_doubles(left: float, right: float) -> float:
    if right != 0:
        return left / right
    if left == 0 or math.isnan(left):
        return math.nan
    return math.copysign(math.inf, left) * math.copysign(1.0, right)


def modulo(left: Any, right: Any) -> Any:
    """CEL's `%`: the remainder has the sign of the left side."""
    kind = type(left)
    if kind is not type(right) or kind not in {int, Uint}:
        raise no_overload("%", left, right)
    if right == 0:
        raise EvaluationError("modulus by zero")
    if left == INT_MIN and right == -1:
        raise EvaluationError("integer overflow")
    remainder = abs(int(left)) % abs(int(right))
    if kind is Uint:
        return Uint(remainder)
    return -remainder if left < 0 else remainder


def negate(value: Any) -> Any:
    """CEL's `-` before one value."""
    if type(value) is int:
        return signed(-value)
    if type(value) is float:
        return -value
    raise no_overload("-", value)


def signed(value: int) -> int:
    """Check that an int fits 64 bits."""
    if INT_MIN <= value <= INT_MAX:
        return value
    raise EvaluationError("integer overflow")


def unsigned(value: int) -> Uint:
    """Check that a uint fits 64 bits."""
    if 0 <= value <= UINT_MAX:
        return Uint(value)
    raise EvaluationError("unsigned integer overflow")


def moment(ns: int) -> Timestamp:
    """Check that a timestamp lies in the years 1 to 9999."""
    if TIME_MIN <= ns <= TIME_MAX:
        return Timestamp(ns)
    raise EvaluationError("timestamp overflow: the years 1 to 9999 are known")


def span(ns: int) -> Duration:
    """Check that a duration fits 64 bits of nanoseconds."""
    if INT_MIN <= ns <= INT_MAX:
        return Duration(ns)
    raise EvaluationError("duration overflow: at most 292 years are known")

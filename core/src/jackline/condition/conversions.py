"""CEL's conversions between types; nothing is ever converted without one of these being written."""

from __future__ import annotations

import math
import re
from typing import Any, Final

from jackline.condition import times
from jackline.condition.errors import EvaluationError
from jackline.condition.values import (
    INT_MAX,
    INT_MIN,
    UINT_MAX,
    Duration,
    Timestamp,
    Uint,
    moment,
)

_INTEGER: Final = re.compile(r"[+-]?[0-9]+")
_DOUBLE: Final = re.compile(
    r"[+-]?(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:e[+-]?[0-9]+)?|inf|infinity|nan)", re.IGNORECASE | re.ASCII
)
_TRUE: Final = frozenset(("1", "t", "true", "TRUE", "True"))
_FALSE: Final = frozenset(("0", "f", "false", "FALSE", "False"))
_DIGITS: Final = 20
_SMALLEST_PLAIN: Final = -4
_LARGEST_PLAIN: Final = 5
"""Powers of ten that are written without an exponent."""


def to_int(value: Any) -> int:
    """CEL's `int(value)`: doubles are cut towards zero."""
    if type(value) is float:
        # CEL leaves the smallest int out, since its double is also that of smaller numbers.
        if not INT_MIN < value < -INT_MIN:
            raise EvaluationError(f"{value} is out of the range of int")
        return int(value)
    if type(value) is Timestamp:
        return value.ns // times.SECOND
    if type(value) is str:
        return _parsed(value, "int", INT_MIN, INT_MAX)
    if value > INT_MAX:
        raise EvaluationError(f"{int(value)} is out of the range of int")
    return int(value)


def to_uint(value: Any) -> Uint:
    """CEL's `uint(value)`."""
    if type(value) is float:
        if not 0 <= value < UINT_MAX + 1:
            raise EvaluationError(f"{value} is out of the range of uint")
        return Uint(value)
    if type(value) is str:
        return Uint(_parsed(value, "uint", 0, UINT_MAX))
    if value < 0:
        raise EvaluationError(f"{value} is out of the range of uint")
    return Uint(value)


def _parsed(text: str, kind: str, least: int, most: int) -> int:
    if _INTEGER.fullmatch(text) is None:
        raise EvaluationError(f"{text!r} cannot be read as {kind}")
    number = int(text) if len(text.lstrip("+-0")) <= _DIGITS else most + 1
    if not least <= number <= most:
        raise EvaluationError(f"{text!r} is out of the range of {kind}")
    return number


def to_double(value: Any) -> float:
    """CEL's `double(value)`."""
    if type(value) is str and _DOUBLE.fullmatch(value) is None:
        raise EvaluationError(f"{value!r} cannot be read as double")
    return float(value)


def to_string(value: Any) -> str:
    """CEL's `string(value)`."""
    kind = type(value)
    if kind is str:
        return str(value)
    if kind is bool:
        return "true" if value else "false"
    if kind is float:
        return _write_double(value)
    if kind is bytes:
        try:
            return str(value.decode())
        except UnicodeDecodeError:
            raise EvaluationError("these bytes are not UTF-8") from None
    if kind is Timestamp:
        return times.write_timestamp(value)
    if kind is Duration:
        return times.write_duration(value)
    return str(int(value))


def _write_double(value: float) -> str:
    """Write the shortest text that reads back as the same double, with an exponent from a million on."""
    if not math.isfinite(value):
        return "nan" if math.isnan(value) else "inf" if value > 0 else "-inf"
    if value == 0:
        return "-0" if math.copysign(1.0, value) < 0 else "0"
    digits, exponent = _shortest(value)
    sign = "-" if value < 0 else ""
    if _SMALLEST_PLAIN <= exponent <= _LARGEST_PLAIN:
        if exponent < 0:
            return f"{sign}0.{'0' * (-exponent - 1)}{digits}"
        whole, rest = digits[: exponent + 1].ljust(exponent + 1, "0"), digits[exponent + 1 :]
        return f"{sign}{whole}{'.' if rest else ''}{rest}"
    fraction = f".{digits[1:]}" if len(digits) > 1 else ""
    return f"{sign}{digits[0]}{fraction}e{'-' if exponent < 0 else '+'}{abs(exponent):02}"


def _shortest(value: float) -> tuple[str, int]:
    mantissa, _, power = repr(abs(value)).partition("e")
    whole, _, fraction = mantissa.partition(".")
    exponent = int(power or "0") + len(whole) - 1
    digits = (whole + fraction).lstrip("0")
    exponent -= len(whole + fraction) - len(digits)
    return digits.rstrip("0"), exponent


def to_bytes(value: Any) -> bytes:
    """CEL's `bytes(value)`: a string's UTF-8."""
    return bytes(value) if type(value) is bytes else str(value).encode()


def to_bool(value: Any) -> bool:
    """CEL's `bool(value)`."""
    if type(value) is bool:
        return value
    if value in _TRUE:
        return True
    if value in _FALSE:
        return False
    raise EvaluationError(f"{value!r} cannot be read as bool: it is 'true' or 'false'")


def to_timestamp(value: Any) -> Timestamp:
    """CEL's `timestamp(value)`: RFC 3339, or seconds since 1970; Jackline takes seconds as a double as well."""
    kind = type(value)
    if kind is Timestamp:
        return moment(value.ns)
    if kind is int:
        return moment(value * times.SECOND)
    if kind is float:
        if not math.isfinite(value):
            raise EvaluationError(f"{value} is no timestamp")
        return moment(int(value * times.SECOND))
    return times.timestamp(value)


def to_duration(value: Any) -> Duration:
    """CEL's `duration(value)`."""
    return value if type(value) is Duration else times.duration(value)

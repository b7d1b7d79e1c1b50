"""Timestamps and durations: reading, writing, and their parts in a time zone."""

from __future__ import annotations

import datetime as dt
import re
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from jackline.condition.errors import EvaluationError
from jackline.condition.values import Duration, Timestamp, moment, span

if TYPE_CHECKING:
    from collections.abc import Callable

SECOND: Final = 1_000_000_000
_EPOCH: Final = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_UNITS: Final = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1_000_000, "us": 1_000, "ns": 1}
_TIMESTAMP: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt]([0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]{1,9}))?([Zz]|[+-][0-9]{2}:[0-9]{2})"
)
_DURATION: Final = re.compile(r"[+-]?(?:0|(?:(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:h|ms|us|ns|m|s))+)")
_SPAN: Final = re.compile(r"([0-9]*)\.?([0-9]*)(h|ms|us|ns|m|s)")
_OFFSET: Final = re.compile(r"([+-]?)([0-9]{2}):([0-9]{2})")


def timestamp(text: str) -> Timestamp:
    """Read RFC 3339: `2009-02-13T23:31:30.5Z`, `2009-02-13T23:31:30+01:00`."""
    hit = _TIMESTAMP.fullmatch(text)
    if hit is None:
        raise EvaluationError(f"{text!r} is no timestamp: write it as '2009-02-13T23:31:30Z'")
    day, clock, fraction, zone = hit.groups()
    try:
        at = dt.datetime.fromisoformat(f"{day}T{clock}{'+00:00' if zone in 'Zz' else zone}")
        seconds = (at - _EPOCH) // dt.timedelta(seconds=1)
    except (ValueError, OverflowError):
        raise EvaluationError(f"{text!r} is no timestamp: there is no such day or time") from None
    return moment(seconds * SECOND + int((fraction or "0").ljust(9, "0")))


def duration(text: str) -> Duration:
    """Read a duration: `90s`, `1h30m`, `-1.5h`, `250ms`."""
    if _DURATION.fullmatch(text) is None:
        raise EvaluationError(f"{text!r} is no duration: write it as '90s', '1h30m' or '250ms'")
    total = 0
    for whole, fraction, unit in _SPAN.findall(text):
        size = _UNITS[unit]
        total += int(whole or "0") * size + int(fraction or "0") * size // 10 ** len(fraction)
    return span(-total if text[0] == "-" else total)


def write_timestamp(value: Timestamp) -> str:
    """Write a timestamp in UTC, with 0, 3, 6 or 9 digits of a second's fraction."""
    seconds, fraction = divmod(value.ns, SECOND)
    at = _EPOCH + dt.timedelta(seconds=seconds)
    return f"{at.year:04}-{at:%m-%dT%H:%M:%S}{_fraction(fraction)}Z"


def write_duration(value: Duration) -> str:
    """Write a duration in seconds."""
    seconds, fraction = divmod(abs(value.ns), SECOND)
    return f"{'-' if value.ns < 0 else ''}{seconds}{_fraction(fraction)}s"


def _fraction(ns: int) -> str:
    if not ns:
        return ""
    digits = f"{ns:09}"
    return "." + (digits[:3] if digits.endswith("000000") else digits[:6] if digits.endswith("000") else digits)


@lru_cache(maxsize=64)
def zone(name: str) -> dt.tzinfo:
    """Find a time zone by its IANA name or its offset (`+01:00`)."""
    hit = _OFFSET.fullmatch(name)
    if hit is not None:
        offset = dt.timedelta(hours=int(hit[2]), minutes=int(hit[3]))
        if offset >= dt.timedelta(days=1):
            raise EvaluationError(f"{name!r} is no time zone: offsets are less than a day")
        return dt.timezone(-offset if hit[1] == "-" else offset)
    if name == "UTC":
        return dt.UTC
    import zoneinfo  # noqa: PLC0415 - only for conditions that name a place

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        raise EvaluationError(f"{name!r} is no time zone: write 'Europe/Berlin' or '+01:00'") from None


def local(value: Timestamp, name: str = "UTC") -> dt.datetime:
    """Give the calendar's view of a timestamp in a time zone."""
    try:
        return (_EPOCH + dt.timedelta(seconds=value.ns // SECOND)).astimezone(zone(name))
    except OverflowError:
        raise EvaluationError("timestamp overflow: the years 1 to 9999 are known") from None


PARTS: Final[dict[str, Callable[[dt.datetime], int]]] = {
    "getFullYear": lambda at: at.year,
    "getMonth": lambda at: at.month - 1,
    "getDate": lambda at: at.day,
    "getDayOfMonth": lambda at: at.day - 1,
    "getDayOfWeek": lambda at: at.isoweekday() % 7,
    "getDayOfYear": lambda at: at.timetuple().tm_yday - 1,
    "getHours": lambda at: at.hour,
    "getMinutes": lambda at: at.minute,
    "getSeconds": lambda at: at.second,
}
SPANS: Final = {"getHours": 3600 * SECOND, "getMinutes": 60 * SECOND, "getSeconds": SECOND}


def part(name: str) -> Callable[..., int]:
    """Make the function that gives one part of a timestamp (in a zone) or of a duration."""
    read, size = PARTS[name], SPANS.get(name, 1)

    def get(value: Timestamp | Duration, zone_name: str = "UTC") -> int:
        if type(value) is Duration:
            whole = abs(value.ns) // size
            return -whole if value.ns < 0 else whole
        return read(local(value, zone_name))  # type: ignore[arg-type]

    return get


def milliseconds(value: Timestamp | Duration, zone_name: str = "UTC") -> int:  # noqa: ARG001 - one shape for all parts
    """Give the milliseconds within the second."""
    whole = abs(value.ns) % SECOND // 1_000_000 if type(value) is Duration else value.ns % SECOND // 1_000_000
    return -whole if value.ns < 0 and type(value) is Duration else whole

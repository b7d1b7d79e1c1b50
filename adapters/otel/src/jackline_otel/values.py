"""OTLP's forms of plain values: attributes, times, ids."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.logs.v1.logs_pb2 import LogRecord

from jackline import conventions as names

if TYPE_CHECKING:
    from collections.abc import Mapping

    from opentelemetry.proto.trace.v1.trace_pb2 import Span

NANO = 1_000_000_000
_LONG = 4096
"""Characters of a text that is left as it is in a request that is too large."""
_EMPTY: tuple[object, ...] = (None, "", (), {})


def attributes(found: Mapping[str, Any]) -> list[KeyValue]:
    """Attributes of what says something; empty texts and None are left out, zero and False are not."""
    return [KeyValue(key=key, value=value(given)) for key, given in found.items() if given not in _EMPTY]


def value(given: Any) -> AnyValue:
    """One value: texts, numbers, truth values and lists of texts."""
    if isinstance(given, bool):
        return AnyValue(bool_value=given)
    if isinstance(given, int):
        return AnyValue(int_value=given)
    if isinstance(given, float):
        return AnyValue(double_value=given)
    if isinstance(given, list | tuple):
        return AnyValue(array_value=ArrayValue(values=[value(one) for one in given]))
    return AnyValue(string_value=_text(given))


def body(given: bytes) -> AnyValue:
    """An event's bytes, as they stand in the journal."""
    try:
        return AnyValue(string_value=given.decode())
    except UnicodeDecodeError:
        return AnyValue(bytes_value=given)


def cut(found: LogRecord | Span) -> bool:
    """Leave out what is long, and mark that it is; False where it was cut before: then nothing makes it shorter."""
    if any(one.key == names.EVENT_CUT for one in found.attributes):
        return False
    for one in found.attributes:
        if len(one.value.string_value) > _LONG:
            one.value.string_value = f"{one.value.string_value[:_LONG]}…"
    if isinstance(found, LogRecord):
        found.ClearField("body")
    found.attributes.append(KeyValue(key=names.EVENT_CUT, value=value(given=True)))
    return True


def nanos(at: float) -> int:
    """Unix seconds as OTLP's nanoseconds; a microsecond is as exact as a float of today is."""
    return max(round(at * 1_000_000), 0) * 1000


def identity(text: str, size: int) -> bytes:
    """An id of `size` bytes of its hex digits; none where the text is no such id."""
    try:
        found = bytes.fromhex(text)
    except ValueError:
        return b""
    return found if len(found) == size and any(found) else b""


def _text(given: Any) -> str:
    """Text that protobuf takes: lone surrogates are replaced."""
    return str(given).encode(errors="replace").decode()

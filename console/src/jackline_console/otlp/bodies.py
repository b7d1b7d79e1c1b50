"""A request's body as an OTLP message, or why it is none: whatever comes, the answer is one of 4xx."""

from __future__ import annotations

import base64
import json
import zlib
from typing import TYPE_CHECKING, Any, TypeVar

from google.protobuf.json_format import MessageToJson, ParseDict, ParseError
from google.protobuf.message import DecodeError, Message

from jackline_console.problems import ProblemError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

PROTOBUF, JSON = "application/x-protobuf", "application/json"
MOST = 16 * 1024 * 1024
"""Bytes of a body once it is unpacked: it bounds what a small one can grow to."""
MANY = 20_000
"""Spans, metrics or log records of one request: what is made of them is many times larger than they are."""
_IDS = {"traceId": 16, "spanId": 8, "parentSpanId": 8}
_DEEP = 64
M = TypeVar("M", bound=Message)


def decoded(kind: type[M], data: bytes, headers: Mapping[str, str], most: int = MOST) -> M:
    """The message of a body of at most so many bytes once it is unpacked. Raises ProblemError."""
    form = content_type(headers)
    data = _unpacked(data, headers.get("content-encoding", "").strip().lower(), most)
    message = kind()
    try:
        if form == PROTOBUF:
            message.ParseFromString(data)
        else:
            ParseDict(_with_ids(json.loads(data), 0), message, ignore_unknown_fields=True)
    except (DecodeError, ParseError, ValueError, TypeError, AttributeError, KeyError, RecursionError) as error:
        expected = f"a {kind.DESCRIPTOR.name} as {form}"
        told = f"the body is no {form} of OTLP: {type(error).__name__}"
        raise ProblemError(400, "malformed", told, what="body", expected=expected) from error
    return message


def bound(counts: Iterable[int]) -> None:
    """Raises ProblemError where one request has too many spans, metrics or log records."""
    found = sum(counts)
    if found > MANY:
        raise ProblemError(
            413,
            "too-large",
            "the request has too many spans, metrics or log records",
            what="body",
            value=found,
            expected=f"at most {MANY} in one request",
        )


def encoded(message: Message, form: str) -> bytes:
    """An answer in the form of its question."""
    return message.SerializeToString() if form == PROTOBUF else MessageToJson(message).encode()


def content_type(headers: Mapping[str, str]) -> str:
    """The form of a body. Raises ProblemError where it is none of OTLP's."""
    given = headers.get("content-type", "").partition(";")[0].strip().lower()
    if given not in (PROTOBUF, JSON):
        raise ProblemError(
            415,
            "media-type",
            "the body's type is none of OTLP over HTTP",
            what="Content-Type",
            value=given,
            expected=f"{PROTOBUF} or {JSON}",
        )
    return given


def _unpacked(data: bytes, encoding: str, most: int) -> bytes:
    if encoding in ("", "identity"):
        return data
    if encoding not in ("gzip", "x-gzip"):
        expected = "gzip, or none"
        raise ProblemError(
            415, "encoding", "bodies are not unpacked like that", what="Content-Encoding", expected=expected
        )
    unpacking = zlib.decompressobj(wbits=31)
    try:
        found = unpacking.decompress(data, most + 1)
    except zlib.error as error:
        raise ProblemError(400, "malformed", "the body is no gzip", what="body", expected="gzip") from error
    if len(found) > most:
        told = "the body is too large once it is unpacked"
        raise ProblemError(413, "too-large", told, what="body", expected=f"at most {most} bytes")
    if not unpacking.eof or unpacking.unused_data:
        raise ProblemError(400, "malformed", "the body is not one whole gzip", what="body", expected="gzip")
    return found


def _with_ids(found: Any, depth: int) -> Any:
    """OTLP's JSON has ids in hex where protobuf's has base64."""
    if depth > _DEEP:
        raise ValueError("too deep")
    if isinstance(found, list):
        return [_with_ids(one, depth + 1) for one in found]
    if not isinstance(found, dict):
        return found
    return {
        key: _id(value) if key in _IDS and isinstance(value, str) else _with_ids(value, depth + 1)
        for key, value in found.items()
    }


def _id(text: str) -> str:
    return base64.b64encode(bytes.fromhex(text)).decode()

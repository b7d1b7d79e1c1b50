"""What native values look like as data: bounded, never raising, never two different values as the same null."""

from __future__ import annotations

import dataclasses
import datetime as dt
import decimal
import enum
import hashlib
import math
import os
import pathlib
import re
import uuid
from collections.abc import Mapping
from itertools import islice
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

MAX_DEPTH = 64
MAX_NODES = 100_000
MAX_TEXT = 8 * 1024 * 1024
"""Characters kept of all strings together; a longer string is replaced by its length and digest."""

_QUICK_DEPTH, _QUICK_ITEMS, _QUICK_TEXT, _QUICK_NODES = 8, 256, 65536, 8192
"""What the quick check accepts: deeper, longer or larger values are walked with a budget."""

_LONG = 256
"""Characters that count as much as an item where a text is longer."""

_ONLY_TEXT = frozenset({str})
_CONTAINERS = frozenset({dict, list})

_WIDE_BITS = 4096
"""A wider integer is kept as a digest, since its digits take quadratic time."""

INT_MIN, INT_MAX = -(2**63), 2**63 - 1
"""Integers outside 64 bits become text: conditions compute in 64 bits and must not wrap."""

MARKS = frozenset({"$opaque", "$bytes", "$float", "$int", "$items", "$text", "$cycle", "$deep", "$large"})
"""Keys that mark a value which JSON cannot hold; a key of the caller's that looks like one gets a second `$`."""

_encode = msgspec.json.Encoder(order="deterministic").encode


def canonical(value: Any) -> bytes:
    """Encode a plain value as deterministic JSON: sorted keys, no spaces. Floats keep their point: 448.0 is not 448."""
    return _encode(value)


def is_plain(value: Any) -> bool:
    """Whether `value` is already plain data, by exact types; large values answer False and go the careful way."""
    kind = type(value)
    return _quick(value, 0, _QUICK_NODES) >= 0 if kind is dict or kind is list else _is_plain_scalar(value)


def _quick(value: Any, depth: int, left: int) -> int:
    """What is left of `left` after a dict or list, below 0 where it is not plain or too large.

    A list that holds another one many times is as large as if each were its own: without a count it never ends.
    """
    left -= len(value)
    if depth > _QUICK_DEPTH or len(value) > _QUICK_ITEMS or left < 0:
        return -1
    if type(value) is dict:
        if not are_plain_names(value):
            return -1
        value = value.values()
    if are_plain_scalars(value):
        return left
    for item in value:
        kind = type(item)
        if kind is dict or kind is list:
            left = _quick(item, depth + 1, left)
            if left < 0:
                return -1
        elif not _is_plain_scalar(item):
            return -1
        elif kind is str and len(item) > _LONG:
            left -= len(item) // _LONG
    return left


def are_plain_names(names: Collection[Any]) -> bool:
    """Whether these can be keys of plain data as they are; one with a `$` goes the careful way."""
    if not set(map(type, names)) <= _ONLY_TEXT:
        return False
    joined = "".join(names)
    return joined.isascii() and "$" not in joined


def are_plain_scalars(values: Iterable[Any]) -> bool:
    """Whether all of them are short strings in ASCII, numbers that JSON can hold, truth values or None: most are."""
    for item in values:
        kind = type(item)
        if kind is str:
            if len(item) > _LONG or not item.isascii():
                return False
        elif kind is int:
            if not INT_MIN <= item <= INT_MAX:
                return False
        elif kind is float:
            if not math.isfinite(item):
                return False
        elif kind is not bool and item is not None:
            return False
    return True


def _is_plain_scalar(value: Any) -> bool:
    kind = type(value)
    if kind is str:
        return len(value) <= _QUICK_TEXT and (value.isascii() or _encodable(value))
    if kind is int:
        return bool(INT_MIN <= value <= INT_MAX)
    return kind is bool or value is None or (kind is float and math.isfinite(value))


def plain(value: Any) -> Any:
    """Return `value` as JSON-like data: dict with str keys, list, str, int, float, bool or None.

    Values that JSON cannot hold become marked maps such as `{"$opaque": "module.Class"}`, `{"$float": "nan"}` or
    `{"$bytes": [length, digest]}`. A value that is plain already is returned itself, not copied.
    """
    if (type(value) is str and len(value) <= _LONG and value.isascii()) or is_plain(value):
        return value
    try:
        return _Walk().value(value, 0)
    except Exception:  # noqa: BLE001 - a hostile value must not break the check; it is judged as opaque
        return {"$opaque": _name(value)}


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _fingerprint(data: bytes) -> str:
    return hashlib.blake2b(data, digest_size=16).hexdigest()


class _Walk:
    """One conversion, with what it may still spend."""

    def __init__(self) -> None:
        self.nodes = MAX_NODES
        self.text = MAX_TEXT
        self.path: set[int] = set()

    def value(self, value: Any, depth: int) -> Any:
        self.nodes -= 1
        if self.nodes < 0:
            return _large(value)
        if value is None or isinstance(value, bool):
            return value
        if isinstance(value, enum.Enum):
            return self.value(value.value, depth)
        for kind, convert in _SCALARS:
            if isinstance(value, kind):
                return convert(self, value)
        if depth >= MAX_DEPTH:
            return {"$deep": _name(value), "nonce": os.urandom(8).hex()}
        if id(value) in self.path:
            return {"$cycle": _name(value)}
        self.path.add(id(value))
        try:
            return self.container(value, depth + 1)
        except Exception:  # noqa: BLE001 - a hostile value must not break the check; it is judged as opaque
            return {"$opaque": _name(value)}
        finally:
            self.path.discard(id(value))

    def container(self, value: Any, depth: int) -> Any:
        if isinstance(value, (list, tuple)):
            items, room = tuple(value), self.nodes
            kept = [self.value(item, depth) for item in islice(tuple.__iter__(items), room)]
            return kept if len(items) <= room else [*kept, _large(value)]
        if isinstance(value, (dict, set, frozenset)) and len(value) > self.nodes:
            return _large(value)  # a mark for each of its items would cost more than they do
        if isinstance(value, dict):
            return self.mapping(dict.items(value), depth)
        if isinstance(value, (set, frozenset)):
            return {"$items": sorted((self.value(item, depth) for item in value), key=canonical)}
        if isinstance(value, Mapping):
            return self.mapping(value.items(), depth)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            return {item.name: self.value(getattr(value, item.name), depth) for item in dataclasses.fields(value)}
        if isinstance(value, msgspec.Struct):
            return {name: self.value(getattr(value, name), depth) for name in value.__struct_fields__}
        dump = getattr(type(value), "model_dump", None)
        if callable(dump):
            return self.value(dump(value), depth)
        if (
            type(value).__module__ == "numpy"
            and callable(getattr(value, "item", None))
            and getattr(value, "ndim", 1) == 0
        ):
            return self.value(value.item(), depth)
        return {"$opaque": _name(value)}

    def mapping(self, items: Iterable[tuple[Any, Any]], depth: int) -> Any:
        pairs = [(key, self.value(item, depth)) for key, item in items]
        if all(isinstance(key, str) for key, _ in pairs):
            named = {self.key(str.__str__(key)): item for key, item in pairs}
            if len(named) == len(pairs):
                return named
        return {"$items": sorted(([self.value(key, depth), item] for key, item in pairs), key=canonical)}

    @staticmethod
    def key(key: str) -> str:
        key = key if _encodable(key) else key.encode("utf-8", "backslashreplace").decode()
        return f"${key}" if key.startswith("$") and "$" + key.lstrip("$") in MARKS else key

    def string(self, value: str) -> Any:
        text = str.__str__(value)
        if len(text) > self.text:
            return {"$text": [len(text), _fingerprint(text.encode("utf-8", "backslashreplace"))]}
        self.text -= len(text)
        if _encodable(text):
            return text
        return {"$text": [len(text), text.encode("utf-8", "backslashreplace").decode()]}

    def integer(self, value: int) -> Any:
        number = int.__int__(value)
        return (
            number
            if INT_MIN <= number <= INT_MAX
            else {"$int": f"{number:#x}" if number.bit_length() < _WIDE_BITS else _big(number)}
        )

    def floating(self, value: float) -> Any:
        number = float.__float__(value)
        return number if math.isfinite(number) else {"$float": repr(number)}

    def decimal(self, value: decimal.Decimal) -> Any:
        if not value.is_finite():
            return {"$float": str(value).lower()}
        return self.value(
            int(value) if value == value.to_integral_value() and abs(value) < INT_MAX else float(value), 0
        )

    def binary(self, value: bytes | bytearray | memoryview) -> Any:
        data = bytes(value)
        return {"$bytes": [len(data), _fingerprint(data)]}


def _big(number: int) -> str:
    return _fingerprint(number.to_bytes(number.bit_length() // 8 + 1, "little", signed=True))


def _large(value: Any) -> dict[str, str]:
    return {"$large": _name(value), "nonce": os.urandom(8).hex()}


def _name(value: Any) -> str:
    return f"{type(value).__module__}.{type(value).__qualname__}"


_SCALARS: tuple[tuple[Any, Callable[[_Walk, Any], Any]], ...] = (
    (str, _Walk.string),
    (int, _Walk.integer),
    (float, _Walk.floating),
    (decimal.Decimal, _Walk.decimal),
    ((bytes, bytearray, memoryview), _Walk.binary),
    ((dt.datetime, dt.date, dt.time), lambda walk, value: walk.string(value.isoformat())),
    (dt.timedelta, lambda walk, value: walk.floating(value.total_seconds())),
    ((uuid.UUID, pathlib.PurePath), lambda walk, value: walk.string(str(value))),
)


class Digester:
    """Keyed digests of payloads: equal payloads have equal digests, and nobody without the key can guess one."""

    __slots__ = ("_keyed",)

    def __init__(self, key: bytes) -> None:
        self._keyed = hashlib.blake2b(digest_size=16, key=key)

    def digest(self, data: bytes) -> str:
        """32 hex digits of the keyed BLAKE2b of `data`."""
        hashing = self._keyed.copy()
        hashing.update(data)
        return hashing.hexdigest()


_EACH_ID = re.compile("[0-9a-f]{16}")
_spare: list[str] = []
"""Span ids in hand: the system is asked for many at once. A forked child throws its parent's away."""
os.register_at_fork(after_in_child=_spare.clear)


def new_span_id() -> str:
    """16 hex digits, random; safe after fork and in any thread."""
    try:
        return _spare.pop()
    except IndexError:
        many: list[str] = _EACH_ID.findall(os.urandom(8 * 128).hex())
        one = many.pop()
        _spare.extend(many)
        return one


def new_run_id() -> str:
    """32 hex digits, random."""
    return os.urandom(16).hex()


def fingerprint(schema: Any) -> str:
    """The first 16 hex digits of the SHA-256 of the canonical form of a tool's schema."""
    return hashlib.sha256(canonical(plain(schema))).hexdigest()[:16]


def as_dict(struct: msgspec.Struct) -> dict[str, Any]:
    """A record as plain data with every field, the defaults too: what conditions see."""
    return {name: _builtins(getattr(struct, name)) for name in struct.__struct_fields__}


def _builtins(value: Any) -> Any:
    if isinstance(value, tuple):
        return [_builtins(item) for item in value]
    if isinstance(value, msgspec.Struct):
        return as_dict(value)
    return cast("Any", value)


def apart(native: Mapping[str, Any], judged: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is judged, sharing no dict and no list with what is executed; and those natives, by name, to compare later.

    Whoever holds an argument can change it while a check waits: what was judged must be what is executed.
    """
    if _CONTAINERS.isdisjoint(map(type, judged.values())):
        return judged, {}
    shared = {name: item for name, item in judged.items() if type(item) in (dict, list) and native.get(name) is item}
    if not shared:
        return judged, shared
    return {**judged, **{name: msgspec.json.decode(_encode(item)) for name, item in shared.items()}}, shared


def converted(native: Mapping[str, Any], convert: Callable[[Any], Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What is judged of native arguments by name, each one converted; and the natives to compare later, see `apart`."""
    if are_plain_scalars(native.values()):
        return dict(native), {}
    return apart(native, {name: convert(item) for name, item in native.items()})


def words(error: BaseException) -> str:
    """What an error says; also where it cannot."""
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - an error without words is still one
        return "(it cannot say what)"

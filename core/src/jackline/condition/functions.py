"""The functions that conditions may call: what they take, for the checker and the docs, and what they do."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from msgspec import Struct

from jackline.condition import conversions, times
from jackline.condition.errors import EvaluationError
from jackline.condition.values import KIND, SHORT, no_overload, type_of

if TYPE_CHECKING:
    from collections.abc import Callable

LONGEST: Final = 1_000_000
"""Characters that a function may make out of shorter texts."""

ORIGINS: Final = "$origins"
"""Under which facts hold what says where values come from; no condition can name it."""

ORIGIN: Final = ("user", "trusted", "untrusted", "unknown")
"""Where a value can come from, the best first."""

_SIGNATURE: Final = re.compile(r"(?:(?P<target>[\w()]+)\.)?(?P<name>\w+)\((?P<rest>[^)]*)\) -> (?P<result>[\w()]+)")
_ASCII_LOWER: Final = {upper: upper + 32 for upper in range(ord("A"), ord("Z") + 1)}
_ASCII_UPPER: Final = {upper + 32: upper for upper in range(ord("A"), ord("Z") + 1)}
# White space as Unicode defines it; Python's strip() would also take the separators 0x1C to 0x1F.
_SPACE: Final = "\t\n\v\f\r \x85\xa0\u1680\u2028\u2029\u202f\u205f\u3000" + "".join(map(chr, range(0x2000, 0x200B)))
_PYTHON: Final[dict[str, type]] = {SHORT.get(kind, kind): python for python, kind in KIND.items()}


class Overload(Struct, frozen=True):
    """One way to call a function. `dyn` as a parameter takes anything."""

    parameters: tuple[str, ...]
    """With the target first."""
    result: str
    member: bool
    """Called as `target.function(...)`."""


class Function(Struct, frozen=True):
    """A function by its name, with every way to call it."""

    name: str
    summary: str
    signatures: tuple[str, ...]
    overloads: tuple[Overload, ...]
    call: Callable[..., Any]
    """Checks the types of its arguments; raises EvaluationError."""
    traces: bool = False
    """Asks where its argument comes from: it is called with what the facts hold as ORIGINS, the argument, its path."""
    values: tuple[str, ...] = ()
    """The only texts that it gives; empty where it may give any."""


def _declare(name: str, implementation: Callable[..., Any], summary: str, *signatures: str) -> Function:
    overloads = tuple(_read(signature) for signature in signatures)
    shapes = frozenset(tuple(_PYTHON.get(each, object) for each in overload.parameters) for overload in overloads)
    anything = any("dyn" in overload.parameters for overload in overloads)

    def call(*arguments: Any) -> Any:
        if not anything and tuple(map(type, arguments)) not in shapes:
            raise no_overload(f"{name}()", *arguments)
        return implementation(*arguments)

    return Function(name, summary, signatures, overloads, call)


def _read(signature: str) -> Overload:
    hit = _SIGNATURE.fullmatch(signature)
    assert hit is not None, signature
    rest = tuple(each.strip() for each in hit["rest"].split(",") if each.strip())
    parameters = (hit["target"], *rest) if hit["target"] else rest
    # An element's type is checked by the implementation, as a list's type says nothing of it at run time.
    return Overload(tuple(each.partition("(")[0] for each in parameters), hit["result"], bool(hit["target"]))


@lru_cache(maxsize=512)
def pattern(text: str) -> Any:
    """Compile an RE2 pattern; raises EvaluationError where it is invalid."""
    import re2  # type: ignore[import-untyped]  # noqa: PLC0415 - imported when needed

    options = re2.Options()
    options.log_errors = False
    try:
        return re2.compile(text, options)
    except re2.error as error:
        reason = error.args[0] if error.args else error
        text_of = reason.decode() if isinstance(reason, bytes) else str(reason)
        raise EvaluationError(f"the pattern {text!r} is not valid RE2: {text_of}") from None


def search(compiled: Any, text: Any) -> bool:
    """Say whether a compiled pattern matches anywhere in a text."""
    if type(text) is not str:
        raise no_overload("matches()", text, "")
    return compiled.search(text) is not None


def _matches(text: str, regex: str) -> bool:
    return search(pattern(regex), text)


def _bounded(length: int) -> None:
    if length > LONGEST:
        raise EvaluationError(f"a text of {length} characters is too long: at most {LONGEST}")


def _split(text: str, separator: str, limit: int = -1) -> list[str]:
    if limit == 0:
        return []
    if separator:
        return text.split(separator, limit - 1 if limit > 0 else -1)
    if 0 < limit < len(text):
        return [*text[: limit - 1], text[limit - 1 :]]
    return list(text) or [""]


def _join(parts: list[Any], separator: str = "") -> str:
    for part in parts:
        if type(part) is not str:
            raise no_overload("join()", parts, part)
    _bounded(sum(map(len, parts)) + len(separator) * len(parts))
    return separator.join(parts)


def _replace(text: str, old: str, new: str, limit: int = -1) -> str:
    times_ = text.count(old) if limit < 0 else min(text.count(old), limit)
    _bounded(len(text) + times_ * max(0, len(new) - len(old)))
    return text.replace(old, new, limit)


def _tracing(
    name: str, answer: Callable[[str], Any], summary: str, result: str, values: tuple[str, ...] = ()
) -> Function:
    """A function that asks for the origin of its argument."""

    def call(origins: Any, value: Any, path: str) -> Any:
        if origins is None:
            raise EvaluationError(f"{name}() cannot be answered here: nothing is known of where values come from")
        return answer(origins.origin(value, path))

    signature = f"{name}(dyn) -> {result}"
    return Function(name, summary, (signature,), (_read(signature),), call, traces=True, values=values)


def _parts() -> list[Function]:
    made = []
    for name in (*times.PARTS, "getMilliseconds"):
        signatures = [f"timestamp.{name}() -> int", f"timestamp.{name}(string) -> int"]
        if name in times.SPANS or name == "getMilliseconds":
            signatures.append(f"duration.{name}() -> int")
        part = times.milliseconds if name == "getMilliseconds" else times.part(name)
        made.append(_declare(name, part, _PART[name], *signatures))
    return made


_PART: Final = {
    "getFullYear": "the year",
    "getMonth": "the month, 0 to 11",
    "getDate": "the day of the month, 1 to 31",
    "getDayOfMonth": "the day of the month, 0 to 30",
    "getDayOfWeek": "the day of the week, 0 (Sunday) to 6",
    "getDayOfYear": "the day of the year, 0 to 365",
    "getHours": "the hour, 0 to 23; of a duration: all its hours",
    "getMinutes": "the minute, 0 to 59; of a duration: all its minutes",
    "getSeconds": "the second, 0 to 59; of a duration: all its seconds",
    "getMilliseconds": "the milliseconds within the second",
}

FUNCTIONS: Final[dict[str, Function]] = {
    function.name: function
    for function in (
        _declare(
            "size",
            len,
            "characters, bytes, elements or keys",
            *(
                f"{call} -> int"
                for kind in ("string", "bytes", "list", "map")
                for call in (f"size({kind})", f"{kind}.size()")
            ),
        ),
        _declare("contains", str.__contains__, "holds the text", "string.contains(string) -> bool"),
        _declare("startsWith", str.startswith, "starts with the text", "string.startsWith(string) -> bool"),
        _declare("endsWith", str.endswith, "ends with the text", "string.endsWith(string) -> bool"),
        _declare(
            "matches",
            _matches,
            "an RE2 pattern matches somewhere in the text",
            "string.matches(string) -> bool",
            "matches(string, string) -> bool",
        ),
        _declare(
            "lowerAscii", lambda text: text.translate(_ASCII_LOWER), "A-Z as a-z", "string.lowerAscii() -> string"
        ),
        _declare(
            "upperAscii", lambda text: text.translate(_ASCII_UPPER), "a-z as A-Z", "string.upperAscii() -> string"
        ),
        _declare(
            "trim", lambda text: text.strip(_SPACE), "without white space at both ends", "string.trim() -> string"
        ),
        _declare(
            "split",
            _split,
            "the parts between separators, at most so many",
            "string.split(string) -> list(string)",
            "string.split(string, int) -> list(string)",
        ),
        _declare(
            "join",
            _join,
            "the strings as one, with a separator",
            "list.join() -> string",
            "list.join(string) -> string",
        ),
        _declare(
            "replace",
            _replace,
            "the first text replaced by the second, at most so many times",
            "string.replace(string, string) -> string",
            "string.replace(string, string, int) -> string",
        ),
        _declare(
            "int",
            conversions.to_int,
            "as a signed 64-bit integer",
            *(f"int({kind}) -> int" for kind in ("int", "uint", "double", "string", "timestamp")),
        ),
        _declare(
            "uint",
            conversions.to_uint,
            "as an unsigned 64-bit integer",
            *(f"uint({kind}) -> uint" for kind in ("int", "uint", "double", "string")),
        ),
        _declare(
            "double",
            conversions.to_double,
            "as a double",
            *(f"double({kind}) -> double" for kind in ("int", "uint", "double", "string")),
        ),
        _declare(
            "string",
            conversions.to_string,
            "as text",
            *(
                f"string({kind}) -> string"
                for kind in ("string", "int", "uint", "double", "bool", "bytes", "timestamp", "duration")
            ),
        ),
        _declare("bytes", conversions.to_bytes, "a text's UTF-8", "bytes(string) -> bytes", "bytes(bytes) -> bytes"),
        _declare("bool", conversions.to_bool, "true or false from text", "bool(bool) -> bool", "bool(string) -> bool"),
        _declare(
            "timestamp",
            conversions.to_timestamp,
            "from RFC 3339 text, or seconds since 1970",
            *(f"timestamp({kind}) -> timestamp" for kind in ("string", "int", "double", "timestamp")),
        ),
        _declare(
            "duration",
            conversions.to_duration,
            "from text such as '1h30m'",
            "duration(string) -> duration",
            "duration(duration) -> duration",
        ),
        _declare("type", type_of, "the value's type", "type(dyn) -> type"),
        _declare("dyn", lambda value: value, "the value, its type left unchecked until evaluation", "dyn(dyn) -> dyn"),
        *_parts(),
        _tracing("from_user", lambda origin: origin == "user", "every part of it is in the user's own words", "bool"),
        _tracing(
            "from_trusted",
            lambda origin: origin in {"user", "trusted"},
            "every part of it is in the user's own words or in what trusted tools gave",
            "bool",
        ),
        _tracing("provenance", str, f"{', '.join(ORIGIN)}: where the worst of its parts comes from", "string", ORIGIN),
    )
}
TRACING: Final = frozenset(name for name, function in FUNCTIONS.items() if function.traces)
"""The functions that ask where a value comes from."""

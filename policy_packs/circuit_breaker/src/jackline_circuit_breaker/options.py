"""What a bundle may say under `with:` of a `circuit_breaker` policy."""

from __future__ import annotations

import fnmatch
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, GetJsonSchemaHandler, model_validator

from jackline import options
from jackline.options import Duration, Money, wrong

if TYPE_CHECKING:
    from collections.abc import Iterator

Response = Literal["off", "record", "deny", "halt"]
"""What a detector does: nothing, a finding, a blocked call, the end of the session."""

SEVERITY: dict[str, int] = {"off": 0, "record": 1, "deny": 2, "halt": 3}

WINDOW = 24
"""The calls of a session among which repeats are looked for."""


def _short(field: str) -> Any:
    """Take a single value for a map with that one key: `cycles: halt`, `steps: 200`."""

    def expand(value: Any) -> Any:
        return {field: value} if isinstance(value, (str, int)) and not isinstance(value, bool) else value

    return expand


class _Shorthand:
    """Says in the JSON Schema that the one value may stand alone."""

    def __init__(self, field: str) -> None:
        self._field = field

    def __get_pydantic_json_schema__(self, core_schema: Any, describe: GetJsonSchemaHandler) -> dict[str, Any]:
        whole = describe(core_schema)
        alone = describe.resolve_ref_schema(whole)["properties"][self._field]
        return {"anyOf": [{key: value for key, value in alone.items() if key != "default"}, whole]}


def _glob(text: str) -> str:
    if not text or text != text.strip():
        raise wrong(f"{text!r} is not a name: it is empty, or has space around it", "write the name alone")
    if "(?!)" in fnmatch.translate(text):
        raise wrong(f"{text!r} can never match", "the range in its character class runs backwards")
    return text


Name = Annotated[str, AfterValidator(_glob)]
"""A name, or a glob with `*`, `?` and character classes."""


class NoProgress(options.Options):
    """The same call with the same result."""

    action: Response = "deny"
    at: int = Field(default=3, ge=2, le=WINDOW)


class Repeats(options.Options):
    """The same call, whatever came of it."""

    action: Response = "record"
    at: int = Field(default=5, ge=1, le=WINDOW)


class Cycles(options.Options):
    """The same two to five calls with the same results, in turn."""

    action: Response = "deny"
    periods: int = Field(default=2, ge=2, le=4)


class Errors(options.Options):
    """A tool that fails again and again."""

    action: Response = "deny"
    streak: int = Field(default=4, ge=2, le=1000)
    share: float = Field(default=0.6, gt=0, le=1)
    open_for: Duration = 30.0
    backoff: float = Field(default=2.0, ge=1, le=10)
    longest: Duration = 600.0
    results: list[Name] = Field(default_factory=list)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if not 0 < self.open_for <= self.longest:
            raise wrong("open_for is nothing, or more than longest", "write for example open_for: 30s, longest: 10m")
        return self


class SameResult(options.Options):
    """One tool, other arguments each time, and always the same result."""

    action: Response = "record"
    at: int = Field(default=6, ge=3, le=1000)


class Similar(options.Options):
    """One tool, nearly the same arguments, and always the same result."""

    action: Response = "record"
    at: int = Field(default=6, ge=4, le=1000)
    alike: float = Field(default=0.9, ge=0.5, le=1)


class Cost(options.Options):
    """Model calls that become dearer and dearer."""

    action: Response = "record"
    times: float = Field(default=4.0, gt=1, le=1000)
    floor: Money = 50_000


class Count(options.Options):
    """The most of something that is counted."""

    max: int = Field(gt=0, le=10**9)
    action: Response = "halt"


class Depth(options.Options):
    """The most agents above one another."""

    max: int = Field(ge=0, le=1000)
    action: Response = "deny"


class FanOut(options.Options):
    """The most sub-agents that one run starts."""

    max: int = Field(ge=0, le=10**6)
    action: Response = "deny"


class Time(options.Options):
    """The longest time from a session's first act to its last."""

    max: Duration
    action: Response = "halt"


class Polls(options.Options):
    """Tools that are meant to be called again with the same arguments."""

    tools: list[Name] = Field(default_factory=list)
    unchanged: int = Field(default=30, ge=2, le=10**6)


def _detector(field: str) -> tuple[Any, ...]:
    return BeforeValidator(_short(field)), _Shorthand(field)


_by_action = _detector("action")
_by_max = _detector("max")


class CircuitBreakerOptions(options.Options):
    """See docs/packs/circuit_breaker.md for each option's meaning."""

    no_progress: Annotated[NoProgress, *_by_action] = NoProgress()
    repeats: Annotated[Repeats, *_by_action] = Repeats()
    cycles: Annotated[Cycles, *_by_action] = Cycles()
    errors: Annotated[Errors, *_by_action] = Errors()
    same_result: Annotated[SameResult, *_by_action] = SameResult()
    similar: Annotated[Similar, *_by_action] = Similar()
    cost: Annotated[Cost, *_by_action] = Cost()
    steps: Annotated[Count, *_by_max] | None = None
    wall_time: Annotated[Time, *_by_max] | None = None
    depth: Annotated[Depth, *_by_max] | None = None
    fan_out: Annotated[FanOut, *_by_max] | None = None
    halt_after: int | None = Field(default=5, gt=0, le=1000)
    quiet: Duration = 600.0
    polls: Polls = Polls()

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Say what is well formed and cannot be meant; a setting that does nothing is a mistake."""
        active = False
        for name in type(self).model_fields:
            action = getattr(getattr(self, name), "action", None)
            active = active or action not in (None, "off")
            given = getattr(self, name).model_fields_set if action == "off" else frozenset()
            for setting in sorted(given - {"action"}):
                yield (name, setting), f"`{setting}` has no effect here", f"{name} is off: leave it out"
        if not active:
            yield (), "a circuit breaker whose detectors are all off", "leave one on, or take the policy out"

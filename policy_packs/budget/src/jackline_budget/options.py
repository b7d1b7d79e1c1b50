"""What a bundle may say under `with:` of a `budget` policy."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jackline import options
from jackline.options import Amount, Duration, Money, Quantity, wrong
from jackline_budget.periods import PARTS, span, zone

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.decision import Unit

Per = Literal["call", "all", "session", "agent", "team", "user", "day", "month"]
Countable = Literal["model.call", "tool.call", "agent.spawn", "retrieval", "embedding", "http.request"]

ASSUMED_OUTPUT = 4096
"""Output tokens that a call is granted where it declares no limit."""

_RATE = re.compile(r"([0-9]+(?:\.[0-9]+)?) ?USD/M")
_RATE_SCHEMA = {"type": "string", "pattern": f"^{_RATE.pattern}$"}
_PICO_PER_TOKEN = 10**6
"""One dollar for a million tokens is a millionth of a dollar, 10**6 pico-dollars, for a token."""


def _rate(value: Any) -> int:
    """Read `3 USD/M` (dollars for a million tokens) as pico-dollars for a token."""
    found = _RATE.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f"{value!r} is not a price of tokens", "write dollars for a million tokens: 3 USD/M")
    pico = Decimal(found[1]) * _PICO_PER_TOKEN
    if pico != int(pico) or not 0 < pico <= options.MOST:
        raise wrong(f"{value!r} is no price that can be counted", "more than 0 USD/M, with at most six decimals")
    return int(pico)


def _positive(amount: Amount) -> Amount:
    if amount.value == 0:
        raise wrong("a limit of nothing permits nothing", "give an amount, or deny the action with tool_access")
    return amount


def _zone_name(name: str) -> str:
    if zone(name) is None:
        raise wrong(
            f"{name!r} is not a time zone that this machine knows",
            "write a name such as Europe/Berlin; where the system has no zones, pip install tzdata",
        )
    return name


def _long_enough(seconds: float) -> float:
    if seconds < PARTS:
        raise wrong(f"a window of {span(seconds)} has parts of less than a second", f"write {PARTS}s or more")
    return seconds


def _distinct(values: tuple[str, ...]) -> tuple[str, ...]:
    if len(set(values)) != len(values):
        raise wrong("the list names something twice", "name each once")
    return options.non_empty(values)


def _listing(words: Any) -> WithJsonSchema:
    items = {"enum": list(words.__args__)}
    return WithJsonSchema({"anyOf": [items, {"type": "array", "items": items, "minItems": 1}]})


def _price_or_none(value: Any) -> Any:
    """Take `deny` for no price."""
    if value == "deny":
        return None
    if not isinstance(value, (dict, UnknownPrice)):
        raise wrong(f"{value!r} is no price", "write deny, or {input: 3 USD/M, output: 15 USD/M}")
    return value


Rate = Annotated[int, BeforeValidator(_rate), WithJsonSchema(_RATE_SCHEMA)]
Limit = Annotated[Quantity, AfterValidator(_positive)]
Window = Annotated[Duration, AfterValidator(_long_enough)]
Share = Annotated[float, Field(gt=0, le=1)]


class UnknownPrice(options.Options):
    """What a model costs that the price table does not know, in pico-dollars for a token."""

    input: Rate
    output: Rate


_UNKNOWN_SCHEMA = {
    "anyOf": [
        {"const": "deny"},
        {
            "type": "object",
            "properties": {"input": _RATE_SCHEMA, "output": _RATE_SCHEMA},
            "required": ["input", "output"],
            "additionalProperties": False,
        },
    ]
}


_NEEDED: dict[str, frozenset[Unit]] = {
    "unknown_price": frozenset({"usd"}),
    "tool_prices": frozenset({"usd"}),
    "count": frozenset({"calls"}),
    "assume_output": frozenset({"usd", "tokens"}),
    "opaque_input_tokens": frozenset({"usd", "tokens"}),
    "bound": frozenset({"usd", "tokens"}),
}
"""For limits in which units an option is."""


class BudgetOptions(options.Options):
    """See docs/packs/budget.md for each option's meaning."""

    limit: Limit | None = None
    limits: list[Limit] | None = None
    per: Annotated[tuple[Per, ...], BeforeValidator(options.listed), AfterValidator(_distinct), _listing(Per)] = (
        "session",
    )
    window: Window | None = None
    timezone: Annotated[str, AfterValidator(_zone_name)] = "UTC"
    on_exceed: Literal["halt", "deny", "escalate"] = "deny"
    warn_at: list[Share] = Field(default_factory=list)
    unknown_price: Annotated[UnknownPrice | None, BeforeValidator(_price_or_none), WithJsonSchema(_UNKNOWN_SCHEMA)] = (
        None
    )
    count: Annotated[
        tuple[Countable, ...], BeforeValidator(options.listed), AfterValidator(_distinct), _listing(Countable)
    ] = ("model.call", "tool.call")
    tool_prices: dict[str, Money] = Field(default_factory=dict)
    assume_output: int = Field(default=ASSUMED_OUTPUT, gt=0, le=10**7)
    opaque_input_tokens: int | None = Field(default=None, gt=0, le=10**9)
    bound: Literal["strict", "tight"] = "strict"

    @property
    def amounts(self) -> tuple[Amount, ...]:
        """Every limit, whichever way it was written."""
        return tuple(self.limits or ()) if self.limit is None else (self.limit,)

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Say what is well formed and cannot be meant; a setting that does nothing is a mistake."""
        if self.limit is not None and self.limits is not None:
            yield ("limits",), "limit and limits are both given", "put every amount under limits"
        if not self.amounts:
            yield (), "a budget needs a limit", "write limit: 0.50 USD, or limits: with a list"
        units = [amount.unit for amount in self.amounts]
        for index, unit in enumerate(units):
            if unit in units[:index]:
                yield ("limits", index), f"a second limit in {unit}", "the lower one decides: leave the other out"
        for name in sorted(self.model_fields_set):
            needed = _NEEDED.get(name, frozenset(units))
            if units and not needed & set(units):
                yield (name,), f"`{name}` has no effect here", f"it is for limits in {' and '.join(sorted(needed))}"
        yield from self._periods()

    def _periods(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """What cannot be meant of whose spending is counted together, and for how long."""
        calendar = [period for period in ("day", "month") if period in self.per]
        if "timezone" in self.model_fields_set and not calendar:
            hint = "it says when a day or a month begins: add day or month to per"
            yield ("timezone",), "`timezone` has no effect here", hint
        if len(calendar) > 1:
            yield ("per",), "a day lies within a month", "to limit both, write two policies"
        if self.window is not None and calendar:
            yield ("window",), f"a window rolls on, and a {calendar[0]} begins at midnight", "leave one of them out"
        for alone, meaning in (("call", "each call for itself"), ("all", "all that the policy selects")):
            others = [kind for kind in self.per if kind != alone and (alone == "call" or kind not in calendar)]
            if alone in self.per and others:
                yield ("per",), f"`{alone}` is {meaning}, so {' and '.join(others)} beside it says nothing", "name one"
        if "call" in self.per:
            if self.window is not None:
                yield ("window",), "`window` has no effect here", "with per: call each call has the limit for itself"
            if self.warn_at:
                yield ("warn_at",), "`warn_at` has no effect here", "with per: call each call has the limit for itself"
            if any(amount.unit == "calls" for amount in self.amounts):
                yield ("per",), "a call is one call, so a limit in calls says nothing of it", "limit USD or tokens"

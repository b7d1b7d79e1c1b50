"""What a bundle may say under `with:` of a `budget` policy."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema, model_validator

from jackline import options
from jackline.options import Amount, Money, Quantity, wrong
from jackline_budget.scopes import zone

if TYPE_CHECKING:
    from jackline.decision import Unit

Per = Literal["session", "agent", "team", "user", "day"]
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


class BudgetOptions(options.Options):
    """See docs/packs/budget.md for each option's meaning."""

    limit: Limit | None = None
    limits: list[Limit] | None = None
    per: Annotated[tuple[Per, ...], BeforeValidator(options.listed), AfterValidator(_distinct), _listing(Per)] = (
        "session",
    )
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

    @model_validator(mode="after")
    def _check(self) -> Self:
        if (self.limit is None) == (not self.limits):
            raise wrong("a budget needs a limit", "give limit: 0.50 USD, or limits: with a list, and not both")
        units = [amount.unit for amount in self.amounts]
        if len(set(units)) != len(units):
            raise wrong("limits has two amounts of one unit", "the lower one decides: leave the other out")
        self._check_use(set(units))
        return self

    def _check_use(self, units: set[Unit]) -> None:
        """Refuse what would have no effect: a setting that does nothing is a mistake."""
        given = self.model_fields_set
        for name, needed in (("unknown_price", "usd"), ("tool_prices", "usd"), ("count", "calls")):
            if name in given and needed not in units:
                raise wrong(f"{name} has no effect", f"it applies to a limit in {needed}, and there is none")
        if "timezone" in given and "day" not in self.per:
            raise wrong("timezone has no effect", "it says when a day begins: add day to per")
        for name in ("assume_output", "opaque_input_tokens", "bound"):
            if name in given and units == {"calls"}:
                raise wrong(f"{name} has no effect", "it applies to limits in USD and tokens, and there is none")

"""What a policy's `with:` is made of: strict pydantic models, and quantities with their units."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from decimal import Decimal
from itertools import pairwise
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema
from pydantic_core import PydanticCustomError

from jackline.wording import shown

if TYPE_CHECKING:
    from jackline.decision import Unit

MICRO = 1_000_000
MOST = 10**15
"""The largest amount in its smallest unit: a thousand million dollars, with room to add in 64 bits."""
LONGEST = 3660 * 86400
"""Seconds of the longest duration: ten years."""

_MONEY = re.compile(r"([0-9]{1,15}(?:\.[0-9]{1,15})?) ?USD")
_COUNT = re.compile(r"([0-9]{1,15})([kM]?) ?(tokens|token|calls|call)")
_DURATION = re.compile(r"(?:[0-9]+(?:\.[0-9]+)?(?:ms|s|m|h|d|w))+")
_DURATION_PART = re.compile(r"([0-9]+(?:\.[0-9]+)?)(ms|s|m|h|d|w)")
_SECONDS = {
    "ms": Decimal("0.001"),
    "s": Decimal(1),
    "m": Decimal(60),
    "h": Decimal(3600),
    "d": Decimal(86400),
    "w": Decimal(604800),
}
_THOUSANDS = {"": 1, "k": 1_000, "M": 1_000_000}


class Options(BaseModel):
    """The base of every policy's options: unknown keys are refused, and text is never taken for a number."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    @classmethod
    def __get_pydantic_json_schema__(cls, core_schema: Any, handler: Any) -> dict[str, Any]:
        """Describe each option by the text below it, read only when somebody asks for the schema."""
        schema: dict[str, Any] = handler(core_schema)
        properties = handler.resolve_ref_schema(schema).get("properties", {})
        for name, text in _documented(cls).items():
            option = properties.get(cls.model_fields[name].alias or name)
            if option is not None:
                option.setdefault("description", text)
        return schema


def _documented(model: type[BaseModel]) -> dict[str, str]:
    """The texts below the options of a class and its bases, by name."""
    found: dict[str, str] = {}
    for each in reversed(model.__mro__):
        if not issubclass(each, Options) or each is Options:
            continue
        (definition,) = ast.parse(textwrap.dedent(inspect.getsource(each))).body
        for option, text in pairwise(getattr(definition, "body", ())):
            if isinstance(option, ast.AnnAssign) and isinstance(option.target, ast.Name) and isinstance(text, ast.Expr):
                found[option.target.id] = inspect.cleandoc(str(ast.literal_eval(text.value)))
    return {name: text for name, text in found.items() if name in model.model_fields}


class Amount(NamedTuple):
    """A quantity in its smallest unit: micro-dollars, tokens or calls."""

    value: int
    unit: Unit


def wrong(message: str, hint: str) -> PydanticCustomError:
    """Make an error for a validator of an option: what is wrong, and what would be right."""
    return PydanticCustomError("jackline", "{message}", {"message": message, "hint": hint})


def money(value: Any) -> int:
    """Read `0.50 USD` as micro-dollars."""
    found = _MONEY.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise wrong(f"{shown(value)} is not an amount of money", _money_hint(value))
    micro = Decimal(found[1]) * MICRO
    if micro != int(micro):
        raise wrong(f"{shown(value)} is finer than a millionth of a dollar", "write at most six decimals")
    return _bounded(value, int(micro))


def duration(value: Any) -> float:
    """Read `30m`, `1h30m` or `500ms` as seconds."""
    if not isinstance(value, str) or not _DURATION.fullmatch(value):
        raise wrong(f"{shown(value)} is not a duration", "write a number with ms, s, m, h, d or w: 30m")
    parts = (Decimal(number) * _SECONDS[unit] for number, unit in _DURATION_PART.findall(value))
    seconds = sum(parts, Decimal(0))
    if seconds > LONGEST:
        raise wrong(f"{shown(value)} is too long", "write at most 3660d")
    return float(seconds)


def amount(value: Any) -> Amount:
    """Read `0.50 USD`, `200k tokens` or `40 calls`."""
    found = _COUNT.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        if isinstance(value, str) and _MONEY.fullmatch(value):
            return Amount(money(value), "usd")
        raise wrong(f"{shown(value)} is not an amount", "write it with its unit: 0.50 USD, 200k tokens or 40 calls")
    unit: Unit = "tokens" if found[3].startswith("token") else "calls"
    return Amount(_bounded(value, int(found[1]) * _THOUSANDS[found[2]]), unit)


def listed(value: Any) -> Any:
    """Take a single value for a list of one."""
    return tuple(value) if isinstance(value, list) else (value,)


def non_empty(value: tuple[str, ...]) -> tuple[str, ...]:
    """Refuse an empty list."""
    if not value:
        raise wrong("the list is empty", "name at least one, or leave the key out")
    return value


def _bounded(value: Any, number: int) -> int:
    if number > MOST:
        raise wrong(f"{shown(value)} is more than can be counted", f"write at most {MOST:,} of the smallest unit")
    return number


def _money_hint(value: Any) -> str:
    text = str(value).strip().replace(",", "").removeprefix("$")
    number = re.match(r"[0-9]{1,9}(\.[0-9]{1,6})?", text)
    if number is None or isinstance(value, bool):
        return "write a number and the currency: 0.50 USD"
    if re.fullmatch(r"[0-9.]+ ?[A-Z]{3}", text) and not text.endswith("USD"):
        return "prices are in US dollars: write the amount in USD"
    return f"write {number[0]} USD"


_MONEY_SCHEMA = {"type": "string", "pattern": f"^{_MONEY.pattern}$", "examples": ["0.50 USD"]}
_DURATION_SCHEMA = {"type": "string", "pattern": f"^{_DURATION.pattern}$", "examples": ["30m", "1h30m"]}
_AMOUNT_SCHEMA = {
    "type": "string",
    "pattern": f"^(?:{_MONEY.pattern}|{_COUNT.pattern})$",
    "examples": ["0.50 USD", "200k tokens", "40 calls"],
}
_NAMES_SCHEMA = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}

Money = Annotated[int, BeforeValidator(money), WithJsonSchema(_MONEY_SCHEMA)]
"""Micro-dollars, written `0.50 USD`."""
Duration = Annotated[float, BeforeValidator(duration), WithJsonSchema(_DURATION_SCHEMA)]
"""Seconds, written `30m`."""
Quantity = Annotated[Any, BeforeValidator(amount), WithJsonSchema(_AMOUNT_SCHEMA)]
"""An Amount, written `0.50 USD`, `200k tokens` or `40 calls`."""
Names = Annotated[tuple[str, ...], BeforeValidator(listed), AfterValidator(non_empty), WithJsonSchema(_NAMES_SCHEMA)]
"""One name or a list of them."""


class Gate(Options):
    """How people are asked where a policy escalates."""

    to: Names | None = None
    """With `escalate`: who may answer, approvers or groups; without it, every approver of the bundle."""
    expires: Duration | None = None
    """With `escalate`: seconds until the question lapses, which is a no; 1h where nothing is said."""
    approvals: Annotated[int, Field(ge=1, le=100)] | None = None
    """With `escalate`: how many of them must agree; 1 where nothing is said."""
    wait: Literal["tell", "block", "pause"] | None = None
    """With `escalate`: `tell` the agent that it is pending (the default), `block` the call until it is answered, or
    `pause` an agent that its framework can resume later; any other is told."""

    def terms(self) -> dict[str, Any]:
        """What is said, as an escalating verdict's detail has it."""
        said: dict[str, Any] = {"to": list(self.to) if self.to is not None else None, "expires": self.expires}
        said |= {"approvals": self.approvals, "wait": self.wait}
        return {name: value for name, value in said.items() if value is not None}

    def widened(self, previous: Gate) -> list[str]:
        """Say how this gate is easier to pass than an earlier one."""
        added = sorted(set(self.to or ()) - set(previous.to or ())) if self.to is not None else ["anyone"]
        found = [f"also answered by {', '.join(added)}"] if added and previous.to is not None else []
        if (self.approvals or 1) < (previous.approvals or 1):
            found.append(f"{self.approvals or 1} approvals instead of {previous.approvals}")
        return found

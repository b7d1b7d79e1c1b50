"""genai-prices: which model a name means, and its prices as whole numbers.

Importing it takes some 150 ms, so only `jackline.prices` does it, off the agents' path.
"""

from __future__ import annotations

import re
from datetime import UTC, datetime, time
from decimal import ROUND_CEILING, Decimal
from typing import TYPE_CHECKING, Any

from jackline.prices.price import DAY, Dated, Price, Rates

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

NAMES: Mapping[str, str] = {
    "azure": "azure",
    "az.": "azure",
    "bedrock": "aws",
    "amazon": "aws",
    "google": "google",
    "vertex": "google",
    "gemini": "google",
    "gcp": "google",
    "anthropic": "anthropic",
    "mistral": "mistral",
    "moonshot": "moonshotai",
    "fireworks": "fireworks",
    "together": "together",
    "xai": "x-ai",
    "x_ai": "x-ai",
    "openai": "openai",
}
"""What in a provider's name, LangChain's or OpenTelemetry's, means which provider of the table; the first that fits."""

_REGION = re.compile(r"(?:us|us-gov|eu|ap|apac|jp|au|ca|sa|global)\.(?=[a-z0-9]+\.)")
_BEDROCK = re.compile(rf"arn:aws[a-z-]*:bedrock:|(?:{_REGION.pattern})?(?:anthropic|amazon|meta|mistral|cohere|ai21)\.")


def canonical(provider: str) -> str:
    """Give a provider the name that the table has for it."""
    name = provider.strip().lower()
    return next((found for part, found in NAMES.items() if part in name), name)


class Table:
    """The price table of the installed genai-prices. Making it imports the package."""

    def __init__(self, version: str) -> None:
        from genai_prices import data, data_snapshot  # noqa: PLC0415 - slow: see above

        self.source = f"genai-prices {version}"
        # Not get_snapshot(): an application may have replaced it by prices that `source` would not name.
        self._snapshot = data_snapshot.DataSnapshot(providers=data.providers, from_auto_update=False)
        self._find_provider = data_snapshot.find_provider_by_id
        self._ids = {provider.id for provider in data.providers}

    def lookup(self, model: str, provider: str) -> tuple[Dated, ...]:
        """Find the prices of a model; nothing where the table does not know it, or prices no tokens of it."""
        for provider_id, reference in self._candidates(model.strip(), self._provider(provider)):
            try:
                found, info = self._snapshot.find_provider_model(reference, None, provider_id, None)
            except LookupError:
                continue
            return self._convert(found.id, info)
        return ()

    def _provider(self, name: str) -> str:
        """Return the table's id of a provider, or nothing where it has none."""
        plain = name.strip().lower()
        wanted = plain if plain in self._ids else canonical(plain)
        found = self._find_provider(self._snapshot.providers, wanted) if wanted else None
        return found.id if found is not None else ""

    def _candidates(self, model: str, provider: str) -> Iterator[tuple[str | None, str]]:
        """Yield what to ask the table for: the named provider, the one in the model's name, then the name alone."""
        name = model.removeprefix("models/")
        prefix, rest = _split(name)
        for owner, reference in ((provider, name), (self._provider(prefix), rest)):
            if owner:
                yield owner, reference
                if _REGION.match(reference):
                    yield owner, _REGION.sub("", reference, count=1)
        if provider:
            return
        if _BEDROCK.match(name):
            yield "aws", name
            yield "aws", _REGION.sub("", name, count=1)
        yield None, name

    def _convert(self, provider: str, info: Any) -> tuple[Dated, ...]:
        """List a model's prices; the first counts where no later one does, whatever its own condition."""
        conditional = info.prices if isinstance(info.prices, list) else None
        found = []
        for number, each in enumerate(conditional or [info.prices]):
            tiers = rates(vars(each.prices if conditional else each))
            if not tiers:
                return ()
            price = Price(tiers=tiers, matched=info.id, provider=provider, source=self.source)
            found.append(dated(price, each.constraint if conditional and number else None))
        return tuple(found)


def _split(name: str) -> tuple[str, str]:
    """Part `openai/gpt-5` and `openai:gpt-5`, the way routers and LangChain write a provider."""
    match = re.match(r"([a-zA-Z0-9_-]+)[/:](.+)", name)
    return (match[1], match[2]) if match else ("", name)


def dated(price: Price, constraint: Any) -> Dated:
    """Say when a price counts; a kind of constraint that is not known is a LookupError."""
    if constraint is None:
        return Dated(price=price)
    start_date = getattr(constraint, "start_date", None)
    if start_date is not None:
        return Dated(price=price, start=int(datetime.combine(start_date, time(), UTC).timestamp()))
    start, end = getattr(constraint, "start_time", None), getattr(constraint, "end_time", None)
    if start is None or end is None:
        raise LookupError(f"A price depends on {type(constraint).__name__}, which this jackline does not know.")
    return Dated(price=price, daily=(_second(start), _second(end)))


def _second(value: time) -> int:
    moment = datetime.combine(datetime(1970, 1, 2, tzinfo=UTC).date(), value, value.tzinfo or UTC)
    return int(moment.timestamp()) % DAY


def pico(price: Decimal) -> int:
    """Dollars per million tokens as pico-dollars per token, rounded up."""
    return int((price * 1_000_000).to_integral_value(rounding=ROUND_CEILING))


def rates(prices: Mapping[str, Any]) -> tuple[Rates, ...]:
    """Turn a table's price keys into rates by tier; nothing where it prices neither input nor output tokens."""
    known = {key: value for key, value in prices.items() if value is not None and not key.startswith("_")}
    if "input_mtok" not in known and "output_mtok" not in known:
        return ()
    starts = {tier.start for value in known.values() for tier in getattr(value, "tiers", ())}
    return tuple(_bracket(known, above) for above in (None, *sorted(starts)))


def _bracket(known: Mapping[str, Any], above: int | None) -> Rates:
    def at(key: str) -> int | None:
        value = known.get(key)
        if value is None or isinstance(value, Decimal):
            return None if value is None else pico(value)
        reached = [tier.price for tier in value.tiers if above is not None and tier.start <= above]
        return pico(reached[-1] if reached else value.base)

    tokens = {key: at(key) or 0 for key in known if key.endswith("_mtok")}
    plain, said = tokens.get("input_mtok", 0), tokens.get("output_mtok", 0)
    return Rates(
        above=above or 0,
        input=plain,
        output=said,
        cache_read=tokens.get("cache_read_mtok", plain),
        cache_write=tokens.get("cache_write_mtok", plain),
        reasoning=tokens.get("output_reasoning_mtok", said),
        dearest_input=max(plain, *(rate for key, rate in tokens.items() if not key.startswith("output_")), 0),
        dearest_output=max(said, *(rate for key, rate in tokens.items() if key.startswith("output_")), 0),
        per_call=(at("requests_kcount") or 0) * 1000,
    )

"""Prices that people write themselves: their own contracts, models that no table knows, a default for the rest."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TYPE_CHECKING, Any

from jackline.errors import JacklineError
from jackline.prices.price import Dated, Price, Rates
from jackline.prices.table import canonical, pico

if TYPE_CHECKING:
    from pathlib import Path

RATES = ("input", "output", "cache_read", "cache_write", "reasoning")
_ENTRY = ("model", "provider", "from", "until", "tiers", "per_call", *RATES)
_TIER = ("above", *RATES)


class PriceError(JacklineError):
    """A file of prices is missing or wrong; none of it is used."""


class Override:
    """A file of prices, YAML or JSON; amounts are US dollars for a million tokens.

    ```yaml
    prices:
      - {model: claude-sonnet-4-5, provider: anthropic, from: 2026-01-01, input: 2.70, output: 13.50, cache_read: 0.27,
         tiers: [{above: 200000, input: 5.40, output: 20.25}]}
      - {model: "acme-*", input: 1, output: 2}       # a star at the end: every model that begins so
    default: {input: 15, output: 75}                 # models that nothing else prices; without it they have no price
    ```
    """

    def __init__(self, path: Path | None = None) -> None:
        self.default: Price | None = None
        self._entries: list[tuple[str, str, Dated]] = []
        if path is None:
            return
        self._path = path
        content = self._read()
        self._only(content, ("prices", "default"), "the file")
        entries = content.get("prices") or []
        if not isinstance(entries, list):
            raise self._error("'prices' must be a list of entries")
        for number, entry in enumerate(entries, 1):
            self._entries.append(self._entry(entry, f"price {number}"))
        if content.get("default") is not None:
            self._only(content["default"], (*RATES, "tiers", "per_call"), "the default")
            self.default = self._price(content["default"], "", "configured default", "the default")

    def lookup(self, model: str, provider: str) -> tuple[Dated, ...]:
        """List the file's prices for a model, in the order of the file; the last that counts wins."""
        name, wanted = model.strip().lower(), canonical(provider)
        return tuple(
            dated
            for pattern, owner, dated in self._entries
            if (not owner or owner == wanted)
            and (name.startswith(pattern[:-1]) if pattern.endswith("*") else name == pattern)
        )

    def _error(self, what: str) -> PriceError:
        return PriceError(f"The prices in {self._path} cannot be used: {what}.")

    def _read(self) -> dict[str, Any]:
        try:
            text = self._path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise self._error(str(error)) from error
        try:
            content = self._parse(text)
        except ValueError as error:
            raise self._error(f"it cannot be parsed ({' '.join(str(error).split())})") from error
        if not isinstance(content, dict):
            raise self._error("it must have the keys 'prices' and 'default'")
        return content

    def _parse(self, text: str) -> Any:
        if self._path.suffix == ".json":
            return json.loads(text, parse_float=Decimal)
        import yaml  # noqa: PLC0415 - only where such a file is used

        try:
            return yaml.safe_load(text)
        except yaml.YAMLError as error:
            raise ValueError(str(error)) from error

    def _only(self, entry: Any, allowed: tuple[str, ...], where: str) -> None:
        if not isinstance(entry, dict):
            raise self._error(f"{where} must have keys and values, not {entry!r}")
        unknown = [str(key) for key in entry if key not in allowed]
        if unknown:
            raise self._error(f"{where} has the unknown key '{unknown[0]}'; there are {', '.join(allowed)}")

    def _entry(self, entry: Any, where: str) -> tuple[str, str, Dated]:
        self._only(entry, _ENTRY, where)
        model = entry.get("model")
        if not isinstance(model, str) or not model.strip("* "):
            raise self._error(f"{where} needs a 'model', whose name is text")
        pattern = model.strip().lower()
        provider = canonical(str(entry.get("provider") or ""))
        where = f"{where} ({model})"
        price = self._price(entry, model.strip(), "override", where)
        start, end = self._moment(entry.get("from"), where), self._moment(entry.get("until"), where)
        if end and end <= start:
            raise self._error(f"{where} ends before it begins")
        return pattern, provider, Dated(price=price, start=start, end=end)

    def _price(self, entry: dict[str, Any], matched: str, source: str, where: str) -> Price:
        base = self._rates(entry, where, None)
        tiers = entry.get("tiers") or []
        if not isinstance(tiers, list):
            raise self._error(f"{where}: 'tiers' must be a list")
        higher = []
        for tier in tiers:
            self._only(tier, _TIER, f"a tier of {where}")
            higher.append(self._rates(tier, f"a tier of {where}", base))
        ordered = tuple(sorted(higher, key=lambda rates: rates.above))
        return Price(tiers=(base, *ordered), matched=matched, provider=str(entry.get("provider") or ""), source=source)

    def _rates(self, entry: dict[str, Any], where: str, base: Rates | None) -> Rates:
        amounts = {key: self._amount(entry[key], key, where) for key in RATES if entry.get(key) is not None}
        for needed in ("input", "output"):
            if needed not in amounts:
                raise self._error(f"{where} needs '{needed}', in US dollars for a million tokens (0 where it is free)")
        above = entry.get("above", 0)
        if base is not None and (not isinstance(above, int) or isinstance(above, bool) or above <= 0):
            raise self._error(f"{where} needs 'above', a number of input tokens")
        plain, said = amounts["input"], amounts["output"]
        read, write = amounts.get("cache_read", plain), amounts.get("cache_write", plain)
        reasoning = amounts.get("reasoning", said)
        return Rates(
            above=above,
            input=plain,
            output=said,
            cache_read=read,
            cache_write=write,
            reasoning=reasoning,
            dearest_input=max(plain, read, write),
            dearest_output=max(said, reasoning),
            per_call=base.per_call if base else self._amount(entry.get("per_call", 0), "per_call", where) * 1_000_000,
        )

    def _amount(self, value: Any, key: str, where: str) -> int:
        try:
            amount = Decimal(str(value)) if not isinstance(value, bool) else None
        except InvalidOperation:
            amount = None
        if amount is None or not amount.is_finite() or amount < 0:
            raise self._error(f"{where}: '{key}' is {value!r}, and must be a number of US dollars, 0 or more")
        return pico(amount)

    def _moment(self, value: Any, where: str) -> int:
        if value is None:
            return 0
        try:
            moment = datetime.fromisoformat(value.isoformat() if isinstance(value, date) else value)
        except (TypeError, ValueError) as error:
            raise self._error(f"{where}: {value!r} is no date such as 2026-01-31") from error
        return int((moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp())

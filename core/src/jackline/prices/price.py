"""What a token costs, in whole pico-dollars, so that no sum drifts."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.events import Usage

MILLION = 1_000_000
DAY = 86_400


class Rates(msgspec.Struct, frozen=True, kw_only=True):
    """Pico-dollars per token (micro-dollars per million tokens) of a call with more than `above` input tokens."""

    above: int = 0
    input: int
    output: int
    cache_read: int
    cache_write: int
    """The provider's default cache write; one that lives longer costs more and is covered by `dearest_input`."""
    reasoning: int
    dearest_input: int
    """The most that any kind of input token costs: cached, written to a cache, audio, images."""
    dearest_output: int
    per_call: int = 0
    """Pico-dollars for each call."""


class Worst(NamedTuple):
    """What a call may cost at most."""

    fixed: int
    """Micro-dollars for the input and the call itself."""
    per_output: int
    """Pico-dollars for each output token, as a claim's `per_output` wants them."""
    total: int
    """Micro-dollars with all of the output."""


class Price(msgspec.Struct, frozen=True, kw_only=True):
    """One model's price at one time. The rates of the highest tier that the input reaches count for the whole call."""

    tiers: tuple[Rates, ...]
    """The first is the base; the others follow by rising `above`."""
    matched: str = ""
    """The model that the table matched, which may be another name than the one asked for."""
    provider: str = ""
    source: str = ""
    """`genai-prices 0.2.3`, `override` or `configured default`."""

    def rates(self, input_tokens: int) -> Rates:
        """Return the rates of a call with that many input tokens, cached ones included."""
        for rates in reversed(self.tiers):
            if input_tokens > rates.above:
                return rates
        return self.tiers[0]

    def cost(self, usage: Usage) -> int:
        """Price what a call used, in micro-dollars, rounded up once.

        Cached tokens beyond the input, and reasoning beyond the output, can only have been counted beside them:
        they are paid for besides. Tools that run at the provider are not in a Usage, nor in this.
        """
        cached = usage.cache_read + usage.cache_write
        plain = usage.input - cached if cached <= usage.input else usage.input
        said = usage.output - usage.reasoning if usage.reasoning <= usage.output else usage.output
        rates = self.rates(plain + cached)
        pico = rates.per_call + plain * rates.input + usage.cache_read * rates.cache_read
        pico += usage.cache_write * rates.cache_write + said * rates.output + usage.reasoning * rates.reasoning
        return -(-pico // MILLION)

    def dearest(self, input_tokens: int | None = None) -> Rates:
        """Return the highest of each rate over the tiers that an input of that many tokens can reach (None: all)."""
        reached = [rates for rates in self.tiers[1:] if input_tokens is None or input_tokens > rates.above]
        if not reached:
            return self.tiers[0]
        reached.append(self.tiers[0])
        highest = {name: max(getattr(rates, name) for rates in reached) for name in Rates.__struct_fields__}
        return Rates(**highest)

    def worst(self, input_tokens: int, output_tokens: int = 0) -> Worst:
        """Bound the cost of a call by upper bounds of its tokens, whatever kind the input is billed as."""
        rates = self.dearest(input_tokens)
        fixed = -(-(rates.per_call + input_tokens * rates.dearest_input) // MILLION)
        per_output = rates.dearest_output
        return Worst(fixed, per_output, fixed - (-output_tokens * per_output // MILLION))


class Dated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A price and when it counts, in UTC."""

    price: Price
    start: int = 0
    """Unix seconds from which on it counts; 0 is always."""
    end: int = 0
    """Unix seconds before which it counts; 0 is always."""
    daily: tuple[int, int] | None = None
    """Seconds of the day between which it counts, over midnight where the second is smaller."""

    def active(self, at: float) -> bool:
        """Whether the price counts at that Unix time."""
        if at < self.start or (self.end and at >= self.end):
            return False
        if self.daily is None:
            return True
        first, last = self.daily
        second = at % DAY
        return first <= second < last if first <= last else second >= first or second < last


def choose(prices: Sequence[Dated], at: float) -> Price | None:
    """Return the last price in the list that counts at that time."""
    for dated in reversed(prices):
        if dated.active(at):
            return dated.price
    return None

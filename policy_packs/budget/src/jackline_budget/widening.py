"""How one revision's options permit more spending than another's: what a reload must announce."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_budget.amounts import shown
from jackline_budget.periods import span

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_budget.options import BudgetOptions


def widened(new: BudgetOptions, old: BudgetOptions) -> tuple[str, ...]:
    """Say each way in which `new` may permit what `old` did not. Errs on the side of saying too much."""
    return tuple(_limits(new, old)) + tuple(_counted(new, old)) + tuple(_assumed(new, old))


def _limits(new: BudgetOptions, old: BudgetOptions) -> Iterator[str]:
    now = {amount.unit: amount for amount in new.amounts}
    for amount in old.amounts:
        raised = now.get(amount.unit)
        if raised is None:
            yield f"limit: {shown(amount)} was taken away"
        elif raised.value > amount.value:
            yield f"limit: raised from {shown(amount)} to {shown(raised)}"
    if set(new.per) != set(old.per):
        yield f"per: was {' and '.join(old.per)}, so earlier spending does not count"
    elif new.timezone != old.timezone:
        yield f"timezone: was {old.timezone}, so a {'day' if 'day' in new.per else 'month'} begins at another time"
    if new.window != old.window:
        was = "none" if old.window is None else span(old.window)
        yield f"window: was {was}, so earlier spending does not count"
    if old.on_exceed == "halt" != new.on_exceed:
        yield "on_exceed: was halt"


def _counted(new: BudgetOptions, old: BudgetOptions) -> Iterator[str]:
    units = {amount.unit for amount in old.amounts}
    if "calls" in units:
        yield from (f"count: {action} is not counted any more" for action in old.count if action not in new.count)
    for tool, price in old.tool_prices.items():
        if new.tool_prices.get(tool, 0) < price:
            yield f"tool_prices: {tool} costs less"


def _assumed(new: BudgetOptions, old: BudgetOptions) -> Iterator[str]:
    if new.unknown_price is not None:
        if old.unknown_price is None:
            yield "unknown_price: was deny"
        elif new.unknown_price.input < old.unknown_price.input or new.unknown_price.output < old.unknown_price.output:
            yield "unknown_price: lower"
    if new.assume_output < old.assume_output:
        yield f"assume_output: was {old.assume_output}"
    if old.bound == "strict" != new.bound:
        yield "bound: was strict"
    opaque, was = new.opaque_input_tokens, old.opaque_input_tokens
    if opaque is not None and (was is None or opaque < was):
        yield "opaque_input_tokens: was " + ("not given, so such calls were denied" if was is None else str(was))

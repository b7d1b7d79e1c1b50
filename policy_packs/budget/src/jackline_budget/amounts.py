"""How a person reads an amount."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jackline.options import Amount


def shown(amount: Amount) -> str:
    """An amount as a person writes it: `0.50 USD`, `20000 tokens`."""
    if amount.unit != "usd":
        return f"{amount.value} {amount.unit if amount.value != 1 else amount.unit[:-1]}"
    dollars = Decimal(amount.value) / 1_000_000
    return f"{dollars:.2f} USD" if dollars == round(dollars, 2) else f"{dollars.normalize():f} USD"

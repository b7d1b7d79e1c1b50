from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec.structs import replace

from jackline.testing.policies import PolicySuite
from jackline_budget import Budget
from jackline_budget.bound import default_price

if TYPE_CHECKING:
    from jackline.prices import Price

PRICE = replace(default_price(3_000_000, 15_000_000), matched="the test's model")


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price | None:
        return PRICE if model.startswith(("gpt", "text-")) else None


class TestBudget(PolicySuite):
    use = Budget
    prices = Prices()
    options = (
        {"limit": "0.50 USD", "per": "session", "on_exceed": "halt", "warn_at": [0.5, 0.8]},
        {"limit": "200 tokens", "per": ["agent", "day"], "timezone": "Europe/Berlin", "bound": "tight"},
        {"limit": "30 calls", "per": "user", "count": ["tool.call", "agent.spawn"], "on_exceed": "escalate"},
        {"limits": ["1 USD", "5 calls"], "per": ["team", "day"], "tool_prices": {"search": "0.01 USD"}},
        {"limit": "0.05 USD", "per": "call"},
        {"limits": ["1 USD", "5 calls", "9k tokens"], "per": "all", "window": "24h", "warn_at": [0.5]},
        {"limit": "100 calls", "per": ["user", "month"], "timezone": "America/Santiago"},
        {
            "limit": "1 USD",
            "unknown_price": {"input": "3 USD/M", "output": "15 USD/M"},
            "opaque_input_tokens": 2000,
            "assume_output": 1000,
        },
    )

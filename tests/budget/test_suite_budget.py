from __future__ import annotations

from typing import NamedTuple

from jackline.testing.policies import PolicySuite
from jackline_budget import Budget


class Price(NamedTuple):
    """Three dollars for a million input tokens, fifteen for a million of output."""

    matched: str = "gpt-5-mini"
    per_output: int = 15_000_000

    def worst(self, tokens: int) -> int:
        return 3 * tokens


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price | None:
        return Price() if model.startswith(("gpt", "text-")) else None


class TestBudget(PolicySuite):
    use = Budget
    prices = Prices()
    options = (
        {"limit": "0.50 USD", "per": "session", "on_exceed": "halt", "warn_at": [0.5, 0.8]},
        {"limit": "200 tokens", "per": ["agent", "day"], "timezone": "Europe/Berlin", "bound": "tight"},
        {"limit": "30 calls", "per": "user", "count": ["tool.call", "agent.spawn"], "on_exceed": "escalate"},
        {"limits": ["1 USD", "5 calls"], "per": ["team", "day"], "tool_prices": {"search": "0.01 USD"}},
        {
            "limit": "1 USD",
            "unknown_price": {"input": "3 USD/M", "output": "15 USD/M"},
            "opaque_input_tokens": 2000,
            "assume_output": 1000,
        },
    )

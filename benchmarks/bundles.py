"""What the benchmarks govern with: rules of the usual kinds of which none matches, a budget, and arguments by size."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.plain import canonical

if TYPE_CHECKING:
    from pathlib import Path

TOOL_RULES = (
    "tool.name == 'search' && args.limit > 500",
    "args.query.contains('DROP TABLE')",
    "args.region == 'cn' && agent.environment == 'production'",
    "tool.name.startsWith('sea') && args.limit > 1000",
    "session.tool_calls > 1000000000",
    "agent.team == 'finance' && args.limit > 10",
    "'restricted' in agent.labels",
    "tool.status == 'changed' && args.limit > 1",
    "args.limit < 0",
    "args.region in ['kp', 'ir', 'sy']",
)
"""All of them look at the one tool that is called, and none is true."""
MODEL_RULES = (
    "model.name == 'gpt-3' || model.provider == 'unknown'",
    "model.input_bytes > 10000000",
    "args.messages.size() > 1000",
    "session.cost_usd > 1000000.0",
    "session.model_calls > 1000000000",
    "agent.team == 'finance' && model.provider != 'openai'",
    "'restricted' in agent.labels",
    "args.messages.exists(m, m.role == 'system' && m.content.contains('ignore all rules'))",
    "agent.environment == 'production' && model.name.startsWith('gpt-4')",
    "model.name in ['o1-preview', 'o1-mini']",
)
MANY = 1_000


def rules(conditions: Any, action: str = "tool.call", first: str = "rule") -> list[str]:
    """Entries of a bundle, a rule for each condition."""
    return [
        f'  - {{name: {first}-{place}, use: rule, on: {action}, when: "{condition}", effect: deny}}'
        for place, condition in enumerate(conditions)
    ]


def elsewhere(count: int) -> list[str]:
    """Conditions that name other tools than the one that is called."""
    return [f"tool.name == 'tool_{place}' && args.limit > {place}" for place in range(count)]


def bundle(*entries: str) -> str:
    """The text of a bundle."""
    return "\n".join(["jackline: 1", "policies:", *entries, ""])


CALLS = "  - {name: calls, use: budget, with: {limit: 1000000000 calls, per: session, count: [tool.call]}}"
MONEY = "  - {name: money, use: budget, with: {limit: 1000000 USD, per: session}}"


def ten_rules_and_a_budget() -> str:
    """What a governed call is measured under: on a tool call or a model call ten rules and one budget are asked."""
    return bundle(*rules(TOOL_RULES), *rules(MODEL_RULES, "model.call", "model-rule"), CALLS, MONEY)


def written(folder: Path, text: str) -> Path:
    """The bundle's file."""
    path = folder / "jackline.yaml"
    path.write_text(text, encoding="utf-8")
    return path


def texts(size: int, count: int) -> list[str]:
    """So many different queries that make arguments of `size` bytes: an agent seldom asks the same twice."""
    around = len(canonical({"query": "", "limit": 5, "region": "emea"}))
    return [f"{place:06d}".ljust(size - around, "x") for place in range(count)]

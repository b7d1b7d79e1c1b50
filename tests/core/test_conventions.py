"""The table of telemetry's names: how a name is read. That each is published is shown where the packages are: tests/otel."""

from __future__ import annotations

from jackline import conventions


def test_a_name_is_read_in_its_order():
    assert conventions.INPUT_TOKENS.read({"gen_ai.usage.prompt_tokens": 3, "gen_ai.usage.input_tokens": 5}) == 5
    assert conventions.INPUT_TOKENS.read({"llm.token_count.prompt": 7}) == 7
    assert conventions.INPUT_TOKENS.read({"gen_ai.usage.input_tokens": 0, "llm.token_count.prompt": 7}) == 0
    assert conventions.PROVIDER.read({"gen_ai.system": "", "llm.system": "openai"}) == "openai"
    assert conventions.PROVIDER.read({}) is None


def test_names_are_attributes_or_metrics_and_every_one_is_in_the_table():
    assert not set(conventions.ATTRIBUTES) & set(conventions.METRICS)
    assert conventions.ATTRIBUTES["INPUT_TOKENS"] is conventions.INPUT_TOKENS
    assert conventions.METRICS["TOOL_DURATION"].all == ("gen_ai.execute_tool.duration",)
    first, *others = conventions.PROVIDER.all
    assert (first, others[0]) == ("gen_ai.provider.name", "gen_ai.system")

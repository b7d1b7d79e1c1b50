"""Every price of the table against genai-prices itself, and each peer's cost bug as a case."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta, timezone
from decimal import ROUND_CEILING, Decimal
from types import SimpleNamespace

import genai_prices
import pytest
from genai_prices import data
from genai_prices.types import TimeOfDateConstraint

from jackline.events import Usage
from jackline.prices import CACHE_HIT, Prices
from jackline.prices.price import choose
from jackline.prices.table import Table, canonical, dated, pico

PROVIDERS = data.providers
AT = datetime(2026, 11, 20, 12, 0, tzinfo=UTC)
SECONDS = AT.timestamp()


@pytest.fixture(scope="module")
def prices() -> Prices:
    loaded = Prices.load()
    assert loaded.warm(wait=30)
    assert loaded.problem == ""
    return loaded


def told(usage: Usage) -> genai_prices.Usage:
    kinds = {"input_tokens": usage.input, "output_tokens": usage.output, "cache_read_tokens": usage.cache_read}
    kinds |= {"cache_write_tokens": usage.cache_write, "output_reasoning_tokens": usage.reasoning}
    return genai_prices.Usage(**{key: count for key, count in kinds.items() if count})


def theirs(model: str, provider: str | None, usage: Usage) -> Decimal:
    """What genai-prices says, in micro-dollars, not rounded."""
    calculated = genai_prices.calc_price(told(usage), model, provider_id=provider, genai_request_timestamp=AT)
    return calculated.total_price * 1_000_000


def up(micro: Decimal) -> int:
    return int(micro.to_integral_value(rounding=ROUND_CEILING))


USAGES = [
    Usage(input=1, output=1),
    Usage(input=1_234, output=567, cache_read=1_000, cache_write=200, reasoning=99),
    Usage(input=32_001, output=10),
    Usage(input=100_000, output=10, cache_read=99_000),
    Usage(input=128_001, output=10, cache_write=1),
    Usage(input=199_999, output=10),
    Usage(input=200_000, output=4_000, cache_read=150_000, cache_write=40_000),
    Usage(input=200_001, output=4_000, cache_read=150_000, cache_write=40_000, reasoning=3_000),
    Usage(input=272_000, output=8_000),
    Usage(input=272_001, output=8_000, cache_read=272_001),
    Usage(input=1_000_000, output=100_000, cache_read=5, cache_write=5),
]


@pytest.mark.parametrize(
    ("at", "usages"),
    [
        (AT, USAGES),
        (datetime(2025, 1, 1, 18, 0, tzinfo=UTC), USAGES[1::6]),
        (datetime(2026, 11, 20, 23, 30, tzinfo=UTC), USAGES[1::6]),
    ],
)
def test_every_model_of_the_table_costs_what_genai_prices_says(at, usages):
    table, compared, unpriced = Table("x"), 0, 0
    for owner, model in ((provider, model) for provider in PROVIDERS for model in provider.models):
        entries = table._convert(owner.id, model)
        price = choose(entries, at.timestamp())
        unpriced += price is None
        for usage in usages if price is not None else ():
            calculated = model.calc_price(told(usage), owner, genai_request_timestamp=at)
            exact, ours = calculated.total_price * 1_000_000, price.cost(usage)
            assert ours >= exact, (owner.id, model.id, usage)
            assert ours - exact < 1 + Decimal(usage.input + usage.output) / 1_000_000, (owner.id, model.id, usage)
            assert ours <= price.worst(usage.input, usage.output).total, (owner.id, model.id, usage)
            compared += 1
    assert compared > 2_000 * len(usages)
    assert unpriced < 250, "models priced by minutes, pages or characters, or not at all"


@pytest.mark.parametrize("usage", USAGES)
@pytest.mark.parametrize(
    ("model", "provider"),
    [
        ("claude-sonnet-4-5", "anthropic"),
        ("gpt-5", "openai"),
        ("gpt-5.6", "openai"),
        ("gemini-2.5-pro", "google"),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "aws"),
        ("sonar-pro", "perplexity"),
        ("deepseek-chat", "deepseek"),
        ("text-embedding-3-small", "openai"),
    ],
)
def test_what_a_call_cost_is_exact_to_the_micro_dollar(prices, model, provider, usage):
    cost = prices.cost(model, provider, usage, SECONDS)
    assert cost.micro_usd == up(theirs(model, provider, usage))
    assert cost.source == f"genai-prices {genai_prices.__version__}"


def test_cache_writes_are_priced(prices):
    """P70, langfuse#14249: cache writes left out."""
    none = prices.cost("claude-sonnet-4-5", "anthropic", Usage(input=10_000), SECONDS)
    some = prices.cost("claude-sonnet-4-5", "anthropic", Usage(input=10_000, cache_write=10_000), SECONDS)
    assert (none.micro_usd, some.micro_usd) == (30_000, 37_500)
    price = prices.price("claude-sonnet-4-5", "anthropic", SECONDS)
    assert price.tiers[0].dearest_input == 6_000_000, "a write that lives an hour costs twice the input"


def test_reasoning_is_paid_for_inside_the_output_or_beside_it(prices):
    """P70, langfuse#16508 and #12531: reasoning tokens unpriced."""
    inside = prices.cost("gpt-5", "openai", Usage(output=1_000, reasoning=900), SECONDS)
    beside = prices.cost("gpt-5", "openai", Usage(output=100, reasoning=900), SECONDS)
    assert inside.micro_usd == 10_000
    assert beside.micro_usd == 10_000


def test_reasoning_with_a_price_of_its_own(prices):
    table = Table("x")
    found = 0
    for provider in PROVIDERS:
        for model in provider.models:
            for entry in table._convert(provider.id, model):
                base = entry.price.tiers[0]
                if base.reasoning != base.output:
                    found += 1
                    usage = Usage(output=1_000_000, reasoning=400_000)
                    assert entry.price.cost(usage) == -(-(600_000 * base.output + 400_000 * base.reasoning) // 10**6)
                    assert base.dearest_output == max(base.output, base.reasoning)
    assert found > 0


def test_cached_tokens_beside_the_input_are_paid_for(prices):
    beside = prices.cost(
        "claude-sonnet-4-5", "anthropic", Usage(input=1_000, cache_read=10_000, cache_write=1_000), SECONDS
    )
    inside = prices.cost(
        "claude-sonnet-4-5", "anthropic", Usage(input=12_000, cache_read=10_000, cache_write=1_000), SECONDS
    )
    assert beside == inside
    assert inside.micro_usd == 3_000 + 3_000 + 3_750


def test_a_cached_answer_costs_nothing_and_says_so():
    """P70, langfuse#2112: answers from the framework's cache were billed."""
    assert (CACHE_HIT.micro_usd, CACHE_HIT.source) == (0, "cache hit")


@pytest.mark.parametrize(
    ("model", "provider", "matched"),
    [
        (
            "us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "bedrock",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", "", "regional.anthropic.claude-sonnet-4-5-20250929-v1:0"),
        (
            "eu.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "amazon_bedrock",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "anthropic.claude-3-5-sonnet-20240620-v1:0",
            "bedrock_converse",
            "regional.anthropic.claude-3-5-sonnet-20240620-v1:0",
        ),
        (
            "apac.anthropic.claude-sonnet-4-20250514-v1:0",
            "aws.bedrock",
            "regional.anthropic.claude-sonnet-4-20250514-v1:0",
        ),
        (
            "bedrock/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        (
            "arn:aws:bedrock:us-east-1:123456789012:inference-profile/us.anthropic.claude-sonnet-4-5-20250929-v1:0",
            "",
            "regional.anthropic.claude-sonnet-4-5-20250929-v1:0",
        ),
        ("eu.amazon.nova-pro-v1:0", "bedrock", "amazon.nova-pro-v1:0"),
        ("global.amazon.nova-pro-v1:0", "", "amazon.nova-pro-v1:0"),
    ],
)
def test_bedrock_names_have_a_price(prices, model, provider, matched):
    """P70, langfuse#4072: a cost of 0 for Bedrock's names."""
    cost = prices.cost(model, provider, Usage(input=1_000, output=1_000), SECONDS)
    assert cost.micro_usd > 0
    assert cost.matched == matched


def test_a_region_that_the_table_does_not_list_is_taken_off(prices):
    table = Table("x")
    asked = list(table._candidates("global.anthropic.claude-9", "aws"))
    assert asked == [("aws", "global.anthropic.claude-9"), ("aws", "anthropic.claude-9")]
    asked = list(table._candidates("bedrock/jp.anthropic.claude-9", ""))
    assert asked[:2] == [("aws", "jp.anthropic.claude-9"), ("aws", "anthropic.claude-9")]


def test_gemini_costs_what_its_bill_says(prices):
    """P70, langfuse#14144: over 200k tokens the whole call pays the higher rate, thinking is output, cache reads are cheaper."""
    below = prices.cost("gemini-2.5-pro", "google_genai", Usage(input=200_000, output=1_000, reasoning=800), SECONDS)
    above = prices.cost("gemini-2.5-pro", "google_genai", Usage(input=200_001, output=1_000, reasoning=800), SECONDS)
    cached = prices.cost("gemini-2.5-pro", "google_genai", Usage(input=200_001, cache_read=200_001), SECONDS)
    assert below.micro_usd == 250_000 + 10_000
    assert above.micro_usd == 500_003 + 15_000
    assert cached.micro_usd == up(theirs("gemini-2.5-pro", "google", Usage(input=200_001, cache_read=200_001))) < 60_000


@pytest.mark.parametrize(
    "model", ["agent_Xy12", "asst_abc", "my-agent", "", " ", "0", "gpt", "claude", "gemini-3-pro", "models/"]
)
@pytest.mark.parametrize("provider", ["", "openai", "google_genai", "nobody"])
def test_an_agents_id_or_an_unknown_model_is_unknown_and_never_free(prices, model, provider):
    """P70, LibreChat#11978: the agent's id used as the model. P31: models that are not in the table cost $0."""
    assert prices.price(model, provider, SECONDS) is None
    assert prices.cost(model, provider, Usage(input=10, output=10), SECONDS) is None


def test_the_dearer_tier_is_held_when_the_input_can_reach_it(prices):
    """litellm#40002: the tier above 272k was ignored when reserving, $0.60 of $0.45."""
    price = next(
        entry.price
        for provider in PROVIDERS
        if provider.id == "openai"
        for model in provider.models
        for entry in Table("x")._convert("openai", model)
        if any(tier.above == 272_000 for tier in entry.price.tiers)
    )
    base, dear = price.tiers
    at_most, beyond = price.worst(272_000, 1_000), price.worst(272_001, 1_000)
    assert at_most == (
        -(-272_000 * base.dearest_input // 10**6),
        base.output,
        at_most.fixed + -(-1_000 * base.output // 10**6),
    )
    assert beyond.fixed == -(-272_001 * dear.dearest_input // 10**6)
    assert beyond.per_output == dear.output > base.output
    assert price.cost(Usage(input=272_001, output=1_000)) <= beyond.total
    assert price.dearest() == price.dearest(272_001)
    assert price.dearest(5) == base


@pytest.mark.parametrize(
    ("model", "provider", "matched", "owner"),
    [
        ("gpt-5.6", "openai", "gpt-5.6-sol", "openai"),
        ("gpt-5", "azure_openai", "gpt-5", "azure"),
        ("gpt-5", "azure.ai.openai", "gpt-5", "azure"),
        ("gemini-2.5-pro", "gcp.vertex_ai", "gemini-2.5-pro", "google"),
        ("models/gemini-2.5-pro", "google_genai", "gemini-2.5-pro", "google"),
        ("claude-sonnet-4@20250514", "google_vertexai", "claude-4-sonnet", "google"),
        ("mistral-large-latest", "mistral_ai", "mistral-large", "mistral"),
        ("grok-4", "x_ai", "grok-4-0709", "x-ai"),
        ("llama-3.3-70b-versatile", "groq", "llama-3.3-70b-versatile", "groq"),
        ("openai/gpt-5", "", "gpt-5", "openai"),
        ("openai:gpt-5", "", "gpt-5", "openai"),
        ("google_genai:gemini-2.5-pro", "", "gemini-2.5-pro", "google"),
        ("anthropic/claude-sonnet-4-5", "openai", "claude-sonnet-4-5", "anthropic"),
        ("GPT-5", "OpenAI", "gpt-5", "openai"),
        ("gpt-5", "my-gateway", "gpt-5", "openai"),
        ("gpt-5", "", "gpt-5", "openai"),
    ],
)
def test_frameworks_names_of_providers_are_understood_and_the_match_is_on_record(
    prices, model, provider, matched, owner
):
    price = prices.price(model, provider, SECONDS)
    assert (price.matched, price.provider) == (matched, owner)
    assert prices.cost(model, provider, Usage(input=1), SECONDS).matched == matched


def test_a_provider_that_does_not_offer_the_model_is_not_replaced_by_another(prices):
    assert prices.price("gpt-5", "groq", SECONDS) is None


@pytest.mark.parametrize("name", sorted(provider.id for provider in PROVIDERS))
def test_the_tables_own_names_stay(name):
    assert Table("x")._provider(name) == name


def test_names_are_canonical():
    assert [canonical(name) for name in ("Bedrock_Converse", "az.ai.inference", "ollama", "")] == [
        "aws",
        "azure",
        "ollama",
        "",
    ]


def test_prices_change_with_their_dates(prices):
    dated_models = [
        (provider, model)
        for provider in PROVIDERS
        for model in provider.models
        if isinstance(model.prices, list) and any(hasattr(each.constraint, "start_date") for each in model.prices)
    ]
    provider, model = next(pair for pair in dated_models if pair[0].id == "openai")
    start = next(each.constraint.start_date for each in model.prices if each.constraint is not None)
    first = datetime.combine(start, time(), UTC)
    entries = Table("x")._convert(provider.id, model)
    usage = Usage(input=1_000_000, output=1_000_000)
    for at in (first - timedelta(seconds=1), first):
        ours = next(entry.price for entry in reversed(entries) if entry.active(at.timestamp()))
        exact = model.calc_price(
            genai_prices.Usage(input_tokens=10**6, output_tokens=10**6), provider, genai_request_timestamp=at
        )
        assert ours.cost(usage) == up(exact.total_price * 10**6)


def test_prices_of_the_day_follow_utc(prices):
    price = prices.price("gpt-5", "openai", SECONDS)
    for start, end in (
        (time(16, 30), time(0, 30)),
        (time(1, 0), time(2, 0)),
        (time(23, 0, tzinfo=timezone(timedelta(hours=8))), time(1, 0, tzinfo=timezone(timedelta(hours=8)))),
    ):
        constraint = TimeOfDateConstraint(start, end)
        ours = dated(price, constraint)
        for minute in range(0, 24 * 60, 15):
            at = datetime(2026, 3, 1, tzinfo=UTC) + timedelta(minutes=minute)
            assert ours.active(at.timestamp()) == constraint.active(at), (start, end, at)


def test_a_condition_that_is_not_known_is_no_price(prices):
    with pytest.raises(LookupError, match="A price depends on SimpleNamespace, which this jackline does not know"):
        dated(prices.price("gpt-5", "openai", SECONDS), SimpleNamespace(weekday=3))


def test_pico_dollars_are_exact_and_round_up():
    assert pico(Decimal("0.075")) == 75_000
    assert pico(Decimal("0.08333333333333334")) == 83_334

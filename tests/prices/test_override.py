"""The user's own file of prices: exact, dated, and wrong ones say where."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import pytest

from jackline.events import Usage
from jackline.prices import PriceError, Prices

if TYPE_CHECKING:
    from pathlib import Path

AT = datetime(2026, 6, 1, tzinfo=UTC).timestamp()
FILE = """
prices:
  - {model: gpt-5, provider: openai, input: 1, output: 8}
  - {model: gpt-5, provider: openai, from: 2026-03-01, until: 2026-09-01, input: 0.1, output: 0.30, cache_read: "0.01"}
  - model: ACME-*
    input: 1
    output: 2
    cache_write: 3
    reasoning: 4
    per_call: 0.005
    tiers:
      - {above: 300000, input: 5, output: 6}
      - {above: 200000, input: 2, output: 3, cache_write: 9}
  - {model: at-noon, from: 2026-06-01T12:00:00+02:00, input: 1, output: 1}
  - {model: gemini-2.5-pro, provider: google, input: 7, output: 7}
"""


def written(folder: Path, text: str, name: str = "prices.yaml") -> Path:
    path = folder / name
    path.write_text(text)
    return path


@pytest.fixture
def prices(tmp_path: Path) -> Prices:
    return Prices.load(written(tmp_path, FILE))


def test_the_last_entry_that_counts_wins_over_the_table(prices):
    price = prices.price("gpt-5", "openai", AT)
    assert (price.source, price.matched) == ("override", "gpt-5")
    assert (price.tiers[0].input, price.tiers[0].output, price.tiers[0].cache_read) == (100_000, 300_000, 10_000)
    for month in (1, 9):
        assert (
            prices.price("GPT-5 ", "openai", datetime(2026, month, 1, tzinfo=UTC).timestamp()).tiers[0].input == 10**6
        )
    cost = prices.cost("gpt-5", "openai", Usage(input=3, output=3), AT)
    assert (cost.micro_usd, cost.matched, cost.source) == (2, "gpt-5", "override")


def test_a_star_matches_what_begins_so_and_tiers_are_sorted(prices):
    price = prices.price("acme-large", "", AT)
    assert price.matched == "ACME-*"
    assert [tier.above for tier in price.tiers] == [0, 200_000, 300_000]
    assert price.cost(Usage(input=10, output=10, cache_write=4, reasoning=5)) == 6 + 12 + 10 + 20 + 5_000
    assert price.cost(Usage(input=200_000)) == 205_000
    assert price.cost(Usage(input=200_001, output=1)) == 400_002 + 3 + 5_000
    assert price.cost(Usage(input=300_001, output=1)) == 1_500_005 + 6 + 5_000
    assert price.worst(200_001, 1) == (9 * 200_001 + 5_000, 4_000_000, 9 * 200_001 + 5_000 + 4)
    assert price.worst(400_000).per_output == 6_000_000
    assert price.worst(10).fixed == 30 + 5_000
    assert prices.price("acme", "", AT) is None


def test_dates_are_utc_unless_they_say_otherwise(prices):
    noon = datetime(2026, 6, 1, 10, tzinfo=UTC).timestamp()
    assert prices.price("at-noon", "", noon - 1) is None
    assert prices.price("at-noon", "", noon).tiers[0].input == 10**6


@pytest.mark.parametrize("provider", ["google", "google_genai", "gcp.vertex_ai", "gemini"])
def test_a_providers_names_are_one(prices, provider):
    assert prices.price("gemini-2.5-pro", provider, AT).source == "override"


def test_a_providers_price_is_not_anothers(prices):
    assert prices.price("gpt-5", "azure", AT).source.startswith("genai-prices ")


def test_a_default_prices_what_nothing_else_does(tmp_path):
    prices = Prices.load(written(tmp_path, "default: {input: 15, output: 75}"))
    cost = prices.cost("agent_1", "", Usage(input=10, output=10), AT)
    assert (cost.micro_usd, cost.matched, cost.source) == (900, "", "configured default")
    assert prices.cost("gpt-5", "openai", Usage(input=10), AT).source.startswith("genai-prices ")


def test_json_is_read_exactly(tmp_path):
    text = json.dumps({"prices": [{"model": "m", "input": 0.1, "output": 0.000001, "per_call": 0}]})
    price = Prices.load(written(tmp_path, text, "prices.json")).price("m", "", AT)
    assert (price.tiers[0].input, price.tiers[0].output) == (100_000, 1)


def test_an_empty_list_is_fine(tmp_path):
    assert Prices.load(written(tmp_path, "prices:")).price("unknown", "", AT) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[]", "it must have the keys 'prices' and 'default'"),
        ("", "it must have the keys 'prices' and 'default'"),
        ("a: [", "it cannot be parsed (while parsing a flow node"),
        ("prices: [{model: m, input: 1, output: 1, from: 2026-13-45}]", "it cannot be parsed (month must be in"),
        ("price: []", "the file has the unknown key 'price'; there are prices, default"),
        ("prices: {}", ""),
        ("prices: {m: 1}", "'prices' must be a list of entries"),
        ("prices: [3]", "price 1 must have keys and values, not 3"),
        ("prices: [{input: 1}]", "price 1 needs a 'model', whose name is text"),
        ("prices: [{model: '*'}]", "price 1 needs a 'model', whose name is text"),
        ("prices: [{model: 5}]", "price 1 needs a 'model', whose name is text"),
        (
            "prices: [{model: m, inptu: 1}]",
            "price 1 has the unknown key 'inptu'; there are model, provider, from, until",
        ),
        (
            "prices: [{model: m, input: 1}]",
            "price 1 (m) needs 'output', in US dollars for a million tokens (0 where it is free)",
        ),
        (
            "prices: [{model: m, input: x, output: 1}]",
            "price 1 (m): 'input' is 'x', and must be a number of US dollars, 0 or more",
        ),
        ("prices: [{model: m, input: -1, output: 1}]", "price 1 (m): 'input' is -1, and must be a number"),
        ("prices: [{model: m, input: .nan, output: 1}]", "price 1 (m): 'input' is nan, and must be a number"),
        ("prices: [{model: m, input: yes, output: 1}]", "price 1 (m): 'input' is True, and must be a number"),
        ("prices: [{model: m, input: 1, output: 1, tiers: 3}]", "price 1 (m): 'tiers' must be a list"),
        (
            "prices: [{model: m, input: 1, output: 1, tiers: [{input: 1, output: 1}]}]",
            "a tier of price 1 (m) needs 'above', a number",
        ),
        (
            "prices: [{model: m, input: 1, output: 1, tiers: [{above: x, input: 1, output: 1}]}]",
            "a tier of price 1 (m) needs 'above'",
        ),
        ("prices: [{model: m, input: 1, output: 1, from: soon}]", "price 1 (m): 'soon' is no date such as 2026-01-31"),
        ("prices: [{model: m, input: 1, output: 1, from: 7}]", "price 1 (m): 7 is no date such as 2026-01-31"),
        (
            "prices: [{model: m, input: 1, output: 1, from: 2026-02-01, until: 2026-01-01}]",
            "price 1 (m) ends before it begins",
        ),
        ("default: {input: 1}", "the default needs 'output'"),
        ("default: {model: m, input: 1, output: 1}", "the default has the unknown key 'model'"),
    ],
)
def test_a_wrong_file_says_what_and_where(tmp_path, text, message):
    path = written(tmp_path, text)
    if not message:
        assert Prices.load(path).price("m", "", AT) is None
        return
    with pytest.raises(PriceError) as caught:
        Prices.load(path)
    assert str(caught.value).startswith(f"The prices in {path} cannot be used: {message}")


def test_a_missing_file_is_an_error(tmp_path):
    with pytest.raises(PriceError, match=r"none.yaml cannot be used: .*No such file or directory"):
        Prices.load(tmp_path / "none.yaml")


def test_wrong_json_is_an_error(tmp_path):
    with pytest.raises(PriceError, match=r"cannot be used: it cannot be parsed \(Expecting"):
        Prices.load(written(tmp_path, "{", "prices.json"))

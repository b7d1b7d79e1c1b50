"""Quantities as people write them, and how messages show values."""

from __future__ import annotations

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from jackline.options import Amount, Duration, Money, Names, Options, Quantity
from jackline.wording import nearest, shown


class Some(Options):
    money: Money = 0
    duration: Duration = 0.0
    amount: Quantity = None
    names: Names = ()
    number: float = 0.0


def read(key, value):
    return getattr(Some.model_validate_json(json.dumps({key: value})), key)


@pytest.mark.parametrize(
    ("key", "text", "value"),
    [
        ("money", "0.50 USD", 500_000),
        ("money", "0.5USD", 500_000),
        ("money", "12 USD", 12_000_000),
        ("money", "0 USD", 0),
        ("money", "0.000001 USD", 1),
        ("money", "0.1000000 USD", 100_000),
        ("money", "1000000000 USD", 10**15),
        ("duration", "30m", 1800.0),
        ("duration", "1h30m", 5400.0),
        ("duration", "500ms", 0.5),
        ("duration", "1.5h", 5400.0),
        ("duration", "1w2d", 777600.0),
        ("amount", "0.50 USD", Amount(500_000, "usd")),
        ("amount", "200k tokens", Amount(200_000, "tokens")),
        ("amount", "2M tokens", Amount(2_000_000, "tokens")),
        ("amount", "1 token", Amount(1, "tokens")),
        ("amount", "40 calls", Amount(40, "calls")),
        ("amount", "1 call", Amount(1, "calls")),
        ("names", "x", ("x",)),
        ("names", ["x", "y"], ("x", "y")),
    ],
)
def test_quantities(key, text, value):
    found = read(key, text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("key", "value", "message", "hint"),
    [
        ("money", 0.5, "0.5 is not an amount of money", "write 0.5 USD"),
        ("money", "0.50", "'0.50' is not an amount of money", "write 0.50 USD"),
        ("money", "$5", "'$5' is not an amount of money", "write 5 USD"),
        ("money", "1,000 USD", "'1,000 USD' is not an amount of money", "write 1000 USD"),
        ("money", "5 EUR", "'5 EUR' is not an amount of money", "prices are in US dollars: write the amount in USD"),
        ("money", "-5 USD", "'-5 USD' is not an amount of money", "write a number and the currency: 0.50 USD"),
        ("money", True, "true is not an amount of money", "write a number and the currency: 0.50 USD"),
        ("money", None, "nothing is not an amount of money", "write a number and the currency: 0.50 USD"),
        (
            "money",
            "0.0000001 USD",
            "'0.0000001 USD' is finer than a millionth of a dollar",
            "write at most six decimals",
        ),
        (
            "money",
            "1000000001 USD",
            "'1000000001 USD' is more than can be counted",
            "write at most 1,000,000,000,000,000 of the smallest unit",
        ),
        ("duration", 30, "30 is not a duration", "write a number with ms, s, m, h, d or w: 30m"),
        ("duration", "30 minutes", "'30 minutes' is not a duration", "write a number with ms, s, m, h, d or w: 30m"),
        ("duration", "99999d", "'99999d' is too long", "write at most 3660d"),
        ("amount", 5, "5 is not an amount", "write it with its unit: 0.50 USD, 200k tokens or 40 calls"),
        (
            "amount",
            "5 dollars",
            "'5 dollars' is not an amount",
            "write it with its unit: 0.50 USD, 200k tokens or 40 calls",
        ),
        (
            "amount",
            "999999999999999M tokens",
            "'999999999999999M tokens' is more than can be counted",
            "write at most 1,000,000,000,000,000 of the smallest unit",
        ),
        ("names", [], "the list is empty", "name at least one, or leave the key out"),
    ],
)
def test_what_is_no_quantity_says_what_would_be(key, value, message, hint):
    with pytest.raises(ValidationError) as caught:
        read(key, value)
    (detail,) = caught.value.errors()
    assert (detail["ctx"]["message"], detail["ctx"]["hint"]) == (message, hint)


def test_options_are_strict_closed_and_immutable():
    for data in ({"number": "1"}, {"nmber": 1}, {"number": True}):
        with pytest.raises(ValidationError):
            Some.model_validate_json(json.dumps(data))
    with pytest.raises(ValidationError, match="finite"):
        Some.model_validate_json('{"number": 1e999}')
    with pytest.raises(ValidationError, match="frozen"):
        Some().number = 2.0


@given(st.text(max_size=30))
@settings(deadline=None)
def test_no_text_makes_a_quantity_raise_anything_else(text):
    for key in ("money", "duration", "amount"):
        try:
            found = read(key, text)
        except ValidationError:
            continue
        assert found is not None


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "nothing"),
        (True, "true"),
        ("a\n b", "'a\\n b'"),
        ({"a": [1]}, '{"a": [1]}'),
        ("x" * 99, f"'{'x' * 56}..."),
        ({1, 2}, '"{1, 2}"'),
    ],
)
def test_values_are_shown_on_one_line(value, text):
    assert shown(value) == text


@pytest.mark.parametrize(
    ("word", "known", "hint"),
    [
        ("bugdet", ["budget", "pii"], "did you mean 'budget'?"),
        ("TOOL_ACCESS", ["tool_access"], "did you mean 'tool_access'?"),
        ("zzz", ["b", "a"], "known: a, b"),
        ("zzz", [], ""),
        ("zzz", [f"k{n:02}" for n in range(14)], f"known: {', '.join(f'k{n:02}' for n in range(12))} and 2 more"),
    ],
)
def test_the_nearest_known_word(word, known, hint):
    assert nearest(word, known) == hint

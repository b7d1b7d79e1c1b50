"""Values that are made to break what looks at them: the act is judged and recorded, and its result reaches the caller."""

from __future__ import annotations

import time

import pytest

from jackline.plain import is_plain, plain


class Unbound:
    """As proxies of web frameworks do outside of a request."""

    @property
    def __class__(self):
        raise RuntimeError("working outside of request context")


class Wordless(Exception):
    def __str__(self):
        raise RuntimeError("no words")


def shared(width, depth):
    found = "a"
    for _ in range(depth):
        found = [found] * width
    return found


def ring():
    found = []
    found.append(found)
    return found


def abyss():
    found = []
    for _ in range(100_000):
        found = [found]
    return found


HOSTILE = {
    "a list held by itself": ring,
    "a list that holds another one 256 times, 8 deep": lambda: shared(256, 8),
    "a list that holds another one twice, 40 deep": lambda: shared(2, 40),
    "100,000 lists deep": abyss,
    "ten million items": lambda: [0] * 10_000_000,
    "a million keys": lambda: dict.fromkeys(range(1_000_000)),
    "50 MB of text": lambda: "a" * 50_000_000,
    "15 MB of text in a quarter thousand pieces": lambda: ["a" * 60_000] * 256,
    "an object that denies its class": Unbound,
    "such an object in a list": lambda: [Unbound()],
}


@pytest.mark.parametrize("make", HOSTILE.values(), ids=HOSTILE.keys())
def test_f09_a_hostile_value_passes_through_an_allow_all_guard_in_bounded_time(bench, make):
    guard = bench.guard()

    @guard.tool
    def echo(value):
        return value

    value = make()
    with guard.session(id="job"):
        before = time.process_time()
        assert echo(value) is value
        spent = time.process_time() - before
    assert spent < 10, "a check must not take as long as the value likes"
    (decided,), (completed,) = bench.events("decided"), bench.events("completed")
    assert decided.span == completed.span
    assert decided.size < 20_000_000


def test_the_quick_check_counts_what_is_held_many_times():
    assert is_plain(shared(16, 3))
    assert not is_plain(shared(256, 8))


def test_what_is_too_large_is_marked_and_never_equal():
    first, second = plain([0] * 200_000), plain([0] * 200_000)
    assert len(first) < 200_000
    assert first[-1]["$large"] == "builtins.list"
    assert first != second


def test_an_error_without_words_reaches_the_caller_as_it_is(bench):
    guard = bench.guard("jackline: 1\ncapture: full\npolicies: []\n")

    @guard.tool
    def fails():
        raise Wordless

    with guard.session(id="job"), pytest.raises(Wordless):
        fails()
    (failed,) = bench.events("failed")
    assert failed.error.endswith("Wordless")

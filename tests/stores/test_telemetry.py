"""What watchers ask of a store: distributions within their error, decisions by agent, what runs, ceilings, notices."""

from __future__ import annotations

import math

from hypothesis import given
from hypothesis import strategies as st

from jackline.stores.histograms import ERROR, bucket, distribution, middle, upper
from jackline.testing.journals import AT

DAY = int(AT) // 86400 * 86400


@given(st.floats(min_value=1, max_value=1e15))
def test_the_middle_of_a_bucket_is_within_the_error_of_every_value_in_it(value):
    number = bucket(value)
    assert abs(middle(number) - value) <= value * (ERROR + 1e-9)
    assert value <= upper(number) * (1 + 1e-9)


@given(st.lists(st.integers(0, 10**9), min_size=1, max_size=200))
def test_quantiles_are_within_the_error(values):
    counts: dict[int, int] = {}
    for value in values:
        counts[bucket(value)] = counts.get(bucket(value), 0) + 1
    row = distribution({}, sorted(counts.items()), sum(values))
    ordered = sorted(values)
    for share, found in ((0.5, row.p50), (0.9, row.p90), (0.95, row.p95), (0.99, row.p99)):
        true = ordered[max(1, math.ceil(share * len(values))) - 1]
        assert abs(found - true) <= true * (ERROR + 1e-9)
    assert (row.count, row.total) == (len(values), sum(values))
    assert sum(one.count for one in row.buckets) == len(values)


def test_nothing_has_a_distribution_of_nothing():
    row = distribution({"agent": "a"}, [], 0)
    assert (row.agent, row.count, row.p50, row.buckets) == ("a", 0, 0.0, ())

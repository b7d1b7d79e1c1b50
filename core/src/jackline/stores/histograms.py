"""Distributions that are kept as lines come in: counts in buckets that grow by a fixed ratio.

A value falls into the bucket whose upper end is the next power of the ratio, so a quantile that is read from the
buckets is wrong by two per cent at most, whatever the values are. Buckets are rows that add up: over days, agents and
names, in any order, and what was counted too early is taken away again.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from jackline.stores.rows import Bucket, DistributionRow

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

DAY = 86400
ERROR = 0.02
_RATIO = (1 + ERROR) / (1 - ERROR)
_PER = 1 / math.log(_RATIO)
_ceil, _log = math.ceil, math.log


def bucket(value: float) -> int:
    """The bucket of a value; 0 for what is below 1, whose size nobody asks for."""
    return 0 if value < 1 else 1 + _ceil(_log(value) * _PER - 1e-9)


def middle(number: int) -> float:
    """The value that stands for a bucket: no further from any value in it than the error."""
    return 0.0 if number == 0 else 2 * _RATIO ** (number - 1) / (_RATIO + 1)


def upper(number: int) -> float:
    """The greatest value of a bucket."""
    return 0.0 if number == 0 else _RATIO ** (number - 1)


def distribution(key: Mapping[str, str], counts: Sequence[tuple[int, int]], total: int) -> DistributionRow:
    """What buckets, (number, count) in their order, tell of the values."""
    kept = [(number, count) for number, count in counts if count > 0]
    size = sum(count for _, count in kept)
    quantiles = dict(zip(("p50", "p90", "p95", "p99"), _quantiles(kept, size, (0.5, 0.9, 0.95, 0.99)), strict=True))
    return DistributionRow(
        agent=key.get("agent", ""),
        name=key.get("name", ""),
        count=size,
        total=max(total, 0),
        least=middle(kept[0][0]) if kept else 0.0,
        most=middle(kept[-1][0]) if kept else 0.0,
        buckets=tuple(Bucket(to=upper(number), count=count) for number, count in kept),
        **quantiles,
    )


def _quantiles(kept: Sequence[tuple[int, int]], size: int, wanted: Sequence[float]) -> Iterator[float]:
    """By nearest rank: the least value that so many of all values do not exceed."""
    for share in wanted:
        rank, seen = max(1, math.ceil(share * size)), 0
        for number, count in kept:
            seen += count
            if seen >= rank:
                yield middle(number)
                break
        else:
            yield 0.0

"""What it cost, how often it failed, how values lie."""

from __future__ import annotations

from pydantic import BaseModel

from jackline_console.models.basics import Page


class Sums(BaseModel):
    """Model calls, summed."""

    calls: int
    failures: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    reasoning_tokens: int
    cost_micro_usd: int
    unpriced: int


class CostRow(Sums):
    """The sums of one agent, model, team, day or hour."""

    key: dict[str, str | int]


class Costs(Page[CostRow]):
    """The dearest first, and all together."""

    total: Sums


class Series(BaseModel):
    """One line of a chart; an empty name for all that is not shown by itself."""

    name: str
    micro_usd: list[int]
    calls: list[int]


class CostSeries(BaseModel):
    """Lines over the same times."""

    times: list[int]
    series: list[Series]


class BucketView(BaseModel):
    """Values up to `to`, and more than the bucket before."""

    to: float
    count: int


class Distribution(BaseModel):
    """How values lie; each is within two per cent."""

    name: str
    count: int
    sum: float
    min: float
    max: float
    p50: float
    p90: float
    p95: float
    p99: float
    buckets: list[BucketView]


class Distributions(Page[Distribution]):
    """The most frequent first."""


class ToolSums(BaseModel):
    """Calls of a tool, or of an agent's tools; denials are no failures."""

    key: str
    calls: int
    failures: int
    denials: int
    failure_rate: float | None
    mean_ms: float | None


class ToolUsage(Page[ToolSums]):
    """The most called first."""

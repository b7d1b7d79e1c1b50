"""Sums and distributions of the index as OTLP metrics: cumulative, over all that is on record."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from opentelemetry.proto.metrics.v1.metrics_pb2 import (
    AggregationTemporality,
    Histogram,
    HistogramDataPoint,
    Metric,
    NumberDataPoint,
    Sum,
)

from jackline import conventions as names
from jackline_otel.values import attributes, nanos

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from jackline.stores import DistributionRow, Store, UsageRow
    from jackline_otel.translate import Dialect

BOUNDS = tuple(0.01 * 2**power for power in range(14))
"""Seconds: the buckets of the conventions for inference and tools."""
_CUMULATIVE = AggregationTemporality.AGGREGATION_TEMPORALITY_CUMULATIVE
_MICRO = 1_000_000


def metrics(store: Store, now: float, dialect: Dialect, provider: Callable[[str], str]) -> list[Metric]:
    """What there is to count, as it is now. Denied calls are in no tool's durations."""
    since = min((row.hour for row in store.agent_usage(("hour",)) if row.hour is not None), default=now)
    span = nanos(min(since, now)), nanos(now)
    usage = store.usage(("agent", "model"))
    found = [*_tokens(usage, span, provider), *_own(store, usage, span)]
    models, tools = (store.distributions(what, ("agent", "name")) for what in ("model", "tool"))
    wanted = names.INFERENCE_DURATION.current, *(names.INFERENCE_DURATION.older if dialect.older else ())
    found += [_durations(name, models, span, _of_model) for name in wanted]
    found.append(_durations(names.TOOL_DURATION.current, tools, span, _of_tool))
    return [metric for metric in found if metric.sum.data_points or metric.histogram.data_points]


def _tokens(usage: Sequence[UsageRow], span: tuple[int, int], provider: Callable[[str], str]) -> Iterable[Metric]:
    for name, field in (
        (names.INPUT_USAGE, "input_tokens"),
        (names.OUTPUT_USAGE, "output_tokens"),
        (names.CACHE_READ_USAGE, "cache_read_tokens"),
        (names.CACHE_WRITE_USAGE, "cache_write_tokens"),
        (names.REASONING_USAGE, "reasoning_tokens"),
    ):
        points = [
            _point({**_of_model(row.agent, row.model, provider), names.TOKEN_MODALITY: "unknown"}, span, count)
            for row in usage
            if (count := getattr(row, field))
        ]
        yield _sum(name.current, "{token}", points)


def _own(store: Store, usage: Sequence[UsageRow], span: tuple[int, int]) -> Iterable[Metric]:
    costs = [_point(_of_model(row.agent, row.model), span, row.cost_micro_usd / _MICRO) for row in usage]
    yield _sum("jackline.cost", "USD", costs)
    unpriced = [_point(_of_model(row.agent, row.model), span, row.unpriced) for row in usage if row.unpriced]
    yield _sum("jackline.model.calls.unpriced", "{call}", unpriced)
    decisions = [
        _point(
            {
                "jackline.policy.id": row.policy,
                "jackline.policy.rule.id": row.rule,
                "jackline.decision.verdict": row.effect,
                "jackline.decision.mode": row.mode,
            },
            span,
            row.decisions,
        )
        for row in store.policy_usage()
        if row.decisions
    ]
    yield _sum("jackline.policy.decisions", "{decision}", decisions)


def _of_model(agent: str, model: str, provider: Callable[[str], str] | None = None) -> dict[str, Any]:
    told = {names.OPERATION.current: names.CHAT, names.REQUEST_MODEL.current: model, names.AGENT_NAME.current: agent}
    return told | ({names.PROVIDER.current: provider(model)} if provider else {})


def _of_tool(agent: str, tool: str) -> dict[str, Any]:
    return {
        names.OPERATION.current: names.EXECUTE_TOOL,
        names.TOOL_NAME.current: tool,
        names.AGENT_NAME.current: agent,
    }


def _sum(name: str, unit: str, points: list[NumberDataPoint]) -> Metric:
    return Metric(
        name=name,
        unit=unit,
        sum=Sum(data_points=points, aggregation_temporality=_CUMULATIVE, is_monotonic=True),
    )


def _point(told: dict[str, Any], span: tuple[int, int], count: float) -> NumberDataPoint:
    start, now = span
    number = {"as_int": count} if isinstance(count, int) else {"as_double": count}
    return NumberDataPoint(attributes=attributes(told), start_time_unix_nano=start, time_unix_nano=now, **number)


def _durations(
    name: str, rows: Iterable[DistributionRow], span: tuple[int, int], told: Callable[[str, str], dict[str, Any]]
) -> Metric:
    """Microseconds of the index in the conventions' buckets; near a bound they may be off by the index's 2 %."""
    points = []
    for row in rows:
        counts = [0] * (len(BOUNDS) + 1)
        for bucket in row.buckets:
            counts[next((i for i, bound in enumerate(BOUNDS) if bucket.to / _MICRO <= bound), -1)] += bucket.count
        point = HistogramDataPoint(
            attributes=attributes(told(row.agent, row.name)),
            start_time_unix_nano=span[0],
            time_unix_nano=span[1],
            count=row.count,
            sum=row.total / _MICRO,
            bucket_counts=counts,
            explicit_bounds=BOUNDS,
        )
        points.append(point)
    return Metric(name=name, unit="s", histogram=Histogram(data_points=points, aggregation_temporality=_CUMULATIVE))

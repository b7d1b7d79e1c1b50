"""What Prometheus reads: sums that the index keeps. No label is a session, or anything that grows without end."""

from __future__ import annotations

import contextlib
from bisect import bisect_right
from collections import Counter, defaultdict
from itertools import accumulate
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from jackline.approvals import ApprovalError
from jackline.notices.target import NoticeError
from jackline_console.metric_labels import Bounded

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from prometheus_client.core import Metric

    from jackline.stores import DistributionRow, WaitRow
    from jackline_console.console import Console

    _Sums = dict[tuple[str, ...], tuple[float, ...]]

ACTS_S = tuple(0.01 * 2**n for n in range(14))
"""The semantic conventions' bounds of durations: 10 ms to 82 s."""
DECISIONS_S = tuple(0.00001 * 2**n for n in range(16))
"""10 us to 0.33 s."""
WAITS_S = (5.0, 15.0, 30.0, 60.0, 120.0, 300.0, 600.0, 1800.0, 3600.0, 4 * 3600.0, 24 * 3600.0)
SERIES = 500
"""Series of one family that are told apart."""
HISTOGRAMS = 200
"""The same of a histogram, whose series are 17 each."""
_ALERTS = 100_000
_USAGE = "gen_ai_client_inference_usage"
_TOKENS = {
    "input_tokens": ("input_tokens", "Tokens sent, cached ones included"),
    "output_tokens": ("output_tokens", "Tokens received, reasoning included"),
    "cache_read_input_tokens": ("cache_read_tokens", "Tokens sent that a cache had"),
    "cache_write_input_tokens": ("cache_write_tokens", "Tokens sent that were written to a cache"),
    "reasoning_output_tokens": ("reasoning_tokens", "Tokens received that were spent on reasoning"),
}
_DURATIONS = (
    ("model", "gen_ai_client_inference_duration_seconds", "gen_ai_request_model", "How long a model took to answer"),
    ("tool", "gen_ai_execute_tool_duration_seconds", "gen_ai_tool_name", "How long a tool took"),
)


class Metrics:
    """Everything at one moment. Numbers are since the index's beginning, so that they only grow."""

    def __init__(self, here: Console) -> None:
        self._here = here
        self._bounds: dict[str, Bounded] = defaultdict(lambda: Bounded(SERIES))
        self._bounds |= {name: Bounded(HISTOGRAMS) for _, name, _, _ in _DURATIONS}

    def registry(self) -> CollectorRegistry:
        """A registry that asks the index once."""
        found = CollectorRegistry(auto_describe=False)
        found.register(self)
        return found

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield from self._models()
        yield from self._durations()
        yield from self._tools()
        yield from self._decisions()
        yield from self._approvals()
        yield from self._alerts()
        yield from self._standing()

    def _models(self) -> Iterator[Metric]:
        rows = self._here.store.usage(("agent", "model"))
        labels = ("gen_ai_agent_name", "gen_ai_request_model")
        sums = self._bounds[_USAGE].sums(
            ((row.agent, row.model), (row.calls, *(getattr(row, column) for column, _ in _TOKENS.values())))
            for row in rows
        )
        for place, (name, (_, said)) in enumerate(_TOKENS.items(), 1):
            values = {key: found[place] for key, found in sums.items()}
            yield _counter(f"{_USAGE}_{name}", f"{said}, by agent and model", labels, values)
        money = self._bounds["money"].sums(((row.agent,), (row.cost_micro_usd, row.unpriced)) for row in rows)
        spent = {key: micro / 1e6 for key, (micro, _) in money.items()}
        yield _counter("jackline_session_cost_usd", "Dollars that were settled, by agent", ("agent",), spent)
        unpriced = {key: count for key, (_, count) in money.items()}
        yield _counter("jackline_llm_calls_unpriced", "Model calls whose price nobody knows", ("agent",), unpriced)

    def _durations(self) -> Iterator[Metric]:
        for what, name, label, said in _DURATIONS:
            rows = self._here.store.distributions(what, ("agent", "name"))
            sums = self._bounds[name].sums(((row.agent, row.name), _cumulative(row, ACTS_S)) for row in rows)
            yield _histogram(name, said, ("gen_ai_agent_name", label), sums, ACTS_S)

    def _tools(self) -> Iterator[Metric]:
        rows = self._here.store.tool_usage(("agent", "tool"))
        sums = self._bounds["tools"].sums(
            ((row.agent, row.tool), (row.calls, row.failures, row.denials)) for row in rows
        )
        told: dict[tuple[str, ...], float] = {}
        for key, (calls, failures, denials) in sums.items():
            told |= {(*key, "completed"): calls - failures, (*key, "failed"): failures, (*key, "denied"): denials}
        yield _counter("jackline_tool_calls", "Tool calls, by how they ended", ("agent", "tool", "outcome"), told)

    def _decisions(self) -> Iterator[Metric]:
        store = self._here.store
        rows = store.policy_usage(("policy", "effect", "mode"))
        sums = self._bounds["policies"].sums(((row.policy, row.effect, row.mode), (row.decisions,)) for row in rows)
        told = {key: count for key, (count,) in sums.items()}
        labels = ("policy", "verdict", "mode")
        yield _counter("jackline_policy_decisions", "Decisions, by the policy that decided", labels, told)
        took = self._bounds["took"].sums(
            ((row.name,), _cumulative(row, DECISIONS_S)) for row in store.distributions("decision", ("name",))
        )
        said = "How long deciding took, the ledger's hold among it, by the action that was asked for"
        yield _histogram("jackline_policy_decision_duration_seconds", said, ("action",), took, DECISIONS_S)

    def _approvals(self) -> Iterator[Metric]:
        here = self._here
        # Each is there from the beginning: a first answer that came with its series would be no increase.
        waits: _Sums = {(state,): (0.0,) * (2 + len(WAITS_S)) for state in ("consumed", "denied", "expired")}
        waits |= {(row.state,): _waited(row) for row in here.store.approval_waits(WAITS_S)}
        said = "From a question to people's answer, or to its end without one"
        yield _histogram("jackline_approval_wait_seconds", said, ("outcome",), waits, WAITS_S)
        try:
            pending = here.questions.pending()
        except ApprovalError:
            pending = ()
        yield GaugeMetricFamily("jackline_approvals_pending", "Questions that wait for people", value=len(pending))
        oldest = max((here.clock() - one.asked for one in pending), default=0.0)
        yield GaugeMetricFamily("jackline_approval_oldest_seconds", "How long the oldest one waits", value=oldest)

    def _alerts(self) -> Iterator[Metric]:
        here = self._here
        rules = here.alert_rules() if here.alerts.running else ()
        rows = here.store.alerts(open_only=True, limit=_ALERTS)
        reported = here.subjects.reported(row.group for row in rows)
        counts = Counter({(rule.name, rule.severity, "no"): 0 for rule in rules})
        for row, only in zip(rows, reported, strict=True):
            counts[row.rule, row.severity, "yes" if only else "no"] += 1
        open_ = self._bounds["alerts"].sums((key, (float(count),)) for key, count in counts.items())
        labels = ["rule", "severity", "reported"]
        fires = GaugeMetricFamily("jackline_alerts_firing", "Alerts that are not over", labels=labels)
        for key, (count,) in open_.items():
            fires.add_metric(key, count)
        yield fires
        waiting, dead = (
            GaugeMetricFamily(f"jackline_alert_deliveries_{name}", said, labels=["channel"])
            for name, said in (("waiting", "What channels are still to be told"), ("dead", "What was given up"))
        )
        with contextlib.suppress(NoticeError):  # an outbox that cannot be read takes no other number with it
            for one in here.channels.listed():
                waiting.add_metric([one.target.name], one.counts.waiting)
                dead.add_metric([one.target.name], one.counts.dead)
        yield from (waiting, dead)

    def _standing(self) -> Iterator[Metric]:
        here = self._here
        live = here.store.live(here.clock() - 300, 100_000)
        running = sum(row.state == "running" for row in live)
        yield GaugeMetricFamily("jackline_sessions_active", "Sessions whose processes run", value=running)
        yield GaugeMetricFamily("jackline_console_streams", "Streams that are served", value=len(here.streams))
        lag = here.tail.lag()
        yield GaugeMetricFamily("jackline_ingest_lag_events", "Lines that are not in the index yet", value=lag.events)
        yield GaugeMetricFamily("jackline_ingest_lag_bytes", "Bytes of those lines", value=lag.bytes)
        yield CounterMetricFamily("jackline_events_dropped", "Observations that were lost", value=here.lost_events())


def _counter(name: str, said: str, labels: Sequence[str], values: dict[tuple[str, ...], float]) -> Metric:
    family = CounterMetricFamily(name, said, labels=labels)
    for key, value in values.items():
        family.add_metric(key, value)
    return family


def _histogram(name: str, said: str, labels: Sequence[str], sums: _Sums, bounds: Sequence[float]) -> Metric:
    """From (count, sum, how many up to each bound) of each series."""
    family = HistogramMetricFamily(name, said, labels=labels)
    for key, (count, total, *upto) in sums.items():
        buckets = [(_le(bound), n) for bound, n in zip(bounds, upto, strict=True)]
        family.add_metric(key, [*buckets, ("+Inf", count)], total)
    return family


def _le(bound: float) -> str:
    """A bound as Go writes it, which is the form that the format asks for: `0.00016`, `1e-05`, `86400.0`."""
    return repr(float(bound))


def _cumulative(row: DistributionRow, bounds: Sequence[float]) -> tuple[float, ...]:
    """Count, seconds, and how many were not above each bound; the row's are microseconds."""
    counts = list(accumulate((one.count for one in row.buckets), initial=0))
    ends = [one.to for one in row.buckets]  # ascending
    return (row.count, row.total / 1e6, *(counts[bisect_right(ends, bound * 1e6)] for bound in bounds))


def _waited(row: WaitRow) -> tuple[float, ...]:
    upto = (sum(one.count for one in row.buckets if one.to <= bound) for bound in WAITS_S)
    return (row.count, row.seconds, *upto)

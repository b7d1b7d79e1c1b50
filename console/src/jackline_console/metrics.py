"""What Prometheus reads: sums that the index keeps. No label is a session, or anything that grows without end."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

from jackline.approvals import ApprovalError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.core import Metric

    from jackline_console.console import Console

_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""The semantic conventions' bounds of durations."""


def registry(here: Console) -> CollectorRegistry:
    """A registry that asks the index once."""
    found = CollectorRegistry(auto_describe=False)
    found.register(_Collected(here))
    return found


class _Collected:
    """Everything at one moment. Numbers are since the index's beginning, so that they only grow."""

    def __init__(self, here: Console) -> None:
        self._here = here

    def describe(self) -> Iterable[Metric]:
        """Nothing is known before it is asked for."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Every family."""
        yield from self._models()
        yield from self._durations()
        yield from self._decisions()
        yield from self._standing()

    def _models(self) -> Iterator[Metric]:
        prefix, labels = "gen_ai_client_inference_usage", ["gen_ai_agent_name", "gen_ai_request_model"]
        names = {"input_tokens": "sent", "output_tokens": "received"}
        names |= {"cache_read_input_tokens": "read from a cache", "cache_write_input_tokens": "written to a cache"}
        tokens = {
            name: CounterMetricFamily(f"{prefix}_{name}", f"Tokens {said}, by agent and model", labels=labels)
            for name, said in names.items()
        }
        cost = CounterMetricFamily("jackline_session_cost_usd", "Dollars that were settled, by agent", labels=["agent"])
        unpriced = CounterMetricFamily(
            "jackline_llm_calls_unpriced", "Model calls whose price nobody knows", labels=["agent"]
        )
        dollars: dict[str, tuple[int, int]] = {}
        for row in self._here.store.usage(("agent", "model")):
            key = [row.agent, row.model]
            tokens["input_tokens"].add_metric(key, row.input_tokens)
            tokens["output_tokens"].add_metric(key, row.output_tokens)
            tokens["cache_read_input_tokens"].add_metric(key, row.cache_read_tokens)
            tokens["cache_write_input_tokens"].add_metric(key, row.cache_write_tokens)
            spent, unknown = dollars.get(row.agent, (0, 0))
            dollars[row.agent] = (spent + row.cost_micro_usd, unknown + row.unpriced)
        for agent, (spent, unknown) in dollars.items():
            cost.add_metric([agent], spent / 1e6)
            unpriced.add_metric([agent], unknown)
        yield from (*tokens.values(), cost, unpriced)

    def _durations(self) -> Iterator[Metric]:
        store = self._here.store
        for what, name, label in (
            ("model", "gen_ai_client_inference_duration_seconds", "gen_ai_request_model"),
            ("tool", "gen_ai_execute_tool_duration_seconds", "gen_ai_tool_name"),
        ):
            family = HistogramMetricFamily(name, f"How long a {what} took", labels=["gen_ai_agent_name", label])
            for row in store.distributions(what, ("agent", "name")):
                counts = [(bucket.to / 1e6, bucket.count) for bucket in row.buckets]
                buckets = [(f"{bound}", sum(n for to, n in counts if to <= bound)) for bound in _SECONDS]
                family.add_metric([row.agent, row.name], [*buckets, ("+Inf", row.count)], row.total / 1e6)
            yield family
        tools = CounterMetricFamily(
            "jackline_tool_calls", "Tool calls, by how they ended", labels=["agent", "tool", "outcome"]
        )
        for used in store.tool_usage(("agent", "tool")):
            tools.add_metric([used.agent, used.tool, "completed"], used.calls - used.failures)
            tools.add_metric([used.agent, used.tool, "failed"], used.failures)
            tools.add_metric([used.agent, used.tool, "denied"], used.denials)
        yield tools

    def _decisions(self) -> Iterator[Metric]:
        family = CounterMetricFamily(
            "jackline_policy_decisions", "Decisions, by the policy that decided", labels=["policy", "verdict", "mode"]
        )
        for row in self._here.store.policy_usage(("policy", "effect", "mode")):
            family.add_metric([row.policy, row.effect, row.mode], row.decisions)
        yield family

    def _standing(self) -> Iterator[Metric]:
        here = self._here
        live = here.store.live(here.clock() - 300, 100_000)
        running = sum(row.state == "running" for row in live)
        yield GaugeMetricFamily("jackline_sessions_active", "Sessions whose processes run", value=running)
        try:
            pending = here.questions.pending()
        except ApprovalError:
            pending = ()
        yield GaugeMetricFamily("jackline_approvals_pending", "Questions that wait for people", value=len(pending))
        oldest = max((here.clock() - one.asked for one in pending), default=0.0)
        yield GaugeMetricFamily("jackline_approval_oldest_seconds", "How long the oldest one waits", value=oldest)
        yield GaugeMetricFamily("jackline_console_streams", "Streams that are served", value=len(here.streams))
        lag = here.tail.lag()
        yield GaugeMetricFamily("jackline_ingest_lag_events", "Lines that are not in the index yet", value=lag.events)
        yield GaugeMetricFamily("jackline_ingest_lag_bytes", "Bytes of those lines", value=lag.bytes)
        yield CounterMetricFamily("jackline_events_dropped", "Observations that were lost", value=here.lost_events())

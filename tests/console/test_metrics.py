"""What Prometheus reads: right numbers under the promised names, however agents and tools are called."""

from __future__ import annotations

import math
import re
import time
from pathlib import Path

import pytest
from prometheus_client import generate_latest
from prometheus_client.openmetrics.exposition import generate_latest as openmetrics
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parsed
from prometheus_client.parser import text_string_to_metric_families as parsed_plain

from jackline.events import AlertFired, AlertResolved, ApprovalDenied, Completed, Decided
from jackline.home import Home
from jackline.ingest import ingest
from jackline.testing.journals import AT, ONE, RUN, approval, completed, decided, story, write
from jackline_console.console import Console
from jackline_console.metric_labels import OTHER, Bounded
from jackline_console.metrics import HISTOGRAMS, SERIES
from jackline_console.settings import Settings

NAMES = ['"quoted"\\', "two\nlines", "<script>", "\u2028", "\x00\x1b", "x" * 5000, "other", "", "ünï\U0001f600"]


@pytest.fixture
def here(tmp_path):
    made = Console(Settings(home=Home(tmp_path / "home")))
    yield made
    made.close()


def filled(here, events):
    write(here.home.path, events)
    ingest(here.home.path, here.store)


def scraped(here):
    """Samples by name and labels, from OpenMetrics; the plain format has the same."""
    found = {}
    for family in parsed(openmetrics(here.metrics.registry()).decode()):
        for sample in family.samples:
            found[sample.name, frozenset(sample.labels.items())] = sample.value
    plain = generate_latest(here.metrics.registry()).decode()
    again = {(s.name, frozenset(s.labels.items())): s.value for f in parsed_plain(plain) for s in f.samples}
    assert {
        key: value for key, value in again.items() if key[0] != "jackline_ingest_lag_bytes"
    }.items() <= found.items()
    return found


def value(found, name, **labels):
    return found[name, frozenset(labels.items())]


def call(number, tool, agent="support@2", **more):
    act = {"session": ONE, "run": RUN, "span": f"{number:016x}", "action": "tool.call", "resource": tool}
    yield Decided(at=AT + 1, agent=agent, effect="allow", **act)
    yield Completed(at=AT + 2, duration_ms=5.5, **act, **more)


def test_the_numbers_are_those_of_the_journals(here):
    timed = [decided(f"1{n}", "tool.call", "crm.get", latency_us=took) for n, took in enumerate((15, 90, 3000))]
    denied = ApprovalDenied(at=AT + 41, approval="1" * 64, session=ONE, who="ana", why="no")
    filled(here, [*story(), *timed, approval("1"), denied])
    found = scraped(here)
    model = {"gen_ai_agent_name": "support@2", "gen_ai_request_model": "gpt-5-2026"}
    tokens = {"input_tokens": 100, "output_tokens": 20, "cache_read_input_tokens": 30, "reasoning_output_tokens": 5}
    for name, count in tokens.items():
        assert value(found, f"gen_ai_client_inference_usage_{name}_total", **model) == count
    assert value(found, "jackline_session_cost_usd_total", agent="support@2") == 0.0007
    for outcome, tool in (("completed", "crm.get"), ("failed", "mail.send"), ("denied", "crm.delete")):
        assert value(found, "jackline_tool_calls_total", agent="support@2", tool=tool, outcome=outcome) == 1
    assert value(found, "jackline_policy_decision_duration_seconds_count", action="tool.call") == 3
    assert value(found, "jackline_policy_decision_duration_seconds_sum", action="tool.call") == pytest.approx(0.003105)
    upto = [
        (le, value(found, "jackline_policy_decision_duration_seconds_bucket", action="tool.call", le=le))
        for le in ("1e-05", "2e-05", "0.00016", "0.00256", "0.00512", "+Inf")
    ]
    assert [count for _, count in upto] == [0, 1, 2, 2, 3, 3]
    assert value(found, "jackline_approval_wait_seconds_bucket", outcome="denied", le="30.0") == 0
    assert value(found, "jackline_approval_wait_seconds_bucket", outcome="denied", le="60.0") == 1
    assert value(found, "jackline_approval_wait_seconds_sum", outcome="denied") == 40


def test_whatever_agents_and_tools_are_called_it_can_be_read(here):
    events = [event for n, name in enumerate(NAMES) for event in call(n, name, agent=f"agent {name}")]
    filled(here, [*events, *(completed(f"a{n}", "model.call", name) for n, name in enumerate(NAMES))])
    found = scraped(here)
    tools = {dict(labels)["tool"] for name, labels in found if name == "jackline_tool_calls_total"}
    assert len(tools) == len(NAMES)
    assert {'"quoted"\\', "two\nlines", "<script>", "\x00\x1b"} <= tools
    assert max(map(len, tools)) == 100


def test_no_label_is_a_session(here):
    filled(here, story())
    labels = {(name, text) for _, labels in scraped(here) for name, text in labels}
    assert not {name for name, _ in labels} & {"session", "session_id", "run", "span", "user", "approval"}
    assert not [text for _, text in labels if ONE in text or RUN in text]


def test_thousands_of_names_do_not_make_thousands_of_series(here):
    """Of an attacker who invents tools: those known before keep their series, the rest is one sum, and nothing is lost."""
    filled(here, [event for n in range(3) for event in call(n, "crm.get")])
    first = scraped(here)
    flood = [event for n in range(3000) for event in call(10 + n, f"tool {n}")]
    filled(here, flood)
    found = scraped(here)
    counted = {key: count for key, count in found.items() if key[0] == "jackline_tool_calls_total"}
    assert len(counted) == 3 * (SERIES + 1)
    assert sum(counted.values()) == 3003
    kept = {"agent": "support@2", "tool": "crm.get", "outcome": "completed"}
    assert value(found, "jackline_tool_calls_total", **kept) == value(first, "jackline_tool_calls_total", **kept) == 3
    assert value(found, "jackline_tool_calls_total", agent="support@2", tool=OTHER, outcome="completed") > 2000
    counts = [count for (name, _), count in found.items() if name == "gen_ai_execute_tool_duration_seconds_count"]
    assert (len(counts), sum(counts)) == (HISTOGRAMS + 1, 3003)
    assert len(found) < 8000


def test_no_series_shrinks_while_names_come_and_grow():
    """A counter that went back would be read as one that began anew, and its whole sum as an increase."""
    bounded = Bounded(3)
    before = {}
    counts = {("a", "1"): 5, ("a", "2"): 1, ("b", "1"): 4}
    for step in range(30):
        counts[f"agent {step % 7}", f"tool {step}"] = 100 * step
        counts["a", "2"] += 1
        now = bounded.sums((key, (count,)) for key, count in counts.items())
        assert sum(count for (count,) in now.values()) == sum(counts.values())
        assert len(now) <= 3 + 3 + 1
        assert all(now[key] >= count for key, count in before.items())
        before = now
    assert before["a", "2"] == (31,)


def test_the_first_label_says_whose_the_sum_is():
    bounded = Bounded(2)
    rows = {("a", "1"): (9,), ("b", "1"): (8,), ("a", "2"): (3,), ("a", "3"): (2,), ("c", "1"): (1,)}
    assert bounded.sums(rows.items()) == {("a", "1"): (9,), ("b", "1"): (8,), ("a", OTHER): (5,), (OTHER, OTHER): (1,)}


def test_a_wide_index_is_read_in_time(here):
    """An answer that takes longer than Prometheus waits (10 s) is none."""
    filled(here, [event for n in range(2000) for event in call(n, f"tool {n % 400}", agent=f"agent {n % 50}")])
    began = time.perf_counter()
    text = generate_latest(here.metrics.registry())
    assert time.perf_counter() - began < 5
    assert len(text) < 1_500_000


def test_both_formats_are_served(console, client, agent):
    agent("job-1", "spend").told("now")
    plain = client.get(f"{console.base}/metrics", headers={"Accept": "*/*"})
    assert plain.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    asked = {"Accept": "application/openmetrics-text;version=1.0.0;q=0.8,text/plain;version=0.0.4;q=0.5"}
    whole = client.get(f"{console.base}/metrics", headers=asked)
    assert whole.headers["content-type"].startswith("application/openmetrics-text; version=1.0.0")
    names = {family.name for family in parsed(whole.text)}
    assert {"jackline_sessions_active", "jackline_approval_wait_seconds", "jackline_policy_decisions"} <= names
    odd = client.get(f"{console.base}/metrics", headers={"Accept": "application/openmetrics-text;version=x;;,"})
    assert odd.status_code == 200
    assert not any(math.isnan(s.value) for family in parsed(odd.text) for s in family.samples)
    assert console.plain().get(f"{console.base}/metrics").status_code == 401


def test_alerts_that_fire_are_counted_by_rule_and_severity(here):
    what = {"signal": "loop", "message": "x", "since": AT}
    rules = (("1", "loop", "warning"), ("2", "loop", "warning"), ("3", "new-tool", "info"))
    alerts = [
        AlertFired(at=AT, alert=digit * 32, rule=rule, severity=severity, state="firing", **what)
        for digit, rule, severity in rules
    ]
    over = AlertResolved(at=AT + 1, alert="2" * 32, rule="loop", severity="warning", **what)
    filled(here, [*alerts, over])
    found = scraped(here)
    assert value(found, "jackline_alerts_firing", rule="loop", severity="warning", reported="no") == 1
    assert value(found, "jackline_alerts_firing", rule="new-tool", severity="info", reported="no") == 1


def test_the_documentation_has_every_metric_and_no_other(here):
    """Names, types and labels, as Prometheus is told them."""
    text = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text(encoding="utf-8")
    table = text.partition("<!-- metrics:begin -->")[2].partition("<!-- metrics:end -->")[0]
    told, labels = {}, ()
    for line in table.strip().splitlines()[2:]:
        name, kind, said, _ = (cell.strip() for cell in line.strip("|").split("|"))
        labels = labels if said == "the same" else re.findall(r"`(\w+)`", said.partition(":")[0])
        told[name.strip("`")] = (kind, set(labels))
    alert = AlertFired(
        at=AT, alert="1" * 32, rule="r", signal="loop", severity="info", state="firing", message="", since=AT
    )
    filled(here, [*story(), decided("77", "tool.call", "x", latency_us=9), alert])
    made = {}
    for family in parsed(openmetrics(here.metrics.registry()).decode()):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        made[name] = (family.type, {label for sample in family.samples for label in sample.labels} - {"le"})
    empty = {name for name, (_, names) in made.items() if not names and told[name][1]}
    assert empty == {"jackline_alert_deliveries_waiting", "jackline_alert_deliveries_dead"}, "there is no channel"
    assert {name: kind for name, kind in made.items() if name not in empty} == {
        name: kind for name, kind in told.items() if name not in empty
    }


def test_an_outbox_that_cannot_be_read_takes_no_other_number_with_it(here):
    filled(here, story())
    here.channels.path.mkdir()
    found = scraped(here)
    assert value(found, "jackline_session_cost_usd_total", agent="support@2") == 0.0007
    assert here.channels.sent("a" * 32) == ()

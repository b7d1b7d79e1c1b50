"""Real instrumentations, written by others, send to a real console: cost, tokens, tools and lineage are right."""

from __future__ import annotations

import importlib.util
import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from console_harness import Running, until

from jackline.events import Usage
from jackline.home import Home
from jackline.opening import load_prices
from jackline.stores.sqlite import SQLiteStore
from jackline_console.access.users import Users

HERE = Path(__file__).parent
ASKED, ANSWERED = "gpt-4o-mini", "gpt-4o-mini-2024-07-18"
PACKAGES = {
    "opentelemetry": "opentelemetry.instrumentation.genai.langchain",
    "openinference": "openinference.instrumentation.langchain",
    "traceloop": "opentelemetry.instrumentation.langchain",
}
WAYS = ("batch", "each")
"""All spans at once, or each as it ends: before what is above it."""


def installed(name):
    try:
        return importlib.util.find_spec(name) is not None and importlib.util.find_spec("langchain") is not None
    except ModuleNotFoundError:
        return False


@pytest.fixture(scope="module")
def reported(tmp_path_factory):
    """A console, and what each instrumentation that is installed here reported to it."""
    folder = tmp_path_factory.mktemp("console")
    home = Home(folder / "home").make()
    _, token = Users(home.path / "console").issue("shop", "reporter", time.time(), None)
    console = Running(home.path, folder, config=folder / "config")
    try:
        found = {}
        for which, how in itertools.product(PACKAGES, WAYS):
            if installed(PACKAGES[which]):
                command = [sys.executable, str(HERE / "instrumented.py"), which, how, console.base, token]
                env = {**os.environ, "OTEL_SEMCONV_STABILITY_OPT_IN": "gen_ai_latest_experimental"}
                ran = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120, check=False)
                assert ran.returncode == 0, ran.stderr
                found[which, how] = json.loads(ran.stdout.splitlines()[-1])
        store = SQLiteStore(home.index)
        until(lambda: sum(row.state == "ended" for row in store.sessions()) == len(found), "every session")
        yield home, store, found
        store.close()
    finally:
        console.end()


@pytest.fixture(params=itertools.product(PACKAGES, WAYS), ids=" ".join)
def session(request, reported):
    _, store, found = reported
    if request.param not in found:
        pytest.skip(f"{PACKAGES[request.param[0]]} is not installed here")
    assert not found[request.param]["jackline"]  # it never imported us
    return store.session("-".join(("thread", *request.param)))


def test_cost_and_tokens_are_right(reported, session):
    home, _, _ = reported
    prices = load_prices(home)
    calls = [Usage(input=1000 + number, output=50) for number in (0, 1)]
    cached = [Usage(input=1000 + number, output=50, cache_read=100) for number in (0, 1)]
    told = calls if "openinference" in session.external_id else cached  # it does not say what was cached
    expected = sum(prices.cost(ANSWERED, "openai", usage, session.started).micro_usd for usage in told)
    assert (session.cost_micro_usd, session.unpriced) == (expected, 0)
    assert (session.input_tokens, session.output_tokens) == (2001, 100)
    assert (session.model_calls, session.tool_runs, session.failures) == (2, 1, 0)


def test_the_agent_is_there_and_clearly_not_governed(reported, session):
    _, store, _ = reported
    assert session.agents == ("adder",)
    assert (session.state, session.namespace, session.labels) == ("ended", "otlp", {"source": "otlp"})
    (agent,) = [row for row in store.agents() if row.agent == "adder"]
    assert (agent.managed, agent.status, agent.labels["source"]) == (False, "seen", "otlp")
    assert {tool.tool for tool in agent.tools} == {"add"}
    assert set(agent.models) <= {ASKED, ANSWERED}


def test_lineage_is_right(reported, session):
    _, store, _ = reported
    steps = store.spans(session.session)
    known = {step.span: step for step in steps}
    (root,) = [step for step in steps if not step.parent]
    assert (root.kind, root.name) == ("run", "adder")
    assert all(step.parent in known for step in steps if step is not root)
    assert [step.kind for step in steps if step.kind != "run"] == ["model.call", "tool.call", "model.call"]
    assert {step.agent for step in steps} == {"adder"}
    assert all(step.outcome == "completed" for step in steps if step.kind != "run")


def test_p65_model_provider_and_arguments_are_the_real_ones(reported, session):
    """P65: whatever wraps it, the same call has the same model and the same arguments."""
    _, store, found = reported
    steps = store.spans(session.session)
    models = [step for step in steps if step.kind == "model.call"]
    assert {step.model for step in models} == {ANSWERED}
    assert {step.name for step in models} <= {ASKED, ANSWERED}
    digests = {
        step.args
        for which, how in found
        if which != "opentelemetry"  # it sends arguments only where content is captured
        for step in store.spans(store.session(f"thread-{which}-{how}").session)
        if step.kind == "tool.call"
    }
    assert len(digests) <= 1
    assert digests != {""}

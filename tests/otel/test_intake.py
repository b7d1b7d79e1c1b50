"""What others report is on record once, under agents that are clearly not governed, whichever conventions it follows."""

from __future__ import annotations

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric, ResourceMetrics, ScopeMetrics
from reporting import SESSION, Desk, request, span

import jackline
from jackline.events import Usage
from jackline.opening import load_prices, open_registry
from jackline.registry import Registry
from jackline.request import Agent
from jackline_console import roster

NEW = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.input_tokens": 1000,
    "gen_ai.usage.output_tokens": 50,
    "gen_ai.usage.cache_read.input_tokens": 100,
}
OLD = {
    "gen_ai.operation.name": "chat",
    "gen_ai.system": "openai",
    "gen_ai.request.model": "gpt-4o-mini",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.completion_tokens": 50,
    "gen_ai.usage.cache_read_input_tokens": 100,
}
OPENINFERENCE = {
    "openinference.span.kind": "LLM",
    "llm.provider": "openai",
    "llm.request.model_name": "gpt-4o-mini",
    "llm.model_name": "gpt-4o-mini-2024-07-18",
    "llm.token_count.prompt": 1000,
    "llm.token_count.completion": 50,
    "llm.token_count.prompt_details.cache_read": 100,
    "llm.cost.total": 9.99,
}
TRACELOOP = {
    "llm.request.type": "chat",
    "gen_ai.system": "langchain",
    "gen_ai.request.model": "unknown",
    "gen_ai.response.model": "gpt-4o-mini-2024-07-18",
    "traceloop.association.properties.ls_provider": "openai",
    "traceloop.association.properties.ls_model_name": "gpt-4o-mini",
    "gen_ai.usage.prompt_tokens": 1000,
    "gen_ai.usage.completion_tokens": 50,
    "gen_ai.usage.cache_read_input_tokens": 100,
}
AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "buyer", "gen_ai.conversation.id": "c-1"}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add", "gen_ai.tool.call.id": "call_1"}


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def only(rows):
    (row,) = rows
    return row


def steps(desk, session):
    return {row.span: row for row in desk.store.spans(session)}


@pytest.mark.parametrize(
    "told", [NEW, OLD, OPENINFERENCE, TRACELOOP], ids=["current", "older", "openinference", "traceloop"]
)
def test_a_model_call_is_the_same_in_every_convention(desk, told):
    desk.report(span(1, told))
    session = only(desk.store.sessions())
    usage = Usage(input=1000, output=50, cache_read=100)
    cost = load_prices(desk.home).cost("gpt-4o-mini-2024-07-18", "openai", usage, session.started)
    assert (session.session, session.state) == (SESSION, "ended")
    assert (session.cost_micro_usd, session.unpriced, session.model_calls) == (cost.micro_usd, 0, 1)
    step = only(desk.store.spans(session.session))
    assert (step.kind, step.name, step.model) == ("model.call", "gpt-4o-mini", "gpt-4o-mini-2024-07-18")
    assert (step.input_tokens, step.output_tokens, step.cache_read_tokens) == (1000, 50, 100)
    assert (step.effect, step.mode, step.reason) == ("allow", "observe", "reported over OTLP: nothing judged it")
    assert step.duration_ms == pytest.approx(1000, abs=1)


def test_p71_both_generations_of_names_are_accepted(desk):
    """P71: official instrumentation emits new span attributes but the older metrics' names."""
    mixed = NEW | {"gen_ai.system": "other"}
    desk.report(span(1, mixed), span(2, OLD, at=2.0))
    session = only(desk.store.sessions())
    assert (session.input_tokens, session.output_tokens, session.unpriced) == (2000, 100, 0)
    known = ["gen_ai.client.token.usage", "gen_ai.client.operation.duration"]
    known += ["gen_ai.client.inference.usage.input_tokens", "gen_ai.execute_tool.duration"]
    sent = [Metric(name=name) for name in [*known, "http.server.duration"]]
    message = ExportMetricsServiceRequest(
        resource_metrics=[ResourceMetrics(scope_metrics=[ScopeMetrics(metrics=sent)])]
    )
    assert desk.send(message, "metrics").status_code == 200
    told = desk.counted()
    assert (told["metrics"], told["other_metrics"]) == (4, 1)
    assert only(desk.store.sessions()).input_tokens == 2000  # spans said it already


def test_p65_a_real_model_provider_and_arguments(desk):
    """P65: traceloop writes the model `unknown`, the provider `langchain`, and wraps arguments."""
    wrapped = '{"input_str": "{\'a\': 1, \'b\': 2}", "tags": ["seq:step:1"], "metadata": {"thread_id": "t"}}'
    plain = '{"b": 2, "a": 1}'
    bare = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "unknown", "gen_ai.provider.name": "langchain"}
    desk.report(
        span(1, TRACELOOP),
        span(2, TOOL | {"gen_ai.tool.call.arguments": wrapped}),
        span(3, {"openinference.span.kind": "TOOL", "tool.name": "add", "input.value": plain}),
        span(4, TOOL | {"traceloop.entity.input": '{"input_str": "", "inputs": {"a": 1, "b": 2}}'}),
        span(5, bare | {"gen_ai.usage.input_tokens": 5}),
    )
    found = steps(desk, SESSION)
    assert found["0000000000000001"].name == "gpt-4o-mini"
    assert found["0000000000000001"].cost_micro_usd > 0
    digests = {found[f"000000000000000{number}"].args for number in (2, 3, 4)}
    assert len(digests) == 1
    assert digests != {""}
    assert (found["0000000000000005"].name, found["0000000000000005"].cost_micro_usd) == ("unknown", None)
    assert only(desk.store.sessions()).unpriced == 1


def test_lineage_agents_and_tools(desk):
    desk.report(
        span(2, NEW, parent=9, at=0.1),
        span(9, {"http.request.method": "POST"}, parent=1),
        span(3, TOOL, parent=1, at=1.0),
        span(4, AGENT | {"gen_ai.agent.name": "seller"}, parent=3, at=1.1),
        span(5, NEW, parent=4, at=1.2, error=True),
        span(1, AGENT, took=10.0),
        **{"service.version": "7", "deployment.environment.name": "prod"},
    )
    session = only(desk.store.sessions())
    assert (session.external_id, session.application, session.namespace) == ("c-1", "shop", "otlp")
    assert (session.agents, session.runs, session.failures) == (("buyer@7", "seller@7"), 2, 1)
    assert session.state == "ended"
    found = {int(name, 16): row for name, row in steps(desk, session.session).items()}
    assert {number: row.parent for number, row in found.items()} == {
        1: "",
        2: "0000000000000001",
        3: "0000000000000001",
        4: "0000000000000003",
        5: "0000000000000004",
    }
    assert [found[number].agent for number in (2, 3, 5)] == ["buyer@7", "buyer@7", "seller@7"]
    assert (found[4].depth, found[5].outcome, found[5].error) == (1, "failed", "error")
    agents = {row.agent: row for row in desk.store.agents()}
    assert not any(row.managed for row in agents.values())
    assert {row.status for row in agents.values()} == {"seen"}
    assert (agents["buyer@7"].models, [tool.tool for tool in agents["buyer@7"].tools]) == (("gpt-4o-mini",), ["add"])
    assert (agents["buyer@7"].environment, agents["buyer@7"].labels) == ("prod", {"source": "otlp", "service": "shop"})
    assert desk.counted()["no_act"] == 1


def test_a_run_reported_after_what_it_holds_is_still_above_it(desk):
    """Exporters send children first, in requests of their own."""
    desk.report(span(3, NEW, parent=2, at=0.5))
    assert desk.counted()["held"] == 1
    desk.report(span(2, {"openinference.span.kind": "CHAIN"}, parent=1, at=0.4, name="graph"))
    desk.report(span(1, AGENT, took=9.0))
    assert desk.counted()["held"] == 0
    session = only(desk.store.sessions())
    found = steps(desk, session.session)
    assert [found[name].parent for name in ("0000000000000003", "0000000000000001")] == ["0000000000000001", ""]
    assert {row.agent for row in found.values()} == {"buyer"}
    assert (session.external_id, session.state) == ("c-1", "ended")


def test_one_call_that_two_instrumentations_report_counts_once(desk):
    desk.report(span(1, NEW, at=0.0, took=3.0), span(2, OPENINFERENCE, parent=1, at=1.0))
    assert only(desk.store.sessions()).input_tokens == 1000
    desk.report(span(12, NEW, parent=11, at=5.0))
    desk.report(span(11, {"openinference.span.kind": "LLM", "llm.token_count.prompt": 1000}, at=4.0, took=3.0))
    assert only(desk.store.sessions()).input_tokens == 2000


def test_totals_of_an_agent_s_own_span_are_not_counted_again(desk):
    desk.report(span(1, AGENT | {"gen_ai.usage.input_tokens": 1000}, took=5.0), span(2, NEW, parent=1))
    assert only(desk.store.sessions()).input_tokens == 1000


def test_a_retried_export_counts_once_and_after_a_restart_too(tmp_path):
    spans = span(1, AGENT, took=9.0), span(2, NEW, parent=1), span(3, TOOL, parent=1)
    with Desk(tmp_path) as desk:
        desk.report(*spans)
        desk.report(*spans)
        before = only(desk.store.sessions())
        assert (desk.counted()["spans"], desk.counted()["repeated"]) == (3, 3)
    with Desk(tmp_path) as desk:
        desk.report(*spans, span(4, NEW, parent=1, at=3.0))
        after = only(desk.store.sessions())
        assert (desk.counted()["spans"], desk.counted()["repeated"]) == (1, 3)
        assert (after.decisions, after.model_calls) == (before.decisions + 1, before.model_calls + 1)
        desk.app.state.console.otlp.memory.__init__()  # what was long ago is forgotten: the index still knows
        desk.report(*spans)
        assert only(desk.store.sessions()).model_calls == 2


def test_a_governed_agent_s_name_is_not_taken_from_it(desk, tmp_path):
    registry = Registry(desk.home.registry, lambda _event: None, lambda: 1.0)
    registry.agent(Agent(name="buyer", version="7"))
    desk.report(span(1, AGENT), **{"service.version": "7"})
    assert open_registry(desk.home).entries["buyer"].facts("7").managed
    assert only(desk.store.sessions()).agents == ("buyer (reported)@7",)
    assert not open_registry(desk.home).entries["buyer (reported)"].facts("7").managed


def test_names_do_not_fill_the_registry(desk, monkeypatch):
    monkeypatch.setattr("jackline_console.otlp.intake._AGENTS", 2)
    for number in range(1, 6):
        desk.report(span(number, AGENT | {"gen_ai.agent.name": f"a{number}"}, trace=f"{number:032x}"))
    assert {row.agent for row in desk.store.agents()} == {"a1", "a2", "other reported agents"}


def test_traces_without_an_act_leave_nothing(desk):
    desk.report(span(1, {"http.request.method": "GET"}), span(2, {"db.system": "sqlite"}, parent=1))
    assert desk.store.sessions() == []
    assert desk.counted()["no_act"] == 2


def test_times_that_cannot_be_are_now(desk):
    future, none = span(1, NEW, at=10**7), span(2, NEW, trace="2" * 32)
    none.start_time_unix_nano = none.end_time_unix_nano = 0
    desk.report(future, none)
    now = desk.app.state.console.clock()
    assert all(abs(row.started - now) < 60 and row.last_at <= now for row in desk.store.sessions())


def test_what_cannot_be_written_is_taken_when_it_is_sent_again(desk, monkeypatch):
    desk.report(span(9, NEW, trace="9" * 32))
    intake = desk.app.state.console.otlp
    write, left = intake.write, iter([True, False])

    def failing(event):
        if not next(left, False):
            raise jackline.errors.JournalError("Cannot write: no space left")
        write(event)

    monkeypatch.setattr(intake, "write", failing)
    answer = desk.send(request(span(1, NEW), span(2, NEW, at=1.0)))
    assert answer.status_code in (500, 503, 507)
    monkeypatch.setattr(intake, "write", write)
    desk.report(span(1, NEW), span(2, NEW, at=1.0))
    assert next(row for row in desk.store.sessions() if row.session == SESSION).input_tokens == 2000


def test_alerts_and_the_registry_s_page_tell_them_apart(desk):
    desk.report(span(1, AGENT), span(2, NEW, parent=1))
    assert desk.store.sessions()
    page = desk.client.get("/api/v1/agents", headers=desk.headers("viewer")).json()
    assert [(agent["name"], agent["managed"], agent["status"]) for agent in page["items"]] == [("buyer", False, "seen")]


def test_costs_tell_them_apart(desk):
    desk.report(span(1, NEW))
    spent = only(desk.store.sessions()).cost_micro_usd
    ask = {"by": "managed,agent", "since": 0}
    rows = desk.client.get("/api/v1/costs", params=ask, headers=desk.headers("viewer")).json()["items"]
    assert [(row["key"], row["cost_micro_usd"]) for row in rows] == [({"managed": "no", "agent": "shop"}, spent)]


def test_whoever_reports_cannot_write_into_a_governed_session(desk, tmp_path):
    """A trace's id is the reporter's choice: that of a governed session is not its session."""
    (tmp_path / "jackline.yaml").write_text("jackline: 1\npolicies: []\n", encoding="utf-8")
    with jackline.Guard.load(tmp_path / "jackline.yaml", home=desk.home.path, application="desk") as guard:
        with guard.session(id="job-1") as governed:
            request = guard.request("tool.call", "look", {})
            guard.complete(request, guard.require(request), "x")
        desk.report(span(1, AGENT | {"gen_ai.conversation.id": ""}, trace=governed.id), span(2, NEW, 1, governed.id))
        rows = {row.session: row for row in desk.store.sessions()}
    assert (rows[governed.id].namespace, rows[governed.id].model_calls, rows[governed.id].agents) == (
        "default",
        0,
        ("desk",),
    )
    other = next(row for row in rows.values() if row.session != governed.id)
    assert (other.namespace, other.external_id, other.model_calls) == ("otlp", governed.id, 1)


def test_a_guard_cannot_call_its_sessions_reported(tmp_path):
    with pytest.raises(jackline.errors.JacklineError, match="namespace 'otlp' is for sessions that are only reported"):
        jackline.Guard(home=tmp_path / "home", namespace="otlp")


@pytest.mark.parametrize("route", ["stop", "pause"])
def test_a_reported_session_cannot_be_held_and_the_answer_says_why(desk, route):
    desk.report(span(1, AGENT, took=1.0), span(2, NEW, parent=1))
    session = only(desk.store.sessions()).session
    answer = desk.client.post(
        f"/api/v1/sessions/{session}/{route}", json={"why": "enough"}, headers=desk.headers("operator")
    )
    problem = answer.json()
    assert (answer.status_code, problem["type"]) == (409, "urn:jackline:problem:reported")
    assert problem["detail"].startswith(f"session '{session}' is only reported, over OTLP: nothing of Jackline's")
    assert problem["hint"].startswith("jackline.init() in its process")
    assert not desk.store.audits(("session_stopped",))


def test_a_reported_agent_can_be_described_but_not_held(desk):
    desk.report(span(1, AGENT), span(3, TOOL, parent=1))
    assert desk.store.sessions()
    operator = desk.headers("operator")

    def patch(**given):
        return desk.client.patch("/api/v1/agents/buyer", json={"why": "w", **given}, headers=operator).status_code

    assert [patch(status="active", team="shop"), patch(status="suspended"), patch(permit={"add": "*"})] == [
        200,
        409,
        409,
    ]
    for act in ("suspend", "tools/add/suspend", "tools/add/resume"):
        assert desk.client.post(f"/api/v1/agents/buyer/{act}", json={"why": "w"}, headers=operator).status_code == 409
    view = desk.client.get("/api/v1/agents/buyer", headers=operator).json()
    assert (view["status"], view["team"], view["managed"], view["reported"]) == ("active", "shop", False, True)


def test_sessions_are_told_apart(desk):
    desk.report(span(1, NEW))
    assert desk.store.sessions()
    asked = {
        said: desk.client.get("/api/v1/sessions", params={"reported": said}, headers=desk.headers("viewer")).json()
        for said in ("true", "false")
    }
    assert [row["reported"] for row in asked["true"]["items"]] == [True]
    assert asked["false"]["items"] == []


def test_an_agent_that_is_judged_at_a_boundary_keeps_its_name(desk):
    """Unmanaged is not reported: what asks the Decision API or passes the gateway is judged there."""
    registry = Registry(desk.home.registry, lambda _event: None, lambda: 1.0)
    registry.agent(Agent(name="buyer", version="7", managed=False, labels={"source": "decision-api"}))
    desk.report(span(1, AGENT), **{"service.version": "7"})
    assert only(desk.store.sessions()).agents == ("buyer (reported)@7",)
    viewer = desk.headers("viewer")
    views = {one["name"]: one for one in desk.client.get("/api/v1/agents", headers=viewer).json()["items"]}
    assert {name: one["reported"] for name, one in views.items()} == {"buyer": False, "buyer (reported)": True}


def test_an_agent_that_is_seen_while_the_page_is_made_is_on_it(desk, monkeypatch):
    real = roster.inventory.agents

    def later(home, *more):
        Registry(home.registry, lambda _event: None, lambda: 1.0).agent(Agent(name="newcomer"))
        return real(home, *more)

    monkeypatch.setattr(roster.inventory, "agents", later)
    answer = desk.client.get("/api/v1/agents", headers=desk.headers("viewer"))
    assert (answer.status_code, [one["name"] for one in answer.json()["items"]]) == (200, ["newcomer"])

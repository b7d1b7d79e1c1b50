"""How agents, crews and flows start: who is registered, in which session, what is refused before anything happens."""

from __future__ import annotations

from typing import Any

import pytest
from crew_fakes import Bodies, Scripted, agent, asking, calling, crew, delegating, fake, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact, refuse
from crewai import Agent, Crew, Task
from crewai.agents.agent_builder.base_agent import BaseAgent
from crewai.flow.flow import Flow, start
from crewai.tools import tool
from crewai.tools.tool_failure import ToolExecutionFailedError, ToolFailurePolicy

import jackline_crewai
from jackline.decision import Claim, Verdict
from jackline.errors import Denied
from jackline_crewai.runs import VERSION


def test_every_agent_of_a_crew_is_known_from_its_start(guards: Any) -> None:
    guard = guards()
    jackline_crewai.enable(guard)
    idle = agent(fake(), role="idle ")
    busy = agent(fake(), role="busy")
    task = Task(description="do it", expected_output="x", agent=busy)
    run(Crew(name="desk", agents=[busy, idle], tasks=[task]))
    seen = {event.agent.name: event for event in on_record(guard, "agent_seen")}
    assert seen.keys() == {"tests", "busy", "idle"}
    known = seen["idle"].agent
    assert (known.framework, known.framework_version, known.labels) == ("crewai", VERSION, {"crew": "desk"})
    assert seen["idle"].models == ("gpt-4o-mini",)


def test_tools_are_registered_with_the_names_that_they_were_given(guards: Any) -> None:
    guard = guards()
    jackline_crewai.enable(guard)

    @tool("crm.Get Order")
    def get_order(order: str) -> str:
        """Look an order up."""
        return f"order {order}"

    run(crew(fake(calling(("crm_get_order", {"order": "o-1"}))), get_order))
    (seen,) = [event.tool for event in on_record(guard, "tool_seen")]
    assert seen.name == "crm.Get Order"
    assert seen.parameters["properties"].keys() == {"order"}
    assert ("tool.call", "crm.Get Order", "allow") in acts(guard)


@pytest.mark.parametrize(
    ("inputs", "session", "user"),
    [({"topic": "x"}, "", ""), ({"session_id": "s-1", "user_id": "u-1"}, "s-1", "u-1")],
)
def test_the_inputs_of_a_crew_name_its_session(guards: Any, inputs: dict[str, str], session: str, user: str) -> None:
    guard = guards()
    jackline_crewai.enable(guard)
    made = crew(fake())
    made.kickoff(inputs=inputs)
    made.kickoff(inputs=inputs)
    started = on_record(guard, "session_started")
    assert {(event.external_id, event.user) for event in started} == {(session, user)}
    assert len(started) == (1 if session else 2)


def test_a_flow_and_its_crews_and_agents_are_one_session(guards: Any) -> None:
    guard = guards()
    jackline_crewai.enable(guard)

    class Desk(Flow):
        @start()
        def go(self) -> Any:
            crew(fake()).kickoff(inputs={"session_id": "another"})
            return agent(fake(), role="alone").kickoff("hi")

    Desk().kickoff(inputs={"jackline_session_id": "s-1"})
    (started,) = on_record(guard, "session_started")
    assert started.external_id == "s-1"
    runs = [(event.agent, event.depth) for event in on_record(guard, "run_started")]
    assert runs == [("tests", 0), ("worker", 0), ("alone", 0)]
    assert "agent.spawn" not in [action for action, _, _ in acts(guard)]


def test_what_is_not_attached_is_left_alone(guards: Any) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"))
    mine, other = (crew(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()) for _ in range(2))
    assert guard.attach(mine) is mine
    run(mine)
    assert bodies.ran == {}
    run(other)
    assert bodies.ran == {"send_mail": 1}
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["deny"]


def test_what_a_task_asks_for_is_not_changed_but_refused(guards: Any) -> None:
    guard = guards(redact("agent.spawn", old="mail", new="[gone]"))
    jackline_crewai.enable(guard)
    made, boss, mailer = delegating(True)
    run(made)
    assert mailer.calls == 0
    assert "what a task asks for cannot be changed" in boss.seen[-1]
    assert_accounted(guard)


def test_what_a_started_agent_is_given_is_changed(guards: Any) -> None:
    guard = guards(redact("agent.spawn", old="sesame", new="[gone]"))
    jackline_crewai.enable(guard)
    inner = fake()

    @tool("ask")
    def ask(what: str) -> str:
        """Ask another agent."""
        return str(agent(inner, role="other").kickoff(what).raw)

    run(crew(fake(calling(("ask", {"what": "sesame"}))), ask))
    assert "[gone]" in inner.seen[0]
    assert "sesame" not in inner.seen[0]


class Outside(BaseAgent):
    """Stands for an agent of CrewAI's OpenAI adapter."""

    ran: Any = None

    def execute_task(self, task: Any, context: Any = None, tools: Any = None) -> str:
        self.ran.append(task)
        return "ran"

    async def aexecute_task(self, task: Any, context: Any = None, tools: Any = None) -> str:
        return self.execute_task(task)

    def create_agent_executor(self, tools: Any = None) -> None: ...
    def get_delegation_tools(self, agents: Any) -> list[Any]:
        return []

    def get_platform_tools(self, apps: Any) -> list[Any]:
        return []

    def get_mcp_tools(self, mcps: Any) -> list[Any]:
        return []


@pytest.mark.parametrize(("mode", "runs"), [("enforce", 0), ("observe", 1)])
def test_an_agent_that_works_outside_of_crewai_is_refused(
    guards: Any, mode: str, runs: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Outside, "__module__", "crewai.agents.agent_adapters.openai_agents.openai_adapter")
    jackline_crewai.enable(guards(mode=mode))
    ran: list[Any] = []
    outside = Outside(role="outside", goal="g", backstory="b", ran=ran)
    task = Task(description="do it", expected_output="x")
    if runs:
        assert outside.execute_task(task) == "ran"
    else:
        with pytest.raises(Denied, match="the models and tools of a Outside run outside of CrewAI"):
            outside.execute_task(task)
    assert len(ran) == runs


@pytest.mark.parametrize("native", [True, False])
def test_a_reason_that_speaks_of_too_many_tokens_is_no_full_context(guards: Any, native: bool) -> None:
    guard = guards(refuse("model.call", reason="too many tokens"))
    jackline_crewai.enable(guard)
    with pytest.raises(Denied, match="too many tokens"):
        run(crew(fake(native=native), Bodies().mail(), respect_context_window=False))
    assert acts(guard) == [("model.call", "gpt-4o-mini", "deny")]


def test_a_denial_is_a_failure_to_who_wants_failures_raised(guards: Any) -> None:
    jackline_crewai.enable(guards(deny("send_mail")))
    made = crew(
        fake(asking(True, "send_mail", {"to": "x"})), Bodies().mail(), tool_failure_policy=ToolFailurePolicy.RAISE
    )
    with pytest.raises(ToolExecutionFailedError, match="Not permitted by policy 'p0': not that one"):
        run(made)


class Counting(Scripted):
    """Keeps a count of its own, as models keep an identifier of their last answer."""

    _answered: int = 0

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self._answered += 1
        return super().call(messages, *args, **kwargs)


def test_a_smaller_limit_goes_to_a_copy_of_the_model(guards: Any) -> None:
    claim = Claim(scope="t", unit="tokens", cap=1000, fixed=100, per_output=1_000_000)
    guard = guards(
        Policy(
            lambda _request: Verdict(effect="allow", claims=(claim,), output=5000, shrink=True),
            "model.call",
            phase="meter",
        )
    )
    jackline_crewai.enable(guard)
    llm = fake("hi", kind=Counting)
    llm.call([{"role": "user", "content": "hi"}])
    assert llm.limits == [900]
    assert llm.max_tokens is None
    assert llm._answered == 1
    assert llm.get_token_usage_summary().prompt_tokens == 10


def test_agents_built_before_are_governed_too(guards: Any) -> None:
    bodies = Bodies()
    built = crew(fake(asking(False, "send_mail", {"to": "x"}), native=False), bodies.mail())
    assert isinstance(built.agents[0], Agent)
    jackline_crewai.enable(guards(deny("send_mail")))
    run(built)
    assert bodies.ran == {}

"""What an agent says last, however it comes to say it, and what is no tool though it looks like one."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Provider, Shelf, async_tools
from llama_harness import acts, agent, everything, job_of, process, run
from llama_index.core.agent.workflow import AgentOutput, AgentWorkflow, FunctionAgent
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.llms import ChatMessage, MockLLM
from llama_index.core.prompts import PromptTemplate
from llama_index.core.query_engine import RetrieverQueryEngine
from llama_index.core.response_synthesizers import get_response_synthesizer
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import StartEvent, StopEvent, Workflow, step
from pydantic import BaseModel

from jackline.errors import Denied
from jackline.testing.paths import Call, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import on_record, refusing, replacing
from jackline.testing.story import FIND, HIDDEN, LEAK, NO

if TYPE_CHECKING:
    from jackline.testing.paths import Job
    from jackline.testing.scripted import Guards


def direct(job: Job) -> Any:
    """An agent whose tool's result is its answer."""

    def find(query: str) -> str:
        """Search."""
        job.bodies.run("find", query=query)
        return f"it is {LEAK} indeed"

    return agent(job, [FunctionTool.from_defaults(find, return_direct=True)])


def test_a_result_that_is_the_answer_is_judged_as_output(guards: Guards) -> None:
    guard = process(guards, replacing("output", LEAK, HIDDEN))
    job = job_of(guard, (Step(calls=(FIND,)),))
    seen, answer = asyncio.run(everything(direct(job)))
    assert answer == f"it is {HIDDEN} indeed"
    assert not [text for text in seen if LEAK in text and "FunctionTool" not in text]
    assert ("output", "worker", "modify") in acts(guard)
    assert_accounted(guard)


def test_a_result_that_is_a_refused_answer_ends_the_run(guards: Guards) -> None:
    guard = process(guards, refusing("output", NO, agent=""))
    job = job_of(guard, (Step(calls=(FIND,)),))
    with pytest.raises(Denied, match=NO):
        run(direct(job))
    guard.close()
    assert_accounted(guard)


@pytest.mark.skipif(
    not hasattr(BaseWorkflowAgent, "_generate_early_stopping_response"), reason="this version has no early answer"
)
@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_what_is_said_when_steps_run_out_is_an_output(guards: Guards, kind: str) -> None:
    guard = process(guards, replacing("output", LEAK, HIDDEN))
    job = job_of(guard, (Step(f"it is {LEAK} indeed", calls=(FIND,)),))
    made = agent(job, early_stopping_method="generate")
    if kind == "AgentWorkflow":
        made = AgentWorkflow(agents=[made], early_stopping_method="generate")
    assert run(made, max_iterations=1) == f"it is {HIDDEN} indeed"
    assert [act for act in acts(guard) if act[0] == "output"] == [("output", "worker", "modify")]
    guard.close()
    assert_accounted(guard)


class Speaking(FunctionAgent):
    """An agent of somebody's own that says what its model did not."""

    async def take_step(self, *_: Any) -> AgentOutput:
        return AgentOutput(response=ChatMessage(f"it is {LEAK} indeed", role="assistant"), current_agent_name=self.name)


class Adding(FunctionAgent):
    """One that says more than its model."""

    async def take_step(self, *args: Any) -> AgentOutput:
        output = await super().take_step(*args)
        output.response = ChatMessage(f"{output.response.content}: it is {LEAK} indeed", role="assistant")
        return output


@pytest.mark.parametrize(("kind", "said"), [(Speaking, "it is"), (Adding, "done: it is")])
@pytest.mark.parametrize("within", [False, True])
def test_what_an_agent_says_without_its_model_is_an_output(guards: Guards, kind: Any, said: str, within: bool) -> None:
    guard = process(guards, replacing("output", LEAK, HIDDEN))
    job = job_of(guard, (Step("done"),))
    made = kind(name="worker", llm=Provider(job), tools=[])
    _, answer = asyncio.run(everything(AgentWorkflow(agents=[made]) if within else made))
    assert answer == f"{said} {HIDDEN} indeed"
    assert ("output", "worker", "modify") in acts(guard)
    guard.close()
    assert_accounted(guard)


def test_what_an_agent_says_without_its_model_can_be_refused(guards: Guards) -> None:
    guard = process(guards, refusing("output", NO, agent=""))
    with pytest.raises(Denied, match=NO):
        run(Speaking(name="worker", llm=Provider(job_of(guard)), tools=[]))


class Person(BaseModel):
    """A person."""

    name: str


def test_reading_an_answer_into_a_class_is_no_call_of_a_tool(guards: Guards) -> None:
    guard = process(guards, refusing("tool.call", NO, agent=""))
    job = job_of(guard, (Step(calls=(Call("Person", {"name": "ann"}),)),))
    found = Provider(job).structured_predict(Person, PromptTemplate("who is {name}"), name="ann")
    assert found == Person(name="ann")
    assert [act[0] for act in acts(guard)] == ["model.call"]
    assert_accounted(guard)


def test_an_engine_that_is_attached_is_followed_to_what_it_asks(guards: Guards) -> None:
    guard = guards()
    job = job_of(guard)
    engine = RetrieverQueryEngine(Shelf(job), get_response_synthesizer(llm=MockLLM()))
    engine.query("before")
    assert acts(guard) == []
    assert guard.attach(engine) is engine
    engine.query("q")
    asyncio.run(engine.aquery("q"))
    assert {act[0] for act in acts(guard)} == {"retrieval", "model.call"}
    assert len(acts(guard)) == 4
    Shelf(job).retrieve("another one")
    assert len(acts(guard)) == 4


def test_one_attached_agent_governs_the_workflow_that_it_is_in(guards: Guards) -> None:
    guard = guards(refusing("tool.call", NO, agent="", tool="find"))
    job = job_of(guard, (Step(calls=(FIND,)), Step("all is done")))
    made = agent(job, description="Works.")
    guard.attach(made)
    other = FunctionAgent(name="other", description="Another.", llm=Provider(job), tools=async_tools(job))
    assert run(AgentWorkflow(agents=[other, made], root_agent="other")) == "all is done"
    assert not job.bodies.ran


class Flow(Workflow):
    """A workflow of one's own that asks an agent."""

    @step
    async def ask(self, ev: StartEvent) -> StopEvent:
        return StopEvent(result=str(await ev.agent.run(user_msg="go")))


def test_a_workflow_of_ones_own_is_the_agent_that_starts_others(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, (Step(calls=(FIND,)), Step("all is done")))

    async def main() -> str:
        return str(await Flow().run(agent=agent(job), session_id="job-1"))

    assert asyncio.run(main()) == "all is done"
    assert ("agent.spawn", "worker", "allow") in acts(guard)
    outer, inner = on_record(guard, "run_started")
    assert (outer.agent, inner.agent, inner.parent_run, inner.depth) == ("Flow", "worker", outer.run, 1)
    assert outer.session == inner.session
    assert len(on_record(guard, "session_ended")) == 1
    assert_accounted(guard)


def test_two_guards_judge_each_act_and_one_refusal_is_enough(guards: Guards) -> None:
    first = process(guards)
    second = process(guards, refusing("tool.call", NO, agent="", tool="find"))
    job = job_of(first, (Step(calls=(FIND,)), Step("all is done")))
    assert run(agent(job)) == "all is done"
    assert not job.bodies.ran
    first.close()
    second.close()
    for guard in (first, second):
        assert [event.agent for event in on_record(guard, "run_started")] == ["worker"]
        assert [act[:2] for act in acts(guard)] == [
            ("model.call", "gpt-4o-mini"),
            ("tool.call", "find"),
            ("model.call", "gpt-4o-mini"),
        ]
        assert_accounted(guard)

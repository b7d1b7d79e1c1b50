"""Ways round that a review found: agents that start themselves, agents that are resumed, tools of a moment."""

from __future__ import annotations

import asyncio
import gc
import inspect
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest
from llama_fakes import Boss, Provider, async_tools, raw
from llama_harness import acts, agent, everything, job_of, process, run
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.agent.workflow.base_agent import BaseWorkflowAgent
from llama_index.core.llms import ChatMessage, ChatResponse
from llama_index.core.tools import FunctionTool
from llama_index.core.workflow import (
    StartEvent,
    StopEvent,
    Workflow,
    step,
)

from jackline.errors import Denied
from jackline.testing.paths import Call, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import at_most, on_record, refusing, replacing
from jackline.testing.story import FIND, HIDDEN, LEAK, NO
from jackline_llamaindex import offers
from jackline_llamaindex.tools import _KNOWN, known

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from jackline.testing.scripted import Guards


def starting(job: Any, run_it: Any) -> Any:
    """An agent whose only tool starts something."""

    async def delegate(task: str) -> str:
        """Start it."""
        return str(await run_it(task))

    return FunctionAgent(name="boss", llm=Boss(job), tools=[FunctionTool.from_defaults(async_fn=delegate)])


@pytest.mark.parametrize("allowed", [0, 1])
def test_an_agent_that_starts_itself_is_asked_for(guards: Guards, allowed: int) -> None:
    guard = process(guards, refusing("agent.spawn", NO, agent="boss" if not allowed else "nobody"))
    job = job_of(guard)
    begun: list[str] = []

    async def again(task: str) -> str:
        begun.append(task)
        return "enough" if len(begun) > 1 else str(await made.run(user_msg=task))

    made = starting(job, again)
    run(made)
    assert len(begun) == 1 + allowed
    asked = [act for act in acts(guard) if act[0] == "agent.spawn"]
    assert asked == [("agent.spawn", "boss", "allow" if allowed else "deny")]
    runs = {event.run for event in on_record(guard, "decided") if event.action == "model.call"}
    assert len(runs) == 1 + allowed
    guard.close()
    assert_accounted(guard)


class Flow(Workflow):
    """A workflow with a step that is called like one of an agent's."""

    ran = 0

    @step
    async def init_run(self, ev: StartEvent) -> StopEvent:
        type(self).ran += 1
        return StopEvent("done")


def test_a_step_that_is_called_like_an_agents_first_one_is_none(guards: Guards) -> None:
    guard = process(guards, refusing("agent.spawn", NO, agent=""))
    Flow.ran = 0

    async def flow(_: str) -> Any:
        return await Flow().run()

    run(starting(job_of(guard), flow))
    assert ("agent.spawn", "Flow", "deny") in acts(guard)
    assert not Flow.ran


def test_an_agent_that_is_resumed_by_another_one_is_asked_for(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    """One that goes on in a context that was kept has no first step, where its start is asked for else."""
    guard = process(guards, refusing("agent.spawn", NO, agent=""))
    job = job_of(guard, (Step("done"),))
    worker = FunctionAgent(name="worker", llm=Provider(job), tools=[])

    async def resumed(task: str) -> Any:
        return await worker.run(user_msg=task)

    with monkeypatch.context() as patch:
        patch.setattr(BaseWorkflowAgent, "init_run", inspect.unwrap(BaseWorkflowAgent.init_run))
        run(starting(job_of(guard), resumed))
    assert ("agent.spawn", "worker", "deny") in acts(guard)
    assert not job.bodies.sent
    guard.close()
    assert_accounted(guard)


class Slow(Provider):
    """A model that takes its time."""

    async def astream_chat(self, messages: Any, **kwargs: Any) -> Any:
        await asyncio.sleep(0.2)
        return await super().astream_chat(messages, **kwargs)


@pytest.mark.parametrize("kind", ["FunctionAgent", "AgentWorkflow"])
def test_what_a_step_asks_for_when_its_run_was_cancelled_is_accounted_for(guards: Guards, kind: str) -> None:
    """LlamaIndex lets a step go on when the task that awaits the run is cancelled."""
    guard = process(guards)
    calls = (FIND, Call("handoff", {"to_agent": "other", "reason": "so"})) if kind == "AgentWorkflow" else (FIND, FIND)
    job = job_of(guard, (Step(calls=calls), Step("done")))
    made = FunctionAgent(name="worker", description="Works.", llm=Slow(job), tools=async_tools(job))
    if kind == "AgentWorkflow":
        other = FunctionAgent(name="other", description="Another.", llm=Slow(job), tools=[])
        made = AgentWorkflow(agents=[made, other], root_agent="worker")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(made.run(user_msg="go"), 0.1)
        await asyncio.sleep(0.6)

    asyncio.run(main())
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("streaming", [False, True])
def test_what_a_provider_says_beside_a_changed_answer_goes_with_it(guards: Guards, streaming: bool) -> None:
    class Thinking(Provider):
        def _thought(self) -> ChatResponse:
            message = ChatMessage(f"it is {LEAK}", role="assistant")
            beside = {"thinking_delta": f"{LEAK} is it", "prompt_tokens": 1, "completion_tokens": 2}
            return ChatResponse(message=message, delta=message.content, additional_kwargs=beside)

        async def achat(self, messages: Any, **kwargs: Any) -> ChatResponse:
            return self._thought()

        async def astream_chat(self, messages: Any, **kwargs: Any) -> AsyncIterator[ChatResponse]:
            async def pieces() -> AsyncIterator[ChatResponse]:
                yield self._thought()

            return pieces()

    guard = process(guards, replacing("model.return", LEAK, HIDDEN))
    made = FunctionAgent(name="worker", llm=Thinking(job_of(guard)), tools=[], streaming=streaming)
    seen, answer = asyncio.run(everything(made))
    assert answer == f"it is {HIDDEN}"
    assert not [text for text in seen if LEAK in text]


def test_tools_of_a_moment_leave_nothing_behind(guards: Guards) -> None:
    guard = process(guards)
    run(agent(job_of(guard, (Step("done"),))))
    gc.collect()
    before = len(_KNOWN)
    for _ in range(3):
        run(agent(job_of(guard, (Step("done"),))))
    gc.collect()
    assert len(_KNOWN) <= before


def test_a_tool_whose_parameters_have_no_schema_can_be_called(guards: Guards) -> None:
    guard = process(guards)

    def called(how: Callable[[], int]) -> int:
        """Call it."""
        return how()

    tool = FunctionTool.from_defaults(called)
    assert tool(how=lambda: 3).raw_output == 3
    assert acts(guard) == [("tool.call", "called", "allow")]
    assert known(tool).tool.parameters == {}


class Counting(Provider):
    """A model as OpenAI's: where a stream's tokens are asked for, they come in a part of their own."""

    additional_kwargs: dict[str, Any] = {}

    def _pieces(self, kwargs: dict[str, Any]) -> Iterator[ChatResponse]:
        choice = SimpleNamespace(choices=[1], model="m", usage=None)
        yield ChatResponse(message=ChatMessage("done", role="assistant"), delta="done", raw=choice)
        if kwargs.get("stream_options"):
            counts = SimpleNamespace(choices=[], model="m", usage=raw()["usage"])
            yield ChatResponse(message=ChatMessage("done", role="assistant"), delta="", raw=counts)

    def stream_chat(self, messages: Any, **kwargs: Any) -> Iterator[ChatResponse]:
        return self._pieces(kwargs)

    async def astream_chat(self, messages: Any, **kwargs: Any) -> AsyncIterator[ChatResponse]:
        async def pieces() -> AsyncIterator[ChatResponse]:
            for piece in self._pieces(kwargs):
                yield piece

        return pieces()


Counting.__module__ = "llama_index.llms.openai.base"


class Likewise(Counting):
    """A model of somebody's own, of OpenAI's kind, whose server may know no such option."""


Likewise.__bases__ = (type("OpenAILike", (Counting,), {"__module__": "llama_index.llms.openai_like.base"}),)


def streamed(llm: Any, asynchronous: bool, **kwargs: Any) -> list[str]:
    async def gathered() -> list[str]:
        return [part.delta async for part in await llm.astream_chat([ChatMessage("hi")], **kwargs)]

    if asynchronous:
        return asyncio.run(gathered())
    return [part.delta for part in llm.stream_chat([ChatMessage("hi")], **kwargs)]


@pytest.mark.parametrize("asynchronous", [False, True])
def test_the_part_that_tells_tokens_is_for_the_caller_who_asked_for_them_l22(
    guards: Guards, asynchronous: bool
) -> None:
    guard = process(guards)
    job = job_of(guard)
    assert streamed(Counting(job), asynchronous) == ["done"]
    assert streamed(Counting(job), asynchronous, stream_options={"include_usage": True}) == ["done", ""]
    assert [(done.usage.input, done.usage.estimated) for done in on_record(guard, "completed")] == [
        (raw()["usage"]["prompt_tokens"], False)
    ] * 2


def test_a_server_that_is_like_openais_is_not_asked_for_tokens_l22(guards: Guards) -> None:
    assert offers.tells_usage_on_request(Counting(None))
    assert not offers.tells_usage_on_request(Likewise(None))


class Persistent(FunctionTool):
    """Tries its body again, with the same arguments."""

    def call(self, *args: Any, **kwargs: Any) -> Any:
        super().call(*args, **kwargs)
        return super().call(*args, **kwargs)

    async def acall(self, *args: Any, **kwargs: Any) -> Any:
        await super().acall(*args, **kwargs)
        return await super().acall(*args, **kwargs)


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_each_run_of_a_body_that_a_class_tries_again_is_a_call(guards: Guards, mode: str) -> None:
    guard = process(guards, at_most(1, "tool.call", "pay"))
    ran: list[str] = []

    def pay(order: str) -> str:
        """Pay."""
        ran.append(order)
        return "paid"

    tool = Persistent.from_defaults(fn=pay)
    with guard.session(id="job"), pytest.raises(Denied, match="1 calls per session"):
        tool.call(order="o-1") if mode == "sync" else asyncio.run(tool.acall(order="o-1"))
    assert ran == ["o-1"]
    guard.close()
    assert_accounted(guard)

"""What a review found: ways round an attached object's copies, calls and words outside of an agent's turns."""

from __future__ import annotations

import asyncio
import contextvars
import logging
from typing import TYPE_CHECKING, Any

import pytest
from crew_fakes import MODES, Bodies, Scripted, agent, asking, crew, fake, final, run
from crew_harness import Policy, acts, assert_accounted, deny, on_record, redact, refuse
from crewai import Crew, Task
from crewai.events.event_bus import CrewAIEventsBus, crewai_event_bus
from crewai.events.types.llm_events import LLMCallCompletedEvent, LLMCallType
from crewai.flow.flow import Flow, listen, start
from crewai.knowledge.knowledge import Knowledge
from crewai.knowledge.storage.base_knowledge_storage import BaseKnowledgeStorage
from crewai.lite_agent import LiteAgent
from crewai.llms.providers.openai.completion import OpenAICompletion
from crewai.memory.unified_memory import Memory
from crewai.tools import BaseTool
from crewai.utilities.internal_instructor import InternalInstructor
from pydantic import BaseModel

import jackline_crewai
from jackline.decision import Verdict
from jackline.errors import Denied, Halted
from jackline_crewai.following import FOLLOWING

if TYPE_CHECKING:
    from pathlib import Path

    from crew_harness import Guards

COPIES = {
    "for_each": lambda made: made.kickoff_for_each([{}]),
    "for_each_async": lambda made: asyncio.run(made.kickoff_for_each_async([{}])),
    "akickoff_for_each": lambda made: asyncio.run(made.akickoff_for_each([{}])),
    "copy": lambda made: made.copy().kickoff(),
    "copy of a copy": lambda made: made.copy().copy().kickoff(),
}


@pytest.mark.parametrize("how", COPIES)
@pytest.mark.parametrize("what", ["crew", "agent", "model"])
def test_copies_of_what_is_attached_are_governed(guards: Guards, how: str, what: str) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"), refuse("model.call") if what == "model" else Policy(lambda _: None, "output"))
    llm = fake(asking(True, "send_mail", {"to": "x"}))
    made = crew(llm, bodies.mail())
    guard.attach({"crew": made, "agent": made.agents[0], "model": llm}[what])
    if what == "model":
        with pytest.raises(Denied):
            COPIES[how](made)
        assert llm.calls == 0
    else:
        COPIES[how](made)
    assert bodies.ran == {}
    assert_accounted(guard)


def test_an_agents_copy_is_governed_and_a_strangers_is_not(guards: Guards) -> None:
    bodies = Bodies()
    guard = guards(deny("send_mail"))
    mine, other = (agent(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()) for _ in range(2))
    guard.attach(mine).copy().kickoff("hi")
    assert bodies.ran == {}
    other.copy().kickoff("hi")
    assert bodies.ran == {"send_mail": 1}


def test_what_a_checkpoint_has_of_an_attached_crew_is_governed(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    bodies = Bodies()
    made, kept = (crew(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()) for _ in range(2))
    monkeypatch.setattr("crewai.crew.apply_checkpoint", lambda native, asked: kept if native is made else None)
    guard = guards(deny("send_mail"))
    guard.attach(made).kickoff()
    assert bodies.ran == {}
    assert [effect for action, _, effect in acts(guard) if action == "tool.call"] == ["deny"]


def test_a_refusal_is_no_error_in_crewais_log(guards: Guards, caplog: pytest.LogCaptureFixture) -> None:
    bodies = Bodies()
    jackline_crewai.enable(guards(deny("send_mail", effect="halt")))

    class Desk(Flow):
        @start()
        def first(self) -> str:
            return "x"

        @listen(first)
        def go(self) -> Any:
            return crew(fake(asking(True, "send_mail", {"to": "x"})), bodies.mail()).kickoff()

    with caplog.at_level(logging.DEBUG, "crewai"), pytest.raises(Halted):
        Desk().kickoff()
    assert "policy" not in caplog.text


class Idle(BaseTool):
    """Never ends."""

    name: str = "idle"
    description: str = "Waits."

    def _run(self) -> str:
        return ""

    async def _arun(self) -> str:
        await asyncio.sleep(0)
        return ""


def test_what_nobody_awaits_any_more_is_closed(guards: Guards) -> None:
    guard = guards()
    jackline_crewai.enable(guard)
    begun: Any = Idle().arun()
    contextvars.copy_context().run(begun.send, None)
    begun.close()  # in another context, as where it is collected
    assert_accounted(guard)
    (outcome,) = on_record(guard, "failed")
    assert outcome.error == "abandoned"


class Out(BaseModel):
    text: str


class Client:
    """What `instructor` makes of a provider."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.chat = self.completions = self

    def create(self, **given: Any) -> Out:
        self.got.append(given)
        return Out(text="KEY=abc")


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    made = Client()
    monkeypatch.setattr(InternalInstructor, "_create_instructor_client", lambda _self: made)
    return made


def shaped(kind: str, *script: Any) -> Crew:
    made = agent(fake(*script))
    task = Task(description="do it", expected_output="x", agent=made, **{kind: Out})
    return Crew(agents=[made], tasks=[task])


@pytest.mark.parametrize("mode", MODES)
def test_a_model_that_is_asked_for_json_through_instructor_is_judged(guards: Guards, client: Client, mode: str) -> None:
    guard = guards(redact("model.call", old="plain", new="[gone]"), redact("model.return"))
    jackline_crewai.enable(guard)
    result = run(shaped("output_json", "plain words"), mode)
    assert result.json_dict == {"text": "KEY=[gone]"}
    assert client.got[0]["messages"][0]["content"] == "[gone] words"
    assert [action for action, _, _ in acts(guard)].count("model.call") == 2
    assert_accounted(guard)


def test_a_model_that_may_not_be_asked_is_not_asked_through_instructor(guards: Guards, client: Client) -> None:
    jackline_crewai.enable(guards(Policy(_second_call_denied(), "model.call")))
    with pytest.raises(Denied, match="one is enough"):
        run(shaped("output_json", "plain words"))
    assert client.got == []


def _second_call_denied() -> Any:
    asked: list[Any] = []

    def answer(request: Any) -> Verdict | None:
        asked.append(request)
        return Verdict(effect="deny", reason="one is enough") if len(asked) > 1 else None

    return answer


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("kind", ["output_pydantic", "output_json"])
def test_a_structure_that_a_model_makes_of_an_answer_is_an_output(
    guards: Guards, client: Client, kind: str, mode: str
) -> None:
    guard = guards(redact("output"))
    jackline_crewai.enable(guard)
    result = run(shaped(kind, "plain words", Out(text="KEY=abc")), mode)
    assert (result.pydantic or Out(**result.json_dict)).text == "KEY=[gone]"
    assert "abc" not in str(result.tasks_output[0].model_dump())


def test_a_structure_that_an_answer_says_is_judged_once(guards: Guards) -> None:
    guard = guards(Policy(lambda _: None, "output"))
    jackline_crewai.enable(guard)
    assert run(shaped("output_pydantic", '{"text": "x"}')).pydantic == Out(text="x")
    assert [action for action, _, _ in acts(guard)].count("output") == 1


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_structure_that_a_started_agent_makes_is_an_output(guards: Guards, asynchronous: bool) -> None:
    jackline_crewai.enable(guards(redact("output")))
    made = agent(fake("plain words", "plain words", Out(text="KEY=abc"), Out(text="KEY=abc")))
    found = (
        asyncio.run(made.kickoff_async("hi", response_format=Out))
        if asynchronous
        else made.kickoff("hi", response_format=Out)
    )
    assert found.pydantic == Out(text="KEY=[gone]")


def test_tools_of_a_models_own_settings_are_offered(guards: Guards) -> None:
    guard = guards(Policy(lambda _: None, "model.call"))
    jackline_crewai.enable(guard)
    asked = Policy(lambda _: Verdict(effect="deny", reason="no"), "model.call")
    jackline_crewai.enable(guards(asked))
    model = OpenAICompletion(model="gpt-4o", api="responses", builtin_tools=["web_search"])
    model.additional_params["tools"] = [{"type": "image_generation"}]
    with pytest.raises(Denied):
        model.call("hi")
    offered = asked.asked[0].model.tools
    assert [(one.name, one.provider) for one in offered] == [("web_search_preview", True), ("image_generation", True)]


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str]]:
    """What events say of answers, in the order in which they are emitted."""
    seen: list[tuple[str, str]] = []
    emit = CrewAIEventsBus.emit

    def kept(self: Any, source: Any, event: Any) -> Any:
        told = [str(getattr(event, name, "")) for name in ("output", "response", "chunk", "formatted_answer", "result")]
        seen.append((type(event).__name__, " ".join(told)))
        return emit(self, source, event)

    async def akept(self: Any, source: Any, event: Any) -> None:
        kept(self, source, event)

    monkeypatch.setattr(CrewAIEventsBus, "emit", kept)
    monkeypatch.setattr(CrewAIEventsBus, "aemit", akept)
    return seen


@pytest.mark.parametrize("native", [True, False])
@pytest.mark.parametrize("shape", ["crew", "agent", "lite"])
@pytest.mark.parametrize("word", ["KEY=abc", "Thought: one more\nAction: look\nAction Input: abc"])
def test_a_last_word_when_steps_run_out_is_changed_before_events_show_it(
    shown: list[tuple[str, str]], guards: Guards, native: bool, shape: str, word: str
) -> None:
    bodies = Bodies()
    guard = guards(redact("output"))
    jackline_crewai.enable(guard)
    last = word if native or word.startswith("Thought") else final(word)
    llm = fake(*(asking(native, "look", {"what": what}) for what in "xy"), last, native=native)
    if shape == "lite":
        llm.script[:2] = [asking(False, "look", {"what": what}) for what in "xy"]
        result = LiteAgent(role="w", goal="g", backstory="b", llm=llm, tools=[bodies.look()], max_iterations=2).kickoff(
            "hi"
        )
    else:
        made = agent(llm, bodies.look(), max_iter=2)
        task = Task(description="do it", expected_output="x", agent=made)
        result = made.kickoff("hi") if shape == "agent" else Crew(agents=[made], tasks=[task]).kickoff()
    assert "[gone]" in result.raw
    assert [name for name, text in shown if "abc" in text] == []
    assert [action for action, _, _ in acts(guard)].count("output") == 1
    assert ("tool.call", "look", "allow") not in acts(guard)[-2:]


def test_agents_that_were_not_seen_for_long_are_forgotten(guards: Guards, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("jackline_crewai.tools._CAPACITY", 2)
    guard = guards()
    jackline_crewai.enable(guard)
    follower = FOLLOWING.of(guard)
    assert follower is not None
    for role in ("first", "second", "first", "third"):
        agent(fake(), Bodies().look(), role=role).kickoff("hi")
    assert list(follower.tools._named) == ["first", "third"]


class OwnKnowledge(Knowledge):
    """Looks things up by itself, or has its base do it."""

    own: bool = True

    def query(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return [] if self.own else super().query(query, *args, **kwargs)

    async def aquery(self, query: Any, *args: Any, **kwargs: Any) -> Any:
        return [] if self.own else await super().aquery(query, *args, **kwargs)


class OwnMemory(Memory):
    """Recalls in a way of its own."""

    def recall(self, query: str, *args: Any, **kwargs: Any) -> Any:
        return []


class Nothing(BaseKnowledgeStorage):
    """Finds nothing."""

    collection_name: str = "facts"

    def search(self, *_: Any, **__: Any) -> Any:
        return []

    async def asearch(self, *_: Any, **__: Any) -> Any:
        return []

    def save(self, documents: Any) -> None: ...
    async def asave(self, documents: Any) -> None: ...
    def reset(self) -> None: ...
    async def areset(self) -> None: ...


@pytest.mark.parametrize("own", [True, False])
def test_queries_of_classes_of_ones_own_are_asked_about_once(guards: Guards, own: bool, tmp_path: Path) -> None:
    guard = guards(Policy(lambda _: None, "retrieval"))
    knowledge = OwnKnowledge(collection_name="facts", sources=[], storage=Nothing(), own=own)
    jackline_crewai.enable(guard)
    knowledge.query(["who"])
    asyncio.run(knowledge.aquery(["who"]))
    OwnMemory(storage=str(tmp_path), llm=fake()).recall("who")
    resources = [resource for action, resource, _ in acts(guard) if action == "retrieval"]
    assert resources == ["facts", "facts", "memory"]
    assert_accounted(guard)


class Telling(Scripted):
    """Says of itself what it answers, and awaits that."""

    async def acall(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await super().acall(messages, *args, **kwargs)
        told = LLMCallCompletedEvent(call_id="1", model=self.model, response=answer, call_type=LLMCallType.LLM_CALL)
        await crewai_event_bus.aemit(self, event=told)
        return answer


def test_an_answer_that_is_told_by_an_awaited_event_is_changed_before(
    shown: list[tuple[str, str]], guards: Guards
) -> None:
    jackline_crewai.enable(guards(redact("model.return")))
    assert asyncio.run(fake("KEY=abc", kind=Telling).acall("hi")) == "KEY=[gone]"
    assert [text for name, text in shown if name == "LLMCallCompletedEvent"] == [" KEY=[gone]   "]

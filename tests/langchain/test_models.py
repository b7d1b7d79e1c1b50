"""Models: every entrance, every way to stream; messages, limits, answers, tokens."""

from __future__ import annotations

import asyncio
import gc
from typing import Any

import pytest
from fakes import MODEL, AsyncStreaming, Recorder, Scripted, Streaming, ai, chunks
from harness import Guards, Policy, acts, assert_accounted, events, redact, refuse
from langchain_core.caches import InMemoryCache
from langchain_core.language_models.fake import FakeListLLM
from langchain_core.messages import AIMessage, AIMessageChunk, HumanMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.outputs import ChatGeneration, ChatGenerationChunk, ChatResult, GenerationChunk
from langchain_core.prompts import ChatPromptTemplate

import jackline
from jackline.decision import Claim, Verdict
from jackline_langchain import JacklineCallbackHandler, LangChainAdapter
from jackline_langchain.patches import PATCHES

KINDS = [Scripted, Streaming, AsyncStreaming]


async def gather(items: Any) -> list[Any]:
    return [item async for item in items]


def joined(parts: list[Any]) -> str:
    return "".join(str(part.content) for part in parts)


ENTRANCES = {
    "invoke": lambda model, text, config: model.invoke(text, config).content,
    "ainvoke": lambda model, text, config: asyncio.run(model.ainvoke(text, config)).content,
    "stream": lambda model, text, config: joined(list(model.stream(text, config))),
    "astream": lambda model, text, config: joined(asyncio.run(gather(model.astream(text, config)))),
    "batch": lambda model, text, config: model.batch([text], config)[0].content,
    "abatch": lambda model, text, config: asyncio.run(model.abatch([text], config))[0].content,
    "generate": lambda model, text, config: model.generate([[HumanMessage(text)]], **config).generations[0][0].text,
    "agenerate": lambda model, text, config: (
        asyncio.run(model.agenerate([[HumanMessage(text)]], **config)).generations[0][0].text
    ),
    "chain": lambda model, text, config: (
        ChatPromptTemplate.from_messages([("user", "{x}")]) | model | StrOutputParser()
    ).invoke({"x": text}, config),
    "chain stream": lambda model, text, config: "".join(
        (ChatPromptTemplate.from_messages([("user", "{x}")]) | model | StrOutputParser()).stream({"x": text}, config)
    ),
    "bound": lambda model, text, config: model.bind(stop=["."]).invoke(text, config).content,
    "fallbacks": lambda model, text, config: model.with_fallbacks([Scripted(ai("other"))]).invoke(text, config).content,
    "events": lambda model, text, config: joined(
        [
            event["data"]["chunk"]
            for event in asyncio.run(gather(model.astream_events(text, config, version="v2")))
            if event["event"] == "on_chat_model_stream"
        ]
    ),
}


@pytest.fixture(params=ENTRANCES)
def entrance(request: pytest.FixtureRequest) -> Any:
    """Every way to call a model directly."""
    return ENTRANCES[request.param]


def config(guard: Any) -> dict[str, Any]:
    return {"callbacks": [JacklineCallbackHandler(guard)]}


@pytest.fixture(autouse=True)
def _imported() -> None:
    """As in a process that has just imported the handler: its entrances are there before its first guard is."""
    PATCHES.prepare()


@pytest.mark.parametrize("kind", KINDS)
def test_messages_and_answers_are_changed_at_every_entrance(guards: Guards, entrance: Any, kind: Any) -> None:
    guard, model, recorder = guards(redact("model.call", "model.return")), kind(ai("the secret is out")), Recorder()
    said = entrance(model, "my secret", {"callbacks": [recorder, JacklineCallbackHandler(guard)]})
    assert said in ("the [gone] is out", "")  # a model without a stream of its own has no events of one
    assert model.seen == [[("human", "my [gone]")]]
    assert "secret" not in "".join(str(detail) for name, _, detail in recorder.events if name in ("token", "model_end"))
    guard.close()
    assert_accounted(guard)
    assert [effect for action, _, effect in acts(guard) if action.startswith("model")] == ["modify", "modify"]


def test_a_denied_call_never_starts_at_any_entrance(guards: Guards, entrance: Any) -> None:
    guard, model, recorder = guards(refuse("model.call")), Streaming(ai("x")), Recorder()
    with pytest.raises(jackline.Denied, match="Not permitted by policy 'p0': no") as caught:
        entrance(model, "hi", {"callbacks": [recorder, JacklineCallbackHandler(guard)]})
    assert model.calls == 0
    assert caught.value.decision.effect == "deny"
    assert recorder.names().count("model_start") == recorder.names().count("model_error")
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("kind", KINDS)
def test_streams_are_passed_on_as_they_come_where_nobody_looks_at_answers(guards: Guards, kind: Any) -> None:
    guard, model = guards(refuse("tool.return"), redact("model.call")), kind(ai("a b c"))
    parts = [part.content for part in model.stream("x", config(guard)) if part.content]
    assert parts == (["a b c"] if kind is Scripted else ["a", " b", " c"])
    guard.close()
    assert_accounted(guard)


def test_what_is_held_back_keeps_its_pieces_where_nothing_is_changed(guards: Guards) -> None:
    guard = guards(Policy(lambda _: None, "model.return"))
    seen: list[str] = []
    for part in Streaming(ai("a b c")).stream("x", config(guard)):
        assert len(guard.registry.entries) >= 1
        seen.append(str(part.content))
    assert [part for part in seen if part] == ["a", " b", " c"]


def test_tool_calls_of_a_streamed_answer_can_be_changed(guards: Guards) -> None:
    guard, model = guards(redact("model.return")), Streaming(ai("x", ("send", {"to": "secret"}, "c1")))
    merged: Any = None
    for part in model.stream("x", config(guard)):
        merged = part if merged is None else merged + part
    assert [(item["name"], item["args"], item["id"]) for item in merged.tool_calls] == [
        ("send", {"to": "[gone]"}, "c1")
    ]
    assert merged.usage_metadata["output_tokens"] == 5


class Telling(Streaming):
    """One that streams inside of `_generate` and tells the tokens itself, as provider packages with `streaming=True` do."""

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **kwargs: Any) -> ChatResult:
        merged: Any = None
        for chunk in self._stream(messages, stop=stop, run_manager=run_manager, **kwargs):
            merged = chunk if merged is None else merged + chunk
        return ChatResult(
            generations=[
                ChatGeneration(message=AIMessage(merged.message.content, usage_metadata=merged.message.usage_metadata))
            ]
        )


class Deep(Streaming):
    """One whose stream calls the stream above it."""

    def _stream(self, *args: Any, **kwargs: Any) -> Any:
        yield from super()._stream(*args, **kwargs)


@pytest.mark.parametrize("kind", [Telling, Deep])
def test_tokens_told_from_inside_are_held_back_too(guards: Guards, entrance: Any, kind: Any) -> None:
    guard, recorder = guards(redact("model.return")), Recorder()
    entrance(kind(ai("the secret is out")), "x", {"callbacks": [recorder, JacklineCallbackHandler(guard)]})
    told = "".join(str(detail) for name, _, detail in recorder.events if name in ("token", "model_end"))
    assert "secret" not in told
    assert "[gone]" in told
    guard.close()
    assert_accounted(guard)


@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("holding", [False, True])
def test_a_stream_that_is_broken_off_is_recorded(guards: Guards, asynchronous: bool, holding: bool) -> None:
    """No usage arrives: an upper bound of what was sent and received is taken."""
    guard, model = guards(redact("model.return") if holding else redact("tool.call")), AsyncStreaming(ai("a b c d e f"))
    if asynchronous:

        async def go() -> None:
            items = model.astream("x", config(guard))
            await anext(items)
            await items.aclose()

        asyncio.run(go())
    else:
        items = model.stream("x", config(guard))
        next(items)
        items.close()
    gc.collect()
    guard.close()
    assert_accounted(guard)
    if holding:
        assert [event.usage.output for event in events(guard, "completed")] == [5]
        return
    (outcome,) = events(guard, "failed")
    assert outcome.error == "abandoned"
    assert outcome.usage.estimated
    assert outcome.usage.input > 0
    assert outcome.usage.output >= 1


def test_a_cancelled_call_is_recorded(guards: Guards) -> None:
    entered = asyncio.Event()

    class Slow(Scripted):
        async def _agenerate(self, *args: Any, **kwargs: Any) -> ChatResult:
            entered.set()
            await asyncio.Event().wait()
            raise AssertionError

    guard = guards()

    async def go() -> None:
        task = asyncio.ensure_future(Slow(ai("x")).ainvoke("x", config(guard)))
        await entered.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(go())
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "failed")] == ["cancelled"]


def test_a_provider_that_fails_is_recorded(guards: Guards) -> None:
    class Broken(Scripted):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            raise ConnectionError("gone")

    guard = guards(redact("model.return"))
    with pytest.raises(ConnectionError):
        Broken(ai("x")).invoke("x", config(guard))
    guard.close()
    assert_accounted(guard)
    assert [event.error for event in events(guard, "failed")] == ["ConnectionError"]


def metered(cap: int, *, per_output: int = 1_000_000, output: int = 1000) -> Policy:
    """A ceiling in tokens: input bytes and granted output, shrunk to what is left."""

    def answer(request: Any) -> Verdict | None:
        if request.model is None:
            return None
        claim = Claim(scope=f"tokens/{request.subject.session}", unit="tokens", cap=cap, fixed=1, per_output=per_output)
        asked = request.model.max_tokens or output
        return Verdict(effect="allow", claims=(claim,), output=asked, shrink=request.model.can_limit)

    return Policy(answer, "model.call", phase="meter")


class Ollama(Scripted):
    """One that calls its limit otherwise, and reads it from its own field."""

    num_predict: int | None = None

    def _answer(self, messages: Any, kwargs: Any) -> AIMessage:
        return super()._answer(messages, {**kwargs, "num_predict": self.num_predict})


class Limitless(Scripted):
    """One that has no limit that an adapter could set."""

    max_tokens: Any = None


del Limitless.model_fields["max_tokens"]


def test_the_limit_is_shrunk_to_what_a_meter_grants(guards: Guards, entrance: Any) -> None:
    guard, model = guards(metered(101)), Streaming(ai("x"))
    entrance(model, "hi", config(guard))
    assert [kwargs["max_tokens"] for kwargs in model.received] == [100]
    assert model.max_tokens is None
    guard.close()
    assert_accounted(guard)


def test_a_declared_limit_is_only_ever_made_smaller(guards: Guards) -> None:
    seen = metered(101)
    guard, model = guards(seen), Scripted(ai("x"), max_tokens=7)
    model.invoke("hi", config(guard))
    assert model.received[0].get("max_tokens") in (None, 7)
    model.bind(max_tokens=5000).invoke("hi", config(guard))
    assert model.received[1]["max_tokens"] == 85  # 15 of 101 tokens are spent
    assert [request.model.max_tokens for request in seen.asked] == [None, 5000] or seen.asked[0].model.max_tokens == 7


def test_a_limit_that_is_a_field_is_set_on_a_copy(guards: Guards) -> None:
    guard, model = guards(metered(101)), Ollama(ai("x"), max_tokens=None)
    model.bind(num_predict=None)
    type(model).model_fields.pop("max_tokens", None)
    model.invoke("hi", config(guard))
    assert model.received[0]["num_predict"] == 100
    assert model.num_predict is None


def test_a_model_without_a_limit_says_so(guards: Guards) -> None:
    seen = metered(101)
    guard, model = guards(seen), Limitless(ai("x"))
    with pytest.raises(jackline.Denied, match="could take 1001 tokens more"):
        model.invoke("hi", config(guard))
    assert not seen.asked[0].model.can_limit
    assert model.calls == 0


def test_a_ceiling_in_tokens_holds_p41(guards: Guards) -> None:
    guard, model = guards(metered(40, output=10)), Scripted(ai("x", usage=(10, 5)))
    handler = JacklineCallbackHandler(guard)

    def spend() -> None:
        with guard.session("s"):
            for _ in range(100):
                model.invoke("hi", {"callbacks": [handler]})

    with pytest.raises(jackline.Denied, match="40 tokens in tokens/"):
        spend()
    assert 0 < model.calls < 4
    spent = sum(event.usage.input + event.usage.output for event in events(guard, "completed"))
    assert spent <= 40 + 15


@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_ceiling_holds_under_parallel_calls_p40(guards: Guards, asynchronous: bool) -> None:
    def once(request: Any) -> Verdict:
        claim = Claim(scope=f"calls/{request.subject.session}", unit="calls", cap=2, fixed=1)
        return Verdict(effect="allow", claims=(claim,))

    guard, model = guards(Policy(once, "model.call", phase="meter")), Scripted(ai("x"))
    handler = JacklineCallbackHandler(guard)
    with guard.session("s"):
        if asynchronous:

            async def go() -> list[Any]:
                return await model.abatch(["hi"] * 8, {"callbacks": [handler]}, return_exceptions=True)

            found = asyncio.run(go())
        else:
            found = model.batch(["hi"] * 8, {"callbacks": [handler]}, return_exceptions=True)
    assert sum(isinstance(item, jackline.Denied) for item in found) == 6
    assert model.calls == 2


def test_a_handler_made_within_the_call_after_everything_was_off_can_refuse_and_not_change(guards: Guards) -> None:
    """The method was looked up before the handler wrapped it: what would have to be changed is refused, never passed."""
    guard = guards()
    JacklineCallbackHandler(guard)
    guard.close()
    assert not PATCHES.on
    guard, model = guards(redact("model.call")), Streaming(ai("x"))
    with pytest.raises(jackline.Denied, match="its prompt cannot be changed on this path"):
        list(model.stream("a secret", config(guard)))
    assert model.calls == 0
    assert list(model.stream("a secret", config(guard)))
    assert model.seen == [[("human", "a [gone]")]]


def test_a_cache_hit_costs_nothing_and_is_judged(guards: Guards) -> None:
    guard, model = guards(redact("model.return")), Scripted(ai("a secret"), cache=InMemoryCache())
    said = [model.invoke("x", config(guard)).content for _ in range(3)]
    assert said == ["a [gone]"] * 3
    assert model.calls == 1
    guard.close()
    assert_accounted(guard)
    costs = [event.cost.micro_usd for event in events(guard, "completed")]
    assert costs[0] > 0
    assert costs[1:] == [0, 0]


def test_usage_without_a_model_name_is_counted_p62(guards: Guards) -> None:
    answer = ai("x")
    answer.response_metadata = {}
    guard = guards()
    Scripted(answer).invoke("x", config(guard))
    (event,) = events(guard, "completed")
    assert (event.usage.input, event.usage.output) == (10, 5)
    assert event.cost.micro_usd > 0
    assert event.model in ("", MODEL)


def test_usage_that_is_missing_is_an_upper_bound(guards: Guards) -> None:
    guard = guards()
    Scripted(ai("four words of text", usage=None)).invoke("hello", config(guard))
    (event,) = events(guard, "completed")
    assert event.usage.estimated
    assert event.usage.input >= len("hello")
    assert event.usage.output >= len("four words of text")


def test_several_prompts_are_several_acts(guards: Guards) -> None:
    guard, model = guards(redact("model.call", "model.return")), Scripted(ai("a secret"))
    for found in (
        model.generate([[HumanMessage("secret 1")], [HumanMessage("secret 2")]], **config(guard)),
        asyncio.run(model.agenerate([[HumanMessage("secret 1")], [HumanMessage("secret 2")]], **config(guard))),
    ):
        assert [row[0].text for row in found.generations] == ["a [gone]"] * 2
    assert sorted(text for ((_, text),) in model.seen) == ["[gone] 1", "[gone] 1", "[gone] 2", "[gone] 2"]
    guard.close()
    assert_accounted(guard)
    assert len(events(guard, "completed")) == 4


def test_every_choice_is_judged(guards: Guards) -> None:
    class Many(Scripted):
        def _generate(self, *args: Any, **kwargs: Any) -> ChatResult:
            found = super()._generate(*args, **kwargs)
            return ChatResult(generations=[*found.generations, ChatGeneration(message=ai("another secret"))])

    guard = guards(redact("model.return"))
    found = Many(ai("a secret")).generate([[HumanMessage("x")]], **config(guard))
    assert [item.text for item in found.generations[0]] == ["a [gone]", "another [gone]"]


def test_provider_side_tools_are_judged_with_the_call(guards: Guards) -> None:
    seen = Policy(
        lambda request: (
            Verdict(effect="deny", reason="no web") if any(item.provider for item in request.model.tools) else None
        ),
        "model.call",
    )
    guard, model = guards(seen), Scripted(ai("x"))
    model.bind(tools=[{"type": "function", "function": {"name": "add"}}]).invoke("x", config(guard))
    with pytest.raises(jackline.Denied, match="no web"):
        model.bind(tools=[{"type": "web_search"}, {"name": "add", "input_schema": {}}]).invoke("x", config(guard))
    offered = [[(item.name, item.provider) for item in request.model.tools] for request in seen.asked]
    assert offered == [[("add", False)], [("web_search", True), ("add", False)]]
    assert model.calls == 1


def test_what_the_model_is_asked_is_known(guards: Guards) -> None:
    seen = Policy(lambda _: None, "model.call")
    guard = guards(seen)
    Scripted(ai("x")).invoke([HumanMessage([{"type": "image_url", "image_url": {"url": "data:"}}])], config(guard))
    asked = seen.asked[0].model
    assert (asked.name, asked.provider, asked.max_tokens, asked.can_limit) == (MODEL, "openai", None, True)
    assert asked.opaque_input
    assert asked.input_bytes > 40
    assert seen.asked[0].args["messages"][0]["role"] == "user"


def test_a_change_of_messages_that_has_no_native_form_is_a_denial(guards: Guards) -> None:
    guard = guards(Policy(lambda _: Verdict(effect="modify", args={"messages": []}), "model.call", phase="modify"))
    model = Scripted(ai("x"))
    with pytest.raises(jackline.Denied, match="its arguments cannot be changed as policy asks: 1 items became 0"):
        model.invoke("x", config(guard))
    assert model.calls == 0
    guard.close()
    assert_accounted(guard)


def test_a_change_of_an_answer_that_has_no_native_form_is_a_denial(guards: Guards) -> None:
    guard = guards(Policy(lambda _: Verdict(effect="modify", args={"result": 3}), "model.return", phase="modify"))
    with pytest.raises(jackline.Denied, match="its answer cannot be changed as policy asks"):
        Scripted(ai("x")).invoke("x", config(guard))
    guard.close()
    assert_accounted(guard)


@pytest.mark.filterwarnings("ignore:.*beta")
@pytest.mark.parametrize("asynchronous", [False, True])
def test_streams_of_events_version_3_are_judged(guards: Guards, asynchronous: bool) -> None:
    if not hasattr(Scripted, "_chat_model_stream_v3"):
        pytest.skip("this LangChain has no stream_events version 3")
    guard, model = guards(redact("model.call", "model.return")), AsyncStreaming(ai("the secret is out"))

    async def go() -> str:
        found = await model.astream_events("my secret", config(guard), version="v3")
        return "".join([part async for part in found.text])

    if asynchronous:
        said = asyncio.run(go())
    else:
        said = "".join(model.stream_events("my secret", config(guard), version="v3").text)
    assert said == "the [gone] is out"
    assert model.seen == [[("human", "my [gone]")]]
    guard.close()
    assert_accounted(guard)


@pytest.mark.filterwarnings("ignore:.*beta")
@pytest.mark.parametrize("asynchronous", [False, True])
@pytest.mark.parametrize("bridge", [False, True])
def test_events_of_a_models_own_are_held_back_or_refused(guards: Guards, asynchronous: bool, bridge: bool) -> None:
    if not hasattr(Scripted, "_chat_model_stream_v3"):
        pytest.skip("this LangChain has no stream_events version 3")

    def native(self: Any, messages: Any, **kwargs: Any) -> Any:
        raise AssertionError("these cannot be held back")

    base = AsyncStreaming if bridge else Scripted
    kind = type("Native", (base,), {"_stream_chat_model_events": native, "_astream_chat_model_events": native})
    guard, model = guards(redact("model.return")), kind(ai("the secret is out"))

    async def go() -> str:
        found = await model.astream_events("x", config(guard), version="v3")
        return "".join([part async for part in found.text])

    def run() -> str:
        if asynchronous:
            return asyncio.run(go())
        return "".join(model.stream_events("x", config(guard), version="v3").text)

    if bridge:
        assert run() == "the [gone] is out"
    else:
        with pytest.raises(jackline.Denied, match="its events cannot be held back"):
            run()
    guard.close()
    assert_accounted(guard)


def test_completion_models_are_refused_and_recorded(guards: Guards) -> None:
    guard, model = guards(refuse("model.call")), FakeListLLM(responses=["a", "b"])
    with pytest.raises(jackline.Denied):
        model.invoke("hi", config(guard))
    guard = guards()
    assert model.invoke("hi", config(guard)) == "a"
    assert asyncio.run(model.ainvoke("hi", config(guard))) == "b"
    guard.close()
    assert_accounted(guard)
    assert all(event.usage.estimated for event in events(guard, "completed"))


class Words(FakeListLLM):
    """A completion model that streams and tells no callback."""

    def _stream(self, prompt: str, *args: Any, **kwargs: Any) -> Any:
        for word in self._call(prompt).split(" "):
            yield GenerationChunk(text=f"{word} ")


class Told(FakeListLLM):
    """A completion model with an asynchronous stream."""

    def _stream(self, prompt: str, *args: Any, **kwargs: Any) -> Any:
        yield GenerationChunk(text=self._call(prompt))

    async def _astream(self, prompt: str, *args: Any, **kwargs: Any) -> Any:
        yield GenerationChunk(text=self._call(prompt))


def test_completions_that_nobody_looks_at_are_streamed(guards: Guards) -> None:
    guard = guards()
    assert "".join(Words(responses=["a b"]).stream("hi", config(guard))) == "a b "
    assert "".join(asyncio.run(gather(Told(responses=["a b"]).astream("hi", config(guard))))) == "a b"
    guard.close()
    assert_accounted(guard)


def test_what_would_have_to_change_in_a_completion_is_refused(guards: Guards) -> None:
    guard, model = guards(redact("model.call", "model.return")), FakeListLLM(responses=["a secret"])
    with pytest.raises(jackline.Denied, match="its prompt cannot be changed on this path"):
        model.invoke("my secret", config(guard))
    with pytest.raises(jackline.Denied, match="its answer cannot be changed on this path"):
        model.invoke("hi", config(guard))
    for streaming in (Words(responses=["a secret"]), Told(responses=["a secret"])):
        with pytest.raises(jackline.Denied, match="its stream cannot be held back on this path"):
            list(streaming.stream("hi", config(guard)))
        with pytest.raises(jackline.Denied, match="its stream cannot be held back on this path"):
            asyncio.run(gather(streaming.astream("hi", config(guard))))
        assert streaming.i == 0
    guard.close()
    assert_accounted(guard)


def test_a_model_that_passes_the_entrances_by_is_asked_in_the_callback(guards: Guards) -> None:
    class Odd(Scripted):
        """One that overrides the entrance itself and tells callbacks as LangChain does."""

        def generate(self, messages: Any, stop: Any = None, callbacks: Any = None, **kwargs: Any) -> Any:
            from langchain_core.callbacks import CallbackManager  # noqa: PLC0415
            from langchain_core.outputs import LLMResult  # noqa: PLC0415

            manager = CallbackManager.configure(callbacks)
            (run,) = manager.on_chat_model_start({}, messages)
            result = self._generate(messages[0])
            run.on_llm_end(LLMResult(generations=[result.generations]))
            return LLMResult(generations=[result.generations])

    guard, model = guards(refuse("model.call")), Odd(ai("x"))
    with pytest.raises(jackline.Denied):
        model.invoke("hi", config(guard))
    assert model.calls == 0
    guard = guards(redact("model.call"))
    with pytest.raises(jackline.Denied, match="its prompt cannot be changed on this path"):
        model.invoke("a secret", config(guard))
    guard = guards(redact("model.return"))
    assert model.invoke("hi", config(guard)).content == "x"
    guard.close()
    assert_accounted(guard)


def test_several_guards_are_all_asked(guards: Guards) -> None:
    first, second, model = (
        guards(redact("model.call", old="a")),
        guards(redact("model.call", old="b")),
        Streaming(ai("x")),
    )
    first.enable(LangChainAdapter())
    model.invoke("abc", config(second))
    list(model.stream("abc", config(second)))
    assert model.seen == [[("human", "[gone][gone]c")]] * 2
    third = guards(refuse("model.call"))
    with pytest.raises(jackline.Denied):
        model.invoke("abc", config(third))
    assert model.calls == 2
    for guard in (first, second, third):
        guard.close()
        assert_accounted(guard)


def test_a_handler_given_twice_asks_once(guards: Guards) -> None:
    guard, model = guards(), Streaming(ai("x"))
    handler = JacklineCallbackHandler(guard)
    guard.enable(LangChainAdapter())
    model.invoke("x", {"callbacks": [handler, handler, JacklineCallbackHandler(guard)]})
    list(model.stream("x", {"callbacks": [handler, handler]}))
    guard.close()
    assert_accounted(guard)
    assert acts(guard) == [("model.call", MODEL, "allow")] * 2


def test_chunks_of_the_fakes_add_up() -> None:
    parts = list(chunks(ai("a b", ("f", {"x": 1}, "c"))))
    assert all(isinstance(part, ChatGenerationChunk) and isinstance(part.message, AIMessageChunk) for part in parts)
    assert "".join(str(part.message.content) for part in parts) == "a b"

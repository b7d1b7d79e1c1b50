"""What the tests of this folder share: agents of every kind with counted tools, and everything that others see of them."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from llama_fakes import Provider, async_tools
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.instrumentation import get_dispatcher
from llama_index.core.instrumentation.event_handlers import BaseEventHandler
from llama_index.core.instrumentation.span_handlers import BaseSpanHandler
from llama_index.core.memory import ChatMemoryBuffer
from llama_index.core.workflow import Context
from pydantic import PrivateAttr

from jackline.testing.paths import Bodies, Job, Step
from jackline.testing.scripted import on_record
from jackline.testing.story import PROMPT, STORY
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.guard import Guard
    from jackline.testing.scripted import Guards, Scripted


def process(guards: Guards, *policies: Scripted, **options: Any) -> Guard:
    """A guard of the whole process."""
    guard = guards(*policies, **options)
    guard.enable(LlamaIndexAdapter())
    return guard


def job_of(guard: Guard, steps: tuple[Step, ...] = STORY, results: dict[str, str] | None = None) -> Job:
    return Job(guard, Bodies(results), steps, PROMPT, "job-1")


def agent(job: Job, tools: Any = None, **more: Any) -> Any:
    return FunctionAgent(name="worker", llm=Provider(job), tools=async_tools(job) if tools is None else tools, **more)


def acts(guard: Guard) -> list[tuple[str, str, str]]:
    """Decisions on record: (action, resource, effect)."""
    return [(event.action, event.resource, event.effect) for event in on_record(guard, "decided")]


def run(made: Any, prompt: str = PROMPT, **more: Any) -> str:
    """Run an agent to its end, without reading its events."""

    async def main() -> str:
        return str(await made.run(user_msg=prompt, **more))

    return asyncio.run(main())


class Seen(BaseEventHandler):
    """Another tracer's events, as text."""

    _texts: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "Seen"

    def handle(self, event: Any, **kwargs: Any) -> None:
        self._texts.append(f"{type(event).__name__} {vars(event)}")


class SeenSpans(BaseSpanHandler[Any]):
    """Another tracer's spans, with what goes in and what comes out, as text."""

    _texts: list[str] = PrivateAttr(default_factory=list)

    @classmethod
    def class_name(cls) -> str:
        return "SeenSpans"

    def new_span(self, id_: str, bound_args: Any, *args: Any, **kwargs: Any) -> None:
        self._texts.append(f"{id_} {vars_of(bound_args.arguments)}")

    def prepare_to_exit_span(
        self, id_: str, bound_args: Any, instance: Any = None, result: Any = None, **_: Any
    ) -> None:
        self._texts.append(f"{id_} gave {vars_of(result)} {getattr(result, 'raw_output', '')}")

    def prepare_to_drop_span(self, id_: str, bound_args: Any, instance: Any = None, err: Any = None, **_: Any) -> None:
        self._texts.append(f"{id_} broke {err}")


def vars_of(value: Any) -> str:
    """A value with all that it holds, workflows and contexts left out."""
    if isinstance(value, dict):
        return str({key: vars_of(item) for key, item in value.items()})
    return f"{value!r} {getattr(value, 'raw', '')}" if not isinstance(value, Context) else ""


@contextmanager
def tracer() -> Iterator[list[str]]:
    """What another tracer sees meanwhile: events and spans."""
    dispatcher, seen, spans = get_dispatcher(), Seen(), SeenSpans()
    seen._texts = spans._texts
    dispatcher.add_event_handler(seen)
    dispatcher.add_span_handler(spans)
    try:
        yield spans._texts
    finally:
        dispatcher.event_handlers.remove(seen)
        dispatcher.span_handlers.remove(spans)


async def everything(made: Any, prompt: str = PROMPT) -> tuple[list[str], str]:
    """Run an agent; all that anybody sees of it (its events, another tracer's, memory, context), and its answer."""
    memory = ChatMemoryBuffer.from_defaults()
    context = Context(made)
    found: list[str] = []
    with tracer() as traced:
        running = made.run(user_msg=prompt, ctx=context, memory=memory)
        async for event in running.stream_events():
            output = getattr(event, "tool_output", None)
            found.append(f"{type(event).__name__} {event!r} {vars(event)} {getattr(output, 'raw_output', '')}")
        try:
            answer = str(await running)
        except Exception as error:
            answer = f"{type(error).__name__}: {error}"
    found += [f"span or event {text}" for text in traced]
    found += [f"memory {message!r}" for message in memory.get_all()]
    found.append(f"context {await context.store.get_state()!r}")
    return found, answer

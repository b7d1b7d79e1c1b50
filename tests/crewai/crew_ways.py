"""How the conformance suite's paths come under a guard and are called: ways, shapes and modes."""

from __future__ import annotations

import asyncio
import contextlib
import json
from typing import TYPE_CHECKING, Any

from crew_provider import Boss, Custom, Provider, async_tools, class_tools, model, tools
from crewai import Agent, Crew, Process, Task
from crewai.flow.flow import Flow, start
from crewai.lite_agent import LiteAgent
from crewai.tools import tool

import jackline_crewai
from jackline_crewai import CrewAIAdapter

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.testing.paths import Job

# --- ways to come under a guard: what is called


def enable(job: Job, made: Any) -> Any:
    jackline_crewai.enable(job.guard)
    return made


def process(job: Job, made: Any) -> Any:
    job.guard.enable(CrewAIAdapter())
    return made


def attach(job: Job, made: Any) -> Any:
    return job.guard.attach(made)


# --- shapes


def worker(job: Job, llm: Any, tools_of: Any = tools, **more: Any) -> Agent:
    return Agent(role="worker", goal="do it", backstory="none", llm=llm, tools=tools_of(job), **more)


def crew(job: Job, tools_of: Any = tools, kind: type[Provider] = Provider, **more: Any) -> Crew:
    agent = worker(job, model(job, kind, **more), tools_of)
    return Crew(agents=[agent], tasks=[Task(description=job.prompt, expected_output="a report", agent=agent)])


def react_crew(job: Job, tools_of: Any = tools) -> Crew:
    return crew(job, tools_of, calls_tools=False)


def async_crew(job: Job) -> Crew:
    return crew(job, async_tools)


def class_crew(job: Job) -> Crew:
    return crew(job, class_tools)


def custom_crew(job: Job) -> Crew:
    return crew(job, kind=Custom)


def alone(job: Job, **more: Any) -> Agent:
    return worker(job, model(job, **more))


def react_alone(job: Job) -> Agent:
    return alone(job, calls_tools=False)


def lite(job: Job) -> LiteAgent:
    """Knows tools in text only."""
    llm = model(job, calls_tools=False)
    return LiteAgent(role="worker", goal="do it", backstory="none", llm=llm, tools=tools(job))


def delegation(job: Job, *, native: bool = True) -> Crew:
    boss = Agent(
        role="boss",
        goal="see to it",
        backstory="none",
        llm=model(job, Boss, calls_tools=native),
        allow_delegation=True,
    )
    agent = worker(job, model(job, calls_tools=native))
    return Crew(agents=[boss, agent], tasks=[Task(description=job.prompt, expected_output="a report", agent=boss)])


def react_delegation(job: Job) -> Crew:
    return delegation(job, native=False)


def hierarchy(job: Job) -> Crew:
    boss = Agent(role="boss", goal="see to it", backstory="none", llm=model(job, Boss), allow_delegation=True)
    agent = worker(job, model(job))
    return Crew(
        agents=[agent],
        tasks=[Task(description=job.prompt, expected_output="a report")],
        process=Process.hierarchical,
        manager_agent=boss,
    )


def crew_in_tool(job: Job) -> Crew:
    """An agent whose tool is another crew."""

    @tool("delegate_work_to_coworker")
    def delegate(task: str, context: str, coworker: str) -> str:
        """Let the worker do it."""
        return str(crew(job).kickoff().raw)

    boss = Agent(role="boss", goal="see to it", backstory="none", llm=model(job, Boss), tools=[delegate])
    return Crew(agents=[boss], tasks=[Task(description=job.prompt, expected_output="a report", agent=boss)])


def flow_with_crew(job: Job) -> Flow:
    """A crew in a method of a flow."""

    class Desk(Flow):
        @start()
        async def go(self) -> Any:
            return await crew(job).akickoff()

    return Desk()


def flow_with_agent(job: Job) -> Flow:
    """An agent in a method of a flow."""

    class Desk(Flow):
        @start()
        async def go(self) -> Any:
            return await alone(job).kickoff_async(job.prompt)

    return Desk()


# --- modes of what has a task of its own


def kickoff(job: Job, made: Any) -> Any:
    return made.kickoff()


def kickoff_async(job: Job, made: Any) -> Any:
    return asyncio.run(made.kickoff_async())


def akickoff(job: Job, made: Any) -> Any:
    return asyncio.run(made.akickoff())


def kickoff_for_each(job: Job, made: Any) -> Any:
    return made.kickoff_for_each([{}, {}])[-1]


# --- modes of agents


def ask(job: Job, made: Any) -> Any:
    return made.kickoff(job.prompt)


def ask_async(job: Job, made: Any) -> Any:
    return asyncio.run(made.kickoff_async(job.prompt))


def ask_akickoff(job: Job, made: Any) -> Any:
    return asyncio.run(made.akickoff(job.prompt))


def stream(job: Job, made: Any) -> Any:
    """A crew's chunks as they come."""
    made.stream = True
    output = made.kickoff()
    with contextlib.closing(output):
        for chunk in output:
            if str(chunk.chunk_type.value) == "text" and not job.piece(chunk.content):
                return None
        return output.result


def astream(job: Job, made: Any) -> Any:
    async def consume() -> Any:
        made.stream = True
        output = await made.akickoff()
        async with contextlib.aclosing(output):
            async for chunk in output:
                if str(chunk.chunk_type.value) == "text" and not job.piece(chunk.content):
                    return None
            return output.result

    return asyncio.run(consume())


def answered(job: Job, output: Any) -> str | None:
    """Keep what the conversation holds; the last word."""
    if output is None:
        return None
    outputs = getattr(output, "tasks_output", None) or [output]
    job.history = [job.prompt, *(message for item in outputs for message in asked(item.messages))]
    return str(output.raw)


def asked(messages: list[Any]) -> list[str]:
    """What a conversation holds but for the results of tools."""
    return [json.dumps(message, default=str) for message in messages if message["role"] != "tool"]


def conversation(build: Any, way: Any, mode: Any) -> Callable[[Job], str | None]:
    """Drive a crew, an agent or a flow."""

    def drive(job: Job) -> str | None:
        made = way(job, build(job))
        with job.guard.session(id=job.session):
            return answered(job, mode(job, made))

    return drive


# --- tools by themselves


def run(job: Job, item: Any, args: dict[str, Any]) -> Any:
    return item.run(**args)


def arun(job: Job, item: Any, args: dict[str, Any]) -> Any:
    return asyncio.run(item.arun(**args))


def invoke(job: Job, item: Any, args: dict[str, Any]) -> Any:
    return item.to_structured_tool().invoke(args)


def ainvoke(job: Job, item: Any, args: dict[str, Any]) -> Any:
    return asyncio.run(item.to_structured_tool().ainvoke(args))


def in_flow(job: Job, item: Any, args: dict[str, Any]) -> Any:
    """In a method of a flow."""

    class Desk(Flow):
        @start()
        def go(self) -> Any:
            return item.run(**args)

    return Desk().kickoff()


def plain_tools(tools_of: Any, way: Any, mode: Any) -> Callable[[Job], None]:
    """Drive tools without an agent."""

    def drive(job: Job) -> None:
        made = {item.name: way(job, item) for item in tools_of(job)}
        job.history = [call.args for step in job.steps for call in step.calls]
        with job.guard.session(id=job.session):
            for step in job.steps:
                for call in step.calls:
                    job.call(lambda call=call: mode(job, made[call.tool], call.args))

    return drive


def handed_in(way: Any) -> Callable[[Job], str | None]:
    """Drive a model that runs the tools that it is handed: `LLM.call(..., available_functions=...)`."""

    def drive(job: Job) -> str | None:
        llm = way(job, model(job))
        functions = {item.name: item.run for item in tools(job)}
        job.history = [job.prompt, *(call.args for step in job.steps for call in step.calls)]
        messages: list[Any] = [{"role": "user", "content": job.prompt}]
        heard: list[str] = []
        with job.guard.session(id=job.session):
            for step in job.steps:
                found = str(llm.call(messages, available_functions=functions))
                heard += [found] * bool(step.calls)
                messages += [{"role": "assistant", "content": "a tool"}, {"role": "user", "content": "go on"}]
        job.told[:] = heard
        return found

    return drive


# --- models by themselves


def call(job: Job, llm: Any, task: Any) -> Any:
    return llm.call(task)


def acall(job: Job, llm: Any, task: Any) -> Any:
    return asyncio.run(llm.acall(task))


def stream_events(job: Job, llm: Any, task: Any) -> Any:
    session = llm.stream_events(task)
    with contextlib.closing(session):
        for frame in session:
            if frame.type == "llm_stream_chunk" and not job.piece(frame.data["chunk"]):
                return None
        return session.result


def one_answer(kind: type[Provider], way: Any, mode: Any) -> Callable[[Job], str | None]:
    def drive(job: Job) -> str | None:
        llm = way(job, model(job, kind))
        task = [{"role": "user", "content": job.prompt}]
        with job.guard.session(id=job.session):
            found = mode(job, llm, task)
        job.history = task
        return found

    return drive

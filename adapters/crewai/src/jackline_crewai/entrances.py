"""The wraps around what starts crews, flows and agents."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_crewai import runs
from jackline_crewai.following import FOLLOWING
from jackline_crewai.places import LAST, PLACE
from jackline_crewai.runs import AgentRun, RootRun

if TYPE_CHECKING:
    from collections.abc import Callable

    Body = Callable[..., Any]

active = FOLLOWING.active


# --- crews and flows


def _run_root(run: RootRun, body: Body, *args: Any, **kwargs: Any) -> Any:
    run.enter()
    try:
        result = body(*args, **kwargs)
        run.check_halted()
    except BaseException as error:
        run.leave(error)
        raise
    run.leave()
    return result


async def _arun_root(run: RootRun, body: Body, *args: Any, **kwargs: Any) -> Any:
    run.enter()
    try:
        result = await body(*args, **kwargs)
        run.check_halted()
    except BaseException as error:
        run.leave(error)
        raise
    run.leave()
    return result


def _given(args: tuple[Any, ...], kwargs: dict[str, Any], name: str) -> Any:
    return args[0] if args else kwargs.get(name)


def _restored(kwargs: dict[str, Any]) -> bool:
    """Whether another object, made from a checkpoint, is going to do this."""
    return getattr(kwargs.get("from_checkpoint"), "restore_from", None) is not None


def crew(body: Body) -> Body:
    """Around `Crew.kickoff`; a streaming crew calls itself again to do the work."""

    def kickoff(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or self.stream or _restored(kwargs):
            return body(self, *args, **kwargs)
        return _run_root(RootRun(followers, self, _given(args, kwargs, "inputs")), body, self, *args, **kwargs)

    return kickoff


def acrew(body: Body) -> Body:
    """Around `Crew.akickoff`."""

    async def akickoff(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or self.stream or _restored(kwargs):
            return await body(self, *args, **kwargs)
        return await _arun_root(RootRun(followers, self, _given(args, kwargs, "inputs")), body, self, *args, **kwargs)

    return akickoff


def replay(body: Body) -> Body:
    """Around `Crew.replay`."""

    def again(self: Any, task_id: str, inputs: Any = None) -> Any:
        followers = active(self)
        if not followers:
            return body(self, task_id, inputs)
        return _run_root(RootRun(followers, self, inputs), body, self, task_id, inputs)

    return again


def flow(body: Body) -> Body:
    """Around `Flow.kickoff_async`, which `kickoff` and `akickoff` lead to; CrewAI's own machinery is made of flows."""

    async def kickoff_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = () if type(self).is_crewai_internal else active(self)
        if not followers or _restored(kwargs):
            return await body(self, *args, **kwargs)
        run = RootRun(followers, self, _given(args, kwargs, "inputs"), flow=True)
        return await _arun_root(run, body, self, *args, **kwargs)

    return kickoff_async


def resume(body: Body) -> Body:
    """Around `Flow.resume_async`."""

    async def resume_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        followers = () if type(self).is_crewai_internal else active(self)
        if not followers:
            return await body(self, *args, **kwargs)
        return await _arun_root(RootRun(followers, self, {"id": self.flow_id}, flow=True), body, self, *args, **kwargs)

    return resume_async


# --- agents


def task_core(body: Body) -> Body:
    """Around `Task._execute_core`: the agent's run lasts until the task's guardrails, callbacks and events are done."""

    def execute(self: Any, agent: Any, context: Any, tools: Any) -> Any:
        acting = agent or self.agent
        followers = active(acting) if acting is not None else ()
        if not followers or runs.continues(acting, self):
            return body(self, agent, context, tools)
        run = AgentRun(followers, acting, self, runs.given_of(self))
        run.open()
        return _run_agent(run, lambda: body(self, agent, context, tools))

    return execute


def atask_core(body: Body) -> Body:
    """Around `Task._aexecute_core`."""

    async def execute(self: Any, agent: Any, context: Any, tools: Any) -> Any:
        acting = agent or self.agent
        followers = active(acting) if acting is not None else ()
        if not followers or runs.continues(acting, self):
            return await body(self, agent, context, tools)
        run = AgentRun(followers, acting, self, runs.given_of(self))
        await run.aopen()
        return await _arun_agent(run, lambda: body(self, agent, context, tools))

    return execute


def task(body: Body) -> Body:
    """Around `execute_task`: within its task's run, or a run of its own where an agent delegates."""

    def execute_task(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers:
            return body(self, task, *args, **kwargs)
        if runs.continues(self, task):
            result = body(self, task, *args, **kwargs)
            run = _current()
            run.check_halted()
            return run.say(result)
        run = AgentRun(followers, self, task, runs.given_of(task, _given(args, kwargs, "context")))
        run.open()
        return _run_agent(run, lambda: run.say(body(self, task, *args, **kwargs)))

    return execute_task


def atask(body: Body) -> Body:
    """Around `aexecute_task`."""

    async def aexecute_task(self: Any, task: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers:
            return await body(self, task, *args, **kwargs)
        if runs.continues(self, task):
            result = await body(self, task, *args, **kwargs)
            run = _current()
            run.check_halted()
            return await run.asay(result)
        run = AgentRun(followers, self, task, runs.given_of(task, _given(args, kwargs, "context")))
        await run.aopen()

        async def work() -> Any:
            return await run.asay(await body(self, task, *args, **kwargs))

        return await _arun_agent(run, work)

    return aexecute_task


def exported(body: Body) -> Body:
    """Around `Task._export_output`: structures of an answer that a model has made of it are answers as well."""

    def export(self: Any, result: Any) -> Any:
        made = body(self, result)
        run = _speaking()
        return made if run is None else tuple(one if run.parsed_as(result, one) else run.say(one) for one in made)

    return export


def aexported(body: Body) -> Body:
    """Around `Task._aexport_output`."""

    async def export(self: Any, result: Any) -> Any:
        made = await body(self, result)
        run = _speaking()
        if run is None:
            return made
        return tuple([one if run.parsed_as(result, one) else await run.asay(one) for one in made])

    return export


def kickoff(body: Body, elsewhere: Callable[[], bool]) -> Body:
    """Around `Agent.kickoff` and `LiteAgent.kickoff`; `elsewhere`: it leads to `kickoff_async`, where it is judged."""

    def start(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or elsewhere() or _restored(kwargs):
            return body(self, messages, *args, **kwargs)
        run = AgentRun(followers, self, None, messages)
        run.open()
        run.place.executor = self if hasattr(self, "_parsed_tools") else None

        def work() -> Any:
            output = body(self, run.given, *args, **kwargs)
            if run.said_as(output.pydantic):
                return output
            output = _with_raw(output, run.say(output.raw))
            parsed = run.parsed_as(output.raw, output.pydantic)
            return output if parsed else _with_pydantic(output, run.say(output.pydantic))

        return _run_agent(run, work)

    return start


def akickoff(body: Body) -> Body:
    """Around `Agent.kickoff_async`."""

    async def start(self: Any, messages: Any, *args: Any, **kwargs: Any) -> Any:
        followers = active(self)
        if not followers or _restored(kwargs):
            return await body(self, messages, *args, **kwargs)
        run = AgentRun(followers, self, None, messages)
        await run.aopen()

        async def work() -> Any:
            output = await body(self, run.given, *args, **kwargs)
            if run.said_as(output.pydantic):
                return output
            output = _with_raw(output, await run.asay(output.raw))
            parsed = run.parsed_as(output.raw, output.pydantic)
            return output if parsed else _with_pydantic(output, await run.asay(output.pydantic))

        return await _arun_agent(run, work)

    return start


def executor(body: Body) -> Body:
    """Around an executor's `invoke`: it has an agent's tools, and says which calls of models are its turns."""

    def invoke(self: Any, *args: Any, **kwargs: Any) -> Any:
        _works_for(self)
        return body(self, *args, **kwargs)

    return invoke


def aexecutor(body: Body) -> Body:
    """Around an executor's `invoke_async`."""

    async def invoke_async(self: Any, *args: Any, **kwargs: Any) -> Any:
        _works_for(self)
        return await body(self, *args, **kwargs)

    return invoke_async


def last_word(body: Body) -> Body:
    """Around what asks a model for an agent's answer when its steps have run out, or when its plan is done."""

    def ask(*args: Any, **kwargs: Any) -> Any:
        token = LAST.set(PLACE.get())
        try:
            return body(*args, **kwargs)
        finally:
            LAST.reset(token)

    return ask


def _works_for(executor: Any) -> None:
    place = PLACE.get()
    if place is not None and place.kind == "agent":
        place.executor = executor


def _with_raw(output: Any, raw: Any) -> Any:
    return output if raw == output.raw else output.model_copy(update={"raw": raw, "pydantic": None})


def _with_pydantic(output: Any, pydantic: Any) -> Any:
    return output if pydantic is output.pydantic else output.model_copy(update={"pydantic": pydantic})


def _speaking() -> AgentRun | None:
    """The run whose answer goes outside from here."""
    place = PLACE.get()
    return place.run if place is not None and place.kind == "agent" and place.speaks else None


def _current() -> AgentRun:
    place = PLACE.get()
    assert place is not None  # `continues` has just found it
    run: AgentRun = place.run
    return run


def _run_agent(run: AgentRun, body: Callable[[], Any]) -> Any:
    run.enter()
    try:
        result = body()
        run.check_halted()
    except BaseException as error:
        run.leave(error)
        raise
    run.leave()
    return result


async def _arun_agent(run: AgentRun, body: Callable[[], Any]) -> Any:
    run.enter()
    try:
        result = await body()
        run.check_halted()
    except BaseException as error:
        run.leave(error)
        raise
    run.leave()
    return result

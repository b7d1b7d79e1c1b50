"""Fifty agents at once in one process: each act in its own session, each ceiling exact, nothing blocked."""

from __future__ import annotations

import asyncio
import json
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

import pytest
from blockbuster import BlockBuster
from llama_fakes import Boss, Provider, async_tools, tools
from llama_harness import job_of, process, run
from llama_index.core.agent.workflow import AgentWorkflow, FunctionAgent
from llama_index.core.instrumentation.dispatcher import instrument_tags
from llama_index.core.llms import ChatMessage
from llama_index.core.tools import FunctionTool

from jackline.decision import Verdict
from jackline.errors import Halted
from jackline.events import Usage
from jackline.testing import allow_journal_writes
from jackline.testing.paths import MODEL, Bodies, Call, Job, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import Scripted, at_most, on_record, refusing
from jackline.testing.story import NO
from jackline_llamaindex import LlamaIndexAdapter

if TYPE_CHECKING:
    from jackline.guard import Guard
    from jackline.testing.scripted import Guards

SESSIONS = 50
CALLS = 6
CEILING = 4


def job_numbered(guard: Guard, number: int) -> Job:
    """A job whose every argument names it."""
    calls = tuple(Call("find", {"query": f"n{number}-{place}"}) for place in range(CALLS))
    steps = (Step(calls=calls[:3]), Step(calls=calls[3:]), Step(f"answer {number}"))
    return Job(guard, Bodies(), steps, f"task {number}", f"session-{number}")


def alone(job: Job) -> Any:
    return FunctionAgent(name="worker", llm=Provider(job), tools=async_tools(job))


def in_threads(job: Job) -> Any:
    return FunctionAgent(name="worker", llm=Provider(job), tools=tools(job), streaming=False)


def workflow(job: Job) -> Any:
    boss = FunctionAgent(name="boss", description="Leads.", llm=Boss(job, tool="handoff"), can_handoff_to=["worker"])
    worker = FunctionAgent(
        name="worker", description="Works.", llm=Provider(job, ahead=1), tools=async_tools(job), can_handoff_to=[]
    )
    return AgentWorkflow(agents=[boss, worker], root_agent="boss")


def nested(job: Job) -> Any:
    worker = alone(job)

    async def delegate(task: str) -> str:
        """Hand it on."""
        return str(await worker.run(user_msg=task))

    return FunctionAgent(name="boss", llm=Boss(job), tools=[delegate])


SHAPES = {"alone": alone, "sync tools": in_threads, "hand-off": workflow, "agent as tool": nested}


@pytest.mark.parametrize("shape", SHAPES)
def test_fifty_sessions_at_once_are_kept_apart_and_ceilings_are_exact(guards: Guards, shape: str) -> None:
    asked: list[tuple[str, str, str]] = []

    def note(request: Any) -> None:
        asked.append((request.subject.external_id, request.action, json.dumps(request.args)))

    guard = process(guards, Scripted(note), at_most(CEILING, "tool.call", "find"))
    jobs = [job_numbered(guard, number) for number in range(SESSIONS)]

    async def main() -> list[Any]:
        return await asyncio.gather(*(started(SHAPES[shape](job), job) for job in jobs))

    async def started(made: Any, job: Job) -> str:
        return str(await made.run(user_msg=job.prompt, session_id=job.session))

    answers = asyncio.run(main())
    assert answers == [f"answer {number}" for number in range(SESSIONS)]
    for number, job in enumerate(jobs):
        assert job.bodies.ran == {"find": CEILING}
        assert all(args["query"].startswith(f"n{number}-") for _, args in job.bodies.got)
        mine = [(action, args) for session, action, args in asked if session == job.session]
        calls = [args for action, args in mine if action == "tool.call" and "query" in args]
        assert len(calls) == CALLS
        assert all(f"n{number}-" in args for args in calls)
        assert all(f"task {number}" in args for action, args in mine if action == "model.call")
    balances = [entry.spent for entry in guard.ledger.balances()]
    assert balances == [CEILING] * SESSIONS
    guard.close()
    assert_accounted(guard)
    assert_no_event_in_a_wrong_session(guard, shape)


def assert_no_event_in_a_wrong_session(guard: Guard, shape: str) -> None:
    started = {event.session: event for event in on_record(guard, "session_started") if event.external_id}
    assert len(started) == SESSIONS
    runs = {event.run: event for event in on_record(guard, "run_started")}
    assert Counter(run.session for run in runs.values()) == dict.fromkeys(
        started, 2 if shape in ("hand-off", "agent as tool") else 1
    )
    decided = on_record(guard, "decided")
    for event in decided:
        assert event.session in started
        assert runs[event.run].session == event.session
    counted = Counter(event.session for event in decided if event.action == "tool.call" and event.resource == "find")
    assert counted == dict.fromkeys(started, CALLS)
    ended = {event.session for event in on_record(guard, "session_ended")}
    assert started.keys() <= ended


def test_a_halt_ends_its_own_session_and_no_other(guards: Guards) -> None:
    def halt(request: Any) -> Verdict | None:
        odd = request.subject.external_id.endswith(("1", "3", "5", "7", "9"))
        return Verdict(effect="halt", reason=NO) if odd and request.args.get("query", "").endswith("-4") else None

    guard = process(guards, Scripted(halt, "tool.call"))
    jobs = [job_numbered(guard, number) for number in range(SESSIONS)]

    async def main() -> list[Any]:
        runs = (waited(alone(job), job) for job in jobs)
        return await asyncio.gather(*runs, return_exceptions=True)

    async def waited(made: Any, job: Job) -> str:
        return str(await made.run(user_msg=job.prompt, session_id=job.session))

    for number, answer in enumerate(asyncio.run(main())):
        if number % 2:
            assert isinstance(answer, Halted)
        else:
            assert answer == f"answer {number}"
    guard.close()
    assert_accounted(guard)
    assert len(on_record(guard, "session_halted")) == SESSIONS // 2


def test_the_session_is_named_by_the_caller_or_is_one_of_the_runs_own(guards: Guards) -> None:
    guard = process(guards)

    def made() -> Any:
        return alone(job_of(guard, (Step("all is done"),)))

    run(made(), session_id="by-argument")
    with instrument_tags({"session_id": "by-tag"}):
        run(made())
    with guard.session(id="by-program"):
        run(made())
    run(made())
    guard.close()
    names = [event.external_id for event in on_record(guard, "session_started")]
    assert names[:3] == ["by-argument", "by-tag", "by-program"]
    assert names[3] == ""
    assert len(on_record(guard, "session_ended")) == 4
    assert {event.depth for event in on_record(guard, "run_started") if event.agent == "worker"} == {0}


async def test_nothing_blocks_the_loop_p27(guards: Guards) -> None:
    guard = guards(refusing("tool.call", NO, agent="", tool="pay"), Scripted(lambda _request: None))
    guard.enable(LlamaIndexAdapter())
    guard.prices.cost(MODEL, "openai", Usage(input=1), guard.clock())  # which keeps what it found in a file, once
    jobs = [job_of(guard) for _ in range(3)]
    made = [alone(jobs[0]), AgentWorkflow(agents=[alone(jobs[1])]), nested(jobs[2])]
    for each in made:
        await each.run(user_msg="warm up")  # imports, and what LlamaIndex reads once
    detector = BlockBuster()
    detector.activate()
    allow_journal_writes(detector)
    try:
        for each in made:
            assert str(await each.run(user_msg="please", session_id="s")) == "all is done"
        await async_tools(jobs[0])[1].acall(query="q")
        await Provider(jobs[0]).achat([ChatMessage("hi")])
    finally:
        detector.deactivate()


def test_a_tool_of_a_thread_of_its_own_is_in_its_session(guards: Guards) -> None:
    guard = process(guards)
    job = job_of(guard, (Step(calls=(Call("outer", {}),)), Step("all is done")))
    inner = tools(job)[1]

    def outer() -> str:
        """Call another tool in a thread."""
        found: list[str] = []
        thread = threading.Thread(target=lambda: found.append(str(inner(query="q"))))
        thread.start()
        thread.join()
        return found[0]

    made = FunctionAgent(name="worker", llm=Provider(job), tools=[FunctionTool.from_defaults(outer)])
    assert run(made, session_id="s") == "all is done"
    guard.close()
    assert_accounted(guard)
    assert len({event.session for event in on_record(guard, "decided")}) == 1

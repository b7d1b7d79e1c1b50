"""The conformance suite on plain Python: every way to call a governed function."""

from __future__ import annotations

import asyncio
import copy
import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any

from jackline.python import PythonAdapter
from jackline.testing import AdapterSuite
from jackline.testing.paths import Job, Path
from jackline.testing.story import LEAK

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Way = "Callable[[Job, list[Callable[[], Any]]], None]"


def words(text: str) -> list[str]:
    """A text in pieces; what is secret is one item: items are judged together, and not joined."""
    first, found, rest = text.partition(LEAK)
    return [piece for piece in (first, found, rest) if piece]


def functions(job: Job, *, attach: bool = False) -> dict[str, Any]:
    govern = job.guard.attach if attach else job.guard.tool

    def pay(order: str, amount: float) -> str:
        return job.bodies.run("pay", order=order, amount=amount)

    def find(query: str) -> str:
        return job.bodies.run("find", query=query)

    return {"pay": govern(pay), "find": govern(find)}


def methods(job: Job) -> dict[str, Any]:
    class Desk:
        @job.guard.tool
        def pay(self, order: str, amount: float) -> str:
            return job.bodies.run("pay", order=order, amount=amount)

        @job.guard.tool
        def find(self, query: str) -> str:
            return job.bodies.run("find", query=query)

    desk = Desk()
    return {"pay": desk.pay, "find": desk.find}


def coroutines(job: Job) -> dict[str, Any]:
    @job.guard.tool
    async def pay(order: str, amount: float) -> str:
        await asyncio.sleep(0)
        return job.bodies.run("pay", order=order, amount=amount)

    @job.guard.tool
    async def find(query: str) -> str:
        await asyncio.sleep(0)
        return job.bodies.run("find", query=query)

    return {"pay": pay, "find": find}


def generators(job: Job) -> dict[str, Any]:
    @job.guard.tool
    def pay(order: str, amount: float) -> Any:
        yield from words(job.bodies.run("pay", order=order, amount=amount))

    @job.guard.tool
    def find(query: str) -> Any:
        yield from words(job.bodies.run("find", query=query))

    def drained(stream: Any) -> str:
        pieces = []
        for piece in stream:
            pieces.append(piece)
            if not job.piece(piece):
                stream.close()
                break
        return "".join(pieces)

    return {
        name: partial(lambda tool, **args: drained(tool(**args)), tool) for name, tool in (("pay", pay), ("find", find))
    }


def async_generators(job: Job) -> dict[str, Any]:
    @job.guard.tool
    async def pay(order: str, amount: float) -> Any:
        for word in words(job.bodies.run("pay", order=order, amount=amount)):
            yield word

    @job.guard.tool
    async def find(query: str) -> Any:
        for word in words(job.bodies.run("find", query=query)):
            yield word

    async def drained(stream: Any) -> str:
        pieces = []
        async for piece in stream:
            pieces.append(piece)
            if not job.piece(piece):
                await stream.aclose()
                break
        return "".join(pieces)

    return {
        name: partial(lambda tool, **args: drained(tool(**args)), tool) for name, tool in (("pay", pay), ("find", find))
    }


def one_by_one(job: Job, calls: list[Callable[[], Any]]) -> None:
    for call in calls:
        job.call(call)


def awaited(job: Job, calls: list[Callable[[], Any]]) -> None:
    for call in calls:
        job.call(lambda call=call: asyncio.run(call()))


def gathered(job: Job, calls: list[Callable[[], Any]]) -> None:
    async def together() -> list[Any]:
        return await asyncio.gather(*(call() for call in calls), return_exceptions=True)

    told(job, asyncio.run(together()))


def in_threads(job: Job, calls: list[Callable[[], Any]]) -> None:
    results: list[Any] = [None] * len(calls)

    def work(place: int) -> None:
        try:
            results[place] = calls[place]()
        except Exception as error:
            results[place] = error

    threads = [threading.Thread(target=work, args=(place,)) for place in range(len(calls))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    told(job, results)


def in_executor(job: Job, calls: list[Callable[[], Any]]) -> None:
    with ThreadPoolExecutor(4) as pool:
        futures = [pool.submit(call) for call in calls]
    told(job, [future.exception() or future.result() for future in futures])


def told(job: Job, results: Iterable[Any]) -> None:
    def give(result: Any) -> Any:
        if isinstance(result, BaseException):
            raise result
        return result

    for result in results:
        job.call(lambda result=result: give(result))


def drive(make: Any, call: Any, job: Job) -> None:
    with job.guard.session(id=job.session):
        follow(job, make(job), call)


def nested(make: Any, call: Any, job: Job) -> None:
    """A program's agent whose own code is called inside of another agent's run."""
    with job.guard.session(id=job.session, agent="boss"), job.guard.run(job.guard.agent("worker")):
        follow(job, make(job), call)


def follow(job: Job, tools: dict[str, Any], call: Any) -> None:
    asked = [step.calls for step in job.steps]
    job.history = mine = copy.deepcopy(asked)
    for calls in mine:
        call(job, [partial(tools[name], **args) for name, args in calls])


def path(name: str, group: Any, make: Any, call: Any, *carries: Any, way: Any = drive, **more: Any) -> Path:
    return Path(name=name, group=group, carries=frozenset({"tools", *carries}), drive=partial(way, make, call), **more)


class TestPython(AdapterSuite):
    adapter = PythonAdapter()

    @classmethod
    def paths(cls) -> list[Path]:
        return [
            path("function", "sync", functions, one_by_one),
            path("function, attached", "sync", partial(functions, attach=True), one_by_one),
            path("method", "direct call", methods, one_by_one),
            path("coroutine", "async", coroutines, awaited),
            path("generator", "stream", generators, one_by_one, "stream"),
            path("async generator", "stream", async_generators, awaited, "stream"),
            path("threads", "parallel", functions, in_threads, "parallel"),
            path("executor", "parallel", functions, in_executor, "parallel"),
            path("gathered coroutines", "parallel", coroutines, gathered, "parallel"),
            path("gathered async generators", "parallel", async_generators, gathered, "parallel"),
            path(
                "function in a nested run",
                "sub-agent",
                functions,
                one_by_one,
                way=nested,
                agent="worker",
                above=("boss",),
            ),
            path(
                "coroutines in a nested run",
                "sub-agent",
                coroutines,
                gathered,
                "parallel",
                way=nested,
                agent="worker",
                above=("boss",),
            ),
        ]

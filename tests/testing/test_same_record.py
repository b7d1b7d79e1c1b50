"""What the suite compares of a story's record: read from a journal, whatever the path carries and however often."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest

from jackline.errors import Denied
from jackline.events import Usage
from jackline.request import Model
from jackline.testing import same_record
from jackline.testing.paths import MODEL, PROVIDER, Path
from jackline.testing.scripted import Guards
from jackline.testing.story import PROMPT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path as Folder


@pytest.fixture
def guards(tmp_path: Folder) -> Iterator[Guards]:
    made = Guards(tmp_path)
    yield made
    made.close()


def path(*carries: Any, **more: Any) -> Path:
    fields: dict[str, Any] = {"name": "p", "group": "sync", "drive": lambda job: None, **more}
    return Path(carries=frozenset(carries), **fields)


def tools(guard: Any, bodies: Any) -> dict[str, Any]:
    @guard.tool
    def pay(order: str, amount: float) -> str:
        return bodies.run("pay", order=order, amount=amount)

    @guard.tool
    def find(query: str) -> str:
        return bodies.run("find", query=query)

    return {"pay": pay, "find": find}


def follow(guard: Any, the_path: Path, made: dict[str, Any]) -> None:
    """The story, by a program without a model."""
    for step in same_record.steps(the_path):
        for call in step.calls:
            with contextlib.suppress(Denied):
                made[call.tool](**call.args)


def test_a_story_that_is_followed_twice_at_once_is_compared_run_by_run(guards: Guards) -> None:
    twice = path("tools", times=2, agent="worker")
    guard, bodies = same_record.guard(guards), same_record.bodies()
    made = tools(guard, bodies)

    def worker(_: int) -> None:
        with guard.run(guard.agent("worker")):
            follow(guard, twice, made)

    with guard.session(id="job"), ThreadPoolExecutor(2) as pool:
        list(pool.map(worker, range(2)))
    guard.close()
    assert same_record.observed(guard, twice) == same_record.expected(twice)


def test_where_one_of_two_runs_differs_it_is_the_one_that_is_shown(guards: Guards) -> None:
    twice = path("tools", times=2, agent="worker")
    guard, bodies = same_record.guard(guards), same_record.bodies()
    made = tools(guard, bodies)
    with guard.session(id="job"):
        for number in range(2):
            with guard.run(guard.agent("worker")):
                follow(guard, twice, made)
                if number:
                    made["find"](query="too much")
    guard.close()
    seen = same_record.observed(guard, twice)
    assert seen[:-1] == same_record.expected(twice)
    assert [act["args"] for act in seen[-1]] == [{"query": "too much"}]


def test_a_missing_act_is_seen(guards: Guards) -> None:
    guard, one = same_record.guard(guards), path("tools")
    with guard.session(id="job"):
        tools(guard, same_record.bodies())["find"](query="who knows sesame seven")
    guard.close()
    seen = same_record.observed(guard, one)
    assert seen[0] == same_record.expected(one)[0]
    assert seen != same_record.expected(one)


def test_calls_of_one_moment_have_no_order(guards: Guards) -> None:
    at_once = path("tools", "parallel")
    guard = same_record.guard(guards)
    made = tools(guard, same_record.bodies())
    with guard.session(id="job"):
        for step in same_record.steps(at_once):
            for call in reversed(step.calls):
                with contextlib.suppress(Denied):
                    made[call.tool](**call.args)
    guard.close()
    assert same_record.observed(guard, at_once) == same_record.expected(at_once)


@pytest.mark.parametrize(
    ("action", "args"),
    [("retrieval", {"query": PROMPT}), ("embedding", {"texts": [PROMPT]}), ("http.request", {"url": "anything"})],
)
def test_what_a_program_asks_by_itself_is_one_act(action: Any, args: Any, guards: Guards) -> None:
    alone = path("sends", action=action, times=2)
    guard = same_record.guard(guards)
    with guard.session(id="job"):
        for _ in range(2):
            request = guard.request(action, "whatever it is called", args)
            guard.complete(request, guard.require(request), "found", usage=Usage(input=7, estimated=True))
    guard.close()
    assert same_record.observed(guard, alone) == same_record.expected(alone)
    assert len(same_record.expected(alone)) == 1


def test_a_call_that_failed_or_cost_something_else_is_seen(guards: Guards) -> None:
    asked = path("sends", "model", action="model.call", times=2)
    guard = same_record.guard(guards)
    with guard.session(id="job"):
        for usage in (Usage(input=1000, output=200), Usage(input=1000, output=201)):
            model = Model(name=MODEL, provider=PROVIDER, max_tokens=1000, input_bytes=5000)
            request = guard.request("model.call", MODEL, {"messages": []}, model=model)
            decision = guard.require(request)
            if usage.output == 200:
                guard.fail(request, decision, OSError("gone"))
            else:
                guard.complete(request, decision, "done", usage=usage, model=MODEL)
    guard.close()
    ((failed, dearer),) = same_record.observed(guard, asked)
    assert failed["outcome"] == "failed: OSError"
    assert dearer["usage"] == [1000, 201]
    assert dearer["micro_usd"] == 5211
    assert failed != dearer


def test_what_a_frameworks_own_tool_keeps_beside_its_text_is_its_own() -> None:
    assert same_record._text({"result": {"response": " it is so\n", "sources": [1]}}) == "it is so"
    assert same_record._text({"result": ["it is ", "so"]}) == "it is so"
    assert same_record._text({"result": [1, "so"]}) == [1, "so"]
    assert same_record._text("not on record") == "not on record"

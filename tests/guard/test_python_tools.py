"""Plain Python tools: sync, async and generators; denied bodies run 0 times, on every path."""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jackline import Denied, Halted, JacklineError
from jackline.decision import Verdict
from jackline.errors import ApprovalPending

BUNDLE = """
jackline: 1
policies:
  - name: large
    use: rule
    on: tool.call
    when: args.amount > 500
    effect: {effect}
    reason: too large
"""


class Ran:
    """A side-effect counter."""

    def __init__(self):
        self.bodies = []


def tools(guard, ran):
    @guard.tool
    def plain(amount):
        ran.bodies.append(amount)
        return f"paid {amount}"

    @guard.tool
    async def later(amount):
        ran.bodies.append(amount)
        return f"paid {amount}"

    @guard.tool
    def stream(amount):
        ran.bodies.append(amount)
        yield "paid"
        yield amount

    @guard.tool
    async def astream(amount):
        ran.bodies.append(amount)
        yield "paid"
        yield amount

    class Desk:
        @guard.tool
        def method(self, amount):
            ran.bodies.append(amount)
            return amount

    return {
        "plain": plain,
        "keyword": lambda amount: plain(amount=amount),
        "method": Desk().method,
        "generator": lambda amount: list(stream(amount)),
        "async": lambda amount: asyncio.run(later(amount)),
        "async generator": lambda amount: asyncio.run(collect(astream(amount))),
        "thread": lambda amount: in_thread(plain, amount),
        "executor": lambda amount: in_executor(plain, amount),
        "gathered": lambda amount: asyncio.run(gathered(later, amount)),
    }


async def collect(stream):
    return [item async for item in stream]


async def gathered(tool, amount):
    return (await asyncio.gather(tool(amount)))[0]


def in_executor(tool, amount):
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(tool, amount).result()


def in_thread(tool, amount):
    answer = []

    def body():
        try:
            answer.append(tool(amount))
        except BaseException as error:
            answer.append(error)

    thread = threading.Thread(target=body)
    thread.start()
    thread.join()
    if isinstance(answer[0], BaseException):
        raise answer[0]
    return answer[0]


PATHS = ["plain", "keyword", "method", "generator", "async", "async generator", "thread", "executor", "gathered"]


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize(("effect", "error"), [("deny", Denied), ("halt", Halted), ("escalate", ApprovalPending)])
def test_p12_a_refused_body_runs_0_times_on_every_path(bench, path, effect, error):
    guard, ran = bench.guard(BUNDLE.format(effect=effect)), Ran()
    call = tools(guard, ran)[path]
    with guard.session(id="job", user="ann") as session:
        assert call(5)
        with pytest.raises(error, match="too large") as refused:
            call(5000)
        assert ran.bodies == [5]
        assert refused.value.decision.policy == "large"
        assert session.halted is (effect == "halt")
    decided = bench.events("decided")
    assert [event.effect for event in decided] == ["allow", effect]
    assert {event.session for event in decided} == {session.id}
    assert len(bench.events("completed")) == 1


@pytest.mark.parametrize("path", PATHS)
def test_p12_without_a_session_the_process_has_one_and_the_policy_holds(bench, path):
    guard, ran = bench.guard(BUNDLE.format(effect="deny")), Ran()
    call = tools(guard, ran)[path]
    with pytest.raises(Denied):
        call(5000)
    assert ran.bodies == []
    assert len(bench.events("decided")) == 1


def test_a_call_that_does_not_fit_fails_as_python_does_before_anything_is_judged(bench):
    guard = bench.guard()
    tool = guard.tool(lambda amount: amount, name="pay")
    with pytest.raises(TypeError, match="too many positional arguments"):
        tool(1, 2)
    assert bench.events("decided") == []


@pytest.mark.parametrize("path", ["plain", "async", "generator", "async generator"])
def test_an_error_of_the_body_is_on_record_and_reaches_the_caller(bench, path):
    guard = bench.guard()

    def body(amount):
        raise ValueError("no such order")

    async def later(amount):
        raise ValueError("no such order")

    def stream(amount):
        yield 1
        raise ValueError("no such order")

    async def astream(amount):
        yield 1
        raise ValueError("no such order")

    calls = {
        "plain": lambda: guard.tool(body)(1),
        "async": lambda: asyncio.run(guard.tool(later)(1)),
        "generator": lambda: list(guard.tool(stream)(1)),
        "async generator": lambda: asyncio.run(collect(guard.tool(astream)(1))),
    }
    with pytest.raises(ValueError, match="no such order"):
        calls[path]()
    (failed,) = bench.events("failed")
    assert (failed.error, failed.message) == ("ValueError", "")


def test_a_caller_that_stops_asking_leaves_no_open_act(bench):
    guard = bench.guard()
    closed = []

    @guard.tool
    def stream():
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    for _ in stream():
        break
    assert closed == [True]
    (failed,) = bench.events("failed")
    assert failed.error == "abandoned"


def test_a_cancelled_tool_is_on_record(bench):
    guard = bench.guard()
    started = asyncio.Event()

    @guard.tool
    async def slow():
        started.set()
        await asyncio.Event().wait()

    async def main():
        task = asyncio.create_task(slow())
        await started.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    (failed,) = bench.events("failed")
    assert failed.error == "asyncio.exceptions.CancelledError"


def test_what_a_tool_calls_is_its_child(bench):
    guard = bench.guard()

    @guard.tool
    def inner():
        return 1

    @guard.tool
    def outer():
        return inner() + 1

    with guard.session(id="job"):
        assert outer() == 2
    first, second = bench.events("decided")
    assert (first.resource, second.resource) == ("outer", "inner")
    assert second.parent == first.span
    assert second.run == first.run


def test_p23_a_sub_agents_acts_are_the_same_sessions(bench):
    guard = bench.guard()
    tool = guard.tool(lambda: 1, name="look")
    with guard.session(id="job", user="ann", labels={"team": "x"}), guard.run(guard.agent("researcher")):
        tool()
    runs = bench.events("run_started")
    (decided,) = bench.events("decided")
    assert decided.agent == "researcher"
    assert decided.run == runs[1].run
    assert runs[1].parent_run == runs[0].run
    assert runs[1].depth == 1
    (started,) = bench.events("session_started")
    assert (started.user, started.labels, started.session) == ("ann", {"team": "x"}, decided.session)


MODIFY = """
jackline: 1
policies:
  - name: mask
    use: mask
"""


def test_modified_arguments_are_what_the_body_receives(bench, masking):
    guard = bench.guard(MODIFY)
    seen = []

    @guard.tool
    def send(to, text, *, extra=None):
        seen.append((to, text, extra))
        return "sent"

    native = object()
    note = {"body": "a SECRET"}
    assert send(native, note, extra=("x",)) == "sent"
    assert seen == [(native, {"body": "a ***"}, ("x",))]
    assert note == {"body": "a SECRET"}
    assert bench.events("decided")[0].effect == "modify"


@pytest.mark.parametrize("path", ["plain", "async", "generator", "async generator"])
def test_results_are_judged_before_anyone_sees_them(bench, masking, path):
    guard = bench.guard(MODIFY)

    @guard.tool
    def plain():
        return "a SECRET"

    @guard.tool
    async def later():
        return "a SECRET"

    @guard.tool
    def stream():
        yield "a SECRET"

    @guard.tool
    async def astream():
        yield "a SECRET"

    found = {
        "plain": plain,
        "async": lambda: asyncio.run(later()),
        "generator": lambda: next(iter(stream())),
        "async generator": lambda: asyncio.run(collect(astream()))[0],
    }[path]()
    assert found == "a ***"
    assert [event.action for event in bench.events("decided")] == ["tool.call", "tool.return"]


def test_a_withheld_result_raises_and_the_act_stays_on_record(bench):
    guard = bench.guard(
        """
jackline: 1
policies:
  - {name: no-secrets, use: rule, on: tool.return, when: "args.result.contains('SECRET')", effect: deny, reason: secret}
"""
    )
    with pytest.raises(Denied, match="secret"):
        guard.tool(lambda: "a SECRET", name="look")()
    assert len(bench.events("completed")) == 1


def test_a_policy_that_adds_an_argument_stops_the_call(bench, masking, monkeypatch):
    monkeypatch.setattr(
        masking,
        "evaluate",
        lambda self, request, state: Verdict(effect="modify", args={**request.args, "bcc": "x"}),
    )
    guard, ran = bench.guard(MODIFY), Ran()
    with pytest.raises(JacklineError, match="tool 'send' was not run: a policy added the argument 'bcc'"):
        guard.tool(lambda to: ran.bodies.append([to]), name="send")("a")
    assert ran.bodies == []
    assert bench.events("failed")[0].error == "abandoned"


def test_attach_governs_a_function(bench):
    guard, ran = bench.guard(BUNDLE.format(effect="deny")), Ran()

    def pay(amount):
        ran.bodies.append(amount)

    governed = guard.attach(pay)
    with pytest.raises(Denied):
        governed(5000)
    assert ran.bodies == []
    assert governed.jackline_tool.name == "pay"


def test_attach_names_what_is_missing(bench):
    guard = bench.guard()
    crew = type("Crew", (), {"__module__": "crewai.crew"})()
    with pytest.raises(JacklineError) as refused:
        guard.attach(crew)
    assert str(refused.value).startswith("No adapter accepts 'Crew' (from crewai). Installed: ")
    assert str(refused.value).endswith("Try: pip install jackline-crewai")


def test_p36_the_tool_name_is_always_there(bench):
    guard = bench.guard(
        "jackline: 1\npolicies:\n  - {name: n, use: rule, on: tool.call, when: \"tool.name == 'delete_file'\", effect: deny}\n"
    )
    with pytest.raises(Denied):
        guard.tool(lambda path: path, name="delete_file")(path="/etc")


def test_tools_decorated_before_the_first_call_are_known_and_later_ones_new(bench):
    guard = bench.guard()
    first = guard.tool(lambda: 1, name="first")
    guard.tool(lambda: 2, name="second")
    first()
    third = guard.tool(lambda: 3, name="third")
    third()
    assert [event.registry["tool"] for event in bench.events("decided")] == ["known", "new"]

"""Ways round the guard that a reviewer found: each was open once."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import sys
import threading
from types import SimpleNamespace

import pytest

from jackline import Denied, Halted, options
from jackline.control import ControlError
from jackline.decision import Claim, Verdict
from jackline.errors import JournalError
from jackline.hookspecs import hookimpl
from jackline.plugins import load_plugins
from jackline.policy import Reach
from jackline.request import Model, Tool
from jackline.session import Halt
from jackline.waiting import elsewhere

HALTING = """
jackline: 1
policies:
  - {name: stop, use: rule, on: tool.call, when: "tool.name == 'bad'", effect: halt, reason: enough}
"""
SCRIPTED = """
jackline: 1
policies:
  - {{name: scripted, use: scripted, trusted: {trusted}}}
"""


class Scripted:
    """Answers what the test wants it to."""

    Options = options.Options
    phase = "judge"
    reach = Reach(actions=frozenset({"tool.call"}))
    answer = None
    told = None

    @classmethod
    def build(cls, name, options, context):
        return cls()

    def evaluate(self, request, state):
        return type(self).answer(request)

    def observe(self, event, state):
        if type(self).told is not None:
            type(self).told(event)


class Pack:
    @staticmethod
    @hookimpl
    def jackline_register_policies(register):
        register("scripted", "scripted_pack:Scripted")


@pytest.fixture
def scripted(monkeypatch):
    monkeypatch.setitem(sys.modules, "scripted_pack", SimpleNamespace(Scripted=Scripted))
    loaded = load_plugins([("scripted", Pack)])
    monkeypatch.setattr("jackline.bundle.installed_plugins", lambda: loaded)

    def answer(function):
        monkeypatch.setattr(Scripted, "answer", staticmethod(function))

    return answer


def tools(guard, ran):
    @guard.tool
    def good():
        ran.append("good")

    @guard.tool
    def bad():
        ran.append("bad")

    return good, bad


@pytest.mark.parametrize("external", [None, "job"])
def test_a_thread_that_outlives_its_halted_session_stays_halted(bench, external):
    guard, ran, left, caught = bench.guard(HALTING), [], threading.Event(), []
    good, bad = tools(guard, ran)

    def later():
        left.wait(timeout=10)
        with pytest.raises(Halted) as error:
            good()
        caught.append(error.value.decision.policy)

    def job():
        with guard.session(id=external):
            threads.append(threading.Thread(target=later))
            threads[0].start()
            bad()

    threads = []
    with pytest.raises(Halted):
        job()
    left.set()
    threads[0].join()
    assert (ran, caught) == ([], ["stop"])


def test_a_halted_session_that_had_to_leave_memory_stays_halted(bench):
    guard, ran = bench.guard(HALTING, sessions=10), []
    good, bad = tools(guard, ran)
    with guard.session():
        with pytest.raises(Halted):
            bad()
        for _ in range(30):
            guard.open_session()
        with pytest.raises(Halted):
            good()
    assert ran == []


def test_a_session_that_is_halted_elsewhere_while_it_is_not_in_memory_stays_halted(bench):
    here, there, ran = bench.guard(HALTING, sessions=10), bench.guard(HALTING), []
    good, _ = tools(here, ran)
    with here.session(id="job") as session:
        good()
        for _ in range(30):
            here.open_session()
        there.halt(there.open_session("job"), Halt("enough", "stop"))
        with here.session(id="another"):
            good()  # takes note of what has changed
        with pytest.raises(Halted):
            good()
    assert ran == ["good", "good"]
    assert session.id


def test_the_session_in_use_is_the_last_to_leave_memory(bench):
    guard, ran = bench.guard(HALTING, sessions=10), []
    good, _ = tools(guard, ran)
    with guard.session() as session:
        for _ in range(30):
            guard.open_session()
            good()
        assert session.tool_calls == 30


def test_no_thread_goes_on_while_another_takes_note_of_a_stop(bench, monkeypatch):
    guard, ran = bench.guard(HALTING), []
    good, _ = tools(guard, ran)
    reading, go_on = threading.Event(), threading.Event()
    stops = guard.control.stops

    def slowly():
        reading.set()
        go_on.wait(timeout=10)
        return stops()

    with guard.session(id="job") as session:
        good()
        guard.control.stop(session.id, "ann", "wrong job")
        monkeypatch.setattr(guard.control, "stops", slowly)
        outcomes = []

        def act():
            try:
                good()
            except Halted as error:
                outcomes.append(error.decision.reason)

        threads = [threading.Thread(target=act) for _ in range(2)]
        threads[0].start()
        reading.wait(timeout=10)
        threads[1].start()
        threads[1].join(timeout=0.2)
        go_on.set()
        for thread in threads:
            thread.join()
    assert ran == ["good"]
    assert outcomes == ["stopped by ann: wrong job"] * 2


def test_a_stop_that_cannot_be_read_denies_until_it_can(bench, monkeypatch):
    guard, ran = bench.guard(HALTING), []
    good, _ = tools(guard, ran)
    stops = guard.control.stops

    def unreadable():
        raise ControlError("too many open files")

    with guard.session(id="job") as session:
        guard.control.stop(session.id, "ann", "wrong job")
        monkeypatch.setattr(guard.control, "stops", unreadable)
        for _ in range(2):
            with pytest.raises(Denied, match="could not be judged: ControlError: too many open files"):
                good()
        monkeypatch.setattr(guard.control, "stops", stops)
        with pytest.raises(Halted):
            good()
    assert ran == []
    assert [event.effect for event in bench.events("decided")] == ["deny", "deny", "halt"]


def test_an_old_reopening_does_not_lift_a_new_halt(bench, monkeypatch):
    guard = bench.guard(HALTING)
    with guard.session(id="job") as session:
        guard.halt(session, Halt("first"))
        guard.control.reopen(session.id, "ann", "looked at it")
        guard.check(guard.request("tool.call", "good", {}, tool=Tool(name="good")))
        assert not session.halted

        def full(*_args, **_kwargs):
            raise OSError("no space left")

        monkeypatch.setattr(guard.control, "halt", full)
        guard.halt(session, Halt("second"))
        guard.control.bump()
        assert guard.check(guard.request("tool.call", "good", {}, tool=Tool(name="good"))).effect == "halt"


def test_a_generator_that_is_collected_within_a_check_does_not_hang(bench, scripted):
    kept = {}

    def answer(request):
        if request.resource == "collects":
            kept.clear()
            gc.collect()

    scripted(answer)
    guard = bench.guard(SCRIPTED.format(trusted="true"))

    @guard.tool
    def items():
        yield 1
        yield 2

    @guard.tool
    def collects():
        return "done"

    with guard.session(id="job"):
        kept["items"] = items()
        next(kept["items"])
        assert within(10, collects) == "done"
    assert [event.error for event in bench.events("failed")] == ["abandoned"]


def test_a_signal_handler_that_acts_within_a_check_does_not_hang(bench, scripted):
    scripted(lambda request: os.kill(os.getpid(), signal.SIGUSR1) if request.resource == "good" else None)
    guard, ran = bench.guard(SCRIPTED.format(trusted="true")), []
    good, bad = tools(guard, ran)
    before = signal.signal(signal.SIGUSR1, lambda *_: bad())
    try:
        with guard.session(id="job"):
            within(10, good)
    finally:
        signal.signal(signal.SIGUSR1, before)
    assert ran == ["bad", "good"]


def within(seconds, act):
    """Do it, or fail: a lock that is taken twice would wait for ever."""

    def late(*_):
        raise TimeoutError("it hangs")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(seconds)
    try:
        return act()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def test_f12_a_cancelled_check_gives_its_reservation_back(bench, scripted):
    asked, free, returned = threading.Event(), threading.Event(), threading.Event()

    def answer(_request):
        asked.set()
        free.wait(timeout=10)
        return Verdict(effect="allow", claims=(Claim(scope="all", unit="calls", cap=1, fixed=1),))

    scripted(answer)
    guard, ran = bench.guard(SCRIPTED.format(trusted="false"), deadline=20), []

    abandon = guard.abandon

    def noted(*told):
        abandon(*told)
        returned.set()

    guard.abandon = noted

    @guard.tool
    async def act():
        ran.append(1)

    async def main():
        task = asyncio.create_task(act())
        await asyncio.to_thread(asked.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        free.set()
        await asyncio.to_thread(returned.wait, 10)
        await act()

    with guard.session(id="job"):
        asyncio.run(main())
    assert ran == [1]
    first, second = bench.events("decided")
    (failed,) = bench.events("failed")
    assert (failed.error, failed.span) == ("abandoned", first.span)
    assert second.effect == "allow"
    assert guard.ledger.balance("all") == (1, 0)


def test_f12_an_answer_that_comes_with_the_cancellation_is_given_back_too():
    there, back = threading.Event(), []

    def body():
        there.set()
        return "answer"

    async def main():
        task = asyncio.create_task(elsewhere(body, back.append))
        await asyncio.sleep(0)
        there.wait(timeout=10)  # the loop stands still: the answer is there before its caller can take it
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())
    assert back == ["answer"]


def test_p27_an_outcome_does_not_hold_the_loop_while_another_thread_is_judged(bench, scripted):
    judging, free = threading.Event(), threading.Event()

    def answer(request):
        if request.resource == "slow":
            judging.set()
            free.wait(timeout=10)

    scripted(answer)
    guard = bench.guard(SCRIPTED.format(trusted="true"))

    @guard.tool
    def slow():
        pass

    async def main():
        request = guard.request("model.call", "m", {"messages": []})
        decision = guard.check(request)
        other = asyncio.create_task(asyncio.to_thread(slow))
        await asyncio.to_thread(judging.wait, 10)
        guard.complete(request, decision, "answer")  # on the loop: it would wait for `slow` to be judged
        free.set()
        await other
        assert not session.told

    with guard.session(id="job") as session:
        within(10, lambda: asyncio.run(main()))
    assert len(bench.events("completed")) == 2


@pytest.mark.parametrize(
    "verdict",
    [
        {"claims": (1,)},
        {"claims": (Claim(scope="s", unit="usd", cap=5, fixed="3"),)},
        {"claims": (Claim(scope="s", unit="usd", cap=5, fixed=9, on_exceed="allow"),)},
        {"claims": (Claim(scope="s", unit="usd", cap=5, fixed=9, on_exceed="perhaps"),)},
        {"claims": (Claim(scope="s", unit="usd", cap=5, fixed=1),), "output": "x", "shrink": True},
        {"args": "x"},
        {"args": {"amount": 5000}},
        {"claims": None},
        {"findings": 3},
        {"findings": ("an e-mail address",)},
        {"detail": None},
        {"detail": {"x": object()}},
        {"reason": b"\xff"},
    ],
)
def test_f08_junk_inside_of_a_verdict_is_a_denial_and_raises_nothing_else(bench, scripted, verdict):
    scripted(lambda _request: Verdict(effect="allow", **verdict))
    guard, ran = bench.guard(SCRIPTED.format(trusted="true")), []
    good, _ = tools(guard, ran)
    with guard.session(id="job"), pytest.raises(Denied):
        good()
    assert ran == []
    assert [entry.held for entry in guard.ledger.balances()] in ([], [0])


def test_a_check_that_breaks_where_policies_only_observe_changes_nothing(bench, monkeypatch):
    guard, ran = bench.guard(HALTING.replace("jackline: 1", "jackline: 1\nmode: observe")), []
    good, _ = tools(guard, ran)

    def broken(_request):
        raise ControlError("gone")

    monkeypatch.setattr(guard, "_current", broken)
    with guard.session(id="job"):
        good()
    assert ran == ["good"]
    (decided,) = bench.events("decided")
    assert (decided.effect, decided.would) == ("allow", "deny")
    assert decided.reason == "it could not be judged: ControlError: gone"


def test_a_forked_child_does_not_write_what_its_parent_has_yet_to_write(bench, monkeypatch):
    guard = bench.guard()
    with guard.session(id="job"):
        request = guard.request("tool.call", "good", {}, tool=Tool(name="good"))
        decision = guard.require(request)
        append = guard.recorder.journal.append

        def full(_event):
            raise JournalError("no space left")

        monkeypatch.setattr(guard.recorder.journal, "append", full)
        guard.complete(request, decision, "done")
        monkeypatch.setattr(guard.recorder.journal, "append", append)
        child = os.fork()
        if not child:  # pragma: no cover - another process
            try:
                guard.require(guard.request("tool.call", "good", {}, tool=Tool(name="good")))
            finally:
                os._exit(0)
        os.waitpid(child, 0)
        guard.require(guard.request("tool.call", "good", {}, tool=Tool(name="good")))
    assert [event.span for event in bench.events("completed")] == [request.span]


def silent():
    threading.Event().wait(20)


def leaving():
    raise SystemExit(3)


@pytest.mark.parametrize("act", [silent, leaving])
def test_f08_a_policy_that_hangs_or_leaves_when_it_is_told_disturbs_nobody(bench, scripted, monkeypatch, act):
    scripted(lambda _request: None)
    monkeypatch.setattr(Scripted, "told", staticmethod(lambda _event: act()))
    guard, ran = bench.guard(SCRIPTED.format(trusted="false"), deadline=0.05), []
    good, _ = tools(guard, ran)

    @guard.tool
    async def also():
        ran.append("also")

    with guard.session(id="job"):
        within(10, good)
        within(10, lambda: asyncio.run(also()))
    assert ran == ["good", "also"]
    assert guard.observation_failures == 4


def test_f08_an_untrusted_policy_cannot_widen_what_was_granted(bench, scripted, monkeypatch):
    def widen(event):
        if event.__struct_config__.tag == "decided":
            event.limits["max_tokens"] = 10**9

    monkeypatch.setattr(Scripted, "reach", Reach(actions=frozenset({"model.call"})))
    monkeypatch.setattr(Scripted, "told", staticmethod(widen))
    claim = Claim(scope="all", unit="tokens", cap=40, fixed=0, per_output=1_000_000)
    scripted(lambda _request: Verdict(effect="allow", claims=(claim,), output=100, shrink=True))
    guard = bench.guard(SCRIPTED.format(trusted="false"))
    model = Model(name="m", max_tokens=100, can_limit=True)
    with guard.session(id="job"):
        decision = guard.check(guard.request("model.call", "m", {"messages": []}, model=model))
    assert decision.limits == {"max_tokens": 40}


def test_an_error_of_a_policy_that_cannot_say_what_it_is_denies(bench, scripted):
    class Wordless(Exception):
        def __str__(self):
            raise RuntimeError("no words")

    def answer(_request):
        raise Wordless

    scripted(answer)
    guard, ran = bench.guard(SCRIPTED.format(trusted="true")), []
    good, _ = tools(guard, ran)
    with guard.session(id="job"), pytest.raises(Denied, match=r"raised Wordless: \(it cannot say what\)"):
        good()
    assert ran == []


def test_a_generator_is_sent_thrown_and_returns_as_without_a_guard(bench):
    guard = bench.guard()

    @guard.tool
    def talks():
        heard = yield "first"
        try:
            yield heard
        except ValueError as error:
            yield str(error)
        return "end"

    def whole():
        found.append((yield from talks()))

    found = []
    with guard.session(id="job"):
        talk = talks()
        assert [next(talk), talk.send("hello"), talk.throw(ValueError("no"))] == ["first", "hello", "no"]
        assert list(whole()) == ["first", None]
        talk.close()
    assert found == ["end"]
    assert [event.error for event in bench.events("failed")] == ["abandoned"]


def test_an_asynchronous_generator_is_sent_and_thrown_as_without_a_guard(bench):
    guard = bench.guard()

    @guard.tool
    async def talks():
        heard = yield "first"
        try:
            yield heard
        except ValueError as error:
            yield str(error)

    async def main():
        talk = talks()
        said = [await anext(talk), await talk.asend("hello"), await talk.athrow(ValueError("no"))]
        return said + [item async for item in talk]

    with guard.session(id="job"):
        assert asyncio.run(main()) == ["first", "hello", "no"]
    assert len(bench.events("completed")) == 1


def test_what_a_generator_returns_is_judged_with_its_items(bench, masking):
    guard = bench.guard("jackline: 1\npolicies:\n  - {name: mask, use: mask, trusted: true}\n")

    @guard.tool
    def counts():
        yield "a SECRET"
        return "the SECRET"

    def whole():
        found.append((yield from counts()))

    found = []
    with guard.session(id="job"):
        assert list(whole()) == ["a ***"]
    assert found == ["the ***"]


def test_an_agent_whose_name_looks_like_anothers_key_is_another_agent(bench):
    guard = bench.guard()
    tool = Tool(name="wipe", fingerprint="f" * 16)
    support = guard.agent("support", version="2", team="gold", tools=())
    for name in ("support@evil", "support@2"):
        other = guard.agent(name)
        assert (other.name, other.team) == (name, "")
        assert guard.registry.tool(other, tool).status == "known"
    assert guard.registry.tool(support, tool).status == "new"
    assert sorted(guard.registry.entries) == ["support", "support@2", "support@evil"]


def test_answers_about_invented_tools_do_not_fill_the_memory(bench, monkeypatch):
    monkeypatch.setattr("jackline.registry._TOOLS", 10)
    monkeypatch.setattr("jackline.registry._ANSWERED", 50)
    guard = bench.guard()
    agent = guard.agent("support", tools=())
    for number in range(200):
        guard.registry.tool(agent, Tool(name=f"invented{number}"))
    assert len(guard.registry._tools) <= 50


def test_a_halt_that_cannot_be_recorded_ends_the_session_all_the_same(bench, monkeypatch):
    guard, ran = bench.guard(HALTING), []
    good, bad = tools(guard, ran)
    append = guard.recorder.journal.append

    def full(_event):
        raise JournalError("no space left")

    with guard.session(id="job"):
        monkeypatch.setattr(guard.recorder.journal, "append", full)
        with pytest.raises(Halted):
            bad()
        monkeypatch.setattr(guard.recorder.journal, "append", append)
        with pytest.raises(Halted):
            good()
    assert ran == []
    assert [event.reason for event in bench.events("session_halted")] == ["enough"]


def test_a_refusal_of_what_no_record_can_hold_is_on_record(bench, scripted):
    scripted(lambda _request: Verdict(effect="allow", detail={"x": object()}))
    guard = bench.guard(SCRIPTED.format(trusted="true"))
    good, _ = tools(guard, [])
    with guard.session(id="job"), pytest.raises(Denied):
        good()
    (decided,) = bench.events("decided")
    assert (decided.effect, decided.policy, decided.rule) == ("deny", "jackline", "journal")
    assert "could not be recorded" in decided.reason


def test_p67_a_wrap_that_somebody_else_put_around_threads_stays(bench, monkeypatch):
    guard = bench.guard()
    ours, calls = threading.Thread.start, []

    def theirs(self):
        calls.append(self)
        ours(self)

    monkeypatch.setattr(threading.Thread, "start", theirs)
    guard.close()
    assert threading.Thread.start is theirs
    thread = threading.Thread(target=lambda: None)
    thread.start()
    thread.join()
    assert calls == [thread]
    monkeypatch.undo()
    threading.Thread.start = ours.__wrapped__


def test_a_halt_elsewhere_costs_no_look_at_every_session(bench, monkeypatch):
    here, there = bench.guard(HALTING), bench.guard(HALTING)
    good, _ = tools(here, [])
    for number in range(50):
        here.open_session(f"job-{number}")
    there.halt(there.open_session("job-7"), Halt("enough", "stop"))
    looked, halted = [], here.control.halted

    def noted(session):
        looked.append(session)
        return halted(session)

    monkeypatch.setattr(here.control, "halted", noted)
    with here.session():
        good()
    assert looked == [here.open_session("job-7").id]
    assert here.open_session("job-7").halted


def test_halts_that_cannot_be_listed_deny(bench):
    guard, ran = bench.guard(HALTING), []
    good, _ = tools(guard, ran)
    with guard.session(id="job"):
        guard.control.bump()
        folder = guard.control.directory / "halted"
        folder.rename(folder.with_name("elsewhere"))
        with pytest.raises(Denied, match=r"halted sessions in .* cannot be read"):
            good()
        folder.with_name("elsewhere").rename(folder)
        good()
    assert ran == ["good"]


@pytest.mark.parametrize("change", [lambda order: order.update(amount=5000), lambda order: order["lines"].append(9)])
def test_f08_arguments_that_change_while_they_are_judged_are_not_executed(bench, scripted, change):
    judging, changed = threading.Event(), threading.Event()

    def answer(_request):
        judging.set()
        changed.wait(timeout=10)

    scripted(answer)
    guard, ran = bench.guard(SCRIPTED.format(trusted="false"), deadline=20), []

    @guard.tool
    async def pay(order):
        ran.append(order)

    async def main():
        order = {"amount": 5, "lines": [1]}
        task = asyncio.create_task(pay(order))
        await asyncio.to_thread(judging.wait, 10)
        change(order)
        changed.set()
        with pytest.raises(Denied, match="changed while they were judged"):
            await task
        await pay(order)

    with guard.session(id="job"):
        asyncio.run(main())
    assert len(ran) == 1
    assert [event.error for event in bench.events("failed")] == ["abandoned"]


def test_a_body_receives_its_callers_own_objects(bench):
    guard, order = bench.guard(), {"amount": 5}

    @guard.tool
    def pay(order):
        return order

    with guard.session(id="job"):
        assert pay(order) is order

"""One act, from its request to its outcome: permitted, refused, changed, withheld, left; and one record of it."""

from __future__ import annotations

import asyncio
import contextvars
from dataclasses import dataclass
from typing import Any

import pytest

from jackline import ApprovalPending, Denied, Guard, Halted
from jackline.act import Act, signal_of
from jackline.bundle import Bundle, Entry
from jackline.decision import Decision, Verdict
from jackline.errors import LedgerError
from jackline.events import Usage
from jackline.journal import read
from jackline.policy import Reach
from jackline.session import CURRENT


class Policy:
    """A policy that a function answers for."""

    observes = False

    def __init__(self, answer, *actions, phase="judge"):
        self.answer = answer
        self.phase = phase
        self.reach = Reach(actions=frozenset(actions))

    def evaluate(self, request, state):
        return self.answer(request)

    def observe(self, event, state):
        """Nothing."""


@dataclass
class Bench:
    """A guard with one policy, an act of it, and what is on record."""

    guard: Guard

    def act(self, kind: type[Act] = Act) -> Act:
        return kind(self.guard, self.guard.scope())

    def asked(self, act: Act, action: Any = "tool.call", **args: Any) -> Any:
        request = act.built(lambda: self.guard.request(action, "refund", args, scope=act.scope))
        act.check(request)
        return request

    def record(self) -> list[Any]:
        lines = [line for path in sorted(self.guard.home.journals.glob("*.jsonl")) for line in read(path)]
        return [line.event for line in lines if line.kind in ("decided", "completed", "failed")]

    def story(self) -> list[str]:
        return [getattr(event, "effect", "") or getattr(event, "error", "") or "completed" for event in self.record()]


@pytest.fixture
def bench(tmp_path):
    made = []

    def make(answer=None, *actions, phase="judge") -> Bench:
        policies = [Policy(answer, *(actions or ("tool.call",)), phase=phase)] if answer is not None else []
        entries = tuple(Entry(f"p{place}", "test", policy, None) for place, policy in enumerate(policies))  # type: ignore[arg-type]
        guard = Guard(Bundle(revision="0" * 64, source="test", entries=entries), home=tmp_path, application="tests")
        made.append(guard)
        return Bench(guard)

    yield make
    for guard in made:
        guard.close()


def always(effect: Any, **facts: Any):
    return lambda request: Verdict(effect=effect, reason="because", **facts)


def broken(*args: Any, **kwargs: Any) -> Any:
    raise LedgerError("the disk is full")


class Speechless(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


# --- permitted


def test_a_permitted_act_has_one_decision_and_one_outcome(bench):
    bench = bench()
    act = bench.act()
    assert act.inner is act.scope
    request = bench.asked(act, amount=5)
    with act:
        assert CURRENT.get() == act.inner
        assert act.inner.span == request.span
    assert CURRENT.get() is None
    act.complete("paid")
    act.complete("again")
    act.fail(RuntimeError("late"))
    act.abandon("later")
    assert (bench.story(), act.closed, act.refusal) == (["allow", "completed"], True, None)
    assert act.released("paid", "paid", None) == "paid"


def test_an_act_on_an_event_loop_is_asked_for_there(bench):
    bench = bench(lambda request: Verdict(effect="deny", reason="because") if request.args["amount"] > 5 else None)

    async def run(amount):
        act = bench.act()
        await act.acheck(act.built(lambda: bench.guard.request("tool.call", "refund", {"amount": amount})))
        act.complete(None)

    asyncio.run(run(5))
    with pytest.raises(Denied, match="Not permitted by policy 'p0': because"):
        asyncio.run(run(6))
    assert bench.story() == ["allow", "completed", "deny"]


def test_the_facts_of_a_completed_act_are_on_record(bench):
    bench = bench()
    act = bench.act()
    bench.asked(act, "model.call")
    act.complete("text", usage=Usage(input=3, output=4), model="m")
    outcome = bench.record()[-1]
    assert (outcome.usage, outcome.model) == (Usage(input=3, output=4), "m")


def test_an_act_that_nobody_asked_about_leaves_no_record(bench):
    bench = bench()
    act = bench.act()
    act.complete(1)
    act.fail("x")
    act.abandon("x")
    assert (bench.story(), act.closed) == ([], False)
    with act:
        assert CURRENT.get() is act.scope


# --- refused


@pytest.mark.parametrize(
    ("effect", "kind", "message"),
    [
        ("deny", Denied, "Not permitted by policy 'p0': because"),
        ("halt", Halted, "Session ended by policy 'p0': because"),
        ("escalate", ApprovalPending, r"Approval needed by policy 'p0': because \(nobody can answer yet; it was not"),
    ],
)
def test_an_act_that_is_not_permitted_raises_and_has_no_outcome(bench, effect, kind, message):
    bench = bench(always(effect))
    act = bench.act()
    with pytest.raises(kind, match=message) as raised:
        bench.asked(act)
    assert act.refusal is raised.value
    act.fail(raised.value)
    act.abandon("not started")
    act.complete(None)
    assert (act.closed, bench.story()) == (True, [effect])


def test_after_a_halt_no_act_of_the_session_starts(bench):
    bench = bench(lambda request: Verdict(effect="halt", reason="because") if request.args else None)
    with pytest.raises(Halted):
        bench.asked(bench.act(), amount=1)
    with pytest.raises(Halted, match="because"):
        bench.asked(bench.act())
    assert bench.story() == ["halt", "halt"]


def test_what_an_adapter_raises_is_its_own_to_say(bench):
    class Native(Denied, LookupError):
        pass

    class Mine(Act):
        def signal(self, decision):
            return Native(decision)

    bench = bench(always("deny"))
    with pytest.raises(LookupError, match="because"):
        bench.asked(bench.act(Mine))


@pytest.mark.parametrize("effect", ["deny", "halt", "escalate"])
def test_each_effect_has_its_signal(effect):
    decision = Decision(effect=effect)
    found = signal_of(decision)
    assert type(found) is {"deny": Denied, "halt": Halted, "escalate": ApprovalPending}[effect]
    assert found.decision is decision


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (ZeroDivisionError("ours"), "Not permitted by policy 'jackline': the act could not be judged: ZeroDivisionE"),
        (Speechless(), r"the act could not be judged: Speechless: \(it cannot say what\)"),
    ],
)
def test_an_act_that_cannot_be_put_as_a_request_is_denied_and_counted(bench, error, message):
    bench = bench()
    act = bench.act()

    def build():
        raise error

    with pytest.raises(Denied, match=message) as raised:
        act.built(build)
    assert raised.value.__cause__ is error
    assert (act.refusal, act.closed, act.request) == (raised.value, True, None)
    assert bench.guard.recorder.lost == 1
    assert bench.story() == []


def test_who_stops_the_program_while_a_request_is_made_is_not_told_of_a_denial(bench):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        bench().act().built(stop)


# --- changed


def masking(request):
    return Verdict(effect="modify", reason="masked", args={**request.args, "card": "***"})


def test_what_goes_in_is_changed_as_decided(bench):
    bench = bench(masking, phase="modify")
    act = bench.act()
    given = {"card": "4111", "amount": 5}
    request = bench.asked(act, **given)
    assert act.changed(given, request.args, act.decision.args) == {"card": "***", "amount": 5}
    assert given["card"] == "4111"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (None, "Not permitted by policy 'jackline': its arguments cannot be changed as policy asks: a bytes cannot be"),
        (RuntimeError("odd"), "its arguments cannot be changed as policy asks: odd"),
        (Speechless(), r"its arguments cannot be changed as policy asks: \(it cannot say what\)"),
    ],
)
def test_a_change_that_cannot_be_made_is_a_denial_on_record(bench, error, message):
    class Odd(Act):
        def rewrite(self, native, before, after):
            if error is None:
                return super().rewrite(native, before, after)
            raise error

    bench = bench(masking, phase="modify")
    act = bench.act(Odd)
    bench.asked(act, card="4111")
    with pytest.raises(Denied, match=message) as raised:
        act.changed(b"4111", "4111", "***")
    assert act.refusal is raised.value
    assert (raised.value.decision.policy, raised.value.decision.rule) == ("jackline", "changed")
    assert bench.story() == ["modify", "abandoned"]
    assert bench.record()[-1].message.startswith("its arguments cannot be changed as policy asks")
    act.fail(raised.value)
    assert len(bench.record()) == 2


def test_what_was_never_asked_can_be_refused_all_the_same(bench):
    bench = bench()
    act = bench.act()
    assert str(act.refused("there is no way")) == "Not permitted by policy 'jackline': there is no way"
    assert bench.story() == []


# --- what came back


@pytest.mark.parametrize(("effect", "kind"), [("deny", Denied), ("halt", Halted), ("escalate", ApprovalPending)])
def test_what_came_back_is_withheld(bench, effect, kind):
    bench = bench(always(effect), "tool.return")
    act = bench.act()
    request = bench.asked(act)
    act.complete("secret")
    with pytest.raises(kind, match="by policy 'p0': because") as raised:
        act.released("secret", "secret", bench.guard.returned(request, "secret"))
    assert act.refusal is raised.value
    assert bench.story() == ["allow", "completed", effect]


def test_what_came_back_is_changed(bench):
    bench = bench(lambda request: Verdict(effect="modify", args={"result": ["***"]}), "tool.return", phase="modify")
    act = bench.act()
    request = bench.asked(act)
    act.complete(["secret"])
    native = ("secret",)
    assert act.released(native, ["secret"], bench.guard.returned(request, native)) == ("***",)


def test_what_came_back_and_is_permitted_is_the_same_object(bench):
    bench = bench(always("allow"), "tool.return")
    act = bench.act()
    request = bench.asked(act)
    native = object()
    assert act.released(native, {}, bench.guard.returned(request, native)) is native


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (
            {"result": "***"},
            "Not permitted by policy 'p0': its result cannot be changed as policy asks: a bytes cannot",
        ),
        ({}, "its result cannot be changed as policy asks: 'result'"),
    ],
)
def test_a_result_that_cannot_be_changed_is_withheld(bench, args, message):
    bench = bench(lambda request: Verdict(effect="modify", args=args), "tool.return", phase="modify")
    act = bench.act()
    request = bench.asked(act)
    act.complete("x")
    with pytest.raises(Denied, match=message) as raised:
        act.released(b"secret", "secret", bench.guard.returned(request, "secret"))
    assert act.refusal is raised.value


# --- ended otherwise


@pytest.mark.parametrize(
    ("error", "recorded"),
    [
        (ValueError("wrong"), "ValueError"),
        ("outcome unknown", "outcome unknown"),
        (GeneratorExit(), "abandoned"),
        (asyncio.CancelledError(), "cancelled"),
        (KeyboardInterrupt(), "KeyboardInterrupt"),
    ],
)
def test_an_act_that_broke_off_says_how(bench, error, recorded):
    bench = bench()
    act = bench.act()
    bench.asked(act)
    act.fail(error)
    act.complete("late")
    assert bench.story() == ["allow", recorded]


def test_an_adapter_names_its_frameworks_own_endings(bench):
    class Interrupt(Exception):
        pass

    class Mine(Act):
        endings = {**Act.endings, "Interrupt": "interrupted"}

    bench = bench()
    act = bench.act(Mine)
    bench.asked(act)
    act.fail(Interrupt())
    assert bench.story() == ["allow", "interrupted"]


def test_what_a_failed_call_used_is_on_record(bench):
    bench = bench()
    act = bench.act()
    bench.asked(act, "model.call")
    act.fail("broken", Usage(input=1, output=2))
    assert bench.record()[-1].usage == Usage(input=1, output=2)


@pytest.mark.parametrize(
    ("method", "close"),
    [
        ("complete", lambda act: act.complete(None)),
        ("fail", lambda act: act.fail("x")),
        ("abandon", lambda act: act.abandon("x")),
    ],
)
def test_a_record_that_fails_is_counted_and_never_raised(bench, monkeypatch, method, close):
    bench = bench()
    act = bench.act()
    bench.asked(act)
    monkeypatch.setattr(bench.guard, method, broken)
    close(act)
    assert (bench.guard.recorder.lost, act.closed) == (1, True)
    assert "the disk is full" in bench.guard.recorder.last_error


def test_a_denial_stands_where_its_record_fails(bench, monkeypatch):
    bench = bench(masking, phase="modify")
    act = bench.act()
    bench.asked(act, card="1")
    monkeypatch.setattr(bench.guard, "abandon", broken)
    with pytest.raises(Denied, match="its arguments cannot be changed"):
        act.changed(b"1", "1", "***")


# --- with


def test_what_happens_inside_is_a_child_also_of_an_act_entered_twice(bench):
    bench = bench()
    act, inner = bench.act(), bench.act()
    bench.asked(act)
    with act:
        inner.scope = bench.guard.scope()
        child = bench.asked(inner)
        with inner, act:
            assert bench.guard.scope() == act.inner
        assert bench.guard.scope() == act.inner
        with pytest.raises(ZeroDivisionError), act:
            raise ZeroDivisionError
        assert bench.guard.scope() == act.inner
    assert CURRENT.get() is None
    assert child.parent == act.request.span


def test_tasks_are_inside_of_one_act_at_the_same_time(bench):
    bench = bench()
    act = bench.act()
    bench.asked(act)

    async def step(entered, leave):
        with act:
            entered.set()
            await leave.wait()
            assert CURRENT.get() == act.inner
        assert CURRENT.get() is None

    async def run():
        entered, leave = [asyncio.Event(), asyncio.Event()], [asyncio.Event(), asyncio.Event()]
        tasks = []
        for place in range(2):
            tasks.append(asyncio.create_task(step(entered[place], leave[place])))
            await entered[place].wait()
        for place in range(2):  # the first one leaves first
            leave[place].set()
            await tasks[place]

    asyncio.run(run())
    assert act._tokens == []


def test_an_act_left_in_another_context_changes_nothing_there(bench):
    """An asynchronous generator that nobody reads any more is closed by its loop, in another context."""
    bench = bench()
    act = bench.act()
    bench.asked(act)
    elsewhere = contextvars.copy_context()
    elsewhere.run(act.__enter__)
    with act:
        assert CURRENT.get() == act.inner
        contextvars.Context().run(act.__exit__)
        assert CURRENT.get() == act.inner
    assert CURRENT.get() is None
    assert elsewhere.run(CURRENT.get) == act.inner

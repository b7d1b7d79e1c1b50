"""Deciding, reserving and recording, in this order; what cannot be recorded is not permitted."""

from __future__ import annotations

import asyncio
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jackline import BundleError, Denied, Guard, Halted, JacklineError
from jackline.errors import JournalError, LedgerError
from jackline.events import Completed, Usage
from jackline.request import Agent, Model, Tool
from jackline.session import Halt, Scope

METER = """
jackline: 1
policies:
  - {name: meter, use: meter, trusted: true}
"""
STOP = """
jackline: 1
{mode}
policies:
  - {{name: stop, use: rule, on: tool.call, when: "tool.name == 'bad'", effect: {effect}, reason: never}}
"""


def ask(guard, tool="good", **args):
    return guard.request("tool.call", tool, args, tool=None) if tool == "none" else _tool_request(guard, tool, args)


def _tool_request(guard, tool, args):
    return guard.request("tool.call", tool, args, tool=Tool(name=tool))


def test_p6_every_evaluation_is_on_record_allowed_ones_too(bench):
    guard = bench.guard(STOP.format(effect="deny", mode=""))
    with guard.session(id="job"):
        guard.check(ask(guard, "good"))
        guard.check(ask(guard, "bad"))
    good, bad = bench.events("decided")
    assert (good.effect, good.evaluated) == ("allow", ())
    assert (bad.effect, bad.policy, bad.rule, bad.reason) == ("deny", "stop", "when", "never")
    assert bad.revision == guard.revision
    assert len(guard.revision) == 64


def test_p38_decision_and_outcome_have_the_same_span(bench):
    guard = bench.guard()
    with guard.session(id="job"):
        request = ask(guard, a=1)
        decision = guard.require(request)
        done = guard.complete(request, decision, {"rows": 3})
    (decided,), (completed,) = bench.events("decided"), bench.events("completed")
    assert decided.span == completed.span == done.span
    assert completed.result
    assert decided.args != completed.result
    assert completed.duration_ms > 0


def test_a_halt_is_sticky_for_every_act_that_follows(bench):
    guard = bench.guard(STOP.format(effect="halt", mode=""))
    with guard.session(id="job") as session:
        with pytest.raises(Halted, match="Session ended by policy 'stop': never"):
            guard.require(ask(guard, "bad"))
        again = guard.check(ask(guard, "good"))
        assert (again.effect, again.policy, again.reason) == ("halt", "stop", "never")
        assert session.halted
    with guard.session(id="other"):
        assert guard.check(ask(guard, "good")).permitted
    halted = bench.events("session_halted")
    assert len(halted) == 1
    assert halted[0].session == session.id


def test_a_halted_session_stays_halted_in_another_process_and_after_a_restart(bench):
    first = bench.guard(STOP.format(effect="halt", mode=""))
    second = bench.guard(STOP.format(effect="halt", mode=""))
    with second.session(id="job"):
        waiting = ask(second, "good")
        with first.session(id="job"):
            first.check(ask(first, "bad"))
        assert second.check(waiting).effect == "halt"
    third = bench.guard(STOP.format(effect="halt", mode=""))
    with third.session(id="job"):
        assert third.check(ask(third, "good")).effect == "halt"


def test_only_a_human_reopens_and_the_next_check_knows(bench):
    guard = bench.guard(STOP.format(effect="halt", mode=""))
    with guard.session(id="job") as session:
        guard.check(ask(guard, "bad"))
        guard.control.reopen(session.id, "ann", "looked at it")
        assert guard.check(ask(guard, "good")).permitted
        assert not session.halted


@pytest.mark.parametrize(("pause", "word"), [(False, "stopped"), (True, "paused")])
def test_p29_a_stop_by_a_person_acts_on_the_next_call(bench, pause, word):
    guard = bench.guard()
    with guard.session(id="job") as session:
        assert guard.check(ask(guard)).permitted
        guard.control.stop(session.id, "ann", "too slow", pause=pause)
        decision = guard.check(ask(guard))
        assert (decision.effect, decision.rule) == ("halt", word)
        assert decision.reason == f"{word} by ann: too slow"


@pytest.mark.parametrize("name", ["look", "ghost"])
def test_a_suspended_tool_is_denied_however_its_call_is_asked_about(bench, name):
    """With its description or by its name alone, seen before or not; once it is given back, it may be used."""
    guard, ran = bench.guard(), []

    @guard.tool
    def look():
        """Look."""
        ran.append("look")

    with guard.session(id="job-1", agent="support"):
        look()
        before = guard.request("tool.call", name, {})
        guard.registry.amend("support", "ann", {"tools": {name: "suspended"}})
        guard.control.bump()
        assert guard.check(before).effect == "deny", "it was asked about before the change"
        denied = guard.check(guard.request("tool.call", name, {}))
        assert (denied.effect, denied.reason[:22]) == ("deny", f"tool '{name}' of agent '"[:22])
        if name == "look":
            with pytest.raises(Denied, match="tool 'look' of agent 'support' is suspended"):
                look()
        assert ran == ["look"]
        guard.registry.amend("support", "ann", {"tools": {name: "active"}})
        assert guard.check(guard.request("tool.call", name, {})).effect == "allow"


def test_suspending_an_agent_acts_on_the_next_call(bench):
    guard = bench.guard()
    with guard.session(id="job", agent="support"):
        assert guard.check(ask(guard)).permitted
        guard.registry.amend("support", "ann", {"status": "suspended"})
        guard.control.bump()
        request = ask(guard)
        assert guard.check(request).reason.startswith("agent 'support' is suspended")


def test_the_agent_of_a_request_made_before_the_change_is_looked_up_again(bench):
    guard = bench.guard()
    with guard.session(id="job", agent="support"):
        request = ask(guard)
        guard.registry.amend("support", "ann", {"status": "suspended"})
        guard.control.bump()
        assert guard.check(request).effect == "deny"


def in_a_thread(step):
    """Run a step in another thread, to its end."""
    with ThreadPoolExecutor(1) as pool:
        return pool.submit(step).result(30)


CHANGES = [{"status": "suspended"}, {"tools": {"look": "suspended"}}, {"labels": {"cleared": "no"}}]
CLEARED = """
jackline: 1
policies:
  - {name: cleared, use: rule, on: tool.call, when: "has(agent.labels.cleared)", effect: deny, reason: not cleared}
"""


@pytest.mark.parametrize("changes", CHANGES, ids=["agent", "tool", "label"])
def test_a_request_of_before_a_change_that_another_thread_took_up_is_looked_up_again(bench, changes):
    guard = bench.guard(CLEARED)
    with guard.session(id="job", agent="support"):
        scope = guard.scope()
        early = [guard.request("tool.call", "look", {}, tool=tool) for tool in (None, Tool(name="look"))]
        guard.registry.amend("support", "ann", changes)
        guard.control.bump()
        late = guard.request("tool.call", "look", {})
        assert in_a_thread(lambda: guard.check(late)).effect == "deny"
        assert [guard.check(request).effect for request in early] == ["deny", "deny"]
        again = guard.request("tool.call", "look", {})
        assert guard.check(again).effect == "deny"
        guard.registry.amend(
            "support", "ann", {"status": "active", "tools": {"look": "active"}, "labels": {"cleared": None}}
        )
        guard.control.bump()
        assert in_a_thread(lambda: guard.check(guard.request("tool.call", "other", {}, scope=scope))).permitted
        assert guard.check(again).permitted


def test_a_change_that_is_taken_up_while_a_request_is_made_reaches_it(bench, monkeypatch):
    """The agent was looked up before the change, and all else after another thread had taken it up."""
    guard = bench.guard()
    with guard.session(id="job", agent="support") as session:
        assert guard.check(ask(guard)).permitted
        facts = guard.registry.facts

        def interrupted(agent):
            monkeypatch.undo()
            found = facts(agent)
            guard.registry.amend("support", "ann", {"status": "suspended"})
            guard.control.bump()
            assert (
                in_a_thread(lambda: guard.check(guard.request("tool.call", "look", {}, scope=scope))).effect == "deny"
            )
            return found

        scope = guard.scope()
        assert scope.session is session
        monkeypatch.setattr(guard.registry, "facts", interrupted)
        request = guard.request("tool.call", "look", {})
        assert request.agent.status != "suspended"
        assert guard.check(request).reason.startswith("agent 'support' is suspended")


def test_the_result_of_an_act_is_judged_by_what_its_agent_is_by_then(bench):
    guard = bench.guard(CLEARED.replace("tool.call", "tool.return"))
    with guard.session(id="job", agent="support"):
        request = guard.request("tool.call", "look", {})
        assert guard.check(request).permitted
        guard.registry.amend("support", "ann", {"labels": {"cleared": "no"}})
        guard.control.bump()
        late = guard.request("tool.call", "look", {})
        assert in_a_thread(lambda: guard.check(late)).permitted
        assert guard.returned(request, "found").effect == "deny"


def test_observe_mode_changes_nothing_and_records_what_would_have_been(bench):
    guard = bench.guard(STOP.format(effect="halt", mode="mode: observe"))
    with guard.session(id="job") as session:
        decision = guard.require(ask(guard, "bad"))
        assert (decision.effect, decision.would) == ("allow", "halt")
        assert not session.halted
    (decided,) = bench.events("decided")
    assert (decided.would, decided.mode) == ("halt", "observe")


class FullDisk:
    """A journal whose disk is full until it is freed."""

    def __init__(self, journal):
        self.journal, self.full = journal, True

    def append(self, event):
        if self.full:
            raise JournalError("no space left")
        return self.journal.append(event)

    def close(self):
        self.journal.close()


def test_f02_a_decision_that_cannot_be_recorded_is_a_deny_and_frees_its_reservation(bench, metering):
    guard = bench.guard(METER)
    with guard.session(id="job"):
        disk = guard.recorder.journal = FullDisk(guard.recorder.journal)
        for _ in range(5):
            decision = guard.check(ask(guard))
            assert (decision.effect, decision.rule) == ("deny", "journal")
            assert decision.reason == "the decision could not be recorded: no space left"
        disk.full = False
        decision = guard.check(ask(guard))
        assert decision.permitted
        assert decision.reservation.holds[0].spent == 0
        assert decision.reservation.holds[0].outstanding == 0


def test_in_observe_mode_a_decision_that_cannot_be_recorded_is_a_counted_loss(bench):
    guard = bench.guard("jackline: 1\nmode: observe\npolicies: []\n")
    with guard.session(id="job"):
        disk = guard.recorder.journal = FullDisk(guard.recorder.journal)
        assert guard.check(ask(guard)).permitted
        disk.full = False
    (lost,) = bench.events("events_lost")
    assert lost.count == 2, "the tool that was seen and the decision"


def test_an_outcome_that_cannot_be_written_is_kept_and_denies_until_it_is(bench):
    guard = bench.guard()
    with guard.session(id="job"):
        request = ask(guard)
        decision = guard.require(request)
        disk = guard.recorder.journal = FullDisk(guard.recorder.journal)
        guard.complete(request, decision, "done")
        assert guard.check(ask(guard)).effect == "deny"
        disk.full = False
        assert guard.check(ask(guard)).permitted
    kinds = [type(event).__name__ for event in bench.events("decided", "completed")]
    assert kinds == ["Decided", "Completed", "Decided"]


def test_outcomes_are_kept_within_bounds(bench, monkeypatch):
    monkeypatch.setattr("jackline.recorder._PENDING", 2)
    guard = bench.guard()
    request = ask(guard)
    decision = guard.require(request)
    journal = guard.recorder.journal
    guard.recorder.journal = FullDisk(journal)
    for _ in range(4):
        guard.complete(request, decision)
    assert len(guard.recorder._pending) == 2
    assert guard.recorder.lost == 2
    guard.recorder.close()
    assert guard.recorder.last_error == "no space left"
    guard.recorder.journal = journal


def test_a_ledger_that_cannot_be_used_denies(bench, metering, monkeypatch):
    guard = bench.guard(METER)

    def broken(*_args, **_options):
        raise LedgerError("the file is damaged")

    monkeypatch.setattr(guard.ledger, "reserve", broken)
    decision = guard.check(ask(guard))
    assert (decision.effect, decision.rule) == ("deny", "ledger")
    assert decision.reason == "the ledger cannot be used: the file is damaged"


def test_a_ledger_that_cannot_settle_keeps_the_hold_and_does_not_disturb(bench, metering, monkeypatch):
    guard = bench.guard(METER)
    request = ask(guard)
    decision = guard.require(request)

    def broken(*_args, **_options):
        raise LedgerError("the file is damaged")

    monkeypatch.setattr(guard.ledger, "settle", broken)
    monkeypatch.setattr(guard.ledger, "release", broken)
    guard.complete(request, decision)
    assert guard.recorder.last_error == "the file is damaged"


def test_reservations_are_held_settled_and_refused(bench, metering):
    guard = bench.guard(METER)
    with guard.session(id="job") as session:
        for _ in range(3):
            request = ask(guard)
            decision = guard.require(request)
            guard.complete(request, decision)
        refused = guard.check(ask(guard))
        assert (refused.effect, refused.policy) == ("deny", "meter")
        assert refused.reason == "3 calls per session: 3 calls spent, this could take 1 calls more"
        assert session.cost_micro_usd == 600_000
    events = bench.events("completed")
    assert [event.settled[f"meter/session/{session.id}/usd"] for event in events] == [200_000] * 3
    assert guard.ledger.balance(f"meter/session/{session.id}/usd").spent == 600_000


def test_an_abandoned_act_gives_its_reservation_back(bench, metering):
    guard = bench.guard(METER)
    for _ in range(6):
        request = ask(guard)
        guard.abandon(request, guard.require(request), "the framework never called it")
    assert guard.check(ask(guard)).permitted


def test_an_abandoned_act_raises_nothing_where_the_ledger_cannot_be_used(bench, metering, monkeypatch):
    guard = bench.guard(METER)
    request = ask(guard)
    decision = guard.require(request)

    def broken(_):
        raise LedgerError("the ledger's lock was not free")

    monkeypatch.setattr(guard.ledger, "release", broken)
    event = guard.abandon(request, decision, "cancelled")
    assert (event.error, event.message) == ("abandoned", "cancelled")
    assert guard.recorder.lost == 1


def test_a_failed_act_is_booked_in_full(bench, metering):
    guard = bench.guard(METER)
    with guard.session(id="job") as session:
        request = ask(guard)
        guard.fail(request, guard.require(request), TimeoutError("slow"))
        assert session.cost_micro_usd == 200_000
    (failed,) = bench.events("failed")
    assert (failed.error, failed.cost.micro_usd, failed.cost.source) == ("TimeoutError", 200_000, "reservation")


def test_p24_p40_ceilings_hold_under_parallel_calls(bench, metering):
    guard = bench.guard(METER)
    permitted = []
    with guard.session(id="job"):
        gate = threading.Barrier(20)

        def act():
            gate.wait()
            permitted.append(guard.check(ask(guard)).permitted)

        threads = [threading.Thread(target=act) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert permitted.count(True) == 3


def test_a_metering_policy_that_observes_refuses_nothing_and_says_what_it_would_have(bench, metering):
    guard = bench.guard(METER.replace("use: meter", "use: meter, mode: observe"))
    with guard.session(id="job"):
        answers = []
        for _ in range(5):
            request = ask(guard)
            decision = guard.require(request)
            guard.complete(request, decision)
            answers.append((decision.effect, decision.would))
    assert answers == [("allow", None)] * 3 + [("allow", "deny")] * 2
    assert (decision.policy, decision.rule) == ("meter", "limit")


def test_p60_the_policies_are_told_of_decisions_and_outcomes(bench, metering):
    guard = bench.guard(METER)
    request = ask(guard)
    guard.complete(request, guard.require(request))
    policy = guard.bundle.entries[0].policy
    assert [type(event).__name__ for event in policy.seen] == ["Decided", "Completed"]
    guard.record(
        Completed(
            at=1, session=request.subject.session, run="r", span="s", action="tool.call", resource="x", duration_ms=1
        ),
        request,
    )
    assert len(policy.seen) == 3


def test_a_policy_that_cannot_observe_is_counted_and_disturbs_nobody(bench, metering, monkeypatch):
    def broken(self, event, state):
        raise RuntimeError("no")

    monkeypatch.setattr(metering, "observe", broken)
    guard = bench.guard(METER)
    request = ask(guard)
    guard.complete(request, guard.require(request))
    assert guard.observation_failures == 2


def model(name="gpt-5", **facts):
    return Model(name=name, provider="openai", **facts)


def test_p31_p62_a_model_call_without_usage_is_estimated_and_an_unknown_model_unpriced(bench):
    guard = bench.guard()
    with guard.session(id="job") as session:
        request = guard.request(
            "model.call",
            "no-such-model",
            {"messages": []},
            model=model("no-such-model", input_bytes=100, max_tokens=50),
        )
        guard.complete(request, guard.require(request))
        assert session.unpriced == 1
        assert session.cost_micro_usd == 0
    (completed,) = bench.events("completed")
    assert completed.cost is None
    assert (completed.usage.input, completed.usage.output, completed.usage.estimated) == (100, 50, True)


def test_p70_a_cached_answer_is_not_charged(bench, metering):
    guard = bench.guard(METER)
    with guard.session(id="job") as session:
        for _ in range(6):
            request = guard.request("model.call", "gpt-5", {"messages": []}, model=model())
            guard.complete(request, guard.require(request), usage=Usage(input=10, output=5), cached=True)
        assert session.cost_micro_usd == 0
    assert bench.events("completed")[0].cost.source == "cache hit"


def test_the_model_that_answered_is_priced_before_the_one_that_was_asked(bench):
    guard = bench.guard()
    with guard.session(id="job") as session:
        request = guard.request("model.call", "my-alias", {"messages": []}, model=model("my-alias"))
        guard.complete(request, guard.require(request), usage=Usage(input=1000, output=100), model="gpt-4o-mini")
        assert session.cost_micro_usd == 210
        assert session.tokens == 1100
    (completed,) = bench.events("completed")
    assert completed.cost.matched == "gpt-4o-mini"
    assert completed.model == "gpt-4o-mini"


def test_each_message_of_a_prompt_is_kept_once(bench):
    guard = bench.guard("jackline: 1\ncapture: full\npolicies: []\n")
    messages = [{"role": "system", "content": "be kind " * 100}]
    for turn in range(5):
        messages = [*messages, {"role": "user", "content": f"turn {turn}"}]
        guard.check(guard.request("model.call", "gpt-5", {"messages": messages}, model=model()))
    text = "".join(path.read_text() for path in (bench.home / "payloads").glob("*"))
    assert text.count("be kind be kind") == text.count("be kind be kind " * 49) or text.count('"be kind ') == 1
    assert len({event.args for event in bench.events("decided")}) == 5


def test_p30_by_default_no_content_is_kept(bench):
    guard = bench.guard("jackline: 1\npolicies: []\n")
    request = ask(guard, text="my SECRET words")
    guard.complete(request, guard.require(request), "another SECRET")
    kept = b"".join(path.read_bytes() for path in bench.home.rglob("*") if path.is_file())
    assert b"SECRET" not in kept


def test_arguments_that_are_not_plain_are_made_so(bench):
    guard = bench.guard()
    decision = guard.check(ask(guard, value={1, 2}))
    assert decision.permitted
    cyclic: list[object] = []
    cyclic.append(cyclic)
    assert guard.check(ask(guard, value=cyclic)).permitted


def test_p17_p27_the_async_check_decides_before_the_act_and_does_not_block_the_loop(bench):
    guard = bench.guard(STOP.format(effect="deny", mode=""))

    async def main():
        with guard.session(id="job") as session:
            assert (await guard.arequire(ask(guard))).permitted
            with pytest.raises(Denied):
                await guard.arequire(ask(guard, "bad"))
            taken, free = threading.Event(), threading.Event()

            def decide():
                with session.lock:
                    taken.set()
                    free.wait(timeout=10)

            other = threading.Thread(target=decide)
            other.start()
            taken.wait(timeout=10)
            waiting = asyncio.create_task(guard.acheck(ask(guard)))
            await asyncio.sleep(0)
            assert not waiting.done()
            free.set()
            assert (await waiting).permitted
            other.join()

    asyncio.run(main())


def test_f08_a_hung_policy_denies_by_its_deadline_and_the_loop_goes_on(bench, metering, monkeypatch):
    gate = threading.Event()
    monkeypatch.setattr(metering, "evaluate", lambda self, request, state: gate.wait() and None)
    guard = bench.guard(METER.replace(", trusted: true", ""), deadline=0.1)

    async def main():
        ticks = 0
        check = asyncio.create_task(guard.acheck(ask(guard)))
        while not check.done():
            await asyncio.sleep(0)
            ticks += 1
        return ticks, check.result()

    ticks, decision = asyncio.run(main())
    gate.set()
    assert decision.effect == "deny"
    assert "no answer within 0.1 s" in decision.reason
    assert ticks > 10


def test_p9_a_runaway_denied_loop_starts_no_threads(bench):
    guard = bench.guard(STOP.format(effect="deny", mode=""))
    before = threading.active_count()
    for _ in range(1000):
        assert not guard.check(ask(guard, "bad")).permitted
    assert threading.active_count() == before


def test_p46_memory_is_bounded_by_live_sessions(bench):
    guard = bench.guard(sessions=50)
    for number in range(300):
        with guard.session(id=f"job-{number}"):
            guard.check(ask(guard))
    assert len(guard.sessions) <= 51
    for number in range(300):
        guard.open_session(f"open-{number}")
    assert len(guard.sessions) <= 51


def test_a_session_that_left_memory_comes_back_with_what_policies_remember(bench, metering):
    guard = bench.guard(METER, sessions=5)
    session = guard.open_session("job")

    def act():
        scope = Scope(guard=guard, session=guard.open_session("job"), run="r" * 32, span="", agent=guard.agent())
        request = guard.request("tool.call", "good", {}, scope=scope)
        guard.complete(request, guard.require(request))

    act()
    memory = session.states["meter"].memory
    for number in range(20):
        guard.open_session(f"other-{number}")
    again = guard.open_session("job")
    assert again is not session
    assert again.states["meter"].memory == memory
    assert again.cost_micro_usd == 200_000


def test_two_applications_never_share_a_session(bench):
    first, second = bench.guard(application="a"), bench.guard(application="b")
    with first.session(id="1") as one, second.session(id="1") as other:
        assert one.id != other.id


def test_the_same_session_opened_twice_ends_once(bench):
    guard = bench.guard()
    with guard.session(id="job"), guard.session(id="job"):
        pass
    assert len(bench.events("session_started")) == 1
    assert [event.how for event in bench.events("session_ended")] == ["explicit"]


def test_a_session_that_fails_says_so(bench):
    guard = bench.guard()
    with pytest.raises(ValueError, match="x"), guard.session(id="job"):
        raise ValueError("x")
    assert bench.events("session_ended")[0].how == "error"
    assert bench.events("run_ended")[0].error == "ValueError"


def test_another_guards_scope_is_not_ours(bench):
    one, other = bench.guard(), bench.guard()
    with one.session(id="job") as session:
        assert one.scope().session is session
        assert other.scope().session is not session


def test_a_named_bundle_that_is_missing_raises(bench, tmp_path):
    with pytest.raises(BundleError, match="there is no such file"):
        Guard.load(tmp_path / "none.yaml", home=bench.home)


def test_a_home_that_cannot_be_made_says_what_to_do(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(JacklineError, match="set JACKLINE_HOME to a folder that this user can write"):
        Guard(None, home=tmp_path / "file" / "home")


def test_a_damaged_key_is_named(bench):
    bench.guard().close()
    (bench.home / "key").write_bytes(b"short")
    with pytest.raises(JacklineError, match="holds 5 bytes, expected 32"):
        bench.guard()


def looked(bench, guard):
    """Check once an interval has passed; wait for a load that the watching thread may have begun."""
    bench.clock.now += 1
    decision = guard.check(ask(guard, "bad"))
    with guard._watcher._flight:
        return decision


def test_a_changed_bundle_is_in_force_without_a_gap(bench):
    guard = bench.guard(STOP.format(effect="deny", mode=""))
    assert guard.check(ask(guard, "bad")).effect == "deny"
    first = guard.revision
    bench.rewrite("jackline: 1\npolicies: []\n")
    for _ in range(3):
        looked(bench, guard)
    assert guard.check(ask(guard, "bad")).effect == "allow"
    activated = bench.events("bundle_activated")
    assert [event.revision for event in activated] == [first, guard.revision]
    assert activated[1].previous == first
    assert activated[1].widened
    for event in bench.events("decided"):
        assert (event.effect == "deny") is (event.revision == first)


def test_a_bundle_that_breaks_leaves_the_last_good_one_in_force(bench):
    guard = bench.guard(STOP.format(effect="deny", mode=""))
    bench.rewrite("jackline: 1\npolicies: [{name: x, use: nothing}]\n")
    for _ in range(3):
        assert looked(bench, guard).effect == "deny"
    (rejected,) = bench.events("bundle_rejected")
    assert rejected.revision == guard.revision
    assert "unknown policy 'nothing'" in rejected.error


def test_p50_p67_closing_turns_everything_off(bench):
    start, submit = threading.Thread.start, ThreadPoolExecutor.submit
    guard = bench.guard()
    assert threading.Thread.start is not start
    guard.close()
    guard.close()
    assert threading.Thread.start is start
    assert ThreadPoolExecutor.submit is submit


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_f11_a_child_of_a_fork_has_its_own_journal_and_no_locks(bench, metering):
    guard = bench.guard(METER)
    with guard.session(id="job") as session:
        session.lock.acquire()
        guard._lock.acquire()
        child = os.fork()
        if child == 0:
            try:
                answers = [guard.check(ask(guard)).permitted for _ in range(4)]
                os._exit(0 if answers == [True, True, True, False] else 1)
            finally:
                os._exit(2)
        session.lock.release()
        guard._lock.release()
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        assert not guard.check(ask(guard)).permitted
    assert len(list((bench.home / "journals").glob("*.jsonl"))) == 2


def test_a_halt_whose_mark_cannot_be_written_holds_in_this_process(bench, monkeypatch):
    guard = bench.guard()
    with guard.session(id="job") as session:

        def full(*_args):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(guard.control, "halt", full)
        guard.halt(session, Halt("enough"))
        assert guard.check(ask(guard)).effect == "halt"
        assert "No space left" in guard.recorder.last_error


def test_the_guard_is_a_context_manager(bench):
    with bench.guard() as guard:
        assert guard.check(ask(guard)).permitted
    assert bench.events("journal_closed")


def test_an_agent_can_be_given_by_name_or_record(bench):
    guard = bench.guard()
    with guard.session(id="a", agent=Agent(name="support", version="2")):
        assert guard.scope().agent.key == "support@2"
    with guard.session(id="b", agent="billing"):
        assert guard.scope().agent.name == "billing"


def test_extra_facts_reach_conditions(bench):
    guard = bench.guard(
        "jackline: 1\npolicies:\n  - {name: h, use: rule, on: http.request, when: \"http.host == 'evil.test'\", effect: deny}\n"
    )
    request = guard.request("http.request", "evil.test", {}, facts={"http": {"host": "evil.test"}})
    assert guard.check(request).effect == "deny"
    assert guard.returned(request, "x") is None
    assert asyncio.run(guard.areturned(request, "x")) is None


QUESTIONED = """
jackline: 1
policies:
  - {name: large, use: rule, on: tool.call, when: "tool.name == 'refund' && args.amuont > 500", effect: deny}
"""


def test_conditions_are_checked_again_when_their_tool_appears(bench):
    guard = bench.guard(QUESTIONED)

    def refund(order: str, amount: float, *, note: str | None = None, **more: int):
        return "paid"

    refund = guard.tool(refund)
    with pytest.raises(Denied, match="cannot be evaluated"):
        refund("A", 5.0)
    (questioned,) = bench.events("bundle_questioned")
    assert (questioned.tool, questioned.revision) == ("refund", guard.revision)
    assert "amuont" in questioned.problems[0]
    assert "jackline.yaml:4:" in questioned.problems[0]


def test_conditions_are_checked_against_the_tools_that_the_registry_knows(bench):
    first = bench.guard()

    def refund(order: str, amount: float):
        return "paid"

    first.tool(refund)("A", 5.0)
    with pytest.raises(BundleError, match=r"args has no field 'amuont'; it has order, amount; did you mean amount"):
        bench.guard(QUESTIONED)
    assert bench.guard(QUESTIONED.replace("amuont", "amount")).bundle is not None


def test_tools_of_one_name_with_different_arguments_check_nothing(bench):
    guard = bench.guard()
    for agent, kind in (("a", "string"), ("b", "number")):
        tool = Tool(name="x", fingerprint=kind, parameters={"type": "object", "properties": {"v": {"type": kind}}})
        guard.agent(agent, tools=[tool])
    assert guard.registry.schemas() == {}


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_what_a_killed_process_held_is_booked_and_on_record(bench, metering):
    guard = bench.guard(METER)
    session = guard.open_session("job")
    child = os.fork()
    if child == 0:
        scope = Scope(guard=guard, session=session, run="r" * 32, span="", agent=guard.agent())
        decision = guard.check(guard.request("tool.call", "good", {}, scope=scope))
        os.kill(os.getpid(), 9 if decision.permitted else 15)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -9
    bench.guard(METER)
    (booked,) = bench.events("hold_booked")
    (decided,) = bench.events("decided")
    assert booked.reservation == decided.reservation.id
    assert booked.settled[f"meter/session/{session.id}/usd"] == 200_000
    assert guard.ledger.balance(f"meter/session/{session.id}/usd") == (200_000, 0)


def test_a_named_session_ends_idle_and_starts_again_with_its_next_act(bench):
    guard = bench.guard(idle=600)
    threads = [guard.open_session("thread-1"), guard.open_session("thread-2")]
    with guard.session(id="inside"):
        bench.clock.now += 700
        guard.open_session("thread-2")
        assert [event.how for event in bench.events("session_ended")] == ["idle"]
        assert bench.events("session_ended")[0].session == threads[0].id
        again = guard.open_session("thread-1")
        assert again.id == threads[0].id
    started = [event.external_id for event in bench.events("session_started")]
    assert started == ["thread-1", "thread-2", "inside", "thread-1"]

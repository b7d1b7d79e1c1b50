"""A guard whose bundle escalates: plain Python, from the question to the act, with a counter of side effects."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
import signal
import threading

import pytest
from teller import NOW, denied, pending

from jackline import ApprovalPending, Denied, Halted
from jackline.approvals import Approvals

FORK = multiprocessing.get_context("fork")


def test_an_approved_act_is_done_once_and_on_record(bank):
    """P25: the approved call runs exactly once, and the same act is asked about again afterwards."""
    told = pending(bank, "A-1", 900)
    (approval,) = told.decision.approvals
    expected = (
        f"Approval needed by policy 'refunds': args.amount > 500 (approval {approval[:12]} is pending; it was not"
    )
    assert str(told).startswith(expected)
    assert pending(bank, "A-1", 900).decision.approvals == (approval,)
    bank.says("ana", "approve", why="known customer")
    assert bank.paid == []
    assert bank.refund("A-1", 900) == "refunded 900"
    assert bank.paid == [("A-1", 900)]
    assert pending(bank, "A-1", 900).decision.approvals != (approval,)
    decided = [event for event in bank.events("decided") if event.effect == "allow"]
    assert [(one.approvals, one.reason) for one in decided] == [((approval,), "approved by ana: known customer")]
    (used,) = bank.events("approval_consumed")
    assert (used.approval, used.by, used.span) == (approval, ("ana",), decided[0].span)
    first, second = bank.events("approval_requested")
    assert (first.approval, first.to, first.expires, first.needed) == (approval, ("finance",), NOW + 1800, 1)
    assert second.approval != approval


def test_a_denied_act_is_not_done_and_not_asked_again(bank):
    """P58: a no is enforced again at every further try."""
    pending(bank, "A-1", 900)
    asked = bank.asked()
    bank.says("ben", "deny", why="no receipt")
    for _ in range(3):
        assert denied(bank, "A-1", 900) == "Not permitted by policy 'refunds': ben denied it: no receipt"
    assert {event.approvals for event in bank.events("decided")} == {(asked.question.id,)}
    assert bank.paid == []


def test_a_response_takes_the_place_of_the_act(bank):
    pending(bank, "A-1", 900)
    bank.says("ben", "respond", why="offer a voucher instead")
    assert (
        denied(bank, "A-1", 900) == "Answered instead of done by policy 'refunds': ben answers: offer a voucher instead"
    )
    assert bank.paid == []


def test_an_edited_act_is_done_with_the_approved_arguments(bank):
    pending(bank, "A-1", 900)
    bank.says("ana", "edit", args={"order": "A-1", "amount": 450})
    assert bank.refund("A-1", 900) == "refunded 450"
    assert bank.paid == [("A-1", 450)]
    (used,) = bank.events("approval_consumed")
    assert used.edited


def test_edited_arguments_are_judged_again(bank):
    cap = "  - {name: cap, use: rule, on: tool.call, when: args.amount > 5000, effect: deny, reason: over the cap}\n"
    bank.write(more=cap)
    bank.restart()
    pending(bank, "A-1", 900)
    bank.says("ana", "edit", args={"order": "A-1", "amount": 9000})
    assert denied(bank, "A-1", 900) == "Not permitted by policy 'cap': over the cap"
    assert bank.paid == []


def test_edited_arguments_must_fit_the_tool_when_they_are_used(bank):
    """Whoever signed them without the command line: the refusal says which field, its value and what was expected."""
    pending(bank, "A-1", 900)
    bank.says("ana", "edit", args={"order": "A-1", "amount": "450"})
    expected = "ana changed its arguments, and they do not fit the tool: amount is '450', expected a whole number"
    assert denied(bank, "A-1", 900) == f"Not permitted by policy 'refunds': {expected}"
    assert bank.paid == []
    bank.now += 1
    bank.says("ana", "edit", args={"order": "A-1", "amount": 450})
    assert bank.refund("A-1", 900) == "refunded 450"


def test_whoever_asks_tidies_once_a_day(bank):
    pending(bank, "A-1", 900)
    old = bank.asked()
    bank.now += 86_400 * 32
    pending(bank, "A-2", 900)
    assert [one.question.args["order"] for one in bank.guard.approvals.all()] == ["A-2"]
    assert [event.approval for event in bank.events("approval_expired")] == [old.question.id]


def test_silence_is_a_no(bank):
    """P26: nobody answers until it lapses; what is approved but not used in time lapses as well."""
    pending(bank, "A-1", 900)
    asked = bank.asked()
    bank.says("ana", "approve")
    bank.now += 1801
    name = asked.question.id[:12]
    expected = f"Not permitted by policy 'refunds': nobody approved it in time (approval {name}): args.amount > 500"
    assert denied(bank, "A-1", 900) == expected
    assert bank.paid == []
    assert [event.approval for event in bank.events("approval_expired")] == [asked.question.id]


def test_other_arguments_are_another_question(bank):
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    pending(bank, "A-1", 901)
    pending(bank, "A-2", 900)
    assert bank.paid == []


def test_an_approval_survives_restarts(bank):
    """P52: asked by one process, answered while none runs, used by another, once."""
    pending(bank, "A-1", 900)
    bank.guard.close()
    bank.says("ana", "approve")
    bank.restart()
    with bank.guard.session(id="job-1", user="u-9"):
        assert bank.refund("A-1", 900) == "refunded 900"
        pending(bank, "A-1", 900)
    assert bank.paid == [("A-1", 900)]


def test_it_is_decided_again_under_the_revision_in_force(bank):
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    bank.write(effect="deny")
    bank.restart()
    with bank.guard.session(id="job-1", user="u-9"):
        assert denied(bank, "A-1", 900) == "Not permitted by policy 'refunds': args.amount > 500"
    bank.write(with_="{to: [ben]}")
    bank.restart()
    with bank.guard.session(id="job-1", user="u-9"):
        pending(bank, "A-1", 900)
    assert bank.paid == []


def test_two_of_two_distinct_approvers(bank):
    bank.write(with_="{approvals: 2}")
    bank.restart()
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    bank.says("ana", "approve", why="again")
    pending(bank, "A-1", 900)
    bank.says("ben", "approve")
    bank.refund("A-1", 900)
    assert bank.paid == [("A-1", 900)]


def test_nobody_approves_what_is_done_for_himself(bank):
    with bank.guard.session(id="job-2", user="ana"):
        pending(bank, "A-1", 900)
        bank.says("ana", "approve")
        pending(bank, "A-1", 900)
        (refused,) = bank.events("approval_answer_refused")
        assert refused.why == "'ana' may not answer this, expected ben"
        bank.says("ben", "approve")
        bank.refund("A-1", 900)
    bank.write(with_="{to: [ana]}")
    bank.restart()
    with bank.guard.session(id="job-3", user="ana"):
        told = denied(bank, "A-1", 900)
    assert told == "Not permitted by policy 'refunds': args.amount > 500 (1 of nobody would have to approve it)"
    assert bank.paid == [("A-1", 900)]


def test_a_forged_answer_is_refused_and_on_record_once(bank):
    pending(bank, "A-1", 900)
    bank.says("ana", "approve", key="eve")
    for _ in range(3):
        pending(bank, "A-1", 900)
    (refused,) = bank.events("approval_answer_refused")
    assert refused.why == "its signature is not of the key that the bundle pins for 'ana'"
    assert bank.paid == []


def test_two_policies_that_ask_are_two_questions(bank):
    bank.write(more="  - {name: risk, use: rule, on: tool.call, effect: escalate, with: {to: ben}}\n")
    bank.restart()
    both = pending(bank, "A-1", 900).decision.approvals
    assert len(set(both)) == 2
    first, second = map(bank.guard.approvals.named, both)
    bank.says("ana", "approve", asked=first)
    assert pending(bank, "A-1", 900).decision.approvals == (both[1],)
    bank.says("ben", "approve", asked=second)
    bank.refund("A-1", 900)
    assert bank.paid == [("A-1", 900)]


def test_an_act_that_the_ledger_or_journal_refuses_uses_nothing_up(bank, monkeypatch):
    pending(bank, "A-1", 900)
    asked = bank.asked()
    bank.says("ana", "approve")
    bank.write(more="  - {name: calls, use: budget, with: {limit: 1 call, per: session}}\n")
    bank.restart()
    with bank.guard.session(id="job-1", user="u-9"):
        bank.refund("A-2", 1)
        assert "calls" in denied(bank, "A-1", 900)
    assert asked.ended() is None


@pytest.mark.parametrize("say", ["approve", "deny"])
def test_a_call_waits_where_the_policy_says_so(bank, say):
    bank.write(with_="{wait: block}")
    bank.restart()
    done = []

    def call():
        with bank.guard.session(id="job-1", user="u-9"):
            try:
                done.append(bank.refund("A-1", 900))
            except Denied as error:
                done.append(error.decision.rule)

    thread = threading.Thread(target=call)
    thread.start()
    answered = threading.Event()
    while not bank.events("approval_requested"):
        answered.wait(0.01)
    bank.says("ana", say)
    thread.join(20)
    assert (done, len(bank.paid)) == ((["refunded 900"], 1) if say == "approve" else (["denied"], 0))
    assert [event.effect for event in bank.events("decided")] == [{"approve": "allow"}.get(say, say)]


async def test_an_event_loop_goes_on_while_a_call_waits(bank):
    bank.write(with_="{wait: block, expires: 10m}")
    bank.restart()
    paid = []

    @bank.guard.tool
    async def transfer(amount: int) -> str:
        paid.append(amount)
        return "sent"

    async def answer(say):
        while not any(one.ended() is None for one in bank.guard.approvals.all()):  # noqa: ASYNC110 - files
            await asyncio.sleep(0)
        if say:
            bank.says("ana", say)
        else:
            bank.now += 601

    assert (await asyncio.gather(transfer(900), answer("approve")))[0] == "sent"
    with pytest.raises(Denied, match="nobody approved it in time"):
        await asyncio.gather(transfer(901), answer(None))
    assert paid == [900]


async def test_a_plain_call_on_an_event_loop_is_told_instead_of_blocking_it(bank):
    bank.write(with_="{wait: block}")
    bank.restart()
    pending(bank, "A-1", 900)


def test_a_stopped_session_stops_waiting(bank):
    bank.write(with_="{wait: block}")
    bank.restart()
    ended = []

    def call(session):
        try:
            with session:
                bank.refund("A-1", 900)
        except Exception as error:
            ended.append(str(error))

    thread = threading.Thread(target=call, args=(bank.guard.session(id="job-7"),))
    thread.start()
    while not (asked := bank.events("approval_requested")):
        thread.join(0.01)
    bank.guard.control.stop(asked[0].session, "ana", "enough")
    thread.join(20)
    assert ended == ["Session ended by policy 'control': stopped by ana: enough"]


def test_a_stop_that_comes_while_the_question_is_put_is_seen_by_who_waits(bank, monkeypatch):
    bank.write(with_="{wait: block}")
    bank.restart()
    ask = Approvals.ask

    def stopped(self, request, **more):
        bank.guard.control.stop(request.subject.session, "ana", "enough")
        return ask(self, request, **more)

    monkeypatch.setattr(Approvals, "ask", stopped)
    with bank.guard.session(id="job-7"), pytest.raises(Halted, match="stopped by ana: enough"):
        bank.refund("A-1", 900)
    assert bank.paid == []


def test_a_kill_between_approval_and_act_never_gives_two_acts(bank, tmp_path):
    """Killed before the approval is used: it is done once, later. Killed in the act: never again under its name."""
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    log = tmp_path / "paid"
    child = os.fork()
    if not child:
        bank.restart()

        @bank.guard.tool(name="refund")
        def dying(order: str, amount: int) -> None:
            log.write_text(order)
            os.kill(os.getpid(), signal.SIGKILL)

        with bank.guard.session(id="job-1", user="u-9"):
            dying("A-1", 900)
    os.waitpid(child, 0)
    assert log.read_text() == "A-1"
    pending(bank, "A-1", 900)
    assert bank.paid == []


def test_an_approval_that_another_uses_up_meanwhile_is_asked_about_anew(bank, monkeypatch):
    """It was found before it was used up: what this call does is not done twice by being done once."""
    before = pending(bank, "A-1", 900).decision.approvals
    bank.says("ana", "approve")
    ask = Approvals.ask

    def found_then_used(self, *args, **options):
        asked, first = ask(self, *args, **options)
        if not first:
            asked.close("consumed", NOW)
        return asked, first

    monkeypatch.setattr(Approvals, "ask", found_then_used)
    assert pending(bank, "A-1", 900).decision.approvals not in ((), before)
    assert bank.paid == []


def test_eight_processes_do_an_approved_act_once(bank, tmp_path):
    """Each process has its guard and sees the approval; one act is done, the others are asked about anew."""
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    log, barrier = tmp_path / "log", FORK.Barrier(8)
    log.touch()

    def racer():
        bank.restart()

        def note(what):
            with log.open("a") as file:
                file.write(what)

        @bank.guard.tool(name="refund")
        def refund(order: str, amount: int) -> None:
            note("R")

        barrier.wait(60)
        with bank.guard.session(id="job-1", user="u-9"):
            try:
                refund("A-1", 900)
            except ApprovalPending:
                note("p")

    processes = [FORK.Process(target=racer) for _ in range(8)]
    for process in processes:
        process.start()
    for process in processes:
        process.join(60)
    assert sorted(log.read_text()) == ["R", *"ppppppp"]
    assert len(bank.events("approval_consumed")) == 1
    assert len(bank.events("approval_requested")) == 2


def test_arguments_that_are_changed_again_and_again_are_refused(bank):
    extra = "".join(
        f"  - {{name: more-{turn}, use: rule, on: tool.call, when: args.amount == {turn}, effect: escalate}}\n"
        for turn in range(1, 5)
    )
    bank.write(more=extra)
    bank.restart()
    for turn in range(4):
        (waits,) = pending(bank, "A-1", 900).decision.approvals
        asked = bank.guard.approvals.named(waits)
        bank.says("ana", "edit", asked=asked, args={"order": "A-1", "amount": turn + 1})
    told = denied(bank, "A-1", 900)
    assert (
        told
        == "Not permitted by policy 'jackline': its arguments were changed by approvers 4 times, and a policy still asks"
    )
    assert bank.paid == []


def test_without_approvers_nobody_can_answer(bank):
    bank.bundle.write_text(
        "jackline: 1\npolicies:\n  - {name: refunds, use: rule, on: tool.call, effect: escalate, with: {to: finance}}\n"
    )
    bank.restart()
    assert "(nobody can answer yet; it was not done)" in str(pending(bank, "A-1", 900))
    assert list(bank.guard.approvals.all()) == []

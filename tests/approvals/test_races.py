"""Killed between approval and act, raced by eight, answered by forgers: the act is done once or not at all, on record."""

from __future__ import annotations

import multiprocessing
import os
import signal

import pytest
from teller import NOW, pending

from jackline import ApprovalPending, Denied
from jackline.answers import Approvers
from jackline.journal import read
from jackline.notices.notice import told_of

FORK = multiprocessing.get_context("fork")


def killed(bank, where):
    """A process that goes on with an approved act and is killed at `where`; it would have paid."""
    child = os.fork()
    if not child:
        guard = bank.restart()
        recorder = guard.recorder
        write = recorder.decision

        def dying(event):
            if where == "before the line":
                os.kill(os.getpid(), signal.SIGKILL)
            write(event)
            os.kill(os.getpid(), signal.SIGKILL)

        recorder.decision = dying
        with guard.session(id="job-1", user="u-9"):
            bank.refund("A-1", 900)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL


@pytest.mark.parametrize(("where", "lines"), [("before the line", 0), ("after the line", 1)])
def test_a_kill_between_approval_and_act_asks_people_again(bank, where, lines):
    """Used up, and not done: it is never done on the old approval, and the question is put anew, not lost."""
    (first,) = pending(bank, "A-1", 900).decision.approvals
    bank.says("ana", "approve")
    killed(bank, where)
    assert sum(event.effect == "allow" for event in bank.events("decided")) == lines
    assert [event.approval for event in bank.events("approval_consumed")] == [first]
    (second,) = pending(bank, "A-1", 900).decision.approvals
    assert second != first
    assert bank.paid == []
    bank.says("ana", "approve")
    assert bank.refund("A-1", 900) == "refunded 900"
    assert bank.paid == [("A-1", 900)]


def test_a_kill_under_a_frameworks_call_id_refuses_the_replayed_step(bank):
    """A step that is replayed under its id finds what was used: nobody knows whether the act was done."""
    scope = bank.guard.scope()

    def check():
        request = bank.guard.request("tool.call", "refund", {"order": "A-1", "amount": 900}, scope=scope)
        request.call_id = "call-1"
        return bank.guard.check(request)

    assert check().effect == "escalate"
    asked = bank.asked()
    bank.says("ana", "approve")
    child = os.fork()
    if not child:
        bank.guard.recorder.decision = lambda event: os.kill(os.getpid(), signal.SIGKILL)
        check()
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    again = check()
    name = asked.question.id[:12]
    assert again.effect == "deny"
    assert again.reason == f"approval {name} was used already: a step that is run again does nothing twice"


def test_a_kill_between_question_and_journal_loses_no_question(bank):
    """Killed before the line that says it was asked: it is there for people, they are told, and the next try finds it."""
    child = os.fork()
    if not child:
        guard = bank.restart()
        guard.recorder.note = lambda event: os.kill(os.getpid(), signal.SIGKILL) if event_is_question(event) else None
        with guard.session(id="job-1", user="u-9"):
            bank.refund("A-1", 900)
        os._exit(3)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    assert bank.events("approval_requested") == []
    asked = bank.asked()
    approvers = Approvers(bank.people.approvers("ana", "ben"))
    assert [notice.kind for notice in told_of(asked, approvers, NOW)] == ["asked"]
    bank.says("ana", "approve")
    assert bank.refund("A-1", 900) == "refunded 900"


def event_is_question(event):
    return type(event).__name__ == "ApprovalRequested"


def test_act_no_and_expiry_have_one_winner_in_eight_processes(bank, tmp_path):
    """Three do the approved act, two say no, two end it as expired, one says yes again: one end, at most one act."""
    for turn in range(3):
        pending(bank, f"A-{turn}", 900)
        asked = bank.asked()
        bank.says("ana", "approve")
        log, barrier = tmp_path / f"log-{turn}", FORK.Barrier(8)
        log.touch()
        deeds = ["act"] * 3 + ["deny"] * 2 + ["expired"] * 2 + ["approve"]
        racers = [FORK.Process(target=race, args=(bank, asked, deed, turn, log, barrier)) for deed in deeds]
        for process in racers:
            process.start()
        for process in racers:
            process.join(60)
        won = log.read_text().split()
        assert [process.exitcode for process in racers] == [0] * 8
        assert len(won) == 1
        assert asked.ended() == {"act": "consumed", "deny": "denied"}.get(won[0], won[0])
        used = [event for event in bank.events("approval_consumed") if event.approval == asked.question.id]
        assert len(used) == (won[0] == "act")
        if asked.ended() != "denied":
            for one in bank.guard.approvals.all():
                if one.ended() is None:
                    one.close("denied", NOW)


def race(bank, asked, deed, turn, log, barrier):
    guard = bank.restart() if deed == "act" else bank.guard
    barrier.wait(60)
    done = False
    if deed == "act":
        with guard.session(id="job-1", user="u-9"):
            try:
                done = bank.refund(f"A-{turn}", 900) == "refunded 900"
            except (ApprovalPending, Denied):
                done = False
    elif deed == "expired":
        done = asked.close("expired", NOW) is None
    else:
        ended = bank.says("ben", deed, asked=asked)
        done = deed == "deny" and ended is None
    if done:
        with log.open("a") as file:
            file.write(f"{deed} ")
    os._exit(0)


@pytest.mark.parametrize(
    ("forgery", "why"),
    [
        ("wrong key", "its signature is not of the key that the bundle pins for 'ana'"),
        ("other question", "'ana' signed it for another question ("),
        ("tampered", "its signature is not of the key that the bundle pins for 'ana'"),
        ("outsider", "'eve' may not answer this, expected ana, ben"),
        ("no json", "it is no answer: "),
    ],
)
def test_a_forged_answer_is_refused_on_record_and_nothing_is_done(bank, forgery, why):
    pending(bank, "A-0", 900)
    other = bank.asked()
    bank.says("ana", "deny", why="so that one is open", asked=other)
    pending(bank, "A-1", 900)
    asked = bank.asked()
    if forgery == "wrong key":
        bank.says("ana", "approve", key="eve")
    elif forgery == "outsider":
        bank.says("eve", "approve")
    elif forgery == "other question":
        asked.answer(bank.people.says("ana", "approve", other), "approve", NOW)
    elif forgery == "no json":
        asked.answer(b"\xff", "approve", NOW)
    else:
        signed = bank.people.says("ana", "approve", asked, why="amount 900")
        asked.answer(signed.replace(b"amount 900", b"amount 901"), "approve", NOW)
    for _ in range(2):
        pending(bank, "A-1", 900)
    (refused,) = bank.events("approval_answer_refused")
    assert refused.approval == asked.question.id
    assert refused.why.startswith(why)
    assert bank.paid == []


def test_one_person_is_never_two(bank):
    """k = 2: the same approver twice, in two words, and as another name with the same key."""
    bank.write(with_="{approvals: 2}")
    bank.restart()
    pending(bank, "A-1", 900)
    for why in ("once", "twice"):
        bank.says("ana", "approve", why=why)
    bank.says("ben", "approve", key="ana")
    pending(bank, "A-1", 900)
    assert [event.why for event in bank.events("approval_answer_refused")] == [
        "its signature is not of the key that the bundle pins for 'ben'"
    ]
    bank.says("ben", "approve")
    bank.refund("A-1", 900)
    assert bank.paid == [("A-1", 900)]


def test_every_line_of_these_stories_is_whole(bank):
    """What a kill leaves is read like any other journal."""
    pending(bank, "A-1", 900)
    bank.says("ana", "approve")
    killed(bank, "after the line")
    kinds = [line.kind for path in (bank.home / "journals").glob("*.jsonl") for line in read(path)]
    assert kinds.count("approval_consumed") == kinds.count("approval_requested") == 1

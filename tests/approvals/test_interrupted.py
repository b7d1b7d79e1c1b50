"""An act that used its approval up and was interrupted in the middle: it may go on, once for each interruption."""

from __future__ import annotations

import threading

import pytest


@pytest.fixture
def used(ask, people):
    """An approved question whose act has begun."""
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", 0.0)
    assert asked.close("consumed", 1.0) is None
    return asked


def standing(asked, people, now=2.0):
    return asked.standing(people.approvers("ana"), 1, now)


def test_an_act_that_went_through_is_not_gone_on_with(used, people):
    assert standing(used, people).state == "consumed"
    assert not used.go_on(2.0)


def test_each_interruption_is_gone_on_with_once_also_when_the_question_has_lapsed(used, people):
    for _ in range(3):
        used.interrupted(2.0)
        found = standing(used, people, now=used.question.expires + 1)
        assert (found.state, found.begun, found.by) == ("approved", True, ("ana",))
        assert used.go_on(3.0)
        assert standing(used, people).state == "consumed"
        assert not used.go_on(3.0)
    assert used.ended() == "consumed"


def test_of_many_that_would_go_on_one_does(used):
    used.interrupted(2.0)
    start, went = threading.Barrier(8), []

    def race():
        start.wait()
        went.append(used.go_on(3.0))

    threads = [threading.Thread(target=race) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(went) == [False] * 7 + [True]


def test_a_note_opens_no_question_that_nobody_approved(ask, people):
    asked, _ = ask()
    asked.interrupted(1.0)
    assert standing(asked, people).state == "pending"
    asked.answer(people.says("ana", "deny", asked), "deny", 1.0)
    assert standing(asked, people).state == "denied"


def test_whose_answer_no_longer_counts_does_not_go_on(used, people):
    used.interrupted(2.0)
    assert used.standing(people.approvers("ben"), 1, 2.0).state == "consumed"
    assert used.standing(people.approvers("ana", "ben"), 2, 2.0).state == "consumed"


def test_the_arguments_that_were_approved_are_those_that_it_goes_on_with(ask, people):
    asked, _ = ask()
    edited = {"order": "A-1", "amount": 1}
    asked.answer(people.says("ana", "edit", asked, args=edited), "edit", 0.0)
    asked.close("consumed", 1.0)
    asked.interrupted(2.0)
    assert standing(asked, people).args == edited

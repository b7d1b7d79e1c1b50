"""Policies that are not trusted to be quick: a hung one costs a worker, never an agent."""

from __future__ import annotations

import threading

import pytest

from jackline.decision import Verdict
from jackline.workers import DeadlineError, Workers


def test_an_answer_and_an_error_come_back():
    workers = Workers(limit=2, deadline=5)
    assert workers.call(lambda: Verdict(effect="deny")) == Verdict(effect="deny")

    def broken():
        raise SystemExit("x")

    with pytest.raises(SystemExit):
        workers.call(broken)
    assert workers.call(lambda: None) is None


def test_workers_are_used_again_and_their_number_is_bounded():
    workers = Workers(limit=3, deadline=5)
    names = set()
    for _ in range(50):
        workers.call(lambda: names.add(threading.current_thread().name))
        while workers._idle != workers._threads:
            pass
    assert workers._threads == 1


def test_f08_a_hung_policy_is_abandoned_and_the_pool_refuses_when_all_hang():
    workers = Workers(limit=2, deadline=0.05)
    gate = threading.Event()
    for _ in range(2):
        with pytest.raises(DeadlineError, match=r"^no answer within 0.05 s$"):
            workers.call(gate.wait)
    with pytest.raises(DeadlineError, match="all 2 policy workers are busy with policies that do not answer"):
        workers.call(lambda: None)
    gate.set()


def test_after_a_fork_the_pool_is_empty():
    workers = Workers(limit=1, deadline=5)
    workers.call(lambda: None)
    workers._reset()
    assert workers._threads == 0
    assert workers.call(lambda: None) is None


def test_an_idle_worker_ends(monkeypatch):
    workers = Workers(limit=1, deadline=5)
    ended = threading.Event()
    wait = threading.Condition.wait

    def at_once(self, timeout=None):
        if timeout == 30:
            ended.set()
            return False
        return wait(self, timeout)

    monkeypatch.setattr(threading.Condition, "wait", at_once)
    workers.call(lambda: None)
    assert ended.wait(5)

"""The file of what waits: whatever stops its process, each step that was acknowledged is there, and only its own."""

from __future__ import annotations

import os
from collections import OrderedDict

import pytest
from msgspec import structs

from jackline_console.otlp import held
from jackline_console.otlp.held import Held
from jackline_console.otlp.memory import Memory
from jackline_console.otlp.steps import Step


def step(number):
    return Step(
        trace="1" * 32,
        span=f"{number:016x}",
        parent="f" * 16,
        kind="tool",
        name="add",
        agent="",
        service="shop",
        started=1.0,
        ended=2.0,
    )


def adopted(folder):
    """What another process takes over."""
    other = Held(folder)
    other.adopt()
    return [int(span, 16) for _, span in other.waiting]


@pytest.fixture
def full(tmp_path):
    """One with so many steps that its file is written anew once most are on record."""
    made = Held(tmp_path)
    made.keep([step(number) for number in range(held._SPARE + 10)], 1.0)
    return made


def kill(one):
    os.close(one._fd)


def let_go(one):
    one.let_go([key for key in one.waiting if int(key[1], 16) > 2])


def test_a_kill_while_the_file_is_written_anew_loses_nothing(full, tmp_path, monkeypatch):
    def killed(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(held, "_put", killed)
    with pytest.raises(KeyboardInterrupt):
        let_go(full)
    monkeypatch.undo()
    kill(full)
    assert {0, 1, 2} <= set(adopted(tmp_path))


def test_a_file_that_cannot_be_written_anew_stays(full, tmp_path, monkeypatch):
    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(held, "_put", no_space)
    let_go(full)
    monkeypatch.undo()
    full.keep([step(5000)], 1.0)
    kill(full)
    assert {0, 1, 2, 5000} <= set(adopted(tmp_path))


def test_the_new_file_has_what_is_held_alone_and_is_its_process_s_alone(full, tmp_path):
    let_go(full)
    full.keep([step(5000)], 1.0)
    assert adopted(tmp_path) == []
    kill(full)
    assert adopted(tmp_path) == [0, 1, 2, 5000]
    assert len(list(tmp_path.iterdir())) == 1, "the other one's"


def test_a_file_that_was_replaced_since_it_was_opened_is_not_taken_over(full, tmp_path, monkeypatch):
    real = held.fcntl.flock
    other = Held(tmp_path)

    def later(file, how):
        """Its owner is quicker than the lock."""
        monkeypatch.setattr(held.fcntl, "flock", real)
        let_go(full)
        real(file, how)

    monkeypatch.setattr(held.fcntl, "flock", later)
    other.adopt()
    assert other.waiting == {}
    kill(full)
    assert adopted(tmp_path) == [0, 1, 2]


def test_no_way_up_is_gone_twice():
    """A chain of five hundred steps below one that nobody tells of: all wait, and each is looked at about once."""

    class Counting(OrderedDict):
        looks = 0

        def get(self, key, default=None):
            self.looks += 1
            return super().get(key, default)

    memory = Memory()
    memory.places = Counting()
    chain = [structs.replace(step(number), parent=f"{number + 1:016x}") for number in range(1, 501)]
    assert len(memory.waiting(chain)) == 500
    assert memory.places.looks <= 2 * len(chain)

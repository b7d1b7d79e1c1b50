"""The tail: a backlog is told while it comes in, and what agents do meanwhile does not wait for its end."""

from __future__ import annotations

import threading
import time

import pytest

from jackline.events import SessionStarted
from jackline.home import Home
from jackline.journal import Journal
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.journals import AT, TWO, decided, write
from jackline_console import tail as module
from jackline_console.tail import Tail

STEP = 50
LINES = 600


class Nobody:
    """Rows of the page *Live*, which nobody looks at here."""

    class pulse:  # noqa: N801 - an attribute of what it stands for
        @staticmethod
        def feed(row):
            assert row.position

        @staticmethod
        def prune(now):
            assert now


class Hears:
    """Notes what it is told, and how much was in the index by then."""

    def __init__(self, store):
        self.store, self.items, self.behind = store, [], []
        self.heard = threading.Event()

    def tell(self, batch):
        self.items += batch.items
        self.behind.append(self.store.head()[1] - batch.last)
        self.heard.set()


@pytest.fixture
def home(tmp_path):
    return Home(tmp_path / "home").make()


@pytest.fixture
def followed(home, monkeypatch):
    """A tail that is not started yet, and its listener."""
    monkeypatch.setattr(module, "STEP_LINES", STEP)
    store = SQLiteStore(home.index)
    tail, hears = Tail(home, store, Nobody()), Hears(store)
    tail.join(hears)
    yield tail, hears
    tail.stop()
    store.close()


def until(found):
    deadline = time.monotonic() + 30
    while not found():
        assert time.monotonic() < deadline
        threading.Event().wait(0.005)


def test_a_backlog_is_told_step_by_step(home, followed):
    tail, hears = followed
    write(home.path, [decided(f"{number:04}", "output", "answer") for number in range(LINES)])
    tail.start()
    until(lambda: len(hears.items) == LINES + 2)
    assert [item.position for item in hears.items] == list(range(1, LINES + 3))
    assert len(hears.behind) >= LINES // STEP, "told after each step, not after the last"
    assert max(hears.behind) <= STEP, "nobody is told later than a step after it came in"


def test_what_happens_meanwhile_does_not_wait_for_the_backlog(home, followed):
    tail, hears = followed
    write(home.path, [decided(f"{number:04}", "output", "answer") for number in range(10 * LINES)])
    tail.start()
    assert hears.heard.wait(30)
    with Journal.open(home.journals) as journal:
        journal.append(SessionStarted(at=AT, session=TWO))
        until(lambda: any(item.session == TWO for item in hears.items))
        assert len(hears.items) < 10 * LINES, "before the end of the backlog"

"""A changed file comes into force once, a broken one never, and nothing half written is taken for whole."""

from __future__ import annotations

import hashlib
import logging
import os
import threading

import pytest

from jackline.errors import BundleError
from jackline.reload import Watcher

INTERVAL = 0.25


class Clock:
    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


class World:
    """A file, a clock that the test turns, and what the watcher did."""

    def __init__(self, path):
        self.path = path
        self.clock = Clock()
        self.loads = []
        self.loaded = []
        self.failed = []
        self.stamp = 0
        self.write("one")
        self.watcher = Watcher(
            path,
            self.load,
            loaded=self.loaded.append,
            failed=lambda error: self.failed.append(str(error)),
            revision=hashlib.sha256(b"one").hexdigest(),
            interval=INTERVAL,
            clock=self.clock,
        )

    def load(self, data):
        self.loads.append(data)
        if data.startswith(b"bad"):
            raise BundleError(f"{data.decode()} does not load")
        return data.decode()

    def write(self, text, *, age=None):
        """Write as an editor does, in place; the file's times are the world's."""
        self.path.write_text(text)
        self.touch(age)

    def touch(self, age=None):
        """Give the file a new time; `age` seconds before the world's now."""
        self.stamp += 1
        changed = int((self.clock.now - (age or 0)) * 1e9) + self.stamp
        os.utime(self.path, ns=(changed, changed))

    def replace(self, text):
        """Write as a careful program does, by renaming."""
        part = self.path.with_suffix(".part")
        part.write_text(text)
        part.replace(self.path)
        self.touch()

    def poll(self, seconds=INTERVAL):
        self.clock.now += seconds
        self.watcher.poll(self.clock.now)

    def settle(self):
        """Look often enough that a file which keeps still is read."""
        for _ in range(3):
            self.poll()


@pytest.fixture
def world(tmp_path):
    return World(tmp_path / "jackline.yaml")


def test_what_is_in_force_already_is_not_loaded_again(world):
    world.settle()
    assert (world.loads, world.loaded, world.failed) == ([], [], [])


def test_a_change_is_in_force_after_the_file_kept_still_for_an_interval(world):
    world.settle()
    world.write("two")
    world.poll()
    assert world.loaded == [], "it may still be being written"
    world.poll()
    assert world.loaded == ["two"]
    world.settle()
    assert world.loads == [b"two"], "once a change"


def test_a_change_is_in_force_within_a_second(world):
    world.settle()
    world.write("two")
    begun = world.clock.now
    while not world.loaded:
        world.poll(0.05)
    assert world.clock.now - begun <= 1.0


def test_a_file_that_is_being_written_is_not_read(world):
    world.settle()
    for text in ("", "bad", "two and", "two and more"):
        world.write(text)
        world.poll()
    assert world.loads == []
    world.poll()
    assert world.loaded == ["two and more"]
    assert world.failed == []


def test_a_file_that_was_replaced_by_renaming_is_seen(world):
    world.settle()
    world.replace("two")
    world.settle()
    assert world.loaded == ["two"]


def test_a_change_of_the_same_size_is_seen(world):
    world.settle()
    world.write("eno")
    world.settle()
    assert world.loaded == ["eno"]


def test_touching_the_file_changes_nothing(world):
    world.settle()
    world.touch()
    world.settle()
    assert (world.loads, world.loaded) == ([], [])


def test_a_broken_file_is_told_once_for_each_content_and_never_in_force(world):
    world.settle()
    world.write("bad 1")
    world.settle()
    assert world.failed == ["bad 1 does not load"]
    world.touch()
    world.settle()
    assert world.failed == ["bad 1 does not load"], "the same content"
    world.write("bad 2")
    world.settle()
    assert world.failed == ["bad 1 does not load", "bad 2 does not load"]
    assert world.loaded == []
    world.write("two")
    world.settle()
    assert world.loaded == ["two"]
    world.write("bad 2")
    world.settle()
    assert len(world.failed) == 3, "broken again is told again"


def test_going_back_to_what_is_in_force_is_no_change(world):
    world.settle()
    world.write("bad")
    world.settle()
    world.write("one")
    world.settle()
    assert (world.loaded, len(world.failed)) == ([], 1)


def test_a_deleted_file_is_an_error_and_the_last_good_one_stays(world):
    world.settle()
    world.path.unlink()
    world.settle()
    world.settle()
    assert world.failed == [f"{world.path}:1:1: there is no such file; create it, or name another"]
    world.write("one")
    world.settle()
    assert world.loaded == []
    world.write("two")
    world.settle()
    assert world.loaded == ["two"]


def test_a_file_that_grew_too_large_is_an_error(world):
    world.settle()
    world.write("x" * (1024 * 1024 + 1))
    world.settle()
    world.touch()
    world.settle()
    (message,) = world.failed
    assert message.startswith(f"{world.path}:1:1: the file has 1,048,577 bytes, a bundle has at most")


def test_after_a_pause_the_first_look_loads_a_change_that_is_old_enough(world, monkeypatch):
    world.settle()
    world.write("two")
    old = world.clock.now
    monkeypatch.setattr(world.watcher, "_signature", lambda: (1, 2, 3, int(old * 1e9), int(old * 1e9)))
    world.poll(60)
    assert world.loaded == ["two"], "no second look is needed: it has kept still for a minute"


def test_within_an_interval_the_file_is_looked_at_once(world, monkeypatch):
    looks = []
    monkeypatch.setattr(world.watcher, "look", lambda: looks.append(1))
    world.poll(10)
    for _ in range(100):
        world.poll(0.001)
    assert len(looks) == 1
    world.poll(INTERVAL)
    assert len(looks) == 2


def test_a_clock_that_jumps_back_does_not_stop_the_looking(world, monkeypatch):
    looks = []
    monkeypatch.setattr(world.watcher, "look", lambda: looks.append(1))
    world.poll(10)
    world.poll(-5000)
    assert len(looks) == 2


def test_a_load_that_fails_unexpectedly_is_told_and_does_not_raise(world):
    world.settle()
    world.watcher._loaded = lambda found: 1 / 0
    world.write("two")
    world.settle()
    assert world.failed == [f"{world.path} did not come into force: ZeroDivisionError: division by zero"]


def test_where_nobody_can_be_told_it_is_logged(world, caplog):
    def fail(error):
        raise OSError("disk full")

    world.watcher._failed = fail
    world.settle()
    world.write("bad")
    with caplog.at_level(logging.ERROR, "jackline.reload"):
        world.settle()
    assert caplog.messages == [f"nobody could be told that {world.path} was refused: bad does not load"]


def test_p28_a_change_is_loaded_once_however_many_threads_look(world):
    """Peers P28: 20 threads fetched a manifest 20 times."""
    world.settle()
    world.write("two")
    world.poll()
    start, inside, go_on = threading.Barrier(21), threading.Event(), threading.Event()
    genuine = world.load

    def slow(data):
        inside.set()
        assert go_on.wait(10)
        return genuine(data)

    world.watcher._load = slow
    done = threading.Semaphore(0)

    def look():
        start.wait(10)
        world.watcher.look()
        done.release()

    threads = [threading.Thread(target=look) for _ in range(20)]
    for thread in threads:
        thread.start()
    start.wait(10)
    assert inside.wait(10)
    for _ in range(19):
        assert done.acquire(timeout=10), "nobody waits for the one that loads"
    go_on.set()
    for thread in threads:
        thread.join(10)
    assert world.loads == [b"two"]
    assert world.loaded == ["two"]


def test_the_thread_loads_a_change(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text("one")
    arrived = threading.Event()
    found = []

    def loaded(text):
        found.append(text)
        arrived.set()

    watcher = Watcher(path, bytes.decode, loaded=loaded, failed=found.append, interval=0.01)
    watcher.start()
    watcher.start()
    assert arrived.wait(10)
    assert found == ["one"]
    watcher.stop()
    watcher.stop()
    assert not [thread for thread in threading.enumerate() if thread.name == "jackline-reload"]


def test_a_callback_may_stop_the_thread(tmp_path):
    path = tmp_path / "b.yaml"
    path.write_text("one")
    ended = threading.Event()

    def loaded(_):
        watcher.stop()
        ended.set()

    watcher = Watcher(path, bytes.decode, loaded=loaded, failed=lambda _: None, interval=0.01)
    watcher.start()
    thread = watcher._thread
    assert ended.wait(10)
    thread.join(10)
    assert not thread.is_alive()


def test_while_the_thread_looks_the_check_path_does_not(world, monkeypatch):
    looks = []
    turns = iter([False, True])
    monkeypatch.setattr(world.watcher, "look", lambda: looks.append(1))
    monkeypatch.setattr(
        world.watcher, "_wake", type("Wake", (), {"is_set": lambda _: next(turns), "wait": lambda *_: None})()
    )
    world.watcher._watch()
    assert len(looks) == 1
    world.poll(1.5 * INTERVAL)
    assert len(looks) == 1, "the thread's turn"
    world.poll(INTERVAL)
    assert len(looks) == 2, "the thread is late: starved, or gone with a fork"


def test_a_child_of_a_fork_reloads_although_its_thread_and_locks_stayed_behind(world):
    world.settle()
    world.watcher._flight.acquire()  # another thread of the parent is loading at the fork
    world.write("two")
    readable, writable = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            world.settle()
            world.watcher.stop()
            os.write(writable, repr(world.loaded).encode())
        finally:
            os._exit(0)
    os.close(writable)
    with os.fdopen(readable) as stream:
        assert stream.read() == "['two']"
    os.waitpid(child, 0)
    world.settle()
    assert world.loaded == [], "the parent is still loading"

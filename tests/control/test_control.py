"""Stops, halts and reloads are seen by every process at its next look, and outlive them all."""

from __future__ import annotations

import fcntl
import os
import signal
import subprocess
import sys
import threading
from typing import TYPE_CHECKING

import pytest

from jackline import control as module
from jackline.control import Control, ControlError, Halt, Reopening, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ONE, TWO = "a" * 32, "0123456789abcdef" * 2


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "control"


@pytest.fixture
def control(folder: Path) -> Iterator[Control]:
    made = Control(folder, clock=lambda: 12.5)
    yield made
    made.close()


def test_every_change_is_another_epoch(control, folder):
    seen = [control.epoch]
    for change in (
        control.bump,
        control.reload,
        lambda: control.stop(ONE, "ann", "runs away"),
        lambda: control.halt(ONE, "over budget"),
        lambda: control.reopen(ONE, "ann", "raised the limit"),
    ):
        change()
        seen.append(control.epoch)
    assert seen == [0, 2, 4, 6, 8, 10]
    assert control.bump() == 12
    other = Control(folder)
    assert other.epoch == 12
    other.close()


def test_stops_say_who_and_why(control):
    assert control.stops() == {}
    control.stop(ONE, "ann", "runs away")
    control.stop(TWO, "bob", "lunch", pause=True)
    assert control.stops() == {
        ONE: Stop(at=12.5, who="ann", why="runs away"),
        TWO: Stop(at=12.5, who="bob", why="lunch", pause=True),
    }


def test_a_halt_is_sticky_over_processes_and_keeps_its_first_reason(folder):
    control = Control(folder, clock=lambda: 12.5)
    assert control.halted(ONE) is None
    control.halt(ONE, "over budget", policy="session-ceiling", rule="limit")
    control.halt(ONE, "looped")
    control.close()
    again = Control(folder)
    assert again.halted(ONE) == Halt(at=12.5, reason="over budget", policy="session-ceiling", rule="limit")
    assert again.halted(TWO) is None
    again.close()


def test_only_a_named_human_lifts_halt_and_stop(control):
    control.halt(ONE, "over budget")
    control.stop(ONE, "ann", "runs away")
    for who, why in (("", "why"), ("ann", " ")):
        with pytest.raises(ControlError, match="Say who asks and why: both stand in the record"):
            control.reopen(ONE, who, why)
        with pytest.raises(ControlError, match="Say who asks and why"):
            control.stop(TWO, who, why)
    assert control.halted(ONE) is not None
    assert control.reopening(ONE) is None
    control.reopen(ONE, "ann", "raised the limit")
    assert control.halted(ONE) is None
    assert control.stops() == {}
    assert control.reopening(ONE) == Reopening(at=12.5, who="ann", why="raised the limit")
    control.halt(ONE, "over budget again")
    assert control.halted(ONE).reason == "over budget again"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b'{"reason": 3, "at": 1}', b"\xff\xfe", b'{"at":1,"reason":"x","z":1}']
)
def test_a_halt_that_cannot_be_read_counts_as_halted(control, folder, content):
    path = folder / "halted" / f"{ONE}.json"
    path.write_bytes(content)
    halt = control.halted(ONE)
    assert halt.reason.startswith(f"the mark {path} cannot be read (")
    assert halt.reason.endswith("); reopen the session to lift it")
    control.halt(ONE, "looped")
    assert control.halted(ONE) == halt
    control.reopen(ONE, "ann", "looked at it")
    assert control.halted(ONE) is None


def test_a_mark_that_is_no_file_counts_as_halted(control, folder):
    (folder / "halted" / f"{ONE}.json").mkdir()
    assert "Is a directory" in control.halted(ONE).reason
    with pytest.raises(ControlError, match=r"The mark .* cannot be written: .*Free space or mend its rights"):
        control.reopen(ONE, "ann", "why")
    assert control.epoch % 2 == 0


def test_a_stop_that_cannot_be_read_stops_its_session(control, folder):
    (folder / "stops" / f"{ONE}.json").write_text("{")
    (folder / "stops" / f"{ONE}.12-3.draft").write_text("{")
    (folder / "stops" / "notes.txt").write_text("{")
    (found,) = control.stops().items()
    assert found[0] == ONE
    assert found[1].who == "unknown"
    assert "cannot be read" in found[1].why
    assert not found[1].pause


def test_a_stop_lifted_while_the_stops_are_read_is_none(control, folder):
    (folder / "stops" / f"{ONE}.json").symlink_to(folder / "gone")
    assert control.stops() == {}


def test_a_reopening_that_cannot_be_read_lifts_nothing(control, folder):
    (folder / "reopened" / f"{ONE}.json").write_text("{")
    assert control.reopening(ONE) is None


def test_stops_that_cannot_be_listed_are_an_error(control, folder):
    (folder / "stops").rmdir()
    with pytest.raises(ControlError, match=r"The stops in .*control cannot be read: .*No such file"):
        control.stops()


@pytest.mark.parametrize(
    "session", ["", "a" * 31, "a" * 33, "A" * 32, "../" + "a" * 29, "a" * 32 + "\n", "/etc/passwd", "٠" * 32]
)
def test_only_a_sessions_id_becomes_a_path(control, folder, session):
    for act in (
        lambda: control.halted(session),
        lambda: control.halt(session, "r"),
        lambda: control.stop(session, "ann", "why"),
        lambda: control.reopen(session, "ann", "why"),
        lambda: control.reopening(session),
    ):
        with pytest.raises(
            ControlError, match="is no session's id: 32 hex digits were expected, as `jackline sessions`"
        ):
            act()
    assert [path for path in folder.rglob("*") if path.suffix == ".json"] == []


def test_a_folder_that_cannot_be_used_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ControlError, match=r"The control folder .*file/control cannot be used: .*Not a directory"):
        Control(tmp_path / "file" / "control")


def test_a_strange_epoch_file_is_an_error(folder):
    folder.mkdir(parents=True)
    (folder / "epoch").write_bytes(b"123")
    with pytest.raises(ControlError, match=r"its file 'epoch' has 3 bytes, not 8: stop the agents and remove it"):
        Control(folder)


def test_other_processes_see_a_change_at_once(control, folder):
    before = control.epoch
    script = "import sys; from jackline.control import Control; Control(sys.argv[1]).halt(sys.argv[2], 'from outside')"
    subprocess.run([sys.executable, "-c", script, folder, ONE], check=True)
    assert control.epoch == before + 2
    assert control.halted(ONE).reason == "from outside"


def test_a_forked_child_sees_and_makes_changes(control):
    before = control.epoch
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        control.halt(ONE, "in the child")
        os.write(tell, b"x")
        os._exit(0)
    os.read(told, 1)
    assert control.epoch == before + 2
    assert control.halted(ONE).reason == "in the child"
    assert os.waitpid(pid, 0)[1] == 0
    os.close(told)
    os.close(tell)


def test_a_fork_while_a_thread_writes_does_not_deadlock(control):
    inside, leave = threading.Event(), threading.Event()

    def stay() -> None:
        with control._changing():
            inside.set()
            leave.wait(10)

    thread = threading.Thread(target=stay)
    thread.start()
    assert inside.wait(10)
    pid = os.fork()
    if pid == 0:
        control.halt(ONE, "in the child")
        os._exit(0)
    leave.set()
    thread.join()
    assert os.waitpid(pid, 0)[1] == 0
    assert control.halted(ONE).reason == "in the child"
    assert control.epoch == 4


def test_parallel_changes_are_all_counted(control):
    def change() -> None:
        for _ in range(20):
            control.bump()

    threads = [threading.Thread(target=change) for _ in range(4)]
    for thread in threads:
        thread.start()
    pids = []
    for _ in range(3):
        pid = os.fork()
        if pid == 0:
            change()
            os._exit(0)
        pids.append(pid)
    for thread in threads:
        thread.join()
    assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0]
    assert control.epoch == 2 * 7 * 20


def test_while_a_change_is_written_every_look_differs_and_a_kill_within_is_settled(control):
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with control._changing():
            os.write(tell, b"x")
            signal.pause()
    os.read(told, 1)
    looks = [control.epoch for _ in range(5)]
    assert len(set(looks)) == 5
    assert all(look < 0 for look in looks)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    assert [control.epoch, control.epoch] == [2, 2]
    control._word[0] = 5
    control.bump()
    assert control.epoch == 6
    os.close(told)
    os.close(tell)


def test_a_lock_that_stays_taken_is_an_error(control, monkeypatch):
    monkeypatch.setattr(module, "PATIENCE", 0.002)
    told, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        with control._alone():
            os.write(tell, b"x")
            signal.pause()
    os.read(told, 1)
    with pytest.raises(
        ControlError, match=r"was not free within 0.002 s: a process that holds it is stopped. Find it with"
    ):
        control.halt(ONE, "late")
    assert list((control.directory / "halted").iterdir()) == []
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    control.halt(ONE, "now")
    os.close(told)
    os.close(tell)


def test_a_write_that_fails_is_an_error_and_leaves_nothing(control, monkeypatch):
    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(
        ControlError, match=r"cannot be written: \[Errno 28\] No space left on device. Free space or mend"
    ):
        control.halt(ONE, "over budget")
    assert list((control.directory / "halted").iterdir()) == []
    assert control.halted(ONE) is None


def test_the_lock_is_a_record_lock_that_ends_with_the_process(control):
    with control._alone():
        fd = os.open(control.directory / "lock", os.O_RDWR)
        assert module._taken(fd), "the same process"
        fcntl.lockf(fd, fcntl.LOCK_UN)
        os.close(fd)

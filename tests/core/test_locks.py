"""One at a time, in every process, and nobody stays out because a holder was killed."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest

from jackline.locks import in_turn, only_one

HOLD = """
import sys
from pathlib import Path
from jackline.locks import {how}
with {how}(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def holder(path, how):
    """Another process that holds the lock until it is killed."""
    child = subprocess.Popen(
        [sys.executable, "-c", HOLD.format(how=how), str(path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE
    )
    assert child.stdout.readline() == b"held\n"
    return child


def killed(child):
    child.send_signal(signal.SIGKILL)
    child.communicate()


@pytest.mark.parametrize("kind", ["file", "folder"])
@pytest.mark.parametrize("how", ["only_one", "in_turn"])
def test_another_process_holds_it_until_it_is_killed(tmp_path, kind, how):
    path = tmp_path / "sub" / "one.lock"
    if kind == "folder":
        path.mkdir(parents=True)
    child = holder(path, how)
    with only_one(path) as alone:
        assert not alone
    killed(child)
    with only_one(path) as alone:
        assert alone
        with only_one(path) as again:
            assert not again
    with only_one(path) as alone:
        assert alone


def test_whoever_waits_goes_on_when_the_holder_ends(tmp_path):
    path = tmp_path / "one.lock"
    child = holder(path, "in_turn")
    entered = threading.Event()

    def wait():
        with in_turn(path):
            entered.set()

    waiting = threading.Thread(target=wait)
    waiting.start()
    assert not entered.wait(0.2)
    killed(child)
    assert entered.wait(30)
    waiting.join(30)


@pytest.mark.parametrize("lock", [only_one, in_turn])
def test_an_error_inside_lets_go_of_it(lock, tmp_path):
    path = tmp_path / "one.lock"
    with pytest.raises(OSError, match="inside"), lock(path, lambda _: RuntimeError("not of the lock")):
        raise OSError("inside")
    with only_one(path) as alone:
        assert alone


@pytest.mark.parametrize("lock", [only_one, in_turn])
def test_what_cannot_be_opened_is_said_in_the_caller_s_words(lock, tmp_path):
    (tmp_path / "file").write_text("")
    path = tmp_path / "file" / "sub" / "one.lock"
    with pytest.raises(NotADirectoryError), lock(path):
        pass
    words = pytest.raises(ValueError, match="no lock here: Not a directory")
    with words as told, lock(path, lambda error: ValueError(f"no lock here: {error.strerror}")):
        pass
    assert isinstance(told.value.__cause__, NotADirectoryError)


def test_the_file_is_its_user_s_alone(tmp_path):
    path = tmp_path / "sub" / "one.lock"
    with only_one(path):
        assert path.stat().st_mode & 0o777 == 0o600
        assert path.parent.stat().st_mode & 0o777 == 0o700

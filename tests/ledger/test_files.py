"""Files that are damaged, gone, cut short or full are errors that say what to do; growth is followed by all."""

from __future__ import annotations

import builtins
import fcntl
import os
import resource
import struct
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jackline.decision import Claim, Refusal, Reservation
from jackline.errors import LedgerError
from jackline.ledger import Ledger, cells, locking

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path) -> Path:
    ledger = Ledger.open(folder)
    ledger.book(ledger.reserve([Claim(scope="a", unit="usd", cap=100, fixed=7)], at=1.0))
    ledger.close()
    return folder / "cells"


def patch(path: Path, word: int, value: int) -> None:
    with path.open("r+b") as file:
        file.seek(8 * word)
        file.write(struct.pack("q", value))


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda path: path.write_bytes(b""), "it ends after 0 bytes"),
        (lambda path: path.write_bytes(b"x" * 99), "it ends after 99 bytes"),
        (lambda path: patch(path, cells.H_MAGIC, 0), "it does not begin as a ledger does"),
        (lambda path: patch(path, cells.H_VERSION, 9), "it has format 9, and this jackline reads format 2"),
        (lambda path: patch(path, cells.H_CAPACITY, 6923), "its table is damaged"),
        (lambda path: patch(path, cells.H_CAPACITY, 1 << 40), "its table is damaged"),
        (lambda path: patch(path, cells.H_TABLE, -1), "its table is damaged"),
        (lambda path: patch(path, cells.H_END, 1 << 40), "its end is damaged"),
        (lambda path: patch(path, cells.H_FREE_CELL, -1), "its list of blocks is damaged"),
        (lambda path: patch(path, cells.H_FREE_RECORD, 7), "its list of blocks is damaged"),
        (lambda path: patch(path, cells.H_CHAIN, 1 << 40), "its list of blocks is damaged"),
        (lambda path: patch(path, cells.H_OWNERS, -1), "its count of processes is damaged"),
        (lambda path: patch(path, cells.H_INTENT, 1), "its log is damaged"),
        (lambda path: patch(path, cells.H_INTENT, 1 << 40), "its log is damaged"),
        (lambda path: os.truncate(path, 8192), "it has 8192 bytes of 1048576"),
    ],
)
def test_a_damaged_ledger_is_refused_with_advice(folder, damage, message):
    path = made(folder)
    damage(path)
    before = path.read_bytes()
    with pytest.raises(LedgerError) as caught:
        Ledger.open(folder)
    assert str(caught.value).startswith(
        f"The ledger {path} cannot be used: {message}. Nothing was changed, and nothing"
    )
    assert f"move the whole folder {folder} away to start at zero on purpose" in str(caught.value)
    assert path.read_bytes() == before


@pytest.mark.parametrize("when", ["opened after a restart of the host", "used"])
def test_a_block_that_leads_nowhere_is_told_with_the_file_and_what_to_do(folder, claim, when):
    path = made(folder)
    words = struct.unpack(f"{path.stat().st_size // 8}q", path.read_bytes())
    entry = next(at for at in range(cells.HEADER, cells.HEADER + 2 * cells.CAPACITY, 2) if words[at + 1])
    patch(path, entry + 1, 1 << 40)
    if when != "used":
        patch(path, cells.H_BOOT, 5)
        with pytest.raises(LedgerError) as caught:
            Ledger.open(folder)
    else:
        ledger = Ledger.open(folder)
        with pytest.raises(LedgerError) as caught:
            ledger.balances()
        ledger.close()
    told = f"The ledger {path} cannot be used: its content is damaged (IndexError: index out of bounds on dimension 1)."
    assert str(caught.value).startswith(told)
    assert f"restore cells from a copy, or move the whole folder {folder} away" in str(caught.value)


def test_a_ledger_that_has_vanished_does_not_start_at_zero(folder):
    made(folder).unlink()
    with pytest.raises(LedgerError, match=r"has lost its file 'cells': what was spent is unknown, and nothing that a"):
        Ledger.open(folder)
    assert not (folder / "cells").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(LedgerError, match=r"The ledger in .*file/ledger cannot be opened: .*Not a directory"):
        Ledger.open(tmp_path / "file" / "ledger")


def test_files_are_the_owners_alone(folder):
    made(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    assert {path.stat().st_mode & 0o777 for path in folder.iterdir()} == {0o600}


def test_after_a_restart_of_the_host_cells_and_reservations_are_compared(folder, monkeypatch):
    path = made(folder)
    monkeypatch.setattr("jackline.ledger.boot", lambda: 77)
    ledger = Ledger.open(folder)
    assert ledger._cells.words[cells.H_BOOT] == 77
    held = ledger.reserve([Claim(scope="a", unit="usd", cap=100, fixed=3)], at=1.0)
    cell = ledger._cells.known["a", "usd"]
    ledger.close()
    patch(path, cell + cells.HELD, 4)
    Ledger.open(folder).close()
    monkeypatch.setattr("jackline.ledger.boot", lambda: 78)
    with pytest.raises(LedgerError, match=r"after a restart of the host 'a' holds 4, its reservations 3 \(1 such\)"):
        Ledger.open(folder)
    assert isinstance(held, Reservation)


def test_the_boot_is_zero_where_the_platform_does_not_say(monkeypatch):
    assert cells.boot() == cells.boot()

    def absent(*_: object, **__: object) -> str:
        raise FileNotFoundError

    monkeypatch.setattr("pathlib.Path.read_text", absent)
    assert cells.boot() == 0


def test_audit_names_what_does_not_agree(ledger, claim):
    made = ledger.reserve([claim("a", 100, 3), claim("b", 100, 3)], at=1.0)
    words, known = ledger._cells.words, ledger._cells.known
    words[known["a", "usd"] + cells.HELD] = 9
    words[known["b", "usd"] + cells.KEY1] += 1
    assert sorted(ledger.audit()) == ["'a' holds 9, its reservations 3", "'b' is not found by its name"]
    words[known["a", "usd"] + cells.HELD] = 3
    words[known["b", "usd"] + cells.KEY1] -= 1
    record = (int(made.id, 16) & (1 << 23) - 1) * 32
    words[record + cells.PARTS] = 0
    assert ledger.audit() == ["'a' holds 3, its reservations 0", "a reservation holds 3 in no scope"]


@pytest.fixture
def small(monkeypatch, folder):
    monkeypatch.setattr(cells, "CHUNK", 4096)
    monkeypatch.setattr(cells, "CAPACITY", 16)
    monkeypatch.setattr(cells, "KNOWN", 8)
    ledger = Ledger.open(folder)
    yield ledger
    ledger.close()


def test_growth_pruning_and_half_steps_of_others_are_followed(small, folder, claim):
    other = Ledger(folder, 2.0)
    for round_ in range(40):
        names = [f"{round_}/{n}" for n in range(5)]
        here = small.reserve([claim(name, 100, 2) for name in names], at=round_)
        assert [other.balance(name) for name in names] == [(0, 2)] * 5
        there = other.reserve([claim(name, 100, 3) for name in names], at=round_)
        assert small.settle(there, {"usd": 4}, round_) == dict.fromkeys(names, 4)
        assert other.book(here) == dict.fromkeys(names, 2)
        if round_ % 7 == 6:
            assert small.prune(round_ - 2) > 0
            assert other.balance(f"{round_ - 4}/0") == (0, 0)
    assert {entry.spent for entry in other.balances()} == {6}
    assert small.audit() == other.audit() == []
    other._cells.close()


def test_the_table_is_renewed_in_place_when_scopes_come_and_go(small, claim):
    for day in range(60):
        small.book(small.reserve([claim(f"day {day} {n}", 100, 1) for n in range(3)], at=day))
        small.prune(day)
    assert (small.directory / "cells").stat().st_size == 8192
    assert len(small.balances()) == 3
    assert small.audit() == []


def test_a_step_begun_beyond_this_process_map_is_completed(small, folder, claim):
    other = Ledger(folder, 2.0)
    while len(other._cells.words) == len(small._cells.words):
        name = f"s{other._cells.words[cells.H_SERIAL]}"
        other.reserve([claim(name, 100, 1)], at=1.0)
    there, words = other._cells, small._cells.words
    cell = there.words[cells.H_END] - cells.CELL
    assert cell >= len(words)
    there.map[8 * cells.LOG : 8 * cells.LOG + 16] = struct.pack("2q", cell + cells.TOUCHED, 99)
    there.words[cells.H_INTENT] = 2
    assert small.audit() == []
    assert small._cells.words[cell + cells.TOUCHED] == 99
    there.close()


def test_a_ledger_cut_short_while_in_use_is_refused(small, folder, claim):
    small._cells.words[cells.H_LAYOUT] += 1
    os.truncate(folder / "cells", 2048)
    with pytest.raises(LedgerError, match="it was cut short while in use"):
        small.balance("a")
    os.truncate(folder / "cells", 4096)


def test_a_full_disk_refuses_new_scopes_and_keeps_the_old(folder):
    script = """
import resource, sys
from jackline.decision import Claim
from jackline.errors import LedgerError
from jackline.ledger import Ledger, cells
cells.CHUNK = 4096
cells.CAPACITY = 16
def claim(scope): return Claim(scope=scope, unit="usd", cap=100, fixed=1)
ledger = Ledger.open(sys.argv[1])
ledger.book(ledger.reserve([claim("old")], at=1.0))
resource.setrlimit(resource.RLIMIT_FSIZE, (16384, resource.RLIM_INFINITY))
made = 0
try:
    for made in range(1000):
        ledger.release(ledger.reserve([claim(f"new {made}")], at=1.0))
except LedgerError as error:
    print(error)
assert ledger.settle(ledger.reserve([claim("old")], at=1.0), {"usd": 1}, 1.0) == {"old": 1}
assert ledger.audit() == []
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
ledger.reserve([claim("when space is back")], at=1.0)
assert ledger.balance("old") == (2, 0)
assert ledger.audit() == []
print(made)
"""
    done = subprocess.run([sys.executable, "-c", script, folder], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    message, count = done.stdout.splitlines()
    assert message.startswith(
        f"The ledger {folder / 'cells'} cannot grow to 20480 bytes: [Errno 27] File too large. What"
    )
    assert 10 < int(count) < 100


def test_a_ledger_has_a_largest_size(small, claim, monkeypatch):
    monkeypatch.setattr(cells, "LARGEST", 8192)
    many = [claim(str(n), 100, 1) for n in range(29)]
    with pytest.raises(LedgerError, match=r"is full: it may have 8192 bytes. Prune scopes that are over"):
        small.reserve(many, at=1.0)
    assert small.audit() == []


def test_without_fallocate_the_blocks_are_written(monkeypatch, folder, claim):
    monkeypatch.delattr(os, "posix_fallocate")
    ledger = Ledger.open(folder)
    assert (folder / "cells").stat().st_blocks * 512 >= 1 << 20
    ledger.book(ledger.reserve([claim("a", 100, 1)], at=1.0))
    ledger.close()
    monkeypatch.setattr(os, "pwrite", lambda *_: 3)
    with (folder / "cells").open("r+b") as file, pytest.raises(OSError, match="short write at byte 0"):
        cells.allocate(file.fileno(), 0, 100)


def test_a_disk_that_is_full_at_the_start_makes_no_ledger(folder):
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        with pytest.raises(LedgerError, match=r"cannot be opened: .*File too large"):
            Ledger.open(folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    ledger = Ledger.open(folder)
    assert ledger.balances() == []
    ledger.close()


def without_ctypes(monkeypatch):
    real = builtins.__import__

    def fake(name, *args, **kwargs):
        if name == "ctypes":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", fake)


def narrow(monkeypatch):
    monkeypatch.setattr("ctypes.sizeof", lambda kind: 4 if kind.__name__ == "c_ulong" else 8)


@pytest.mark.parametrize("lack", [without_ctypes, narrow])
def test_without_libc_the_lock_is_pythons(monkeypatch, folder, claim, lack):
    with monkeypatch.context() as patched:
        lack(patched)
        ledger = Ledger.open(folder)
    assert ledger._lock.attempt.func is locking._portable
    pid = os.fork()
    if pid == 0:
        ledger._lock.attempt()
        held = ledger._locked(lambda _: subprocess.run([sys.executable, "-c", TRY, folder], check=False).returncode)
        os._exit(held)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 3
    assert isinstance(ledger.reserve([claim("a", 100, 1)], at=1.0), Reservation)
    ledger.close()


TRY = """
import pathlib, sys
from jackline.ledger import locking
sys.exit(3 if locking.HostLock(pathlib.Path(sys.argv[1]) / "lock", 1.0).attempt() else 4)
"""


def test_portable_attempts_tell_taken_from_free(monkeypatch, ledger):
    assert locking._portable(ledger._lock.fd) == 0

    def taken(*_: object) -> None:
        raise BlockingIOError

    monkeypatch.setattr(fcntl, "lockf", taken)
    assert locking._portable(ledger._lock.fd) == -1


def test_a_disk_without_locks_is_an_error(monkeypatch, ledger):
    def without(*_: object) -> None:
        raise OSError(37, "No locks available")

    monkeypatch.setattr(ledger._lock, "attempt", lambda: -1)
    monkeypatch.setattr(fcntl, "lockf", without)
    with pytest.raises(LedgerError, match=r"lock cannot be taken: \[Errno 37\] No locks available. Use a local disk."):
        ledger.balance("a")


def test_a_finalizer_inside_a_step_gets_an_error_and_disturbs_nothing(ledger, claim):
    def step(_: object) -> None:
        with pytest.raises(LedgerError, match="was entered again from within one of its steps, by a signal handler"):
            ledger.reserve([claim("a", 100, 1)], at=1.0)
        with pytest.raises(LedgerError, match="cannot be closed from within one of its steps"):
            ledger.close()
        assert ledger._inside

    ledger._locked(step)
    assert isinstance(ledger.reserve([claim("a", 100, 1)], at=1.0), Reservation)
    assert isinstance(ledger.reserve([claim("a", 100, 100)], at=1.0), Refusal)


def test_how_many_scopes_fit_is_told_about(small, claim, monkeypatch):
    monkeypatch.setattr(cells, "LARGEST", 1 << 16)
    told = []

    def fill():
        for each in range(1000):
            small.book(small.reserve([claim(f"s{each}")], at=1.0))
            told.append(small.room())

    with pytest.raises(LedgerError, match="is full: it may have 65536 bytes"):
        fill()
    room = small.room()
    assert room.used == len(small.balances()) > 50
    assert all(abs(one.capacity - room.used) <= room.used / 2 for one in told)
    small.prune(2.0)
    emptied = small.room()
    assert emptied.used == 0
    assert abs(emptied.capacity - room.used) <= room.used / 4

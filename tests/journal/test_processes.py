"""Threads, forks and kills: every acknowledged line is there, and each process writes its own file."""

from __future__ import annotations

import mmap
import os
import random
import signal
import struct
import subprocess
import sys
import threading
import warnings
from typing import TYPE_CHECKING

import pytest

from jackline.errors import JournalError
from jackline.journal import Journal, find_payloads, read, segment, verify
from jackline.journal.payloads import Payloads

if TYPE_CHECKING:
    from collections.abc import Callable

AT = 1_800_000_000.0
pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")


def in_child(body: Callable[[], None]) -> None:
    """Run `body` in a forked child and prove that it ended well, within a minute."""
    with warnings.catch_warnings():
        # Python 3.12 warns of forks beside threads: that they work is what is tested here.
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        code = 1
        try:
            signal.alarm(60)
            body()
            code = 0
        finally:
            os._exit(code)
    assert os.waitpid(pid, 0)[1] == 0


class Digester:
    def digest(self, data: bytes) -> str:
        return f"{sum(data):032x}"


def test_a_forked_child_begins_a_journal_of_its_own(journal, event):
    journal.append(event(1))
    before = journal.path.read_bytes()

    def child():
        journal.append(event(2))
        journal.close()

    in_child(child)
    assert journal.path.read_bytes() == before
    journal.append(event(3))
    journal.close()
    reports = verify(journal.path.parent)
    assert sorted((report.ok, report.closed, report.lines) for report in reports) == [(True, True, 3), (True, True, 4)]


def test_a_child_that_never_appends_writes_nothing_and_closes_nothing(journal, event):
    before = journal.path.read_bytes()
    in_child(journal.close)
    assert journal.path.read_bytes() == before
    assert journal.append(event(1)) == 2
    assert len(list(journal.path.parent.iterdir())) == 1


def test_a_closed_journal_stays_closed_in_a_child(journal, event):
    journal.close()

    def child():
        with pytest.raises(JournalError, match="is closed"):
            journal.append(event(1))

    in_child(child)


def test_names_in_a_child_are_the_childs(journal, event):
    parent = journal.id

    def child():
        assert journal.id != parent
        assert journal.path.name == f"{journal.id}.0001.jsonl"
        assert journal.head.seq == 0
        journal.append(event(1))
        assert journal.head.seq == 2

    in_child(child)
    assert journal.id == parent


def test_a_fork_while_another_thread_holds_the_lock(journal, event):
    holds, forked = threading.Event(), threading.Event()

    def hold():
        with journal._lock:
            holds.set()
            forked.wait(60)

    thread = threading.Thread(target=hold)
    thread.start()
    holds.wait(60)
    try:
        in_child(lambda: journal.append(event(1)) and None)
    finally:
        forked.set()
        thread.join()
    assert len(verify(journal.path.parent)) == 2


def test_many_threads_of_a_child_share_one_journal(journal, event):
    def child():
        start = threading.Barrier(4)

        def work():
            start.wait(30)
            for number in range(50):
                journal.append(event(number))

        threads = [threading.Thread(target=work) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert journal.head.seq == 201

    in_child(child)
    reports = verify(journal.path.parent)
    assert sorted(report.lines for report in reports) == [1, 201]
    assert all(report.ok for report in reports)


def test_eight_threads_in_each_of_two_processes(folder, event):
    journal = Journal.open(folder, clock=lambda: AT, segment_bytes=20_000)
    seqs: list[int] = []

    def work():
        seqs.extend([journal.append(event(number)) for number in range(100)])

    def run():
        threads = [threading.Thread(target=work) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        journal.close()

    in_child(run)
    run()
    assert len(set(seqs)) == 800
    reports = verify(folder)
    assert len(reports) == 2
    for report in reports:
        assert (report.ok, report.closed) == (True, True)
        sessions = sum(
            line.kind == "session_started" for path in folder.glob(f"{report.journal}.*") for line in read(path)
        )
        assert sessions == 800


def test_payloads_of_a_child_go_to_a_file_of_its_own(tmp_path, journal):
    payloads = Payloads(tmp_path / "payloads", Digester(), capture="full", journal=journal)
    first = payloads.put({"a": 1}, b'{"a":1}')
    name = next((tmp_path / "payloads").iterdir())
    before = name.read_bytes()

    def child():
        assert payloads.put({"a": 1}, b'{"a":1}') == first
        payloads.put({"b": 2}, b'{"b":2}')

    in_child(child)
    assert name.read_bytes() == before
    assert len(list((tmp_path / "payloads").iterdir())) == 2
    found = payloads.get(Digester().digest(b'{"b":2}'))
    assert found is not None
    assert found.value == {"b": 2}
    payloads.close()


KILLED = """
import mmap, struct, sys
from pathlib import Path
from jackline.events import SessionStarted
from jackline.journal import Journal

acknowledged = mmap.mmap(int(sys.argv[2]), 8)
journal = Journal.open(Path(sys.argv[1]), segment_bytes=30_000)
number = 0
while True:
    seq = journal.append(SessionStarted(at=1.0 + number, session=f"{number:032x}", user="u" * (number % 300)))
    acknowledged[:] = struct.pack("q", seq)
    number += 1
"""


@pytest.mark.parametrize("seed", range(6))
def test_after_a_sigkill_every_acknowledged_line_is_there(folder, tmp_path, seed):
    """P63: an exporter that batches loses all of a short run; here nothing that was acknowledged is lost."""
    page = tmp_path / "page"
    page.write_bytes(bytes(8))
    wanted = random.Random(seed).randrange(1, 2500)
    with page.open("r+b") as file, mmap.mmap(file.fileno(), 8) as acknowledged:
        os.set_inheritable(file.fileno(), True)
        child = subprocess.Popen(
            [sys.executable, "-c", KILLED, str(folder), str(file.fileno())], pass_fds=[file.fileno()]
        )
        try:
            while struct.unpack("q", acknowledged[:])[0] < wanted:
                assert child.poll() is None, "the child ended by itself"
                os.sched_yield()
        finally:
            child.send_signal(signal.SIGKILL)
            child.wait()
        last = struct.unpack("q", acknowledged[:])[0]
    (report,) = verify(folder)
    assert (report.ok, report.problem, report.closed) == (True, "", False)
    assert report.lines >= last >= wanted
    lines = [line for path in sorted(folder.iterdir()) for line in read(path)]
    assert [line.seq for line in lines] == list(range(1, report.lines + 1))
    numbers = [int(line.event.session, 16) for line in lines if line.kind == "session_started"]
    assert numbers == list(range(len(numbers)))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from jackline.errors import JournalError
from jackline.events import SessionStarted
from jackline.journal import Journal, verify

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
journal = Journal.open(Path(sys.argv[1]))
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, hard))
refused = written = 0
for number in range(60):
    try:
        journal.append(SessionStarted(at=1.0, session=f"{number:032x}"))
        written += 1
    except JournalError as error:
        assert "Cannot write to" in str(error), error
        refused += 1
assert written and refused, (written, refused)
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
journal.append(SessionStarted(at=1.0, session="f" * 32))
journal.close()
(report,) = verify(Path(sys.argv[1]))
assert report.ok and report.closed and not report.torn_tail, report
assert report.lines == written + 3, (report, written)
"""


def test_a_full_disk_refuses_and_goes_on_when_there_is_space(folder):
    done = subprocess.run([sys.executable, "-c", FULL_DISK, str(folder)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(list(folder.iterdir())) == 1


def test_a_crash_in_a_payload_file_leaves_the_rest_readable(tmp_path):
    folder = tmp_path / "payloads"
    payloads = Payloads(folder, Digester(), capture="full")
    payloads.put(1, b"1")
    payloads.close()
    path = next(folder.iterdir())
    with path.open("ab") as file:
        file.write(b'{"digest":"torn')
    assert [payload.value for payload in find_payloads(folder, [f"{ord('1'):032x}"]).values()] == [1]


def test_another_process_is_told_by_its_token(journal, event, tmp_path, monkeypatch):
    """What a fork does, without one: the same object goes on in a file of its own."""
    payloads = Payloads(tmp_path / "payloads", Digester(), capture="full", journal=journal)
    payloads.put(1, b"1")
    parent, before = journal.path, journal.path.read_bytes()
    descriptor, other = journal._file.fd, payloads._fd
    with monkeypatch.context() as patch:
        patch.setattr(segment, "process", segment.process)
        segment._after_fork()
        assert journal.append(event(1)) == 2
        payloads.put(1, b"1")
        assert journal.path != parent
        journal.close()
        payloads.close()
    os.close(descriptor)
    os.close(other)
    assert parent.read_bytes() == before
    assert len(list((tmp_path / "payloads").iterdir())) == 2
    assert [report.ok for report in verify(parent.parent)] == [True, True]

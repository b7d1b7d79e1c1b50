"""What a journal writes, and what it does when the disk, the file or the process is not as it was."""

from __future__ import annotations

import errno
import json
import os
import stat
from hashlib import sha256
from itertools import pairwise
from pathlib import Path

import pytest

from jackline.errors import JournalError
from jackline.events import AgentAmended, JournalClosed, JournalOpened
from jackline.journal import Head, Journal, read, segment, verify, writer

AT = 1_800_000_000.0


def only_report(folder: Path):
    (report,) = verify(folder)
    return report


def test_a_line_is_one_event_chained_to_the_line_before(journal, event):
    assert journal.append(event(7)) == 2
    assert journal.append(event(8)) == 3
    first, second, third = journal.path.read_bytes().splitlines(keepends=True)
    told = json.loads(third)
    assert list(told) == ["v", "seq", "prev", "kind", "at", "session", "hash"]
    assert (told["v"], told["seq"], told["kind"]) == (1, 3, "session_started")
    assert told["prev"] == sha256(second).hexdigest()
    assert told["hash"] == sha256(third[: third.index(b',"hash":')]).hexdigest()
    assert json.loads(first)["prev"] == "0" * 64
    assert journal.head == Head(3, sha256(third).hexdigest())


def test_the_first_line_says_who_writes_and_the_last_that_it_is_the_last(folder, event):
    with Journal.open(folder, writer="console", clock=lambda: AT) as journal:
        journal.append(event())
    opened, _, closed = (line.event for line in read(journal.path))
    assert isinstance(opened, JournalOpened)
    assert (opened.journal, opened.segment, opened.writer, opened.pid) == (journal.id, 1, "console", os.getpid())
    assert opened.at == AT
    assert closed == JournalClosed(at=AT, journal=journal.id)
    assert journal.id.startswith(f"20270115T080000-{os.getpid()}-")
    assert journal.path.name == f"{journal.id}.0001.jsonl"
    assert only_report(folder).closed


def test_only_the_owner_can_read_it(journal):
    assert stat.S_IMODE(journal.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(journal.path.parent.stat().st_mode) == 0o700


def test_closing_twice_writes_one_last_line_and_an_append_after_it_is_refused(journal, event):
    journal.close()
    size = journal.path.stat().st_size
    head = journal.head
    journal.close()
    assert journal.path.stat().st_size == size
    assert journal.head == head
    with pytest.raises(JournalError, match=f"The journal {journal.id} is closed; open another with Journal.open"):
        journal.append(event())


def test_what_is_no_json_is_refused_and_leaves_the_journal_as_it_was(journal, event):
    with pytest.raises(JournalError, match="Cannot write AgentAmended to a journal as JSON: Encoding objects of type"):
        journal.append(AgentAmended(at=AT, agent="a", who="w", changes={"labels": object()}))
    assert journal.append(event()) == 2


def test_a_line_beyond_the_limit_is_refused(journal, event, monkeypatch):
    monkeypatch.setattr(writer, "LINE_LIMIT", 500)
    with pytest.raises(JournalError, match=r"Cannot write an event of \d+ bytes; a journal's line has 500 at most"):
        journal.append(event(text="x" * 500))
    assert journal.append(event()) == 2


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        JournalError, match=r"Cannot create .*file/journals/.*0001.jsonl: Not a directory. Nothing was recorded"
    ):
        Journal.open(tmp_path / "file" / "journals")


@pytest.mark.parametrize("kept", [0, 1, 100])
def test_a_short_write_is_taken_back_and_the_next_append_works(journal, event, monkeypatch, kept):
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:kept]))
    with pytest.raises(
        JournalError, match=rf"only {kept} of \d+ bytes were written. Nothing was recorded; the next append"
    ):
        journal.append(event(1))
    monkeypatch.undo()
    assert journal.append(event(2)) == 2
    assert [line.seq for line in read(journal.path)] == [1, 2]
    assert only_report(journal.path.parent).ok


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EIO, errno.EDQUOT])
def test_a_failed_write_says_why_and_recovers(journal, event, monkeypatch, code):
    def fail(fd, data):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "write", fail)
    with pytest.raises(JournalError, match=os.strerror(code)):
        journal.append(event(1))
    monkeypatch.undo()
    assert journal.append(event(2)) == 2
    assert only_report(journal.path.parent).lines == 2


def test_a_torn_line_that_cannot_be_taken_back_ends_its_segment(journal, event, monkeypatch):
    journal.append(event(1))
    former = journal.path
    whole = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:50]))
    monkeypatch.setattr(os, "ftruncate", lambda fd, size: (_ for _ in ()).throw(OSError(errno.EIO, "I/O error")))
    with pytest.raises(JournalError, match="only 50 of"):
        journal.append(event(2))
    monkeypatch.undo()
    assert journal.append(event(3)) == 4
    assert journal.path.name.endswith(".0002.jsonl")
    assert not former.read_bytes().endswith(b"\n")
    report = only_report(former.parent)
    assert (report.ok, report.lines, report.torn_tail) == (True, 4, False)


def test_no_descriptor_is_left_behind(folder, event, monkeypatch):
    descriptors = Path("/proc/self/fd")
    if not descriptors.is_dir():
        pytest.skip("the system does not list descriptors")
    before = {path.name for path in descriptors.iterdir()}
    journal = Journal.open(folder, clock=lambda: AT, segment_bytes=600)
    for number in range(9):
        journal.append(event(number))
    journal.path.unlink()
    journal.append(event(9, at=AT + 9))
    journal.close()
    assert {path.name for path in descriptors.iterdir()} == before


class TestInterrupted:
    """A signal handler or a finaliser runs between any two steps of an append."""

    def test_an_exception_after_the_write_keeps_the_line_and_its_number(self, journal, event, monkeypatch):
        whole = os.write

        def interrupt(fd, data):
            whole(fd, data)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            journal.append(event(1))
        monkeypatch.undo()
        assert journal.append(event(2)) == 3
        assert only_report(journal.path.parent).lines == 3

    def test_an_exception_before_the_write_leaves_nothing(self, journal, event, monkeypatch):
        monkeypatch.setattr(os, "write", lambda fd, data: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            journal.append(event(1))
        monkeypatch.undo()
        assert journal.append(event(2)) == 2
        assert only_report(journal.path.parent).lines == 2

    def test_an_append_within_an_append_after_its_write(self, journal, event, monkeypatch):
        whole = os.write
        seen = []

        def nested(fd, data):
            done = whole(fd, data)
            monkeypatch.setattr(os, "write", whole)
            seen.append(journal.append(event(2)))
            return done

        monkeypatch.setattr(os, "write", nested)
        assert journal.append(event(1)) == 2
        assert seen == [3]
        assert journal.append(event(3)) == 4
        assert [line.event.session[-1] for line in read(journal.path) if line.seq > 1] == ["1", "2", "3"]
        assert only_report(journal.path.parent).ok

    @pytest.mark.parametrize("place", ["build", "lseek"])
    def test_an_append_within_an_append_before_its_write(self, journal, event, monkeypatch, place):
        module, name = (writer, "build") if place == "build" else (os, "lseek")
        whole = getattr(module, name)
        seen = []

        def nested(*args):
            monkeypatch.setattr(module, name, whole)
            seen.append(journal.append(event(2)))
            return whole(*args)

        monkeypatch.setattr(module, name, nested)
        assert journal.append(event(1)) == 3
        assert seen == [2]
        assert [line.event.session[-1] for line in read(journal.path) if line.seq > 1] == ["2", "1"]
        assert only_report(journal.path.parent).ok

    def test_an_append_while_the_file_turns_is_refused(self, folder, event, monkeypatch):
        journal = Journal.open(folder, clock=lambda: AT, segment_bytes=600)
        while journal.path.stat().st_size < 600:
            journal.append(event())
        whole = segment.create
        refused = []

        def nested(path):
            with pytest.raises(JournalError, match="is turning to its next file; try again") as error:
                journal.append(event(5))
            refused.append(error)
            return whole(path)

        monkeypatch.setattr(segment, "create", nested)
        journal.append(event(6))
        assert len(refused) == 1
        journal.close()
        assert only_report(folder).ok


class TestTurning:
    """A full segment ends with the name of the next."""

    def full(self, folder: Path, event) -> Journal:
        journal = Journal.open(folder, clock=lambda: AT, segment_bytes=900)
        while journal.path.stat().st_size < 900:
            journal.append(event())
        return journal

    def test_segments_chain_on(self, folder, event):
        journal = Journal.open(folder, clock=lambda: AT, segment_bytes=900)
        seqs = [journal.append(event(number)) for number in range(12)]
        journal.close()
        paths = sorted(folder.iterdir())
        assert [path.name.removeprefix(journal.id) for path in paths] == [
            f".000{n}.jsonl" for n in range(1, len(paths) + 1)
        ]
        assert len(paths) > 2
        lines = [list(read(path)) for path in paths]
        for former, following in pairwise(lines):
            assert following[0].prev == sha256(former[-1].raw).hexdigest()
            assert following[0].seq == former[-1].seq + 1
            assert former[-1].event.next == sorted(folder.iterdir())[lines.index(following)].name
            assert following[0].event.segment == lines.index(following) + 1
        assert seqs == sorted(set(seqs))
        report = only_report(folder)
        assert (report.ok, report.closed, report.lines) == (True, True, lines[-1][-1].seq)

    def test_a_disk_that_fills_up_while_turning(self, folder, event, monkeypatch):
        journal = self.full(folder, event)
        whole = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:9]))
        for _ in range(3):
            with pytest.raises(JournalError, match="only 9 of"):
                journal.append(event(1))
        monkeypatch.undo()
        journal.append(event(2))
        journal.close()
        assert len(list(folder.iterdir())) == 2
        report = only_report(folder)
        assert (report.ok, report.closed) == (True, True)

    def test_a_next_file_that_cannot_be_made(self, folder, event, monkeypatch):
        journal = self.full(folder, event)

        def fail(path):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(segment, "create", fail)
        with pytest.raises(
            JournalError, match=r"Cannot create .*0002.jsonl: No space left on device. Nothing was recorded"
        ):
            journal.append(event(1))
        monkeypatch.undo()
        journal.append(event(1))
        journal.close()
        assert only_report(folder).ok

    def test_a_first_line_that_cannot_be_written_is_tried_again(self, folder, event, monkeypatch):
        journal = self.full(folder, event)
        whole, count = os.write, []

        def second_fails(fd, data):
            count.append(1)
            return whole(fd, data if len(count) != 2 else data[:5])

        monkeypatch.setattr(os, "write", second_fails)
        with pytest.raises(JournalError, match="only 5 of"):
            journal.append(event(1))
        journal.append(event(1))
        journal.close()
        assert only_report(folder).ok

    def test_a_name_that_is_taken_is_passed_over(self, folder, event):
        journal = self.full(folder, event)
        segment.segment_path(folder, journal.id, 2).touch()
        journal.append(event(1))
        assert journal.path.name.endswith(".0003.jsonl")
        journal.close()
        assert only_report(folder).ok

    def test_closing_while_turning_leaves_no_file_open(self, folder, event, monkeypatch):
        journal = self.full(folder, event)
        whole = os.write
        monkeypatch.setattr(os, "write", lambda fd, data: whole(fd, data[:9]))
        with pytest.raises(JournalError):
            journal.append(event(1))
        journal.close()
        monkeypatch.undo()
        assert journal._following is None
        report = only_report(folder)
        assert (report.ok, report.closed) == (True, False)

    def test_an_exception_between_the_last_line_and_the_next_file(self, folder, event, monkeypatch):
        journal = self.full(folder, event)
        whole = os.write

        def interrupt(fd, data):
            whole(fd, data)
            raise KeyboardInterrupt

        monkeypatch.setattr(os, "write", interrupt)
        with pytest.raises(KeyboardInterrupt):
            journal.append(event(1))
        monkeypatch.undo()
        journal.append(event(2))
        journal.close()
        assert len(list(folder.iterdir())) == 2
        assert only_report(folder).ok


class TestDisturbed:
    """Somebody else touches the file, or the descriptor."""

    def test_a_deleted_file_is_noticed_and_a_new_segment_begins(self, journal, event):
        journal.append(event(1))
        gone = journal.path
        gone.unlink()
        assert journal.append(event(2, at=AT + 5)) == 4
        assert journal.path != gone
        report = only_report(gone.parent)
        assert (report.ok, report.first_bad) == (False, 1)
        assert report.problem == "line 1 is missing: line 3 stands in its place"

    def test_a_closed_descriptor_that_is_another_file_by_now_is_never_written(self, journal, event, tmp_path):
        fd = journal._file.fd
        other = tmp_path / "customers.db"
        other.write_bytes(b"precious")
        os.close(fd)
        foreign = os.open(other, os.O_RDWR)
        assert foreign == fd
        assert journal.append(event(1)) == 3
        assert other.read_bytes() == b"precious"
        os.close(foreign)
        assert only_report(journal.path.parent).ok

    def test_a_closed_descriptor_is_replaced(self, journal, event):
        os.close(journal._file.fd)
        assert journal.append(event(1)) == 3
        assert only_report(journal.path.parent).ok

    def test_foreign_bytes_are_kept_as_evidence(self, journal, event):
        journal.append(event(1))
        former = journal.path
        with former.open("ab") as file:
            file.write(b"foreign\n")
        journal.append(event(2))
        assert former.read_bytes().endswith(b"foreign\n")
        report = only_report(former.parent)
        assert (report.ok, report.first_bad) == (False, 3)

    def test_a_cut_file_is_left_and_the_cut_is_found(self, journal, event):
        journal.append(event(1))
        journal.append(event(2))
        lines = journal.path.read_bytes().splitlines(keepends=True)
        os.truncate(journal.path, len(lines[0]) + len(lines[1]))
        journal.append(event(3))
        report = only_report(journal.path.parent)
        assert (report.ok, report.first_bad) == (False, 3)

    @pytest.mark.parametrize("shift", [1, -1])
    def test_a_file_that_is_changed_again_and_again_is_an_error_not_a_loop(self, journal, event, monkeypatch, shift):
        whole = os.lseek
        monkeypatch.setattr(os, "lseek", lambda *args: whole(*args) + shift)
        with pytest.raises(JournalError, match=r"somebody changes it\. The next append tries again"):
            journal.append(event(1))
        monkeypatch.undo()
        journal.append(event(2))
        assert only_report(journal.path.parent).ok

    def test_a_clock_that_is_set_back_looks_again(self, journal, event):
        journal.append(event(1, at=AT + 100))
        journal.path.unlink()
        assert journal.append(event(2, at=AT)) == 4

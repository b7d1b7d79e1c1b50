"""Verifying names the first line that is not as it was written, whatever was done to the file."""

from __future__ import annotations

import json
import os
import shutil
import string
from hashlib import sha256
from typing import TYPE_CHECKING

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jackline.errors import JournalError
from jackline.events import Decided, JournalClosed, JournalOpened, SessionStarted
from jackline.journal import Head, Journal, read, verify
from jackline.journal.line import LINE_LIMIT, build, encode

if TYPE_CHECKING:
    from pathlib import Path

AT = 1_800_000_000.0
LINES = 8
"""Of the journal below: opened, six sessions, closed."""


@pytest.fixture(scope="module")
def original(tmp_path_factory) -> Path:
    """A closed journal of LINES lines in one file."""
    with Journal.open(tmp_path_factory.mktemp("journal"), clock=lambda: AT) as journal:
        for number in range(LINES - 2):
            journal.append(SessionStarted(at=AT + number, session=f"{number:032x}", user='\u00fcser\n"x"'))
    return journal.path


@pytest.fixture
def path(original, tmp_path) -> Path:
    return shutil.copy(original, tmp_path / original.name)


def lines_of(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines(keepends=True)


def report_of(path: Path, heads=None):
    (report,) = verify(path, heads)
    return report


def changed(path: Path, lines: list[bytes], heads=None):
    path.write_bytes(b"".join(lines))
    report = report_of(path, heads)
    return report.ok, report.first_bad, report.problem


def line(seq: int, prev: bytes, event) -> bytes:
    return build(seq, sha256(prev).hexdigest().encode() if prev else b"0" * 64, encode(event))[0]


def test_an_untouched_journal_is_good(path):
    report = report_of(path)
    assert (report.ok, report.first_bad, report.problem, report.lines) == (True, None, "", LINES)
    assert (report.closed, report.torn_tail) == (True, False)
    assert report.head == Head(LINES, sha256(lines_of(path)[-1]).hexdigest())
    assert verify(path.parent) == [report]


@settings(max_examples=300, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(data=st.data())
def test_any_single_byte_that_is_changed_is_found_in_its_line(original, tmp_path, data):
    whole = original.read_bytes()
    at = data.draw(st.integers(0, len(whole) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda value: value != whole[at]))
    path = tmp_path / original.name
    path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
    report = report_of(path)
    assert (report.ok, report.first_bad) == (False, whole[:at].count(b"\n") + 1)
    assert report.problem.startswith(f"line {report.first_bad} ")


def test_every_byte_of_the_last_line_counts(original, tmp_path):
    """The end of a file is where a changed line could pass for a torn one."""
    whole = original.read_bytes()
    path = tmp_path / original.name
    for at in range(whole.rindex(b"\n", 0, -1) + 1, len(whole)):
        for byte in {ord("\n"), whole[at] ^ 1} - {whole[at]}:
            path.write_bytes(whole[:at] + bytes([byte]) + whole[at + 1 :])
            report = report_of(path)
            assert (report.ok, report.first_bad) == (False, LINES), (at, byte)


@pytest.mark.parametrize("number", range(1, LINES))
def test_a_deleted_line(path, number):
    lines = lines_of(path)
    del lines[number - 1]
    assert changed(path, lines) == (False, number, f"line {number} is missing: line {number + 1} stands in its place")


def test_a_line_that_is_there_twice(path):
    lines = lines_of(path)
    lines.insert(3, lines[2])
    assert changed(path, lines) == (False, 4, "line 4 is missing: line 3 stands in its place")


def test_two_lines_in_the_wrong_order(path):
    lines = lines_of(path)
    lines[3], lines[4] = lines[4], lines[3]
    assert changed(path, lines) == (False, 4, "line 4 is missing: line 5 stands in its place")


def test_an_inserted_line_with_a_right_hash(path):
    lines = lines_of(path)
    lines.insert(4, line(5, lines[3], SessionStarted(at=AT, session="forged")))
    assert changed(path, lines) == (False, 6, "line 6 is missing: line 5 stands in its place")


def test_a_changed_line_whose_own_hash_was_made_anew(path):
    lines = lines_of(path)
    lines[4] = line(5, lines[3], SessionStarted(at=AT, session="forged"))
    assert changed(path, lines) == (False, 5, "line 5 is not the line that line 6 was chained to")


def test_a_changed_byte_says_that_the_line_was_changed(path):
    lines = lines_of(path)
    lines[4] = lines[4].replace(b"1800000003", b"1800000004")
    assert changed(path, lines) == (False, 5, "line 5 was changed: its hash is not that of its bytes")


@pytest.mark.parametrize(
    "field", ["effect", "rule", "policy", "revision", "args", "session", "run", "span", "agent", "at"]
)
def test_every_field_of_a_decision_is_covered(folder, field):
    """P45: a hash that leaves out the decision, its rule, its policy's version, the arguments or the session."""
    decided = Decided(
        at=AT, session="1" * 32, run="2" * 32, span="3" * 16, agent="support", action="tool.call", resource="refund",
        effect="deny", rule="listed", policy="refunds", revision="4" * 64, args="5" * 32,
    )  # fmt: skip
    with Journal.open(folder, clock=lambda: AT) as journal:
        journal.append(decided)
    lines = lines_of(journal.path)
    was = json.loads(lines[1])[field]
    now = was + 1 if field == "at" else "allow" if field == "effect" else was[:-1] + "x"
    lines[1] = lines[1].replace(json.dumps(was).encode(), json.dumps(now).encode(), 1)
    told = (False, 2, "line 2 was changed: its hash is not that of its bytes")
    assert changed(journal.path, lines) == told


def test_lines_after_the_last(path):
    lines = lines_of(path)
    extra = line(LINES + 1, lines[-1], SessionStarted(at=AT, session="late"))
    assert changed(path, [*lines, extra]) == (False, 9, "line 9 was added after the journal's last line")
    assert changed(path, [*lines, extra[:40]])[:2] == (False, 9)


def test_a_cut_tail_is_found_by_its_head_only(path):
    lines = lines_of(path)
    journal = path.name.split(".")[0]
    heads = {journal: Head(LINES, sha256(lines[-1]).hexdigest())}
    assert report_of(path, heads).ok
    assert changed(path, lines[:5]) == (True, None, "")
    assert changed(path, lines[:5], heads) == (False, 6, "line 6 is missing: the store has seen lines up to 8")
    assert changed(path, [*lines[:-1], lines[-1][:-30]], heads)[:2] == (False, 8)
    assert changed(path, [], heads)[:2] == (False, 1)


def test_a_whole_rewrite_is_found_by_its_head(path):
    lines = lines_of(path)
    heads = {path.name.split(".")[0]: Head(6, sha256(lines[5]).hexdigest())}
    rewritten = lines[:3]
    for seq in range(4, 8):
        rewritten.append(line(seq, rewritten[-1], SessionStarted(at=AT, session="nothing happened")))
    told = "line 6 is not the line that the store has seen: the journal was rewritten"
    assert changed(path, rewritten) == (True, None, "")
    assert changed(path, rewritten, heads) == (False, 6, told)


def test_a_missing_journal_is_found_by_its_head(path):
    heads = {"gone": Head(7, "0" * 64)}
    gone, present = sorted(verify(path.parent, heads), key=lambda report: report.ok)
    assert (gone.journal, gone.ok, gone.first_bad) == ("gone", False, 1)
    assert gone.problem == "the journal's file is missing; the store has seen its lines up to 7"
    assert present.ok
    assert [report.journal for report in verify(path, heads)] == [present.journal]
    assert len(verify(path.parent / "nowhere", heads)) == 1


@pytest.mark.parametrize("kept", [1, 30, 200, -2, -1])
def test_a_torn_tail_is_told_and_no_fault(path, kept):
    lines = lines_of(path)[:5]
    torn = lines[4][:kept]
    path.write_bytes(b"".join(lines[:4]) + torn)
    report = report_of(path)
    assert (report.ok, report.torn_tail, report.lines, report.closed) == (True, True, 4, False)


def test_a_tail_of_zeros_is_what_a_power_loss_leaves(path):
    path.write_bytes(b"".join(lines_of(path)[:4]) + bytes(300))
    assert (report_of(path).ok, report_of(path).torn_tail) == (True, True)


@pytest.mark.parametrize("tail", [b"x", b'{"v":1,"seq":9,', b'{"v":2'])
def test_a_tail_that_no_writer_leaves(path, tail):
    lines = lines_of(path)[:4]
    told = "line 5 is not a line: bytes were added or changed at the end"
    assert changed(path, [*lines, tail]) == (False, 5, told)


@pytest.mark.parametrize(
    "garbage",
    [
        b"\n",
        b"not json\n",
        os.urandom(5000).replace(b"\n", b" ") + b"\n",
        b"[" * 100_000 + b"\n",
        b"{}\n",
        b'{"v":1,"seq":5}\n',
        b'{"v":1,"seq":' + b"9" * 5000 + b"}\n",
        b"x" * 10_000_000 + b"\n",
        b"x" * (LINE_LIMIT + 50),
        b"x" * (LINE_LIMIT + 50) + b"\n",
    ],
    ids=["empty", "text", "binary", "nesting", "object", "fields", "digits", "10MB", "endless", "too long"],
)
def test_garbage_is_a_bad_line_and_nothing_worse(path, garbage):
    lines = lines_of(path)
    told = changed(path, [*lines[:4], garbage, *lines[4:]])
    assert told == (False, 5, "line 5 is not a line of a journal")


def test_garbage_with_a_right_hash_is_kept_and_not_understood(path):
    lines = lines_of(path)[:4]
    for body in (b'{"kind":"x","deep":' + b"[" * 5000 + b"]" * 5000 + b"}", b'{"kind":"session_started","at":"\xff"}'):
        lines.append(build(len(lines) + 1, sha256(lines[-1]).hexdigest().encode(), body)[0])
    path.write_bytes(b"".join(lines))
    assert report_of(path).ok
    strange, known = list(read(path))[4:]
    assert (strange.kind, strange.event, known.kind, known.event) == ("x", None, "session_started", None)
    assert strange.body.startswith(b'{"kind":"x","deep":[')


def test_a_line_of_a_newer_version_says_what_to_do(path):
    lines = lines_of(path)
    told = "line 3 has version 2; this Jackline reads version 1: upgrade it"
    assert changed(path, [*lines[:2], lines[2].replace(b'"v":1', b'"v":2', 1)]) == (False, 3, told)


def test_a_renamed_file_is_not_that_journal(path):
    other = path.with_name("20270101T000000-1-00000000.0001.jsonl")
    report = report_of(shutil.move(path, other))
    assert (report.ok, report.first_bad) == (False, 1)
    assert report.problem.endswith(
        f"belongs to segment 1 of the journal {path.name.split('.')[0]}, not to {other.name}"
    )
    plain = shutil.move(other, path.with_name("copy.txt"))
    assert report_of(plain).first_bad == 1


def test_a_journal_must_begin_and_end_as_its_own(path):
    name = path.name.split(".")[0]
    first = line(1, b"", SessionStarted(at=AT, session="s"))
    assert changed(path, [first]) == (False, 1, f"line 1 does not open the segment {name}.0001.jsonl")
    opened = line(1, b"", opening(name))
    closed = line(2, opened, JournalClosed(at=AT, journal="another"))
    assert changed(path, [opened, closed]) == (False, 2, "line 2 closes another journal")


def opening(name: str) -> JournalOpened:
    return JournalOpened(
        at=AT, journal=name, segment=1, writer="w", pid=1, host="h", boot="b", python="3", jackline="0"
    )


def test_a_file_that_cannot_be_read_is_told(path):
    report = report_of(path.with_name("missing.0001.jsonl"))
    assert (report.ok, report.first_bad, report.problem) == (
        False,
        1,
        "line 1 cannot be read: No such file or directory",
    )


class TestSegments:
    @pytest.fixture
    def paths(self, folder, event) -> list[Path]:
        with Journal.open(folder, clock=lambda: AT, segment_bytes=900) as journal:
            for number in range(20):
                journal.append(event(number))
        return sorted(folder.iterdir())

    def test_a_journal_of_many_files_is_one(self, paths, folder):
        assert len(paths) > 3
        (report,) = verify(folder)
        assert (report.ok, report.closed) == (True, True)
        assert verify(paths[2]) == [report]

    def test_a_missing_file_in_the_middle(self, paths, folder):
        first = next(read(paths[2])).seq
        paths[2].unlink()
        (report,) = verify(folder)
        assert (report.ok, report.first_bad) == (False, first)

    def test_a_missing_file_at_the_end(self, paths, folder):
        first = next(read(paths[-1])).seq
        paths[-1].unlink()
        (report,) = verify(folder)
        assert report.first_bad == first
        assert report.problem == f"line {first} is missing: the segment {paths[-1].name} is not there"

    def test_a_missing_first_file(self, paths, folder):
        paths[0].unlink()
        (report,) = verify(folder)
        assert report.first_bad == 1

    def test_a_line_in_the_second_file(self, paths, folder):
        bad = list(read(paths[1]))[1]
        paths[1].write_bytes(paths[1].read_bytes().replace(b"1800000000.0", b"1800000001.0", 2))
        (report,) = verify(folder)
        assert (report.ok, report.first_bad) == (False, bad.seq - 1)

    def test_lines_after_the_name_of_the_next_file(self, paths, folder):
        last = list(read(paths[0]))[-1]
        with paths[0].open("ab") as file:
            file.write(line(last.seq + 1, last.raw, SessionStarted(at=AT, session="s")))
        (report,) = verify(folder)
        assert report.problem == f"line {last.seq + 1} was added after the journal's last line"


class TestRead:
    def test_every_line_with_its_place(self, path):
        data = path.read_bytes()
        for found in read(path):
            assert data[found.offset : found.offset + len(found.raw)] == found.raw
            assert found.head.hash == sha256(found.raw).hexdigest()
            assert encode(found.event) == found.body

    def test_unknown_kinds_are_kept(self, path):
        lines = lines_of(path)[:2]
        body = b'{"kind":"alert_fired","at":1.0,"rule":"spend"}'
        lines.append(build(3, sha256(lines[1]).hexdigest().encode(), body)[0])
        path.write_bytes(b"".join(lines))
        *_, last = read(path)
        assert (last.kind, last.event, last.body) == ("alert_fired", None, body)

    def test_a_torn_last_line_is_left_out(self, path):
        path.write_bytes(path.read_bytes()[:-5])
        assert [found.seq for found in read(path)] == list(range(1, LINES))

    def test_a_bad_line_is_named_with_its_place(self, path):
        lines = lines_of(path)
        path.write_bytes(lines[0] + b"junk\n")
        with pytest.raises(
            JournalError,
            match=rf"Cannot read {path}: line 2 \(at byte {len(lines[0])}\) is not a line of a journal. See: jackline verify",
        ):
            list(read(path))

    def test_a_missing_file_is_named(self, tmp_path):
        with pytest.raises(JournalError, match=r"Cannot read .*none.jsonl: No such file or directory"):
            list(read(tmp_path / "none.jsonl"))


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    texts=st.lists(
        st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from(string.printable), max_size=80),
        max_size=5,
    )
)
def test_whatever_text_comes_back_as_it_was(tmp_path, texts):
    folder = tmp_path / "texts"
    shutil.rmtree(folder, ignore_errors=True)
    with Journal.open(folder) as journal:
        for text in texts:
            journal.append(SessionStarted(at=AT, session=text, user=text))
    (report,) = verify(folder)
    assert report.ok
    assert [found.event.user for found in read(journal.path) if found.kind == "session_started"] == texts

"""Journals that are brought in stay whole: after a kill, beside this home's own, and segment by segment."""

from __future__ import annotations

import os

import pytest
from reporting import Desk, span

from jackline import conventions as names
from jackline.errors import JournalError
from jackline.home import Home
from jackline.journal import verify
from jackline_console.otlp.lines import Lines
from jackline_otel import Endpoint, Exporter


@pytest.fixture
def records(home, receiver):
    """The lines of one journal, as an export sends them."""
    exporter = Exporter(home, Endpoint(url=receiver.url))
    exporter.run()
    exporter.close()
    return max(
        (
            request.resource_logs[0].scope_logs[0].log_records
            for signal, request in receiver.requests
            if signal == "logs"
        ),
        key=len,
    )


def journal_of(record):
    return next(one.value.string_value for one in record.attributes if one.key == names.EVENT_JOURNAL)


@pytest.fixture
def there(tmp_path):
    return Home(tmp_path / "there").make()


def lines(there):
    return Lines(there.journals, there.path / "otlp" / "marks")


def test_a_line_that_a_kill_cut_off_is_made_whole(records, there):
    assert lines(there).take(records[:3]).taken == 3
    (path,) = there.journals.glob("*.jsonl")
    whole = path.read_bytes()
    path.write_bytes(whole[:-7])
    done = lines(there).take(records)
    assert (done.taken, done.repeated, done.rejected) == (len(records) - 2, 2, 0)
    assert path.read_bytes().startswith(whole)
    assert all(report.ok for report in verify(there.journals))


def test_what_is_broken_here_is_told_each_time_and_not_added_to(records, there):
    lines(there).take(records[:3])
    (path,) = there.journals.glob("*.jsonl")
    path.write_bytes(broken := path.read_bytes() + b"{}\n")
    again = lines(there)
    for _ in range(2):
        done = again.take(records[3:4])
        assert (done.taken, done.rejected) == (0, 1)
        assert "what is here of it is broken: line 4 " in done.refused[0]
    assert path.read_bytes() == broken


def test_a_journal_that_this_home_began_meanwhile_is_never_taken_for_another_s(records, there):
    mine = lines(there)
    mine.take(records[1:2])  # it follows nothing; that nothing is here of its journal was found out by then
    path = there.journals / f"{journal_of(records[0])}.0001.jsonl"
    path.parent.mkdir(exist_ok=True)
    path.touch()
    for _ in range(2):
        assert mine.take(records[:1]).rejected == 1
    assert path.read_bytes() == b""
    assert not (there.path / "otlp" / "marks" / journal_of(records[0])).exists()


def test_a_short_write_leaves_no_half_line(records, there, monkeypatch):
    mine = lines(there)
    mine.take(records[:2])
    (path,) = there.journals.glob("*.jsonl")
    before = path.read_bytes()
    with monkeypatch.context() as patched:
        write = os.write
        patched.setattr("jackline_console.otlp.lines.os.write", lambda file, data: write(file, data[:5]))
        with pytest.raises(JournalError, match="Cannot write a line of another home: No space left"):
            mine.take(records[2:3])
    assert path.read_bytes() == before
    assert mine.take(records).taken == len(records) - 2


def test_a_broken_journal_stops_no_report(tmp_path):
    chat = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10}
    with Desk(tmp_path) as desk:
        desk.report(span(1, chat))
    (desk.home.journals / "broken.0001.jsonl").write_bytes(b"{}\n")
    with Desk(tmp_path) as desk:
        desk.report(span(2, chat), span(1, chat))
        assert (desk.counted()["spans"], desk.counted()["repeated"]) == (1, 1)

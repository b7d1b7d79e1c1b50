"""Ingest: every line once, whatever the journals, the index or another process do meanwhile."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from hashlib import sha256

import pytest

from jackline import ingest as module
from jackline.errors import StoreError
from jackline.events import Decided, Failed, HoldBooked, SessionHalted, SessionStarted
from jackline.ingest import IngestReport, ingest, lag, rebuild
from jackline.journal import Journal, verify
from jackline.journal.line import build
from jackline.stores import Store
from jackline.stores.sqlite import SQLiteStore
from jackline.testing.journals import AT, ONE, ROOT, TWO, completed, decided, dump, story, write


def add_line(journal: Journal, body: bytes) -> None:
    """Add a rightly chained line that this version would not write."""
    last = journal.path.read_bytes().splitlines(keepends=True)[-1]
    line, _ = build(journal.head.seq + 1, sha256(last).hexdigest().encode(), body)
    with journal.path.open("ab") as file:
        file.write(line)


def test_a_home_without_journals_has_nothing(home, store):
    assert ingest(home, store) == IngestReport()
    assert lag(home, store).journals == 0
    assert isinstance(store, Store)


def test_the_store_of_a_home_is_its_index(home):
    write(home, story())
    assert ingest(home).events == len(story()) + 2
    store = SQLiteStore(home / "index.db")
    assert [row.session for row in store.sessions()] == [ONE]
    store.close()


def test_a_line_that_is_being_written_waits(home, store):
    journal = write(home, story(), close=False)
    whole = journal.path.read_bytes()
    journal.path.write_bytes(whole[:-20])
    assert ingest(home, store).events == len(story())
    behind = lag(home, store)
    assert (behind.events, behind.journals) == (0, 1)
    assert behind.bytes > 0
    journal.path.write_bytes(whole)
    assert ingest(home, store) == IngestReport(events=1, journals=1)
    assert ingest(home, store) == IngestReport()


def test_a_backlog_comes_in_by_steps_the_shortest_journal_first(home, store):
    """A long journal does not keep what an agent just did from those who watch, and every line comes in once."""
    long = write(home, [decided(f"{number:04}", "output", "answer") for number in range(40)])
    short = write(home, [SessionStarted(at=AT, session=TWO)])
    first = ingest(home, store, lines=10)
    assert (first.events, first.journals, first.more) == (10, 2, True)
    assert store.session(TWO) is not None
    assert [(row.journal, row.seq) for row in store.events()][:3] == [(short.id, seq) for seq in (1, 2, 3)]
    steps = [ingest(home, store, lines=10) for _ in range(4)]
    assert [(step.events, step.more) for step in steps] == [(10, True), (10, True), (10, True), (5, False)]
    assert [row.seq for row in store.events() if row.journal == long.id] == list(range(1, 43))
    before = dump(store)
    rebuild(home, store)
    assert dump(store) == before


def test_steps_go_on_over_segments_and_broken_journals(home, store):
    journal = Journal.open(home / "journals", clock=lambda: AT, segment_bytes=2000)
    for number in range(30):
        journal.append(decided(f"{number:04}", "output", "answer"))
    journal.close()
    broken = write(home, story())
    lines = broken.path.read_bytes().splitlines(keepends=True)
    broken.path.write_bytes(b"".join((*lines[:4], lines[4].replace(b"AT", b"at").replace(b"a", b"b"), *lines[5:])))
    found = []
    for _ in range(20):
        found.append(ingest(home, store, lines=7))
        assert found[-1].events <= 7
    assert [(problem.journal, problem.seq) for problem in found[-1].problems] == [(broken.id, 5)]
    assert [row.seq for row in store.events() if row.journal == journal.id] == list(range(1, journal.head.seq + 1))
    assert [row.seq for row in store.events() if row.journal == broken.id] == [1, 2, 3, 4]


def test_segments_follow_one_another(home, store):
    journal = Journal.open(home / "journals", clock=lambda: AT, segment_bytes=2000)
    taken = 0
    for number in range(60):
        journal.append(SessionStarted(at=AT, session=f"{number:032x}"))
        if number % 4 == 0:
            taken += ingest(home, store).events
    journal.close()
    taken += ingest(home, store).events
    assert len(list((home / "journals").iterdir())) > 4
    assert taken == journal.head.seq
    assert len(store.sessions(limit=100)) == 60
    assert store.heads()[journal.id] == journal.head


def test_a_torn_segment_that_another_follows_is_passed(home, store, monkeypatch):
    journal = write(home, story()[:3], close=False)
    whole = os.write
    with monkeypatch.context() as patch:
        patch.setattr(os, "write", lambda fd, data: whole(fd, data[:50]))
        patch.setattr(os, "ftruncate", lambda fd, size: (_ for _ in ()).throw(OSError(5, "I/O error")))
        with pytest.raises(Exception, match="only 50 of"):
            journal.append(story()[3])
    assert ingest(home, store).events == 4
    for event in story()[3:]:
        journal.append(event)
    journal.close()
    report = ingest(home, store)
    assert (report.problems, report.events) == ((), len(story()) - 3 + 2)


def test_batches_end_where_they_must(home, store, monkeypatch):
    monkeypatch.setattr(module, "BATCH_LINES", 3)
    write(home, story())
    ingest(home, store)
    few = dump(store)
    monkeypatch.setattr(module, "BATCH_LINES", 10_000)
    monkeypatch.setattr(module, "BATCH_BYTES", 1)
    rebuild(home, store)
    assert dump(store) == few


def test_a_changed_line_is_reported_and_not_taken_in(home, store):
    journal = write(home, story())
    lines = journal.path.read_bytes().splitlines(keepends=True)
    lines[4] = lines[4].replace(b"700", b"007")
    journal.path.write_bytes(b"".join(lines))
    report = ingest(home, store)
    (problem,) = report.problems
    assert (report.events, problem.journal, problem.seq) == (4, journal.id, 5)
    assert problem.problem == "line 5 was changed: its hash is not that of its bytes"
    assert ingest(home, store).problems == report.problems


def test_a_renamed_journal_is_refused(home, store):
    journal = write(home, story())
    journal.path.rename(journal.path.with_name("20270101T000000-1-00000000.0001.jsonl"))
    (problem,) = ingest(home, store).problems
    assert f"belongs to segment 1 of the journal {journal.id}" in problem.problem


def test_a_journal_that_was_cut_or_lost_its_segment_is_reported(home, store):
    journal = write(home, story())
    ingest(home, store)
    os.truncate(journal.path, 900)
    (problem,) = ingest(home, store).problems
    assert problem.problem == f"line 14 was ingested, but {journal.path.name} was cut since"
    journal.path.rename(journal.path.with_name(f"{journal.id}.0002.jsonl"))
    (problem,) = ingest(home, store).problems
    assert problem.problem == "line 14 was ingested, but its segment 1 is missing"


def test_a_journal_that_cannot_be_read_is_reported_and_the_others_go_on(home, store):
    write(home, story())
    bad = home / "journals" / "bad.0001.jsonl"
    bad.mkdir()
    report = ingest(home, store)
    (problem,) = report.problems
    assert (problem.journal, problem.problem) == ("bad", "cannot be read: Is a directory")
    assert report.events == len(story()) + 2


def test_unknown_kinds_and_forms_are_kept_as_they_are(home, store):
    journal = write(home, [SessionStarted(at=AT, session=ONE)], close=False)
    body = b'{"kind":"alert_fired","at":1800000001.5,"session":"%s","agent":"support@2","rule":"spend"}' % ONE.encode()
    add_line(journal, body)
    assert ingest(home, store).problems == ()
    row = list(store.events(ONE))[-1]
    assert (row.kind, row.event, row.agent, row.body) == ("alert_fired", None, "support@2", body.decode())


@pytest.mark.parametrize(
    "body",
    [
        b'{"kind":"alert_fired","at":"soon","session":7}',
        b'{"kind":"alert_fired","deep":' + b"[" * 9000 + b"]" * 9000 + b"}",
        b'{"kind":"alert_fired","text":"\xff"}',
        b'{"kind":"decided"}',
        b'{"kind":"session_started","at":1e300,"session":"x"}',
        b'{"kind":"session_started","at":-5.0,"session":"x"}',
        b'{"kind":"completed","at":1.0,"session":"x","run":"r","span":"s","action":"model.call","resource":"m","duration_ms":1.0,"usage":{"input":9223372036854775807},"cost":{"micro_usd":9223372036854775807}}',
        b'{"kind":"journal_opened","at":1.0,"journal":"j","segment":1,"writer":"w","pid":99999999999999999999,"host":"h","boot":"b","python":"3","jackline":"1"}',
    ],
)
def test_a_line_that_makes_no_sense_never_stops_the_rest(home, store, body):
    journal = write(home, [SessionStarted(at=AT, session=ONE)], close=False)
    add_line(journal, body)
    write(home, story())
    report = ingest(home, store)
    assert report.problems == ()
    assert store.heads()[journal.id].seq == 3
    assert len(list(store.events())) == len(story()) + 5
    assert store.session(ONE) is not None


def test_a_hold_of_a_killed_process_comes_in(home, store):
    """It names its reservation, and does not carry it as a decision does."""
    booked = HoldBooked(at=AT, reservation="0" * 16, pid=7, settled={"ceiling/session/x/usd": 5})
    write(home, [*story(), booked])
    assert ingest(home, store).problems == ()
    assert "hold_booked" in [row.kind for row in store.events()]


def test_only_one_ingests_and_the_other_returns_at_once(home, store):
    write(home, story())
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLD, str(home)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "held\n"
    assert ingest(home, store) == IngestReport(busy=True)
    assert rebuild(home, store) == IngestReport(busy=True)
    holder.send_signal(signal.SIGKILL)
    holder.communicate()
    assert ingest(home, store).events == len(story()) + 2


HOLD = """
import sys
from pathlib import Path
from jackline.locks import only_one
with only_one(Path(sys.argv[1]) / "ingest.lock") as alone:
    assert alone
    print("held", flush=True)
    sys.stdin.read()
"""


def test_a_home_that_cannot_be_written_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(StoreError, match=r"Cannot ingest in .*file/home: Not a directory. The journals are untouched"):
        ingest(tmp_path / "file" / "home")


KILLED = """
import os, sys
from pathlib import Path
from jackline import ingest as module
from jackline.ingest import ingest
from jackline.stores.sqlite import SQLiteStore

module.BATCH_LINES = 50
store = SQLiteStore(Path(sys.argv[1]) / "index.db")
apply, batches = store.apply, []
import sqlalchemy as sa

@sa.event.listens_for(store._engine, "before_cursor_execute")
def count(connection, cursor, statement, parameters, context, many):
    batches.append(1)
    if len(batches) == int(sys.argv[2]):
        os.kill(os.getpid(), 9)

ingest(Path(sys.argv[1]), store)
"""


@pytest.mark.parametrize("at", [9, 30, 41, 55])
def test_after_a_kill_in_the_middle_every_line_is_in_once(home, at):
    events = [event for number in range(20) for event in (*story(), SessionStarted(at=AT, session=f"{number:032x}"))]
    write(home, events)
    done = subprocess.run(
        [sys.executable, "-c", KILLED, str(home), str(at)], capture_output=True, text=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr
    store = SQLiteStore(home / "index.db")
    before = sum(head.seq for head in store.heads().values())
    assert before % 50 == 0
    assert ingest(home, store).events == len(events) + 2 - before
    found = dump(store)
    rebuild(home, store)
    assert dump(store) == found
    store.close()


def test_a_batch_that_is_in_already_is_refused(home, store, monkeypatch):
    """Two ingests at once, as where a network's file system has no locks."""
    write(home, story())
    late = store.positions()
    ingest(home, store)
    monkeypatch.setattr(store, "positions", lambda: late)
    told = r"The index .*index.db was filled by another ingest meanwhile: nothing was written. Run it again"
    with pytest.raises(StoreError, match=told):
        ingest(home, store)
    monkeypatch.undo()
    assert len(list(store.events())) == len(story()) + 2


def test_rebuilding_needs_the_proof_to_hold(home, store):
    journal = write(home, story())
    ingest(home, store)
    before = dump(store)
    lines = journal.path.read_bytes().splitlines(keepends=True)
    journal.path.write_bytes(b"".join(lines[:6]))
    told = rf"The index is not rebuilt: the journal {journal.id} is not as it was ingested \(line 7 is missing: .*move the index"
    with pytest.raises(StoreError, match=told):
        rebuild(home, store)
    assert dump(store) == before
    journal.path.unlink()
    with pytest.raises(StoreError, match="the journal's file is missing"):
        rebuild(home, store)
    assert verify(home / "journals", store.heads())[0].first_bad == 1


def test_a_deleted_index_is_made_anew_identically(home, store):
    for part in (story()[::2], story()[1::2], [SessionHalted(at=AT, session=TWO, reason="r")]):
        write(home, part)
        ingest(home, store)
    before, rows = dump(store), table_rows(store)
    store.close()
    store.path.unlink()
    again = SQLiteStore(store.path)
    ingest(home, again)
    assert dump(again) == before
    assert table_rows(again) == rows
    again.close()


def table_rows(store: SQLiteStore) -> dict[str, list[tuple[object, ...]]]:
    """Every row of every table; the order of ingest and the epoch are the store's own."""
    from jackline.stores import schema  # noqa: PLC0415

    found = {}
    with store._reading() as connection:
        for table in schema.metadata.sorted_tables:
            columns = [column for column in table.c if column.name != "position"]
            if table.name != "meta":
                rows = connection.execute(table.select().with_only_columns(*columns))
                found[table.name] = sorted(map(tuple, rows))
    return found


class TestCrashed:
    """P64: killed inside a run, the root of the trace was lost. Here the start is a line of its own."""

    CRASH = """
import os, sys
from pathlib import Path
from jackline.journal import Journal
from jackline.testing.journals import story, decided
journal = Journal.open(Path(sys.argv[1]) / "journals")
for event in story()[:6]:
    journal.append(event)
journal.append(decided("07", "tool.call", "mail.send"))
journal.append(decided("08", "model.call", "gpt-5"))
os.kill(os.getpid(), 9)
"""

    @pytest.fixture
    def crashed(self, home) -> None:
        done = subprocess.run(
            [sys.executable, "-c", self.CRASH, str(home)], capture_output=True, text=True, check=False
        )
        assert done.returncode == -signal.SIGKILL, done.stderr

    def test_it_is_visible_with_its_cost_up_to_the_crash(self, home, store, crashed):
        ingest(home, store)
        row = store.session("job-17")
        assert row is not None
        assert (row.state, row.ended, row.cost_micro_usd) == ("crashed", None, 700)
        assert (row.unknown, row.running, row.model_calls, row.tool_runs) == (2, 0, 1, 1)

    def test_what_was_under_way_has_an_unknown_outcome(self, home, store, crashed):
        ingest(home, store)
        outcomes = {span.span: span.outcome for span in store.spans(ONE)}
        assert outcomes == {ROOT: "unknown", "01": "completed", "02": "completed", "07": "unknown", "08": "unknown"}

    def test_a_later_word_settles_it(self, home, store, crashed):
        ingest(home, store)
        known = completed("07", "tool.call", "mail.send")
        booked = Failed(
            at=AT + 9, session=ONE, run="r", span="08", action="model.call", resource="gpt-5", error="outcome unknown"
        )
        write(home, [known, booked])
        ingest(home, store)
        outcomes = {span.span: span.outcome for span in store.spans(ONE)}
        assert (outcomes["07"], outcomes["08"]) == ("completed", "unknown")
        row = store.session(ONE)
        assert row is not None
        assert (row.unknown, row.tool_runs, row.state) == (0, 2, "crashed")

    def test_what_runs_is_running(self, home, store):
        journal = write(home, [*story()[:6], decided("07", "tool.call", "mail.send")], close=False)
        ingest(home, store)
        row = store.session(ONE)
        assert row is not None
        assert (row.state, row.running, row.unknown) == ("running", 1, 0)
        outcomes = {span.span: span.outcome for span in store.spans(ONE)}
        assert (outcomes[ROOT], outcomes["07"]) == ("running", "running")
        journal.close()
        ingest(home, store)
        row = store.session(ONE)
        assert row is not None
        assert (row.state, row.running, row.unknown) == ("open", 0, 1)

    def test_a_session_that_goes_on_after_its_end_is_not_ended(self, home, store):
        write(home, [*story(), decided("09", "tool.call", "mail.send", at=AT + 100)])
        ingest(home, store)
        row = store.session(ONE)
        assert row is not None
        assert row.state == "open"


class TestMoreSpans:
    def test_held_money_is_shown_while_the_outcome_is_unknown(self, home, store):
        from jackline.decision import Hold, Reservation  # noqa: PLC0415

        holds = (
            Hold(scope="a", unit="usd", held=500, spent=0, outstanding=0, cap=900),
            Hold(scope="b", unit="usd", held=700, spent=0, outstanding=0, cap=900),
            Hold(scope="c", unit="tokens", held=99_999, spent=0, outstanding=0, cap=10**6),
        )
        write(home, [decided("01", "model.call", "m", reservation=Reservation(id="e" * 16, holds=holds))])
        ingest(home, store)
        (span,) = store.spans(ONE)
        assert span.held_micro_usd == 700

    def test_an_unpriced_call_is_counted_never_free(self, home, store):
        failed = {"at": AT + 2, "session": ONE, "run": "r", "span": "02", "action": "model.call", "resource": "m"}
        events = [completed("01", "model.call", "m"), Failed(error="OSError", **failed)]
        write(home, events)
        ingest(home, store)
        row = store.session(ONE)
        assert row is not None
        assert (row.unpriced, row.cost_micro_usd, row.model_calls) == (1, 0, 2)
        assert [span.cost_micro_usd for span in store.spans(ONE)] == [None, None]
        assert [(total.agent, total.unpriced) for total in store.usage()] == [("", 1)]

    def test_the_last_decision_on_a_step_holds_and_a_failed_run_is_one(self, home, store):
        from jackline.events import RunEnded  # noqa: PLC0415

        events = [
            *story()[:2],
            decided("01", "tool.call", "pay", "escalate", reason="over 500 USD"),
            decided("01", "tool.call", "pay", reason="approved by ann"),
            decided("02", "output", "answer", "modify"),
            RunEnded(at=AT + 9, session=ONE, run="r", span=ROOT, agent="support@2", error="ValueError"),
        ]
        write(home, events)
        ingest(home, store)
        spans = {span.span: span for span in store.spans(ONE)}
        assert (spans["01"].effect, spans["01"].reason) == ("allow", "approved by ann")
        assert (spans["02"].kind, spans["02"].outcome, spans["02"].return_effect) == ("output", "", "modify")
        assert (spans[ROOT].outcome, spans[ROOT].error) == ("failed", "ValueError")
        row = store.session(ONE)
        assert row is not None
        assert (row.escalated, row.modified) == (1, 1)

    def test_ten_thousand_steps_open_in_a_second(self, home, store):
        """P69: large traces were refused."""
        import time  # noqa: PLC0415

        events = [
            Decided(
                at=AT,
                session=ONE,
                run="r",
                span=f"{n:016x}",
                agent="a",
                action="tool.call",
                resource="t",
                effect="allow",
            )
            for n in range(10_000)
        ]
        write(home, events)
        ingest(home, store)
        began = time.process_time()
        assert len(store.spans(ONE)) == 10_000
        assert time.process_time() - began < 1.0

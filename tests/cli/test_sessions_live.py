"""`sessions --live`: on a terminal, as JSON lines, once where nobody looks on; and it ends cleanly."""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import termios
import threading
import time
from pathlib import Path

import pytest

from jackline.cli import sessions_live
from jackline.control import Control
from jackline.decision import Hold, Reservation
from jackline.events import Cost, RunStarted, SessionEnded, SessionHalted, SessionStarted, Usage
from jackline.home import Home
from jackline.journal import Journal
from jackline.testing.journals import ONE, RUN, TWO, completed, decided

PATIENCE = 60
HIDE, SHOW = "\x1b[?25l", "\x1b[?25h"


def spent(span, micro_usd, *, at, session=ONE):
    """A model call under a ceiling of half a dollar, of which so much was spent before."""
    hold = Hold(scope=f"ceiling/session/{session}/usd", unit="usd", held=0, spent=0, outstanding=0, cap=500_000)
    ids = {"session": session, "at": at}
    cost = {"usage": Usage(input=1, output=1), "cost": Cost(micro_usd=micro_usd)}
    reservation = Reservation(id="r", holds=(hold,))
    return [
        decided(span, "model.call", "m", reservation=reservation, **ids),
        completed(span, "model.call", "m", **cost, **ids),
    ]


@pytest.fixture
def journal(jackline_home):
    """A journal of this process, in which ONE runs: it has spent $0.45 of $0.50, and a tool runs."""
    now = time.time()
    with Journal.open(Home(jackline_home).make().journals) as made:
        made.append(SessionStarted(at=now - 90, session=ONE, external_id="job-17"))
        made.append(RunStarted(at=now - 90, session=ONE, run=RUN, span="f" * 16, agent="support@2"))
        for event in spent("01", 450_000, at=now - 15):
            made.append(event)
        made.append(decided("02", "tool.call", "crm.get", at=now - 3))
        yield made


@pytest.fixture
def typed(jackline_home, tmp_path):
    """Start `jackline sessions --live` with more words; what still runs at the end is ended."""
    started = []

    def start(*words, prepared=None, **streams):
        def fresh():
            signal.signal(
                signal.SIGINT, signal.SIG_DFL
            )  # who was started in the background hands on that it is ignored
            if prepared is not None:
                prepared()

        command = [str(Path(sys.executable).with_name("jackline")), "sessions", "--live", *words]
        env = {**os.environ, "JACKLINE_HOME": str(jackline_home), "TERM": "xterm", "PYTHONWARNINGS": "error"}
        for name in ("NO_COLOR", "COLUMNS", "LINES"):
            env.pop(name, None)
        started.append(subprocess.Popen(command, cwd=tmp_path, env=env, preexec_fn=fresh, **streams))  # noqa: PLW1509 - nothing but a signal and a terminal
        return started[-1]

    yield start
    for process in started:
        if process.poll() is None:
            process.kill()
        process.wait(PATIENCE)


class Screen:
    """A terminal of so many columns with a process in it."""

    def __init__(self, start, columns=160, rows=20):
        self.ours, theirs = pty.openpty()
        fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
        controls = {"stdin": theirs, "stdout": theirs, "stderr": theirs, "start_new_session": True}
        self.process = start(**controls, prepared=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0))
        os.close(theirs)
        self.text = ""
        self._thread = threading.Thread(target=self._read, daemon=True)
        self._thread.start()

    def _read(self):
        with contextlib.suppress(OSError):  # what a terminal says when its process is gone
            while data := os.read(self.ours, 65536):
                self.text += data.decode(errors="replace")

    def shows(self, pattern, since=0):
        """Where the text matches, from a place on; fails where it never does."""
        deadline = time.monotonic() + PATIENCE
        while True:
            plain = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", self.text[since:])
            found = re.search(pattern, plain)
            if found:
                return found
            assert time.monotonic() < deadline, f"{pattern!r} was not shown: {plain[-2000:]}"
            threading.Event().wait(0.02)

    def type(self, keys):
        os.write(self.ours, keys)

    def end(self):
        code = self.process.wait(PATIENCE)
        self._thread.join(PATIENCE)
        os.close(self.ours)
        return code


def test_a_terminal_shows_what_runs_as_it_changes(jackline_home, journal, typed):
    screen = Screen(typed)
    screen.shows(r"1 running at ")
    row = screen.shows(
        rf"{ONE[:12]} +job-17 +support@2 +1m 3\ds +\$0.45 of \$0.50 +(\S+) +\$0.45 +tool.call crm.get [\d.]+ s +running"
    )
    assert row[1] == "\N{FULL BLOCK}" * 9 + "\N{LIGHT SHADE}"
    before = len(screen.text)
    for event in spent("03", 100_000, at=time.time()):
        journal.append(event)
    assert screen.shows(r"\$0.55 of \$0.50 +(\S+)", before)[1] == "\N{FULL BLOCK}" * 10
    before = len(screen.text)
    control = Control(Home(jackline_home).control)
    control.stop(ONE, "ana", "enough")
    control.close()
    screen.shows("stop asked by ana", before)
    journal.append(SessionHalted(at=time.time(), session=ONE, reason="stopped by ana: enough"))
    screen.shows("0 running.*\n.*\n.*halted: stopped by ana: enough", before)
    screen.type(b"\x03")
    assert screen.end() == 0
    assert "Traceback" not in screen.text
    assert screen.text.rindex(SHOW) > screen.text.rindex(HIDE), "the cursor is there again"


def test_a_narrow_window_has_a_line_for_each_session_and_says_how_many_are_not_shown(journal, typed):
    for number in range(12):
        journal.append(SessionStarted(at=time.time(), session=f"{number:02}" + "e" * 30))
    screen = Screen(typed, columns=80, rows=10)
    screen.shows(r"13 running")
    screen.shows(r"and 6 more: a higher window shows them")
    screen.process.send_signal(signal.SIGTERM)
    assert screen.end() == 0
    assert screen.text.rindex(SHOW) > screen.text.rindex(HIDE)
    first = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", screen.text).split("13 running")[1].splitlines()
    assert all(len(line) <= 80 for line in first[1:8])


def test_json_gives_a_line_for_each_picture(journal, typed):
    process = typed("--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    told = json.loads(process.stdout.readline())
    (one,) = told["sessions"]
    assert (told["running"], one["session"], one["cost_micro_usd"], one["running"]) == (1, ONE, 450_000, 1)
    assert (one["ceiling"]["cap"], one["ceiling"]["spent"], one["micro_usd_per_min"]) == (500_000, 450_000, 450_000.0)
    assert [(act["kind"], act["name"]) for act in one["now"]] == [("tool.call", "crm.get")]
    assert told["behind"] == {"bytes": 0, "events": 0, "journals": 0}
    journal.append(completed("02", "tool.call", "crm.get", at=time.time()))
    journal.append(SessionStarted(at=time.time(), session=TWO))
    while len(told["sessions"]) < 2:
        told = json.loads(process.stdout.readline())
    assert [one["session"] for one in told["sessions"]] == [ONE, TWO], "the longest running first"
    assert told["sessions"][0]["now"] == []
    journal.append(SessionEnded(at=time.time(), session=TWO))
    while told["running"] > 1:
        told = json.loads(process.stdout.readline())
    process.send_signal(signal.SIGINT)
    rest, errors = process.communicate(timeout=PATIENCE)
    assert (process.returncode, errors) == (0, "")
    assert all(json.loads(line)["at"] >= told["at"] for line in rest.splitlines()), "every line is whole"


def test_a_reader_that_goes_ends_it(journal, typed):
    assert journal.id
    process = typed("--json", stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout.readline()
    process.stdout.close()
    assert process.wait(PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_where_nobody_looks_on_it_prints_once(journal, run, monkeypatch):
    monkeypatch.setattr(sessions_live, "STEP_LINES", 2)
    shown = run("sessions", "--live").stdout.splitlines()
    assert shown[0].startswith("1 running at ")
    assert shown[1].split() == ["session", "id", "agent", "age", "spent", "$/min", "now", "waiting", "state"]
    assert [line.split()[:3] for line in shown[2:]] == [[ONE[:12], "job-17", "support@2"]]
    assert run("sessions", "--live", "--agent", "nobody").stdout.splitlines()[1:] == []
    journal.append(SessionEnded(at=time.time(), session=ONE))
    assert run("sessions", "--live").stdout.startswith("0 running at ")


def test_what_it_cannot_be_joined_with_is_said(journal, run):
    assert journal.id
    for words in (["--since", "1h"], ["--halted"]):
        assert "leave --since and --halted out" in run("sessions", "--live", *words, code=2).stderr


def test_a_home_without_journals_is_said(run):
    assert "no journals yet in " in run("sessions", "--live", code=1).stderr

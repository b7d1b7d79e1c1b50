"""`stop`, `pause` and `reopen`: what a person says is on record and holds in running processes."""

from __future__ import annotations

import os
import pwd

import pytest

import jackline
from jackline.events import SessionReopened, SessionStopped
from jackline.journal import read

ME = pwd.getpwuid(os.getuid()).pw_name


@pytest.fixture
def work(guard):
    """A tool of a running process, and how often it ran."""
    ran = []

    @guard.tool
    def step():
        ran.append(1)

    return step, ran


def said(home, kind):
    return [line.event for path in (home / "journals").iterdir() for line in read(path) if isinstance(line.event, kind)]


@pytest.mark.parametrize(("verb", "reason"), [("stop", "stopped"), ("pause", "paused")])
def test_a_running_session_is_ended_and_reopened(verb, reason, guard, work, run, ask, jackline_home):
    step, ran = work
    with guard.session(id="job-1") as session:
        step()
        answer = ask(verb, "job-1", "--why", "looks wrong")
        assert answer == {"session": session.id, "done": reason, "who": ME, "why": "looks wrong"}
        with pytest.raises(jackline.Halted, match=f"{reason} by {ME}: looks wrong"):
            step()
        assert len(ran) == 1
        (event,) = said(jackline_home, SessionStopped)
        assert (event.session, event.who, event.why, event.pause) == (session.id, ME, "looks wrong", verb == "pause")
        shown = run("reopen", session.id, "--why", "was fine").stdout
        assert shown == f"session {session.id} reopened by {ME}: was fine\n"
        step()
        assert len(ran) == 2
    (event,) = said(jackline_home, SessionReopened)
    assert (event.session, event.who, event.why) == (session.id, ME, "was fine")


def test_what_a_policy_halted_can_be_reopened(story, run, ask):
    assert ask("reopen", "job-18", "--why", "a drill")["done"] == "reopened"
    assert [row["state"] for row in ask("sessions")["sessions"]] == ["ended", "ended"]


def test_nothing_to_lift(story, run):
    told = run("reopen", "job-17", "--why", "x", code=1).stderr
    assert "was not halted, stopped or paused: there is nothing to lift" in told


def test_a_session_that_nobody_knows_and_a_missing_reason(story, run, jackline_home):
    assert "no session has the id" in run("stop", "nothing", "--why", "x", code=1).stderr
    assert "--why" in run("stop", "job-17", code=2).stderr
    for verb in ("stop", "reopen"):
        assert run(verb, "job-17", "--why", " ", code=1).stderr == "say why: the reason stands in the record\n"
    assert said(jackline_home, SessionStopped) == [], "what was refused is not on record"


def test_a_whole_id_is_taken_at_its_word(run, ask, jackline_home):
    """A session may be stopped before the index, or any journal, has heard of it."""
    assert ask("stop", "0" * 32, "--why", "x")["session"] == "0" * 32
    assert said(jackline_home, SessionStopped)[0].session == "0" * 32

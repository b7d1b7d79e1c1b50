"""What approvers see of what an agent wrote: nothing that steers the terminal, looks like another line, or hides others."""

from __future__ import annotations

import stat
import time

import pytest

from jackline.approvals import Approvals
from jackline.request import Agent, Request, Subject, Tool


@pytest.fixture
def asked(jackline_home):
    """Ask about a tool call; who wrote what is in it is not the approver."""

    def ask(resource="refund", reason="too much", **args):
        request = Request(
            action="tool.call",
            resource=resource,
            at=time.time(),
            agent=Agent(name="support"),
            subject=Subject(session="5" * 32, user="u-9"),
            run="1" * 32,
            span="2" * 16,
            args=args,
            tool=Tool(name=resource),
            call_id="call-1",
        )
        now = time.time()
        return Approvals(jackline_home / "approvals").ask(
            request, policy="refunds", rule="when", now=now, expires=now + 600, reason=reason
        )[0]

    return ask


def test_no_text_of_an_agent_looks_like_a_line_of_ours_or_steers_the_terminal(asked, run):
    one = asked(
        "refund\nneeds  1 of ana", "x\nlapses  never", note="\x1b[2J\u202egnp.exe\nneeds 1", **{"\x1b]0;t\x07": 1}
    )
    shown = run("approvals", "show", one.question.id).stdout
    for listed in (shown, run("approvals", "list").stdout):
        assert not {"\x1b", "\x07", "\u202e"} & set(listed)
    assert "tool.call 'refund\\u000aneeds  1 of ana'" in shown
    assert "asks: x\\u000alapses  never" in shown
    assert '"note": "\\u001b[2J\\u202egnp.exe\\nneeds 1"' in shown
    assert [line.split()[0] for line in shown.splitlines() if line.startswith(("needs", "lapses"))] == [
        "lapses",
        "needs",
    ]


def test_a_question_that_cannot_be_read_hides_no_other(asked, run):
    damaged, sound = asked(order="A-1"), asked(order="A-2")
    (damaged.folder / "question.json").write_text("{")
    told = run("approvals", "list")
    assert sound.question.id[:12] in told.stdout
    assert told.stderr.startswith(f"the question in {damaged.folder} cannot be read: ")


def test_only_the_owner_reads_what_agents_wanted(asked, jackline_home):
    one = asked(card="4111 1111 1111 1111")
    for path in (one.folder, one.folder.parent, jackline_home / "approvals", one.folder / "question.json"):
        assert stat.S_IMODE(path.stat().st_mode) & 0o077 == 0, path

"""`sessions` and `trace`: what agents did, what was decided by whom, and what nobody knows."""

from __future__ import annotations

import time

import pytest

import jackline
from jackline.request import Agent, Tool


def by_id(answer):
    return {row["external_id"]: row for row in answer["sessions"]}


def test_sessions_are_listed_with_what_was_decided(story, run, ask):
    answer = ask("sessions")
    rows = by_id(answer)
    assert list(rows) == ["job-18", "job-17"], "the latest first"
    done = rows["job-17"]
    assert (done["agents"], done["user"], done["state"]) == (["support"], "u-9", "ended")
    assert (done["decisions"], done["denied"], done["model_calls"], done["tool_runs"]) == (5, 1, 1, 3)
    assert (done["tokens"], done["failures"], done["labels"]) == (1050, 1, {"purpose": "research"})
    assert done["cost_micro_usd"] > 0
    assert (rows["job-18"]["state"], rows["job-18"]["halts"]) == ("halted", 1)
    assert (answer["behind"], answer["problems"]) == ({"bytes": 0, "events": 0, "journals": 0}, [])
    shown = run("sessions").stdout
    assert f"{done['session'][:12]}  job-17" in shown
    assert f"{rows['job-18']['session'][:12]} halted: nobody wires money" in shown


def test_sessions_can_be_narrowed(story, run, ask):
    assert list(by_id(ask("sessions", "--agent", "billing"))) == ["job-18"]
    assert list(by_id(ask("sessions", "--halted"))) == ["job-18"]
    assert list(by_id(ask("sessions", "--limit", "1"))) == ["job-18"]
    assert len(by_id(ask("sessions", "--since", "1h"))) == 2
    assert by_id(ask("sessions", "--since", "2100-01-01T00:00")) == {}
    assert run("sessions", "--agent", "nobody").stdout == "no session matches\n"
    assert "--since 'yesterday': write 30m, 24h, 7d" in run("sessions", "--since", "yesterday", code=2).stderr


def test_an_older_session_is_not_within_the_hour(jackline_home, run, ask):
    with (
        jackline.Guard(home=jackline_home, application="desk", clock=lambda: time.time() - 7200) as guard,
        guard.session(id="early"),
    ):
        pass
    assert by_id(ask("sessions", "--since", "1h")) == {}
    assert list(by_id(ask("sessions", "--since", "3h"))) == ["early"]


def test_an_unpriced_call_is_said_and_never_free(guard, run, model_call):
    with guard.session(id="job-1"):
        model_call(name="a-model-that-nobody-prices", provider="nobody")
    guard.close()
    assert "$0.00 + 1 unpriced" in run("sessions").stdout
    assert "unpriced" in run("trace", "job-1").stdout


def test_the_model_that_answered_is_said_where_it_is_another(guard, run, model_call):
    with guard.session(id="job-1"):
        model_call(answered="gpt-4o-mini-2024-07-18")
    guard.close()
    assert "model.call gpt-4o-mini (answered: gpt-4o-mini-2024-07-18)  " in run("trace", "job-1").stdout


def test_a_killed_process_leaves_a_session_with_an_unknown_outcome(crashed, run, ask):
    row = by_id(ask("sessions"))["job-9"]
    assert (row["state"], row["unknown"]) == ("crashed", 1)
    assert "has 1 act whose outcome is unknown" in run("sessions").stdout
    shown = run("trace", "job-9").stdout
    assert "its process died" in shown
    assert "tool.call long_job  allowed by default: no policy objected  outcome unknown" in shown
    assert "2 of 2 steps unknown" in run("trace", "job-9", "--only", "unknown").stdout


def test_a_trace_says_who_decided_and_why(story, run, ask):
    answer = ask("trace", "job-17")
    shown = run("trace", answer["session"]["session"][:8]).stdout
    assert shown.splitlines()[0].startswith(f"session {answer['session']['session']}  (job-17)  for u-9  ")
    assert "model.call gpt-4o-mini" in shown
    assert "1000 + 50 tokens" in shown
    assert "tool.call refund  denied by small-refunds" in shown
    assert ": more than 500" in shown
    assert "allowed by default: no policy objected" in shown
    assert "failed: ValueError" in shown
    assert [span["kind"] for span in answer["spans"]].count("tool.call") == 4
    inner = next(line for line in shown.splitlines() if "crm_get" in line)
    assert inner.startswith("    │   └── "), "a call within a call stands under it"


def test_only_keeps_what_was_asked_for_and_its_place(story, run, ask):
    shown = run("trace", "job-17", "--only", "denied").stdout
    assert "1 of 6 steps denied" in shown
    assert "run support" in shown
    assert "model.call" not in shown
    assert [span["name"] for span in ask("trace", "job-17", "--only", "failed")["spans"]] == ["support", "broken"]


def test_a_halted_trace_says_by_whom(story, run):
    shown = run("trace", "job-18").stdout
    assert "halted by no-wires (when): nobody wires money" in shown


def test_payloads_are_shown_as_they_were_kept(story, run, ask):
    shown = run("trace", "job-17", "--payloads").stdout
    assert 'args: {"order": "[3 chars]", "amount": 20} (27 bytes, redacted)' in shown
    assert '"messages": [{"role": "[4 chars]", "content": "[12 chars]"}]' in shown
    kept = ask("trace", "job-17", "--payloads")["payloads"]
    assert all(payload["capture"] == "redacted" for payload in kept.values())
    assert "payloads" not in ask("trace", "job-17")


def test_payloads_that_are_erased_cut_or_not_kept(story, run, jackline_home):
    from jackline.journal import erase_payload, find_payloads  # noqa: PLC0415

    whole = find_payloads(jackline_home / "payloads", _digests(jackline_home))
    for digest in whole:
        erase_payload(jackline_home / "payloads", digest)
    assert "erased (" in run("trace", "job-17", "--payloads").stdout
    for path in (jackline_home / "payloads").iterdir():
        path.unlink()
    assert "not kept (" in run("trace", "job-17", "--payloads").stdout


def _digests(home):
    from jackline.journal import read  # noqa: PLC0415

    events = [line.event for path in (home / "journals").iterdir() for line in read(path)]
    return {event.args for event in events if getattr(event, "args", "")}


def test_a_message_that_was_not_kept_is_named(guard, run, model_call, jackline_home):
    with guard.session(id="job-1"):
        model_call()
    guard.close()
    for path in (jackline_home / "payloads").iterdir():
        lines = [line for line in path.read_bytes().splitlines(keepends=True) if b'"role"' not in line]
        path.write_bytes(b"".join(lines))
    assert '"messages": ["not kept (' in run("trace", "job-1", "--payloads").stdout


def test_payloads_that_cannot_be_read(story, run, jackline_home, monkeypatch):
    def refuse(*_):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr("jackline.journal.find_payloads", refuse)
    told = run("trace", "job-17", "--payloads", code=1).stderr
    assert told == f"the payloads in {jackline_home / 'payloads'} cannot be read: Permission denied\n"


def test_long_payloads_are_cut(jackline_home, tmp_path, run):
    path = tmp_path / "full.yaml"
    path.write_text("jackline: 1\npolicies: []\ncapture: full\n", encoding="utf-8")
    with jackline.Guard.load(path, application="desk") as guard, guard.session(id="job-1"):
        guard.tool(_long)("x" * 5000)
    line = next(line for line in run("trace", "job-1", "--payloads").stdout.splitlines() if "args:" in line)
    assert line.endswith("... (5011 bytes, full)")


def _long(text):
    return None


def test_a_session_that_is_not_there_or_not_the_only_one(story, run, ask):
    told = run("trace", "nothing", code=1).stderr
    assert told == "no session has the id, or an id that begins with, 'nothing'; see: jackline sessions\n"
    assert ask("trace", "nothing", code=1) == {"error": told.rstrip("\n")}


def test_what_agents_say_cannot_steer_a_terminal(jackline_home, run):
    """Names and reasons are an agent's words: escapes, marks of direction and markup are shown, not obeyed."""
    with (
        jackline.Guard(home=jackline_home, application="desk") as guard,
        guard.session(id="job\x1b[2J", agent=Agent(name="[red]x[/red]\u202e")),
    ):
        request = guard.request("tool.call", "\x1b]0;t\x07", {}, tool=Tool(name="\x1b]0;t\x07"))
        guard.complete(request, guard.check(request))
    for shown in (run("sessions").stdout, run("trace", "job\x1b[2J").stdout, run("agents", "list").stdout):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
    assert "job\\u001b[2J" in run("sessions").stdout
    assert "[red]x[/red]\\u202e" in run("agents", "list").stdout


def test_observed_decisions_say_what_would_have_been(jackline_home, tmp_path, run):
    path = tmp_path / "watch.yaml"
    text = "jackline: 1\nmode: observe\npolicies:\n  - {name: never, use: rule, on: tool.call, when: depth >= 0, effect: deny}\n"
    path.write_text(text, encoding="utf-8")
    with jackline.Guard.load(path, application="desk") as guard, guard.session(id="job-1"):
        guard.tool(_long)("x")
    assert "allowed (observed: would be denied by never (when): depth >= 0)" in run("trace", "job-1").stdout
    shown = run("sessions").stdout
    assert "observed: 1 decisions would have been escalate, deny or halt" in shown


def test_a_result_that_was_withheld_is_shown(jackline_home, tmp_path, run):
    path = tmp_path / "held.yaml"
    text = "jackline: 1\npolicies:\n  - {name: held, use: rule, on: tool.return, when: depth >= 0, effect: deny, reason: secret}\n"
    path.write_text(text, encoding="utf-8")
    with (
        jackline.Guard.load(path, application="desk") as guard,
        guard.session(id="job-1"),
        pytest.raises(jackline.Denied),
    ):
        guard.tool(_long)("x")
    shown = run("trace", "job-1", "--only", "denied").stdout
    assert "result  denied by held (when): secret" in shown


@pytest.mark.parametrize("verb", [("sessions",), ("trace", "x"), ("agents", "list"), ("verify",), ("ingest",)])
def test_an_empty_home_is_said_plainly(verb, run, ask, jackline_home):
    told = run(*verb, code=1).stderr
    assert told.startswith(f"no journals yet in {jackline_home / 'journals'}; run an agent with jackline.init() first")
    assert ask(*verb, code=1)["error"] == told.rstrip("\n")

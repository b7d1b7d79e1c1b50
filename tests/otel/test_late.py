"""What is above a step is told after it, since spans are told when they end: in the end everything is where it belongs."""

from __future__ import annotations

import itertools

import pytest
from reporting import SESSION, Desk, request, span

from jackline_console.otlp import held

CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10}
TOOL = {
    "gen_ai.operation.name": "execute_tool",
    "gen_ai.tool.name": "add",
    "gen_ai.tool.call.arguments": '{"q": "a word that nobody keeps"}',
}
AGENT = {"gen_ai.operation.name": "invoke_agent"}
BUYER, SELLER = AGENT | {"gen_ai.agent.name": "buyer"}, AGENT | {"gen_ai.agent.name": "seller"}
JOB = (
    span(1, BUYER | {"gen_ai.conversation.id": "c-1"}, took=30.0),
    span(2, {"http.request.method": "POST"}, parent=1, at=0.1, took=5.0),
    span(3, CHAT, parent=2, at=0.2),
    span(4, TOOL, parent=1, at=6.0, took=9.0),
    span(5, SELLER, parent=4, at=6.1, took=8.0),
    span(6, CHAT, parent=5, at=6.2),
    span(7, TOOL, parent=5, at=8.0),
)
"""A job with a sub-agent, of which no act names its agent."""


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def told(desk):
    """Everything that pages and sums are made of."""
    sessions = [
        (
            row.session,
            row.external_id,
            row.agents,
            row.runs,
            row.model_calls,
            row.tool_runs,
            row.input_tokens,
            row.state,
        )
        for row in desk.store.sessions()
    ]
    steps = {
        row.span: (row.parent, row.run, row.agent, row.kind, row.name, row.depth, row.outcome)
        for session in sessions
        for row in desk.store.spans(session[0])
    }
    usage = {(row.agent, row.model): (row.calls, row.input_tokens) for row in desk.store.usage(("agent", "model"))}
    tools = {(row.agent, row.tool): row.calls for row in desk.store.tool_usage(("agent", "tool"))}
    agents = {(row.agent, row.models, tuple(tool.tool for tool in row.tools)) for row in desk.store.agents()}
    return sessions, steps, usage, tools, agents


@pytest.fixture(scope="module")
def at_once(tmp_path_factory):
    with Desk(tmp_path_factory.mktemp("once")) as made:
        made.report(*JOB)
        return told(made)


def test_the_job_is_as_it_was(at_once):
    sessions, steps, usage, tools, _ = at_once
    assert [row[1:7] for row in sessions] == [("c-1", ("buyer", "seller"), 2, 2, 2, 20)]
    assert {int(name, 16): (int(row[0] or "0", 16), row[2], row[5]) for name, row in steps.items()} == {
        1: (0, "buyer", 0),
        3: (1, "buyer", 0),
        4: (1, "buyer", 0),
        5: (4, "seller", 1),
        6: (5, "seller", 0),
        7: (5, "seller", 0),
    }
    assert {agent: calls for (agent, _), (calls, _) in usage.items()} == {"buyer": 1, "seller": 1}
    assert tools == {("buyer", "add"): 1, ("seller", "add"): 1}


@pytest.mark.parametrize("order", ["as they end", "backwards", "two by two", "shuffled"])
def test_however_it_comes_in_it_ends_up_the_same(desk, order, at_once):
    """Each span in a request of its own, as a simple exporter sends them; or parted between requests."""
    by_end = sorted(JOB, key=lambda one: one.end_time_unix_nano)
    chosen = {
        "as they end": [[one] for one in by_end],
        "backwards": [[one] for one in JOB],
        "two by two": [list(pair) for pair in itertools.batched(by_end, 2)]
        if hasattr(itertools, "batched")
        else [by_end[:2], by_end[2:4], by_end[4:]],
        "shuffled": [[JOB[place]] for place in (5, 2, 4, 6, 0, 1, 3)],
    }[order]
    for batch in chosen:
        desk.report(*batch)
    assert desk.counted()["held"] == 0
    assert told(desk) == at_once


def test_what_is_held_survives_the_process_and_holds_nothing_that_was_said(tmp_path, at_once):
    by_end = sorted(JOB, key=lambda one: one.end_time_unix_nano)
    with Desk(tmp_path) as desk:
        desk.report(*by_end[:4])
        assert desk.counted()["held"] > 0
        files = list((desk.home.path / "otlp" / "held").iterdir())
        assert [path.stat().st_mode & 0o777 for path in files] == [0o600]
        assert b"nobody keeps" not in files[0].read_bytes()
    with Desk(tmp_path) as desk:
        desk.report(*by_end[4:])
        assert desk.counted()["held"] == 0
        assert told(desk) == at_once
    assert list((desk.home.path / "otlp" / "held").iterdir()) == []


def test_another_console_s_are_left_to_it(tmp_path):
    with Desk(tmp_path) as first, Desk(tmp_path) as second:
        first.report(span(3, CHAT, parent=2))
        second.report(span(4, CHAT, parent=3, trace="4" * 32))
        assert (first.counted()["held"], second.counted()["held"]) == (1, 1)


@pytest.mark.parametrize(
    ("more", "waits"), [({}, held.UNNAMED_S), ({"gen_ai.agent.name": "buyer"}, held.NAMED_S)], ids=["unnamed", "named"]
)
def test_what_nobody_tells_of_is_waited_for_only_so_long(desk, more, waits, monkeypatch):
    desk.report(span(3, CHAT | more, parent=2))
    intake = desk.app.state.console.otlp
    now = desk.app.state.console.clock()
    monkeypatch.setattr(intake, "_clock", lambda: now + waits - 2)
    intake.sweep()
    assert desk.store.sessions() == []
    monkeypatch.setattr(intake, "_clock", lambda: now + waits + 2)
    intake.sweep()
    (step,) = desk.store.spans(SESSION)
    assert (step.parent, step.agent) == ("0000000000000002", more.get("gen_ai.agent.name", "shop"))
    desk.report(span(2, {"db.system": "sqlite"}, parent=1), span(1, BUYER))
    assert {int(row.span, 16): int(row.parent or "0", 16) for row in desk.store.spans(SESSION)} == {3: 2, 2: 1, 1: 0}


def test_no_more_are_held_than_can_be(desk, monkeypatch):
    monkeypatch.setattr("jackline_console.otlp.held.MOST", 3)
    intake = desk.app.state.console.otlp
    monkeypatch.setattr("jackline_console.otlp.intake._SWEEP_S", 0.0)
    desk.report(*(span(number, CHAT, parent=99, at=float(number)) for number in range(1, 8)))
    intake.sweep()
    assert desk.counted()["held"] == 3
    assert [int(row.span, 16) for row in desk.store.spans(SESSION)] == [1, 2, 3, 4]


def test_a_held_span_that_comes_again_counts_once(desk):
    late = span(3, CHAT, parent=1)
    desk.report(late)
    desk.report(late)
    desk.report(late, span(1, BUYER))
    (session,) = desk.store.sessions()
    assert (session.model_calls, desk.counted()["repeated"], desk.counted()["spans"]) == (1, 2, 2)


def test_what_cannot_be_held_is_to_be_sent_again(desk, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("jackline_console.otlp.held.Held._keep", full)
    answer = desk.send(request(span(3, CHAT, parent=1)))
    assert (answer.status_code, "Cannot hold what was reported" in answer.json()["detail"]) == (503, True)
    monkeypatch.undo()
    desk.report(span(3, CHAT, parent=1), span(1, BUYER))
    assert [row.model_calls for row in desk.store.sessions()] == [1]


def test_clocks_that_differ_and_times_that_go_back_change_no_lineage(desk):
    """A child that began before its parent, ended after it, or before it began."""
    early, long, back = (
        span(2, CHAT, 1, at=-20.0),
        span(3, TOOL, 1, at=1.0, took=50.0),
        span(4, TOOL, 1, at=5.0, took=-4.0),
    )
    desk.report(early, long, back, span(1, BUYER, at=0.0, took=2.0))
    (session,) = desk.store.sessions()
    steps = {int(row.span, 16): row for row in desk.store.spans(session.session)}
    assert {number: (row.parent, row.agent) for number, row in steps.items() if number > 1} == dict.fromkeys(
        (2, 3, 4), ("0000000000000001", "buyer")
    )
    assert steps[4].duration_ms == 0
    assert (session.state, session.runs, session.model_calls, session.tool_runs) == ("ended", 1, 1, 2)


def test_names_and_values_without_end_are_bounded(desk):
    """Text of a megabyte in every attribute: names are cut, what was said leaves a digest, and no line is long."""
    long = "x" * 1_000_000
    told = dict.fromkeys(("gen_ai.agent.name", "gen_ai.tool.name", "gen_ai.conversation.id", "error.type"), long)
    kinds = [{"gen_ai.operation.name": name} for name in ("execute_tool", "invoke_agent", "chat")]
    for number, kind in enumerate(kinds, 1):
        more = {"gen_ai.tool.call.arguments": long, "gen_ai.request.model": long, "user.id": long}
        desk.report(span(number, told | kind | more, error=True, trace=f"{number:032x}"), service=long)
    rows = desk.store.sessions()
    assert len(rows) == 1, "one conversation"
    assert all(len(text) <= 200 for text in (rows[0].external_id, rows[0].user, rows[0].application, *rows[0].agents))
    (journal,) = [path for path in desk.home.journals.iterdir() if b'"writer":"otlp"' in path.read_bytes()[:400]]
    assert max(map(len, journal.read_bytes().splitlines())) < 4000

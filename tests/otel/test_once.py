"""A span counts once: also where a request failed half-way, and where the console forgot that it came."""

from __future__ import annotations

import pytest
from reporting import SESSION, Desk, request, span

from jackline.errors import JournalError

AGENT = {"gen_ai.operation.name": "invoke_agent", "gen_ai.agent.name": "buyer"}
CHAT = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "gpt-4o-mini", "gen_ai.usage.input_tokens": 10}
TOOL = {"gen_ai.operation.name": "execute_tool", "gen_ai.tool.name": "add"}
JOB = (span(1, AGENT, took=9.0), span(2, CHAT, parent=1, at=1.0), span(3, TOOL, parent=1, at=2.0))


@pytest.fixture
def desk(tmp_path):
    with Desk(tmp_path) as made:
        yield made


def full(*_, **__):
    raise JournalError("Cannot write: no space left")


def told(desk):
    (row,) = [row for row in desk.store.sessions() if row.session == SESSION]
    return row.runs, row.model_calls, row.tool_runs, row.input_tokens, row.decisions, row.state


@pytest.mark.parametrize("already", [(), JOB[:1]], ids=["a new trace", "one that is known"])
@pytest.mark.parametrize("names", ["agent", "tool", "model"])
def test_what_the_registry_cannot_note_is_new_when_it_is_sent_again(desk, monkeypatch, names, already):
    desk.report(span(9, CHAT, trace="9" * 32), *already)
    registry = desk.app.state.console.otlp.registry
    monkeypatch.setattr(registry, names, full)
    assert desk.send(request(*JOB)).status_code == 503
    monkeypatch.undo()
    desk.report(*JOB)
    assert told(desk) == (1, 1, 1, 10, 2, "ended")


@pytest.mark.parametrize("place", range(8))
def test_wherever_writing_stops_the_session_ends_and_each_step_counts_once(desk, monkeypatch, place):
    """Started, run, two acts with an outcome each, the run's end, the session's: eight lines."""
    desk.report(span(9, CHAT, trace="9" * 32))
    intake = desk.app.state.console.otlp
    write, written = intake.write, []

    def failing(event):
        if len(written) == place:
            full()
        written.append(event)
        write(event)

    monkeypatch.setattr(intake, "write", failing)
    assert desk.send(request(*JOB)).status_code == 503
    monkeypatch.undo()
    desk.report(*JOB)
    assert told(desk) == (1, 1, 1, 10, 2, "ended")
    assert {row.outcome for row in desk.store.spans(SESSION)} == {"completed"}


def test_a_span_whose_place_was_forgotten_is_on_record_still(desk, monkeypatch):
    monkeypatch.setattr("jackline_console.otlp.memory.SPANS", 2)
    desk.report(*JOB)
    before = told(desk)
    assert len(desk.app.state.console.otlp.memory.places) == 2
    desk.report(JOB[0], JOB[1], span(4, CHAT, parent=1, at=3.0))
    runs, calls, *_ = told(desk)
    assert (runs, calls) == (before[0], before[1] + 1)
    assert (desk.counted()["spans"], desk.counted()["repeated"]) == (4, 2)


def test_so_it_is_where_an_earlier_console_put_it_there(tmp_path, monkeypatch):
    with Desk(tmp_path) as desk:
        desk.report(*JOB)
        before = told(desk)
    monkeypatch.setattr("jackline_console.otlp.memory.SPANS", 1)
    with Desk(tmp_path) as desk:
        desk.report(*JOB)
        assert told(desk) == before
        assert desk.counted()["repeated"] == 3

"""SIGKILL in the middle of an agent's run: nothing acknowledged is lost, and no effect came before its decision."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from jackline.ingest import ingest
from jackline.journal import read, verify
from jackline.stores.sqlite import SQLiteStore

AGENT = Path(__file__).parent / "killed_agent.py"


@pytest.mark.parametrize("runs", [1, 10, 50], ids=lambda runs: f"after-{runs}-tool-runs")
def test_a_killed_agent_loses_nothing_acknowledged_and_every_effect_has_an_earlier_decision_p63_p64(
    tmp_path: Path, runs: int
) -> None:
    home, effects, acknowledged = tmp_path / "home", tmp_path / "effects", tmp_path / "acknowledged"
    words = [sys.executable, str(AGENT), str(home), str(effects), str(acknowledged)]
    with subprocess.Popen(words, stdout=subprocess.PIPE) as agent:
        assert agent.stdout is not None
        seen = b""
        while len(seen) < runs:
            piece = os.read(agent.stdout.fileno(), runs - len(seen))
            assert piece, "the agent ended by itself"
            seen += piece
        agent.send_signal(signal.SIGKILL)
    assert agent.returncode == -signal.SIGKILL
    lines = [line for path in sorted((home / "journals").glob("*.jsonl")) for line in read(path)]
    promised = set(map(int, acknowledged.read_text().split()))
    assert promised <= {line.seq for line in lines}
    decided = [line.event for line in lines if line.kind == "decided" and line.event.action == "tool.call"]
    permitted = {event.call_id for event in decided if event.effect == "allow"}
    done = effects.read_text().split()
    assert len(done) >= runs
    assert len(done) == len(set(done))
    assert set(done) <= permitted
    assert all(report.ok for report in verify(home / "journals"))
    assert_shown(home, len(permitted))


def assert_shown(home: Path, tool_runs: int) -> None:
    """The crashed session is visible, with its root run and its cost up to the end."""
    store = SQLiteStore(home / "index.db")
    try:
        ingest(home, store)
        row = store.session("killed")
        assert row is not None
        assert row.runs == 1
        assert row.cost_micro_usd > 0
        assert row.state in ("crashed", "running")
        spans = list(store.spans(row.session))
        assert [span.name for span in spans if span.kind == "run"] == ["worker"]
        assert len([span for span in spans if span.kind == "tool.call"]) == tool_runs
        unknown = [span for span in spans if span.outcome == "unknown" and span.kind != "run"]
        assert len(unknown) == row.unknown
        assert sum(span.cost_micro_usd or 0 for span in spans) == row.cost_micro_usd
    finally:
        store.close()

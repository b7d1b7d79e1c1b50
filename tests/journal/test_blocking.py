"""On an event loop: what a detector of blocking calls is told, and that it is enough and not more."""

from __future__ import annotations

import ast
import sqlite3
import time
from pathlib import Path

import pytest
from blockbuster import BlockBuster, BlockingError

import jackline
from jackline.control import Control
from jackline.journal import Journal, Payloads
from jackline.testing import allow_journal_writes
from jackline.testing.blocking import FILES, WRITES

AT = 1_800_000_000.0


class Digester:
    def digest(self, data: bytes) -> str:
        return f"{sum(data):032x}"


@pytest.fixture
def told():
    detector = BlockBuster()
    allow_journal_writes(detector)
    detector.activate()
    yield detector
    detector.deactivate()


async def test_appends_turns_and_payloads_are_accepted(tmp_path, event, told):
    journal = Journal.open(tmp_path / "journals", clock=lambda: AT, segment_bytes=900)
    payloads = Payloads(tmp_path / "payloads", Digester(), capture="full", journal=journal)
    for number in range(9):
        journal.append(event(number, at=AT + number))
        payloads.put(number, str(number).encode())
    journal.close()
    payloads.close()


async def test_a_detector_that_was_not_told_finds_the_write(tmp_path, event):
    journal = Journal.open(tmp_path / "journals")
    journal.append(event(0))
    detector = BlockBuster()
    detector.activate()
    try:
        with pytest.raises(BlockingError, match=r"Blocking call to os\.write"):
            journal.append(event(1))
    finally:
        detector.deactivate()
        journal.close()


async def test_what_blocks_longer_is_still_found(tmp_path, told):
    with pytest.raises(BlockingError, match=r"time\.sleep"):
        time.sleep(0)  # noqa: ASYNC251 - it shall be found
    with pytest.raises(BlockingError, match=r"os\.stat"):
        (tmp_path / "x").stat()
    told.deactivate()
    connection = sqlite3.connect(":memory:")
    told.activate()
    with pytest.raises(BlockingError, match="sqlite3"):
        connection.execute("SELECT 1")
    told.deactivate()
    connection.close()


def test_every_place_that_is_named_exists():
    package = Path(jackline.__file__).parent.parent
    for file, functions in (*WRITES, *FILES):
        tree = ast.parse((package / file).read_text())
        defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
        assert set(functions) <= defined, file


def test_a_journal_is_written_in_one_place():
    source = (Path(jackline.__file__).parent / "journal" / "writer.py").read_text()
    assert source.count("os.write(") == 1


BUNDLE = """
jackline: 1
policies:
  - name: small-refunds
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: halt
"""


async def test_a_governed_tool_on_a_loop_needs_nothing_else(tmp_path, told):
    """A new agent and tool, a decision, an outcome, a halt, and what another process asked for meanwhile."""
    told.deactivate()
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(BUNDLE)
    guard = jackline.Guard.load(bundle, home=tmp_path / "home")
    control = Control(tmp_path / "home" / "control")
    paid = []

    @guard.tool
    async def refund(order: str, amount: float) -> str:
        paid.append(order)
        return "paid"

    told.activate()
    with guard.session(id="job-1") as session:
        assert await refund("a-1", 20.0) == "paid"
        control.bump()
        assert await refund("a-2", 30.0) == "paid"
        with pytest.raises(jackline.Halted):
            await refund("a-3", 900.0)
        assert session.halted
    told.deactivate()
    guard.close()
    control.close()
    assert paid == ["a-1", "a-2"]

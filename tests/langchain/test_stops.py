"""A person's stop: the agent is at rest within a second, and nothing begins after it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.testing.stops import after_its_end, stopped

if TYPE_CHECKING:
    from pathlib import Path


def test_ten_sessions_are_stopped_from_another_process(tmp_path: Path) -> None:
    """P29: a stop acts on the next step of an agent that is at work, not when it comes to look."""
    found = stopped("langchain", tmp_path)
    assert [one.how for one in found] == ["Session ended by policy 'control': stopped by ana: enough"] * 10
    assert sorted(one.seconds for one in found)[-2] < 1.0, "nine of ten within a second"
    for one in found:
        assert one.acts > 0
        assert one.late <= 1, "what was permitted right before may begin; nothing else does"
        assert after_its_end(tmp_path / "home", one.session) == []

from __future__ import annotations

from pathlib import Path

from jackline.policy_cases import run


def test_stories() -> None:
    results = run(Path(__file__).with_name("stories.yaml"))
    assert [str(case) for case in results.failed] == []
    assert results.passed

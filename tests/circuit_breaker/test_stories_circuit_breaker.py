from __future__ import annotations

from pathlib import Path

import pytest

from jackline.policy_cases import run


@pytest.mark.parametrize("file", ["stories.yaml", "sub_agents.yaml"])
def test_stories(file: str) -> None:
    results = run(Path(__file__).with_name(file))
    assert [str(case) for case in results.failed] == []
    assert results.passed

"""The three stories on real CrewAI agents."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from jackline.demo import agents_of, stories


@pytest.mark.parametrize("name", sorted(stories.STORIES))
def test_each_story_holds_on_a_real_agent(name: str) -> None:
    told = stories.STORIES[name](agents_of("crewai"), 3, lambda *_: None)
    assert told.holds, told.why
    assert told.ungoverned["decisions"] == 0
    assert told.governed["decisions"] > 0


def test_the_command_says_that_each_story_holds_and_prints_nothing_else(tmp_path: Path) -> None:
    ours = {key: value for key, value in os.environ.items() if not key.startswith("CREWAI")}
    ended = subprocess.run(
        [Path(sys.executable).with_name("jackline"), "demo", "--framework", "crewai", "--sessions", "2", "--json"],
        env={**ours, "HOME": str(tmp_path), "PYTHONWARNINGS": "ignore"},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)
    assert [(story["scenario"], story["holds"]) for story in told] == [(name, True) for name in stories.STORIES]

"""Fixtures of the alerts' tests."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from alerting import World


@pytest.fixture
def world(tmp_path):
    """Make homes: `world(bundle)`."""
    made = []

    def make(*given, **more):
        folder = tmp_path / str(len(made))
        folder.mkdir()
        made.append(World(folder, *given, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()

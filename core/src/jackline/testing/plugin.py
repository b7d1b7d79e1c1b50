"""The pytest plugin that comes with Jackline: fixtures for those who test agents, policies and plugins."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

pytest.register_assert_rewrite("jackline.testing.stores", "jackline.testing.adapters", "jackline.testing.records")


@pytest.fixture
def jackline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of Jackline for one test; `JACKLINE_HOME` names it."""
    home = tmp_path / "jackline"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("JACKLINE_HOME", str(home))
    return home

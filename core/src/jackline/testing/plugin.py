"""The pytest plugin that comes with Jackline: fixtures for those who test agents, policies and plugins."""

from __future__ import annotations

from pathlib import Path

import pytest

REWRITTEN = ("adapters", "cells", "records", "stores")
pytest.register_assert_rewrite(*(f"jackline.testing.{name}" for name in REWRITTEN))

OPTION = "--jackline-matrix"


@pytest.fixture
def jackline_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty home of Jackline for one test; `JACKLINE_HOME` names it."""
    home = tmp_path / "jackline"
    home.mkdir(mode=0o700)
    monkeypatch.setenv("JACKLINE_HOME", str(home))
    return home


def pytest_addoption(parser: pytest.Parser) -> None:
    """Where the results of conformance suites go."""
    group = parser.getgroup("jackline")
    group.addoption(OPTION, metavar="FILE", help="write what the conformance suites of adapters prove, as JSON")


def pytest_configure(config: pytest.Config) -> None:
    """Collect results where they are asked for; with xdist, where all reports come together."""
    file = config.getoption(OPTION)
    if file and not hasattr(config, "workerinput"):
        from jackline.testing.results import Results  # noqa: PLC0415 - only where results are asked for

        config.pluginmanager.register(Results(Path(file)), "jackline-matrix")

"""A pytest plugin: every agent in the process is governed by a bundle that allows everything.

The suite watches for calls that block the event loop; it is told of the journal's small writes, which are accepted there,
and of nothing else: a database, a lock or the network would fail its tests.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

import jackline
from jackline.testing.blocking import allow_journal_writes

BUNDLE = """\
jackline: 1
policies:
  - {name: everything, use: rule, on: [model.call, tool.call], when: 'true', effect: allow}
"""


def pytest_configure() -> None:
    """Before any test is collected, so that every agent is built in a governed process."""
    bundle = Path(os.environ["JACKLINE_HOME"]) / "allow-all.yaml"
    bundle.parent.mkdir(parents=True, exist_ok=True)
    bundle.write_text(BUNDLE, encoding="utf-8")
    jackline.init(str(bundle))


@pytest.fixture(autouse=True)
def journal_writes_accepted(blockbuster: Any) -> None:
    """The suite's own detector, for each test anew."""
    allow_journal_writes(blockbuster)

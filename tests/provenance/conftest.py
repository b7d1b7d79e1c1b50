"""A bank whose bundle asks where a recipient comes from."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from bank import Bank

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def bank(tmp_path: Path) -> Iterator[Bank]:
    made = Bank(tmp_path)
    with made.guard.session("s", agent="teller"):
        yield made
    made.guard.close()

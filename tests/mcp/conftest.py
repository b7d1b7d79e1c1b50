"""A real client, a real server in a process of its own, and `jackline mcp` between them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mcp_harness import Wrap

if TYPE_CHECKING:
    from mcp_ways import Ways


@pytest.fixture
def wrap(tmp_path: Path) -> Wrap:
    return Wrap(tmp_path)


@pytest.fixture
def ways(tmp_path: Path) -> Ways:
    from mcp_ways import Ways  # noqa: PLC0415 - it builds on a module of tests

    return Ways(tmp_path)

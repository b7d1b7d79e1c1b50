"""A real client, a real server in a process of its own, and `jackline mcp` between them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from mcp_harness import Wrap


@pytest.fixture
def wrap(tmp_path: Path) -> Wrap:
    return Wrap(tmp_path)

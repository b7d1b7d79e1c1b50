"""Fixtures of the OTLP tests: a governed home, a receiver that keeps what it is sent, and the console's harness."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "console"))
sys.path.insert(0, str(Path(__file__).parent))

from otel_harness import Receiver, governed

from jackline.home import Home


@pytest.fixture
def home(tmp_path):
    """A home in which a governed job was done."""
    made = Home(tmp_path / "home")
    governed(made, tmp_path)
    return made


@pytest.fixture
def receiver():
    """An OTLP endpoint on loopback."""
    with Receiver() as made:
        yield made

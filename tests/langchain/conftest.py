"""Guards with policies written in the test, the ways in which an agent is governed, and the ways in which it is called."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from harness import Governed, Guards

from jackline.session import CURRENT
from jackline_langchain.patches import PATCHES

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(autouse=True)
def nobody_stays() -> Iterator[None]:
    """No test leaves the caller inside of a run: every later one would take place there."""
    yield
    assert CURRENT.get() is None


@pytest.fixture
def guards(tmp_path: Path) -> Iterator[Guards]:
    """Make guards; every one is closed, and LangChain is as it was."""
    made = Guards(tmp_path)
    yield made
    made.close()
    assert not (made.any and PATCHES.on)


@pytest.fixture(params=["handler", "process", "attach", "middleware"])
def governed(request: pytest.FixtureRequest, guards: Guards) -> Governed:
    """Each of the four ways in which an agent comes under a guard."""
    return Governed(request.param, guards)

"""What the tests of journals share: events that cost nothing to make, and a fresh folder."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jackline.events import SessionStarted
from jackline.journal import Journal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

AT = 1_800_000_000.0


@pytest.fixture
def event() -> Callable[..., SessionStarted]:
    def make(number: int = 0, at: float = AT, text: str = "") -> SessionStarted:
        return SessionStarted(at=at, session=f"{number:032x}", user=text)

    return make


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "home" / "journals"


@pytest.fixture
def journal(folder: Path) -> Iterator[Journal]:
    journal = Journal.open(folder, clock=lambda: AT)
    yield journal
    journal.close()

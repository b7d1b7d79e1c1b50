"""A ledger of its own for each test, and claims in few words."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jackline.decision import Claim
from jackline.ledger import Ledger

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "ledger"


@pytest.fixture
def ledger(folder: Path) -> Iterator[Ledger]:
    opened = Ledger.open(folder)
    yield opened
    opened.close()


@pytest.fixture
def claim() -> Callable[..., Claim]:
    def make(scope: str = "s", cap: int = 1000, fixed: int = 0, per_output: int = 0, unit: Any = "usd") -> Claim:
        return Claim(scope=scope, unit=unit, cap=cap, fixed=fixed, per_output=per_output)

    return make

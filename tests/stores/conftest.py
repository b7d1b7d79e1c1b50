"""What the tests of stores share: a home and an open store."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jackline.stores.sqlite import SQLiteStore

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


@pytest.fixture
def store(home: Path) -> Iterator[SQLiteStore]:
    store = SQLiteStore(home / "index.db")
    yield store
    store.close()

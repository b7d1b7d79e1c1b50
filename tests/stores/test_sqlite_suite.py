"""The SQLite store keeps the contract of every store."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline.stores.sqlite import SQLiteStore
from jackline.testing import StoreSuite

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.stores import Store


class TestSQLiteStore(StoreSuite):
    def open_store(self, home: Path) -> Store:
        return SQLiteStore(home / "index.db")

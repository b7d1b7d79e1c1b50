"""Forgetting scopes that are over, a batch at a time: the lock is given up between batches."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from jackline.ledger import reservations
from jackline.ledger.cells import TOUCHED, Cells

if TYPE_CHECKING:
    from collections.abc import Collection

BATCH: Final = 512
"""Entries of the table that one step looks at."""


def prune(cells: Cells, before: int, first: int, only: Collection[str] | None) -> int:
    """Forget those of a batch without holds that were last touched before then; how many."""
    kept = reservations.referenced(cells)
    old = [
        (entry, cell)
        for entry, cell in cells.entries(first, BATCH)
        if cells.words[cell + TOUCHED] < before and cell not in kept and (only is None or cells.scope(cell) in only)
    ]
    for entry, cell in old:
        cells.bury(entry, cell)
    return len(old)

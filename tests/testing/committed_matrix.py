"""Whether the committed support matrix has what a suite declares: its own column in README, its own table path by path.

The cells themselves are tests; that all columns are there together is compared by nox's session `matrix`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jackline.testing.behaviours import behaviours_of, cells
from jackline.testing.matrix import BEGIN, END, TITLES, Suite, long, short

ROOT = Path(__file__).resolve().parents[2]
AGAIN = "write the matrix anew, see docs/support-matrix.md"


def declared(tests: Any) -> Suite:
    """What a suite's paths and gaps say, without running it."""
    rows, gaps = behaviours_of(tests), tests.adapter.gaps()
    return Suite(tests.adapter.name, rows, dict(gaps), cells(tests.adapter.name, gaps, rows, tests.paths()))


def column(table: str, title: str) -> dict[str, str]:
    """One adapter's column of the short table, by guarantee."""
    rows = [[cell.strip() for cell in line.strip("| ").split(" | ")] for line in table.splitlines() if line[:1] == "|"]
    assert title in rows[0], f"README has no column '{title}'; {AGAIN}"
    place = rows[0].index(title)
    return {row[0]: row[place] for row in rows[2:]}


def section(table: str, title: str) -> str:
    """One adapter's part of the long table."""
    return table.partition(f"## {title}\n")[2].partition("\n## ")[0].strip()


def between_marks(document: str) -> str:
    """The matrix of a document."""
    return (ROOT / document).read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def assert_committed(tests: Any) -> None:
    """README and docs/support-matrix.md say of this adapter what its suite declares."""
    suite = declared(tests)
    title = TITLES[suite.adapter]
    assert suite.problems() == []
    assert column(between_marks("README.md"), title) == column(short([suite]), title), AGAIN
    assert section(between_marks("docs/support-matrix.md"), title) == section(long([suite]), title), AGAIN

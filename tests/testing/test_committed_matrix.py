"""How the committed matrix is looked at: an adapter's own column and table, whichever others stand beside."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "guard")]

import committed_matrix as committed  # noqa: E402 - beside this file
from test_suite_python import TestPython as _Python  # noqa: E402 - beside its own tests

from jackline.testing.matrix import BEGIN, END, long, short  # noqa: E402


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A tree with plain Python's matrix, and another adapter's beside it."""
    (tmp_path / "docs").mkdir()
    mine, other = committed.declared(_Python), committed.declared(_Python)
    other.adapter = "crewai"
    for document, table in (("README.md", short([mine, other])), ("docs/support-matrix.md", long([mine, other]))):
        (tmp_path / document).write_text(f"# A\n{BEGIN}\n{table}\n{END}\n", encoding="utf-8")
    monkeypatch.setattr(committed, "ROOT", tmp_path)
    return tmp_path


def replace(path: Path, old: str, new: str) -> None:
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def test_what_stands_beside_is_not_looked_at(root: Path) -> None:
    committed.assert_committed(_Python)


def test_a_number_that_is_not_right_is_seen(root: Path) -> None:
    replace(root / "README.md", "| 12 of 12 | 12 of 12 |", "| 11 of 12 | 12 of 12 |")
    with pytest.raises(AssertionError, match="write the matrix anew"):
        committed.assert_committed(_Python)


def test_a_path_that_is_missing_is_seen(root: Path) -> None:
    replace(root / "docs" / "support-matrix.md", "| coroutine | async |", "| croutine | async |")
    with pytest.raises(AssertionError, match="write the matrix anew"):
        committed.assert_committed(_Python)


def test_a_column_that_is_missing_is_named(root: Path) -> None:
    other: Any = type("Other", (_Python,), {"adapter": type("A", (), {"name": "http", "gaps": lambda self: {}})()})
    with pytest.raises(AssertionError, match="README has no column 'outgoing requests'"):
        committed.assert_committed(other)

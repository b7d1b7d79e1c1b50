"""Files of at most 400 lines and functions of at most 60, or a reason."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

FILE_LINES = 400
FUNCTION_LINES = 60
LONGER_FILES: dict[str, str] = {}
"""Path -> why it may be longer."""
LONGER_FUNCTIONS: dict[str, str] = {}
"""Path:function -> why it may be longer."""


def functions(path: Path) -> list[tuple[str, int]]:
    """Give every function of a file with its number of lines."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    nodes = [node for node in ast.walk(tree) if isinstance(node, kinds)]
    return [(node.name, (node.end_lineno or node.lineno) - node.lineno + 1) for node in nodes]


def test_no_shipped_file_is_longer_than_400_lines(root: Path, sources: list[Path]) -> None:
    lengths = {str(path.relative_to(root)): len(path.read_text(encoding="utf-8").splitlines()) for path in sources}
    long = {name: lines for name, lines in lengths.items() if lines > FILE_LINES}
    assert long.keys() == LONGER_FILES.keys(), f"longer than {FILE_LINES} lines, or listed and not longer: {long}"


def test_no_function_is_longer_than_60_lines(root: Path, committed: list[Path]) -> None:
    long = {
        f"{path.relative_to(root)}:{name}": lines
        for path in committed
        if path.suffix == ".py"
        for name, lines in functions(path)
        if lines > FUNCTION_LINES
    }
    assert long.keys() == LONGER_FUNCTIONS.keys(), f"longer than {FUNCTION_LINES} lines, or listed and not: {long}"


def test_nine_functions_of_ten_fit_on_a_screen(sources: list[Path]) -> None:
    lengths = sorted(lines for path in sources for _, lines in functions(path))
    assert lengths, "no shipped function found"
    assert lengths[len(lengths) * 9 // 10] <= 30


def test_a_longer_function_would_be_seen(tmp_path: Path) -> None:
    path = tmp_path / "long.py"
    path.write_text("def long():\n" + "    pass\n" * 70, encoding="utf-8")
    assert functions(path) == [("long", 71)]
    with pytest.raises(SyntaxError):
        functions(_write(tmp_path / "broken.py", "def ("))


def _write(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path

"""Every failure of a peer that must not be repeated has a test that names its number."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RANGES = "3-4 6-17 21-24 27-28 30-43 45-49 51 53-55 57 60 62-64 67 72"
NUMBERS = [
    number for span in RANGES.split() for number in range(int(span.partition("-")[0]), int(span.rpartition("-")[2]) + 1)
]
NAMED = re.compile(r"(?<![A-Za-z0-9])[Pp](\d{1,2})(?![0-9])")

CASE = re.compile(r"^ *- case: (.*)$", re.MULTILINE)


def named(text: str) -> set[int]:
    """Give the numbers that the tests of a file name: in a test's name, its docstring, or its cases."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            said = [node.name.replace("_", " "), ast.get_docstring(node) or ""]
            constants = [inner for part in node.decorator_list for inner in ast.walk(part)]
            said += [
                inner.value for inner in constants if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
            ]
            found |= {int(number) for words in said for number in NAMED.findall(words)}
    return found


@pytest.fixture(scope="module")
def tested(root: Path) -> dict[int, set[str]]:
    """The files whose tests name a number."""
    code = [*root.glob("tests/**/test_*.py"), *root.glob("core/src/jackline/testing/*.py")]
    found = {path: named(path.read_text(encoding="utf-8")) for path in code}
    for path in root.glob("tests/**/*.yaml"):
        found[path] = {int(number) for case in CASE.findall(path.read_text("utf-8")) for number in NAMED.findall(case)}
    where: dict[int, set[str]] = {}
    for path, numbers in found.items():
        for number in numbers:
            where.setdefault(number, set()).add(str(path.relative_to(root)))
    return where


@pytest.mark.parametrize("number", NUMBERS)
def test_a_test_names_the_failure(number: int, tested: dict[int, set[str]]) -> None:
    assert tested.get(number), f"no test names P{number} in its name, docstring or cases"


def test_a_number_counts_only_where_a_test_names_it() -> None:
    text = '''
# P1
def test_p2_and_more():
    """P3: a reason (P44)."""

@pytest.mark.parametrize("case", ["a"], ids=["P5"])
def test_cases(case): ...

def not_a_test():
    """P6"""
'''
    assert named(text) == {2, 3, 44, 5}

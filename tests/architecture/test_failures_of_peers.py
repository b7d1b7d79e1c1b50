"""Every failure of a peer (P), and every way round CrewAI's (C) and LlamaIndex's hooks (L), has a test that names its number."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

RANGES = "1-28 30-64 67 70 72"
NUMBERS = [
    number for span in RANGES.split() for number in range(int(span.partition("-")[0]), int(span.rpartition("-")[2]) + 1)
]
FRAMEWORKS = {"crewai": ("C", 28), "llamaindex": ("L", 25)}
"""Tests of a framework -> the letter of the ways round its own hooks, and how many are known."""

CASE = re.compile(r"^ *- case: (.*)$", re.MULTILINE)


def numbers_in(words: str, letter: str) -> set[int]:
    """Give the numbers behind a letter in a text."""
    either = f"[{letter}{letter.lower()}]"
    return {int(number) for number in re.findall(rf"(?<![A-Za-z0-9]){either}(\d{{1,2}})(?![0-9])", words)}


def named(text: str, letter: str = "P") -> set[int]:
    """Give the numbers that the tests of a file name: in a test's name, its docstring, or its cases."""
    found: set[int] = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
            said = [node.name.replace("_", " "), ast.get_docstring(node) or ""]
            constants = [inner for part in node.decorator_list for inner in ast.walk(part)]
            said += [
                inner.value for inner in constants if isinstance(inner, ast.Constant) and isinstance(inner.value, str)
            ]
            found |= {number for words in said for number in numbers_in(words, letter)}
    return found


@pytest.fixture(scope="module")
def tested(root: Path) -> dict[int, set[str]]:
    """The files whose tests name a number."""
    code = [*root.glob("tests/**/test_*.py"), *root.glob("core/src/jackline/testing/*.py")]
    found = {path: named(path.read_text(encoding="utf-8")) for path in code}
    for path in root.glob("tests/**/*.yaml"):
        found[path] = {number for case in CASE.findall(path.read_text("utf-8")) for number in numbers_in(case, "P")}
    where: dict[int, set[str]] = {}
    for path, numbers in found.items():
        for number in numbers:
            where.setdefault(number, set()).add(str(path.relative_to(root)))
    return where


@pytest.mark.parametrize("number", NUMBERS)
def test_a_test_names_the_failure(number: int, tested: dict[int, set[str]]) -> None:
    assert tested.get(number), f"no test names P{number} in its name, docstring or cases"


@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_every_way_round_a_frameworks_hooks_is_named_by_a_test(framework: str, root: Path) -> None:
    letter, known = FRAMEWORKS[framework]
    files = sorted((root / "tests" / framework).glob("test_*.py"))
    found = {number for file in files for number in named(file.read_text(encoding="utf-8"), letter)}
    missing = [f"{letter}{number}" for number in range(1, known + 1) if number not in found]
    assert missing == [], f"no test under tests/{framework} names them"
    assert max(found) <= known, "a number that nobody has given"


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
    assert named(text.replace("P", "C").replace("p2", "c2"), "C") == {2, 3, 44, 5}
    assert named(text, "L") == set()

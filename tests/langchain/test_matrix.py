"""The committed support matrix lists every cell that the suites declare; the cells themselves are tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from test_suite import TestLangChain as _LangChain

from jackline.testing.behaviours import behaviours_of, cells
from jackline.testing.matrix import BEGIN, END, Suite, long, placed, short

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "guard"))

from test_suite_python import TestPython as _Python  # noqa: E402 - beside its own tests


def suite(tests: Any) -> Suite:
    rows, gaps = behaviours_of(tests), tests.adapter.gaps()
    return Suite(tests.adapter.name, rows, dict(gaps), cells(tests.adapter.name, gaps, rows, tests.paths()))


@pytest.mark.parametrize(("document", "render"), [("README.md", short), ("docs/support-matrix.md", long)])
def test_the_committed_matrix_has_every_cell(document: str, render: Any) -> None:
    text = (ROOT / document).read_text(encoding="utf-8")
    assert placed(text, render([suite(_Python), suite(_LangChain)])) == text, (
        "write it anew, see docs/support-matrix.md"
    )


def test_no_cell_fails_or_is_empty() -> None:
    for tests in (_Python, _LangChain):
        assert suite(tests).problems() == []
    assert BEGIN in (ROOT / "README.md").read_text(encoding="utf-8")
    assert "FAILS" not in (ROOT / "docs" / "support-matrix.md").read_text(encoding="utf-8").partition(END)[0]


def test_every_way_shape_and_mode_of_the_promise_is_a_path() -> None:
    names = [path.name for path in _LangChain.paths()]
    ways = ("callback", "init", "middleware", "attach")
    modes = ("invoke", "ainvoke", "stream", "astream", "astream_events", "batch", "abatch")
    shapes = (
        "create_agent",
        "StateGraph with ToolNode",
        "agent as tool",
        "subgraph",
        "tool with its own thread pool",
        "tool",
        "chat model",
        "completion model",
        "chain of prompt and model",
        "retriever",
        "embeddings",
    )
    for way in ways:
        assert any(name.startswith(f"{way}, ") for name in names), way
    for shape in shapes:
        assert any(f", {shape}, " in name for name in names), shape
    for mode in modes:
        assert any(name.endswith(f"create_agent, {mode}") for name in names), mode

"""The committed support matrix lists every cell that the suites declare; the cells themselves are tests."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest
from test_suite import TestLangChain as _LangChain

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "testing"), str(TESTS / "guard")]

from committed_matrix import assert_committed  # noqa: E402 - beside the suite's own tests
from test_suite_python import TestPython as _Python  # noqa: E402 - beside its own tests


@pytest.mark.parametrize("tests", [_Python, _LangChain], ids=["python", "langchain"])
def test_the_committed_matrix_has_every_cell(tests: Any) -> None:
    assert_committed(tests)


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

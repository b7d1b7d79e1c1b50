"""One word per idea: the sources define no name that GLOSSARY.md says is not used."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

THEIRS = {
    ("adapters/http/src/jackline_http/libraries/requests.py", "util"): "a module of requests",
    ("adapters/llamaindex", "handler"): "what a workflow's run gives back: a WorkflowHandler",
    ("adapters/langchain", "handler"): "LangChain's callback handlers, and a promised name",
    ("adapters/langchain", "manager"): "LangChain's callback managers",
    ("core/src/jackline/cli/demo.py", "violation"): "a promised scenario: silent-violation",
    ("core/src/jackline/options.py", "handler"): "pydantic's word for what makes the rest of a schema",
    ("core/src/jackline/plugins.py", "manager"): "pluggy's word for what registers plugins",
}
"""Where a word that is not used is somebody else's, and whose."""


@pytest.fixture(scope="module")
def unused(root: Path) -> set[str]:
    """The words that GLOSSARY.md lists as not used."""
    text = (root / "GLOSSARY.md").read_text(encoding="utf-8")
    listed = text.partition("<!-- not-used:begin -->")[2].partition("<!-- not-used:end -->")[0]
    return {word.strip() for word in listed.split(",")}


def names(path: Path) -> set[str]:
    """Give every name that a file defines, the file's own among them."""
    found = {path.stem}
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            found.add(node.name)
        elif isinstance(node, ast.arg):
            found.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            found.add(node.attr)
    return found


def words(name: str) -> set[str]:
    """Split a name at underscores and capitals; plurals count as the word itself."""
    parts = re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", name)
    return {part.lower().removesuffix("s") for part in parts}


def test_no_source_defines_a_name_with_an_unused_word(root: Path, sources: list[Path], unused: set[str]) -> None:
    assert {"manager", "handler", "util", "violation"} <= unused
    found = {(path.relative_to(root).as_posix(), name) for path in sources for name in names(path)}
    places = {(path, word): name for path, name in found for word in words(name) & unused}
    allowed = {
        (path, word) for path, word in places for start, theirs in THEIRS if path.startswith(start) and word == theirs
    }
    assert {place: name for place, name in places.items() if place not in allowed} == {}
    idle = [
        entry for entry in THEIRS if not any(path.startswith(entry[0]) and word == entry[1] for path, word in places)
    ]
    assert idle == [], "listed, and no longer there"


def test_a_name_with_an_unused_word_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "policy_utils.py"
    path.write_text("def f(event_handlers): self.manager = SpanProcessor = 1\n", encoding="utf-8")
    assert names(path) == {"policy_utils", "f", "event_handlers", "manager", "SpanProcessor"}
    found = {word for name in names(path) for word in words(name)}
    assert {"util", "handler", "manager", "processor"} <= found

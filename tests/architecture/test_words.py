"""One word per idea: the sources define no name that GLOSSARY.md says is not used."""

from __future__ import annotations

import ast
import re
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pathlib import Path

PLUGINS = "core/src/jackline/plugins.py"
TOOL_ACCESS = "policy_packs/tool_access/src/jackline_tool_access/options.py"
FRAMEWORK_WORDS = {
    f"{PLUGINS}: _Manager": "pluggy's word for what registers plugins",
    f"{PLUGINS}: _manager": "the same",
    f"{TOOL_ACCESS}: handler": "pydantic's word for what makes the rest of a schema",
}
"""Where a framework's own word is a name, and whose it is."""
CLASSES = {"JacklineCallbackHandler": "LangChain's word, and a promised name"}


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
    bad = {
        f"{path.relative_to(root)}: {name}"
        for path in sources
        for name in names(path) - CLASSES.keys()
        if words(name) & unused
    }
    assert bad == FRAMEWORK_WORDS.keys()


def test_a_name_with_an_unused_word_is_seen(tmp_path: Path) -> None:
    path = tmp_path / "policy_utils.py"
    path.write_text("def f(event_handlers): self.manager = SpanProcessor = 1\n", encoding="utf-8")
    assert names(path) == {"policy_utils", "f", "event_handlers", "manager", "SpanProcessor"}
    found = {word for name in names(path) for word in words(name)}
    assert {"util", "handler", "manager", "processor"} <= found

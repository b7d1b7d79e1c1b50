"""What a YAML syntax error means in a bundle, and how it is mended."""

from __future__ import annotations

import re
from typing import Any

import yaml

from jackline.yaml_scalars import Place

_INDENT = "check the indentation; a value that starts with a quote is quoted as a whole: \"'a' in agent.labels\""
_KNOWN: tuple[tuple[str, str, str, bool], ...] = (
    # pattern, what is wrong, what would be right, whether it stands where its context begins
    (r"found character '\\t'", "a tab indents this line", "YAML indents with spaces", False),
    (r"found character '([@`%|>])'", "a value cannot start with {0}", "quote the value", False),
    (
        r"mapping values are not allowed",
        "a key cannot stand here",
        "indent it as its neighbours; quote a value that has ': '",
        False,
    ),
    (r"scanning an? (?:alias|anchor)", "a value that starts with * or & is no text", "quote it: '*'", False),
    (
        r"(?:scanning|parsing) a tag|undefined tag|tag handle",
        "a value that starts with ! is no text",
        "quote the whole value",
        False,
    ),
    (r"quoted scalar.*end of stream", "the quote that opens here is not closed", "add the closing quote", True),
    (r"parsing a flow node.*<stream end>", "the file ends inside a list or a map", "add the closing ] or }", False),
    (r"parsing a flow sequence", "the list that opens on line {line} is not closed", "add ] or a comma", False),
    (r"parsing a flow mapping", "the map that opens on line {line} is not closed", "add } or a comma", False),
    (
        r"parsing a block (?:mapping|collection)",
        "this does not go on with the block that starts on line {line}",
        _INDENT,
        False,
    ),
    (
        r"could not find expected ':'",
        "this line has no `key: value`",
        "add the colon, or indent the line under its key",
        True,
    ),
)


def explain(error: yaml.YAMLError) -> tuple[Place, str, str]:
    """Say a parser's error: where it is, what is wrong, what would be right."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return Place(1, 1), f"this is not YAML: {error}", ""
    text = f"{error.context or ''} {error.problem or ''}".strip()
    line = error.context_mark.line + 1 if error.context_mark else 0
    for pattern, message, hint, from_context in _KNOWN:
        if (found := re.search(pattern, text)) is not None:
            mark = error.context_mark if from_context else error.problem_mark
            return marked(mark), message.format(*found.groups(), line=line), hint
    return marked(error.problem_mark), f"this is not YAML: {text}", ""


def marked(mark: Any) -> Place:
    """Give a parser's mark as a place."""
    return Place(1, 1) if mark is None else Place(mark.line + 1, mark.column + 1)

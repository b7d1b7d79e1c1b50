"""What a YAML syntax error means in a bundle, and how it is mended."""

from __future__ import annotations

import re

import yaml

_KNOWN: tuple[tuple[str, str, str], ...] = (
    (r"found character '\\t'", "a tab indents this line", "YAML indents with spaces"),
    (r"found character '([@`%|>])'", "a value cannot start with {0}", "quote the value"),
    (
        r"mapping values are not allowed",
        "a key cannot stand here",
        "check the indentation; quote a value that has ': '",
    ),
    (r"scanning an? (alias|anchor)", "a value that starts with * or & is no text", "quote it: '*'"),
    (
        r"(scanning a tag|found undefined tag|unknown tag|tag handle)",
        "a value that starts with ! is no text",
        "quote the whole value",
    ),
    (r"scanning a quoted scalar", "the quote that opens on line {line} is not closed", "add the closing quote"),
    (r"parsing a flow sequence", "the list that opens on line {line} is not closed", "add ] or a comma"),
    (r"parsing a flow mapping", "the map that opens on line {line} is not closed", "add } or a comma"),
    (r"parsing a flow node.*<stream end>", "the file ends inside a list or a map", "add the closing ] or }"),
    (
        r"parsing a block (?:mapping|collection)",
        "this does not go on with the block that starts on line {line}",
        "check the indentation; a value that starts with a quote is quoted as a whole: \"'a' in agent.labels\"",
    ),
    (
        r"could not find expected ':'",
        "this line has no `key: value`",
        "add the colon, or indent the line under its key",
    ),
)


def explain(error: yaml.YAMLError) -> tuple[str, str]:
    """Say a parser's error as (what is wrong, what would be right)."""
    if not isinstance(error, yaml.MarkedYAMLError):
        return f"this is not YAML: {error}", ""
    text = f"{error.context or ''} {error.problem or ''}".strip()
    line = error.context_mark.line + 1 if error.context_mark else 0
    for pattern, message, hint in _KNOWN:
        if (found := re.search(pattern, text)) is not None:
            return message.format(*found.groups(), line=line), hint
    return f"this is not YAML: {text}", ""

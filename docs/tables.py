"""Keep the documentation's tables as the code is: `python docs/tables.py` writes them, `--check` only compares."""

from __future__ import annotations

import ast
import inspect
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from jackline import decision, events, hookspecs

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def fields(module: ModuleType, name: str) -> list[tuple[str, str, str]]:
    """Give name, type and meaning of a record's fields, from its source: the docstring under a field is its meaning."""
    classes = [node for node in ast.parse(inspect.getsource(module)).body if isinstance(node, ast.ClassDef)]
    body = next(node.body for node in classes if node.name == name)
    found: list[tuple[str, str, str]] = []
    for node in body:
        if isinstance(node, ast.AnnAssign) and isinstance(node.target, ast.Name):
            found.append((node.target.id, ast.unparse(node.annotation), ""))
        elif isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and found:
            found[-1] = (*found[-1][:2], inspect.cleandoc(str(node.value.value)).replace("\n", " "))
    return found


def record(module: ModuleType, name: str, heading: str) -> str:
    """Describe one record: a heading, its docstring's first line, its fields."""
    doc = inspect.getdoc(getattr(module, name)) or ""
    lines = [f"### {heading}", "", doc.splitlines()[0], "", "| field | type | meaning |", "|---|---|---|"]
    for field, kind, meaning in fields(module, name):
        escaped = kind.replace("|", r"\|")
        lines.append(f"| `{field}` | `{escaped}` | {meaning} |")
    return "\n".join(lines)


def event_kinds() -> str:
    """One section for each kind of event."""
    return "\n\n".join(record(events, cls.__name__, f"`{kind}`") for kind, cls in events.KINDS.items())


def event_parts() -> str:
    """One section for each record that events hold."""
    parts = [(decision, name) for name in ("Verdict", "Finding", "Claim", "Reservation", "Hold")]
    parts += [(events, "Usage"), (events, "Cost")]
    return "\n\n".join(record(module, name, name) for module, name in parts)


def hooks() -> str:
    """One row for each hook."""
    lines = ["| hook | called with | what it is for |", "|---|---|---|"]
    for name, function in inspect.getmembers(hookspecs, inspect.isfunction):
        if name.startswith("jackline_register_"):
            doc = (inspect.getdoc(function) or "").splitlines()
            lines.append(f"| `{name}` | `{', '.join(inspect.signature(function).parameters)}` | {doc[0]} |")
    return "\n".join(lines)


TABLES: list[tuple[str, str, Callable[[], str]]] = [
    ("docs/events.md", "kinds", event_kinds),
    ("docs/events.md", "parts", event_parts),
    ("docs/hooks.md", "hooks", hooks),
]
"""Document, marker, and what stands between `<!-- marker:begin -->` and `<!-- marker:end -->`."""


def filled(document: str, marker: str, text: str) -> str:
    """Put a text between a document's markers."""
    begin, end = f"<!-- {marker}:begin -->", f"<!-- {marker}:end -->"
    before, found, rest = document.partition(begin)
    _, closed, after = rest.partition(end)
    if not (found and closed):
        message = f"no {begin} ... {end} in the document"
        raise ValueError(message)
    return f"{before}{begin}\n{text}\n{end}{after}"


def stale(*, write: bool) -> list[str]:
    """Name the tables that are not as the code is; with `write`, put them right."""
    behind = []
    for name, marker, make in TABLES:
        path = ROOT / name
        document = path.read_text(encoding="utf-8")
        new = filled(document, marker, make())
        if new != document:
            behind.append(f"{name}: {marker}")
            if write:
                path.write_text(new, encoding="utf-8")
    return behind


if __name__ == "__main__":
    check = "--check" in sys.argv[1:]
    behind = stale(write=not check)
    print("\n".join(behind) or "all tables are as the code is")
    sys.exit(bool(check and behind))

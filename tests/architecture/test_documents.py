"""What the documentation lists is what the code has."""

from __future__ import annotations

import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest

from jackline import hookspecs
from jackline.events import KINDS

if TYPE_CHECKING:
    from pathlib import Path

LINK = re.compile(r"\]\(([^)#]+)(?:#[^)]*)?\)")


def test_generated_tables_are_as_the_code_is(root: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "docs/tables.py", "--check"], cwd=root, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, f"run `python docs/tables.py`: {ran.stdout}{ran.stderr}"


@pytest.mark.parametrize("kind", KINDS)
def test_every_event_kind_is_documented(kind: str, root: Path) -> None:
    assert f"\n### `{kind}`\n" in (root / "docs" / "events.md").read_text(encoding="utf-8")


def test_every_field_of_every_event_has_a_meaning(root: Path) -> None:
    lines = (root / "docs" / "events.md").read_text(encoding="utf-8").splitlines()
    assert [line for line in lines if re.search(r"\|\s+\|$", line)] == []


@pytest.mark.parametrize("hook", [name for name in vars(hookspecs) if name.startswith("jackline_register_")])
def test_every_hook_is_documented(hook: str, root: Path) -> None:
    assert f"| `{hook}` |" in (root / "docs" / "hooks.md").read_text(encoding="utf-8")


def test_every_link_inside_the_tree_leads_somewhere(root: Path, committed: list[Path]) -> None:
    broken = [
        f"{path.relative_to(root)}: {target}"
        for path in committed
        if path.suffix == ".md"
        for target in LINK.findall(path.read_text(encoding="utf-8"))
        if "://" not in target and not (path.parent / target).exists()
    ]
    assert broken == []


def test_every_page_is_in_the_index(root: Path) -> None:
    docs = root / "docs"
    index = (docs / "index.md").read_text(encoding="utf-8")
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md") if path != docs / "index.md"]
    assert pages
    assert [page for page in pages if f"({page})" not in index] == []

"""Each pack's page names every option, and no other."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from jackline_budget import Budget
from jackline_circuit_breaker import CircuitBreaker
from jackline_tool_access import ToolAccess

DOCS = Path(__file__).resolve().parents[2] / "docs" / "packs"


@pytest.mark.parametrize(
    ("pack", "policy"), [("tool_access", ToolAccess), ("budget", Budget), ("circuit_breaker", CircuitBreaker)]
)
def test_the_page_lists_the_options_that_there_are(pack: str, policy: Any) -> None:
    """P37: what is documented is what there is."""
    section = (DOCS / f"{pack}.md").read_text("utf-8").partition("## Options")[2].partition("\n## ")[0]
    assert set(re.findall(r"^\| `(\w+)` \|", section, re.MULTILINE)) == set(policy.Options.model_fields)

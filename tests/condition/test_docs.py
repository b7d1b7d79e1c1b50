"""docs/conditions.md: its examples give what they say, its numbers are those of the code."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import yaml

from jackline.condition import ConditionError, EvaluationError, Schema, compile_condition
from jackline.condition.containers import ELEMENTS
from jackline.condition.lexer import MAX_SOURCE
from jackline.condition.parser import MACROS, MAX_DEPTH

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "conditions.md").read_text(encoding="utf-8")
FACTS = yaml.safe_load(re.findall(r"```yaml facts\n(.*?)```", PAGE, re.DOTALL)[0])


def lines(fence: str) -> list[str]:
    """Every line of the blocks that start with this fence."""
    return [line for block in re.findall(rf"```{fence}\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]


LINES = lines("cel")
REFUSED = lines("text does not load")


@pytest.mark.parametrize("line", [line for line in LINES if " // " in line])
def test_example(line: str) -> None:
    source, _, said = line.rpartition(" // ")
    condition = compile_condition(source, Schema.default())
    outcome, _, detail = said.strip().partition(": ")
    if outcome == "error":
        with pytest.raises(EvaluationError, match=re.escape(detail)):
            condition.evaluate(FACTS)
    else:
        assert condition.evaluate(FACTS) is {"true": True, "false": False}[outcome]


@pytest.mark.parametrize("line", REFUSED)
def test_refused_example(line: str) -> None:
    source, _, said = line.rpartition(" // ")
    with pytest.raises(ConditionError, match=re.escape(said.strip())):
        compile_condition(source, Schema.default())


def test_examples_say_what_comes_of_them() -> None:
    outcomes = [line.rpartition(" // ")[2].strip().partition(":")[0] for line in LINES if " // " in line]
    assert set(outcomes) == {"true", "false", "error"}
    assert len(LINES) == len(outcomes)
    assert len(REFUSED) > 4


def test_the_macros_and_limits_are_those_of_the_code() -> None:
    assert set(re.findall(r"`list\.(\w+)\(x", PAGE)) == set(MACROS)
    assert f"at most {MAX_SOURCE:,} characters and {MAX_DEPTH} levels" in PAGE
    assert f"may look at {ELEMENTS:,} elements" in PAGE


def test_the_conformance_numbers_are_those_of_the_data() -> None:
    reasons = yaml.safe_load((ROOT / "tests" / "condition" / "out_of_scope.yaml").read_text(encoding="utf-8"))
    out = sum(map(len, reasons.values()))
    assert f"{876 - out} of the {876 - out} that concern this subset pass. {out} are out of scope" in PAGE

"""Bounds on what a condition may be and do."""

from __future__ import annotations

import subprocess
import sys

import pytest
import re2

from jackline.condition import ConditionError, Schema, compile_condition, functions
from jackline.condition.lexer import MAX_SOURCE
from jackline.condition.parser import MAX_DEPTH, parse

DEEP = f"nested more than {MAX_DEPTH} levels deep: use several rules"


@pytest.mark.parametrize(
    "source",
    [
        "(" * 5000 + "1" + ")" * 5000,
        "[" * 5000,
        "{1:" * 5000,
        "!" * 10000 + "true",
        "-" * 10000 + "1",
        "a" + ".a" * 5000,
        "a" + "[0]" * 5000,
        "1" + " + 1" * 3000,
        "f(" * 5000,
        "a.f(" * 4000,
        "true ? 1 : " * 1400 + "1",
        "a.exists(x, " * 1300 + "true" + ")" * 700,
        "(" * 60 + "1" + " + 1) * 2" * 60,
    ],
)
def test_deep_nesting_does_not_load(source: str) -> None:
    for schema in (None, Schema.default()):
        with pytest.raises(ConditionError, match=DEEP):
            compile_condition(source, schema)


@pytest.mark.parametrize(
    ("source", "facts", "value"),
    [
        (" || ".join(["false"] * 500 + ["true"]), {}, True),
        (" && ".join(["true"] * 500), {}, True),
        ("x in [" + ", ".join(map(str, range(500))) + "]", {"x": 499}, True),
        ("1 == " + " + ".join(["1"] * 60), {}, False),
        ("true ? 1 : " * 50 + "2", {}, 1),
        ("(" * 60 + "true" + ")" * 60, {}, True),
        ("x" + ".x" * 60, {"x": {}}, None),
        ("size(" * 50 + "x" + ")" * 50, {"x": 1}, None),
        ("[1].exists(a, " * 25 + "true" + ")" * 25, {}, True),
        ("!" * 62 + "true", {}, True),
    ],
)
def test_long_and_fairly_deep_ones_do(source: str, facts: dict[str, object], value: object) -> None:
    condition = compile_condition(source, None)
    if value is None:
        with pytest.raises(Exception, match="line 1"):
            condition.evaluate(facts)
    else:
        assert condition.evaluate(facts) == value


def test_too_long_a_condition_does_not_load() -> None:
    source = "'" + "x" * MAX_SOURCE + "' == run"
    with pytest.raises(ConditionError) as caught:
        compile_condition(source, Schema.default())
    assert (
        caught.value.message == f"a condition may have 16384 characters, this one has {len(source)}: use several rules"
    )


def test_too_little_stack_to_read_one_is_a_condition_error() -> None:
    def deeper() -> str:
        try:
            return deeper()
        except RecursionError:
            try:
                parse("((((((((1))))))))")
            except ConditionError as error:
                return error.message
            raise

    assert deeper() == "there is too little stack left to read this condition"


def test_patterns_run_on_re2() -> None:
    compiled = functions.pattern("(a+)+$")
    assert type(compiled) is type(re2.compile("x"))
    condition = compile_condition("run.matches('(a+)+$')", Schema.default())
    assert condition.evaluate({"run": "a" * 100_000 + "!"}) is False
    assert condition.evaluate({"run": "a" * 100_000}) is True


def test_constant_patterns_are_compiled_once_when_they_load() -> None:
    functions.pattern.cache_clear()
    condition = compile_condition("run.matches('only here')", Schema.default())
    assert functions.pattern.cache_info().misses == 1
    for _ in range(3):
        condition.evaluate({"run": "x"})
    assert functions.pattern.cache_info().misses == 1


def test_importing_conditions_loads_nothing_heavy() -> None:
    heavy = "{'re2', 'zoneinfo', 'difflib', 'pydantic', 'yaml', 'google'}"
    script = f"import sys, jackline.condition; print(sorted({heavy} & sys.modules.keys()))"
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == "[]"

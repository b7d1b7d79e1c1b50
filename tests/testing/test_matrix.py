"""From reports of tests to the support matrix: what fails or is missing is said, what is out of date is found."""

from __future__ import annotations

import json
import subprocess
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from jackline.testing import matrix
from jackline.testing.behaviours import KEY
from jackline.testing.results import SUITE, Results

if TYPE_CHECKING:
    from pathlib import Path

ROWS = [
    ["denied-never-runs", "A denied tool never runs.", ["tools"]],
    ["streams-held-back", "Streams wait.", ["stream"]],
]
PATHS = {"call": "sync", "acall": "async", "old call": "direct call"}
GAPS = {"old": "it has no hooks", "elsewhere": "it runs on a server"}
CELLS = [
    ("denied-never-runs", "call", "proven", ""),
    ("denied-never-runs", "acall", "proven", ""),
    ("denied-never-runs", "old call", "not offered", "it has no hooks"),
    ("streams-held-back", "call", "not applicable", "nobody waits"),
    ("streams-held-back", "acall", "proven", ""),
    ("streams-held-back", "old call", "not applicable", "nobody waits"),
]


def report(name: str, value: Any, *, passed: bool = True, when: str = "call") -> Any:
    return SimpleNamespace(user_properties=[(name, value)], passed=passed, when=when, nodeid="test_x")


def results(file: Path, cells: Any = CELLS, failing: Any = (), adapter: str = "toy", rows: Any = ROWS) -> Path:
    collected: Any = Results(file)
    suite = {"adapter": adapter, "behaviours": rows, "paths": list(PATHS), "gaps": GAPS}
    collected.pytest_runtest_logreport(report(SUITE, suite))
    for behaviour, path, state, reason in cells:
        fields = [adapter, behaviour, path, PATHS[path], state, reason]
        collected.pytest_runtest_logreport(report(KEY, [fields], when="setup"))
        collected.pytest_runtest_logreport(report(KEY, [fields], passed=(behaviour, path) not in failing))
        collected.pytest_runtest_logreport(report(KEY, [fields]))
    collected.pytest_runtest_logreport(report("another plugin's", 1))
    collected.pytest_sessionfinish()
    return file


@pytest.fixture
def documents(tmp_path: Path) -> tuple[Path, Path]:
    made = tmp_path / "README.md", tmp_path / "matrix.md"
    for path in made:
        path.write_text(f"# A\n{matrix.BEGIN}\n{matrix.END}\nthe rest\n", encoding="utf-8")
    return made


def run(file: Path, documents: tuple[Path, Path], *words: str) -> int:
    return matrix.main([str(file), "--short", str(documents[0]), "--long", str(documents[1]), *words])


def test_the_matrix_is_written_and_then_up_to_date(tmp_path: Path, documents: Any, capsys: Any) -> None:
    file = results(tmp_path / "r.json")
    assert run(file, documents) == 1
    assert "the support matrix is not what the suites prove; write it anew" in capsys.readouterr().out
    assert run(file, documents, "--write") == 0
    assert run(file, documents) == 0
    assert capsys.readouterr().out == ""
    short, long = (path.read_text(encoding="utf-8") for path in documents)
    assert "| A denied tool never runs. | 2 of 3 |\n| Streams wait. | 1 of 1 |" in short
    assert short.endswith(f"{matrix.END}\nthe rest\n")
    assert "| call | sync | ✓ | n/a |\n| acall | async | ✓ | ✓ |\n| old call | direct call | refused | n/a |" in long
    assert "- **refused** on old call: it has no hooks." in long
    assert "- **outside** (elsewhere): it runs on a server." in long
    assert "- **not applicable** (2): nobody waits." in long


def test_a_behaviour_that_applies_nowhere_is_said(tmp_path: Path, documents: Any) -> None:
    nowhere = [(behaviour, path, "not applicable", "no") for behaviour, path, *_ in CELLS]
    assert run(results(tmp_path / "r.json", nowhere), documents, "--write") == 0
    assert "| Streams wait. | n/a |" in documents[0].read_text(encoding="utf-8")


def test_each_adapter_has_a_column_and_a_table_of_its_own(tmp_path: Path, documents: Any) -> None:
    none = [(behaviour, path, "not applicable", "no") for behaviour, path, *_ in CELLS if behaviour == ROWS[1][0]]
    files = [
        results(tmp_path / f"{name}.json", [*CELLS[:3], *none] if name == "http" else CELLS, adapter=name)
        for name in ("toy", "http", "crewai", "langchain", "llamaindex", "python")
    ]
    own = [*ROWS, ["own", "It is toyed with.", []]]
    files[0] = results(
        tmp_path / "toy.json", [*CELLS, *(("own", path, "proven", "") for path in PATHS)], adapter="toy", rows=own
    )
    words = ["--short", str(documents[0]), "--long", str(documents[1]), "--write"]
    assert matrix.main([*map(str, files), *words]) == 0
    short, long = (path.read_text(encoding="utf-8") for path in documents)
    assert "| guarantee | plain Python | LangChain | CrewAI | LlamaIndex | outgoing requests | toy |" in short
    assert "| Streams wait. | 1 of 1 | 1 of 1 | 1 of 1 | 1 of 1 | n/a | 1 of 1 |" in short
    assert "| It is toyed with. | n/a | n/a | n/a | n/a | n/a | 3 of 3 |" in short
    assert (
        "Paths: 3 of plain Python, 3 of LangChain, 3 of CrewAI, 3 of LlamaIndex, 3 of outgoing requests, 3 of toy."
        in short
    )
    assert [line for line in long.splitlines() if line.startswith("## ")] == [
        "## plain Python",
        "## LangChain",
        "## CrewAI",
        "## LlamaIndex",
        "## outgoing requests",
        "## toy",
    ]
    of_http = long.partition("## outgoing requests")[2].partition("## toy")[0]
    assert "| path | | 1 |\n|---|---|---|\n| call | sync | ✓ |\n" in of_http
    assert "- **not applicable** (2): no." in of_http
    assert "- **not applicable** (3): it is of other suites." in of_http
    assert "|  |" not in short + long.partition("| path")[2].replace("| path | |", "")


def test_a_failing_cell_is_named_and_nothing_is_written(tmp_path: Path, documents: Any, capsys: Any) -> None:
    file = results(tmp_path / "r.json", failing={("denied-never-runs", "acall")})
    good = results(tmp_path / "good.json")
    before = documents[0].read_text(encoding="utf-8")
    for files in ((file, good), (good, file)):
        assert matrix.main([*map(str, files), "--short", str(documents[0]), "--write"]) == 1
        assert capsys.readouterr().out == "toy: 'denied-never-runs' fails on 'acall': test_x\n"
    assert documents[0].read_text(encoding="utf-8") == before


def test_an_empty_cell_is_named(tmp_path: Path, documents: Any, capsys: Any) -> None:
    assert run(results(tmp_path / "r.json", CELLS[:-2]), documents) == 1
    out = capsys.readouterr().out
    assert "toy: no result for 'streams-held-back' on 'acall'; run the whole suite" in out


def test_a_document_without_a_place_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "x.md").write_text("nothing", encoding="utf-8")
    with pytest.raises(ValueError, match="there is no place for the matrix; put <!-- matrix:begin -->"):
        matrix.main([str(results(tmp_path / "r.json")), "--short", str(tmp_path / "x.md")])


def test_no_suite_is_a_problem(tmp_path: Path, capsys: Any) -> None:
    (tmp_path / "none.json").write_text('{"suites": [], "cells": []}', encoding="utf-8")
    assert matrix.main([str(tmp_path / "none.json")]) == 1
    assert "no conformance suite has run; subclass jackline.testing.AdapterSuite" in capsys.readouterr().out


THIRD_PARTY = '''
"""A third party's suite: one path, one tool, one wrong adapter."""
from jackline.testing import AdapterSuite
from jackline.testing.paths import Path


class Adapter:
    name = "theirs"

    def gaps(self):
        return {}


def drive(job):
    """Run every tool and ask nobody."""
    for step in job.steps:
        for call in step.calls:
            job.call(lambda: job.bodies.run(call.tool, **call.args))


class TestTheirs(AdapterSuite):
    adapter = Adapter()

    @classmethod
    def paths(cls):
        return [Path(name="plain", group="sync", carries=frozenset({"tools"}), drive=drive)]
'''


def test_a_third_partys_suite_says_what_its_adapter_lacks(tmp_path: Path) -> None:
    (tmp_path / "test_theirs.py").write_text(THIRD_PARTY, encoding="utf-8")
    words = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:cacheprovider",
        "--jackline-matrix",
        "r.json",
        "test_theirs.py",
    ]
    ran = subprocess.run(words, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert ran.returncode == 1, ran.stdout + ran.stderr
    found = json.loads((tmp_path / "r.json").read_text(encoding="utf-8"))
    states = {cell["behaviour"]: cell["state"] for cell in found["cells"]}
    assert states["denied-tool-never-runs"] == "failing"
    assert states["failing-store-is-harmless"] == "failing"
    assert states["spawn-is-judged"] == "not applicable"
    (suite,) = matrix.read([tmp_path / "r.json"])
    assert "theirs: 'denied-tool-never-runs' fails on 'plain'" in "\n".join(suite.problems())

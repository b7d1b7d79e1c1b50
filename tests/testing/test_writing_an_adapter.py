"""The adapter guide's adapter is whole: under a hundred lines, registered, proven on every path by its own suite."""

from __future__ import annotations

import importlib.util
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from jackline.testing import matrix

ROOT = Path(__file__).resolve().parents[2]
GUIDE = ROOT / "docs" / "writing-an-adapter.md"

AGENT = """
import rondo

class Parrot(rondo.Model):
    def answer(self, messages):
        calls = [] if len(messages) > 1 else [{"name": "pay", "args": {"amount": 900}}]
        said = messages[-1]["content"]
        return {"message": {"role": "assistant", "content": said, "tool_calls": calls}, "usage": (5, 5)}

def pay(amount, currency="EUR"):
    raise AssertionError("it ran")

agent = rondo.Agent("clerk", Parrot(), [rondo.Tool(pay)])
"""
BUNDLE = """jackline: 1
policies:
  - name: large
    use: rule
    on: tool.call
    when: tool.name == 'pay' && args.amount > 500 && args.currency == 'EUR' && agent.framework == 'rondo'
    effect: deny
    reason: above 500 is for people
"""
TOLD = "Not permitted by policy 'large': above 500 is for people"


def examples() -> Any:
    """The module that reads the examples of documents."""
    spec: Any = importlib.util.spec_from_file_location("examples", ROOT / "tests" / "docs" / "examples.py")
    module = sys.modules[spec.name] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def files() -> dict[str, str]:
    """The guide's files, by name."""
    return {block.title: block.text for block in examples().blocks(GUIDE.read_text(encoding="utf-8")) if block.title}


@pytest.fixture
def installed(files: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the guide's files, and with its distribution as an installer leaves it."""
    for name, text in files.items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    project = tomllib.loads(files["pyproject.toml"])["project"]
    info = tmp_path / f"jackline_rondo-{project['version']}.dist-info"
    info.mkdir()
    groups = project["entry-points"]
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {aim}\n" for key, aim in names.items()) for group, names in groups.items()
    ]
    (info / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    told = f"Metadata-Version: 2.1\nName: {project['name']}\nVersion: {project['version']}\n"
    (info / "METADATA").write_text(told, encoding="utf-8")
    (tmp_path / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home"))
    return tmp_path


def run(folder: Path, *words: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(folder)}
    ran = subprocess.run(
        [sys.executable, *words], cwd=folder, env=environment, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_it_is_under_a_hundred_lines_for_a_framework_of_about_thirty(files: dict[str, str]) -> None:
    written = {name: sum(map(bool, map(str.strip, text.splitlines()))) for name, text in files.items()}
    assert written["jackline_rondo.py"] < 100
    assert 25 <= written["rondo.py"] <= 40
    assert "jackline" not in files["rondo.py"]


def test_every_cell_of_its_suite_is_proven_or_does_not_apply(installed: Path) -> None:
    run(installed, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_rondo.py", "--jackline-matrix", "r.json")
    (suite,) = matrix.read([installed / "r.json"])
    assert (suite.adapter, suite.problems()) == ("rondo", [])
    cells = list(suite.cells.values())
    assert len(cells) == len(suite.behaviours) * len(suite.paths())
    assert {cell.state for cell in cells} == {"proven", "not applicable"}
    assert all(cell.reason for cell in cells if cell.state == "not applicable")
    everywhere = {"halt-ends-session", "decided-before-act", "lineage", "same-record", "failing-policy-denies"}
    assert everywhere <= {row.id for row in suite.behaviours if set(suite.states(row.id)) == {"proven"}}
    assert {"sync", "sub-agent", "direct call"} == set(suite.groups.values())


def test_it_is_found_by_its_entry_point(installed: Path) -> None:
    listed = json.loads(run(installed, "-c", "from jackline.cli import main; main()", "plugins", "--json"))
    assert {
        "kind": "adapter",
        "name": "rondo",
        "distribution": "jackline-rondo 0.1.0",
        "target": "jackline_rondo:RondoAdapter",
    }.items() <= next(item for item in listed["registered"] if item["name"] == "rondo").items()


@pytest.mark.parametrize(
    "governed",
    [
        "import jackline\njackline.init('jackline.yaml')" + AGENT + "print(agent.run('pay'))",
        AGENT + "import jackline\njackline.init('jackline.yaml')\nprint(agent.run('pay'))\n",
        AGENT
        + "import jackline\nguard = jackline.Guard.load('jackline.yaml')\n"
        + "print(guard.attach(agent).run('pay'))\nassert not hasattr(agent, 'jackline')\n",
    ],
    ids=["init before", "init after", "attach"],
)
def test_a_program_is_governed_by_it(installed: Path, governed: str) -> None:
    assert run(installed, "-W", "error", "-c", governed) == f"{TOLD}\n"


def test_off_means_off(installed: Path) -> None:
    program = (
        AGENT
        + "import jackline\nbefore = vars(rondo.Tool)['run'], vars(Parrot)['answer']\nguard = jackline.init('jackline.yaml')\n"
        + "jackline.close()\nassert (vars(rondo.Tool)['run'], vars(Parrot)['answer']) == before\nprint(agent.run('pay'))"
    )
    assert run(installed, "-c", program) == "it ran\n"

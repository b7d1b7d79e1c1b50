"""Every example of the documentation runs as written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RUNNER = Path(__file__).with_name("examples.py")
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("*/*/README.md")])


def run(document: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, str(RUNNER), str(document)], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_run_as_written(document: Path) -> None:
    ran = run(document)
    assert ran.returncode == 0, ran.stdout + ran.stderr


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("```python\nraise ValueError('no')\n```\n", "ValueError: no"),
        ("```console\n$ exit 3\n```\n", "`exit 3` exited 3"),
        ("```console\n$ exit 0 # exit 1\n```\n", "exited 0"),
        ("```console\n$ echo one\ntwo\n```\n", "did not print 'two' but:\none"),
    ],
)
def test_an_example_that_does_not_hold_is_seen(text: str, why: str, tmp_path: Path) -> None:
    document = tmp_path / "bad.md"
    document.write_text(text, encoding="utf-8")
    ran = run(document)
    assert ran.returncode == 1
    assert why in ran.stderr


def test_how_long_something_took_may_differ(tmp_path: Path) -> None:
    document = tmp_path / "times.md"
    document.write_text("```console\n$ echo took +0.012s, 7 ms for 3 of 4\ntook +0.000s, 12.5 ms for 3 of 4\n```\n")
    ran = run(document)
    assert ran.returncode == 0, ran.stderr


def test_files_and_names_are_carried_from_block_to_block(tmp_path: Path) -> None:
    document = tmp_path / "good.md"
    document.write_text(
        '```text title="a.txt"\nhello\n```\n```python\nx = open("a.txt").read()\n```\n'
        '```python\nassert x == "hello\\n"\n```\n```console\n$ cat a.txt\nhello\n```\n```bash\nfalse\n```\n',
        encoding="utf-8",
    )
    ran = run(document)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout == "good.md: 4 examples ran\n"

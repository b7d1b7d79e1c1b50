"""`new-pack`: what it makes is a pack that somebody else could publish; pip builds, installs and removes it."""

from __future__ import annotations

import json
import os
import shlex
import site
import subprocess
import sys
from pathlib import Path

import pytest

FILES = [
    "pyproject.toml",
    "README.md",
    "src/jackline_no_words/__init__.py",
    "src/jackline_no_words/policy.py",
    "tests/test_no_words.py",
    "tests/cases.yaml",
    "src/jackline_no_words/py.typed",
]
BUNDLE = "jackline: 1\npolicies: [{name: p, use: no_words, with: {words: [bluebird]}}]\n"


def test_a_pack_is_written_once(ask, run, tmp_path):
    told = ask("new-pack", "no-words")
    assert (told["folder"], told["policy"], told["files"]) == ("jackline-no-words", "no_words", FILES)
    written = [path for path in (tmp_path / "jackline-no-words").rglob("*") if path.is_file()]
    assert sorted(str(path.relative_to(tmp_path / "jackline-no-words")) for path in written) == sorted(FILES)
    assert not [path for path in written if "$" in path.read_text(encoding="utf-8")]
    assert "is there already, and nothing was written" in run("new-pack", "no_words", code=1).stderr
    shown = run("new-pack", "no_words", "--into", "packs").stdout.splitlines()
    folder = Path("packs") / "jackline-no-words"
    assert shown[:-1] == [str(folder / path) for path in FILES]
    assert shown[-1] == f"now: pip install -e '{folder}[test]' && pytest {folder} && jackline test {folder / 'tests'}"


@pytest.mark.parametrize("name", ["No", "9lives", "a b", "class", "x__y", "-", "../up", "a" * 65, "tr\u00e4ge", "a\n"])
def test_what_is_no_name(name, run, tmp_path):
    told = run("new-pack", "--", name, code=1).stderr
    assert told == f"'{name}' is no name of a pack: write small letters, digits and _, such as no_words\n"
    assert not list(tmp_path.rglob("jackline-*"))


@pytest.mark.parametrize("name", ["none", "true", "verdict", "options", "policy-suite", "bundle_error"])
def test_what_would_be_no_class_of_its_own(name, run, tmp_path):
    class_ = "".join(part.capitalize() for part in name.replace("-", "_").split("_"))
    told = run("new-pack", name, code=1).stderr
    assert told == f"'{name}' would be the class '{class_}', which is something else: choose another name\n"
    assert not list(tmp_path.rglob("jackline-*"))


@pytest.mark.parametrize("name", ["langchain", "http", "console", "pii", "tool-access"])
def test_a_name_of_this_projects_own(name, run, tmp_path):
    assert "already" in run("new-pack", name, code=1).stderr
    assert not list(tmp_path.rglob("jackline-*"))


def test_a_package_that_is_there(run, tmp_path, monkeypatch):
    (tmp_path / "jackline_theirs").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    told = run("new-pack", "theirs", code=1).stderr
    assert told == "'jackline-theirs' is there already, and no pack of yours: choose another name\n"


def test_the_command_that_is_told_is_one_command(run):
    last = run("new-pack", "no_words", "--into", "it's here").stdout.splitlines()[-1]
    quoted = shlex.split(last.removeprefix("now: "))
    assert quoted == [
        *("pip", "install", "-e", "it's here/jackline-no-words[test]", "&&", "pytest", "it's here/jackline-no-words"),
        *("&&", "jackline", "test", "it's here/jackline-no-words/tests"),
    ]


def test_a_name_that_is_taken(run):
    assert "a policy 'rule' is installed already, by jackline" in run("new-pack", "rule", code=1).stderr


def test_a_folder_that_cannot_be_made(run, tmp_path):
    (tmp_path / "file").write_text("", encoding="utf-8")
    told = run("new-pack", "no_words", "--into", "file", code=1).stderr
    assert told == f"{Path('file') / 'jackline-no-words'} cannot be written: Not a directory\n"


@pytest.fixture
def environment(tmp_path):
    """An environment of its own that sees what this one has installed."""
    folder = tmp_path / "environment"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", str(folder)], check=True)
    (purelib,) = folder.glob("lib/python*/site-packages")
    seen = "".join(f"import site; site.addsitedir({path!r})\n" for path in site.getsitepackages())
    (purelib / "seen.pth").write_text(seen, encoding="utf-8")
    return folder / "bin" / "python"


def test_pip_builds_installs_and_removes_a_third_partys_pack(run, environment, tmp_path):
    """What somebody who has only the command line's template gets: offline, without anything of this repository."""
    run("new-pack", "no_words")
    (tmp_path / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    quiet = {**os.environ, "PIP_DISABLE_PIP_VERSION_CHECK": "1", "PIP_CONFIG_FILE": os.devnull}

    def do(*args, code=0):
        ran = subprocess.run(args, cwd=tmp_path, env=quiet, capture_output=True, text=True, check=False)
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout + ran.stderr

    def pip(*args):
        return do(sys.executable, "-m", "pip", "--python", str(environment), *args)

    def jackline(*args, code=0):
        return do(str(environment), "-c", "from jackline.cli import main; main()", *args, code=code)

    assert "unknown policy 'no_words'" in jackline("check", code=1)
    pip("install", "--no-index", "--no-deps", "--no-build-isolation", "./jackline-no-words")
    listed = json.loads(jackline("plugins", "--json"))
    assert "jackline-no-words 0.1.0" in json.dumps(listed)
    assert "jackline.yaml: ok" in jackline("check")
    assert "2 cases" in jackline("test", "jackline-no-words/tests")
    tested = do(str(environment), "-m", "pytest", "-q", "-p", "no:cacheprovider", "jackline-no-words")
    assert " passed" in tested
    pip("uninstall", "--yes", "jackline-no-words")
    assert "unknown policy 'no_words'" in jackline("check", code=1)
    assert "jackline-no-words" not in jackline("plugins", "--json")
    do(str(environment), "-c", "import jackline_no_words", code=1)

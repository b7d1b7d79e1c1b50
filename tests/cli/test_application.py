"""The program as a whole: help, versions, errors, plugins' commands, and what starting it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import types
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

import jackline
from jackline.cli import main
from jackline.cli.application import application, build
from jackline.plugins import load_plugins

VERBS = [
    "check", "test", "schema", "sessions", "trace", "agents", "stop", "pause", "reopen", "status", "doctor", "verify",
    "ingest", "plugins", "demo",
]  # fmt: skip
FAMILY = ["list", "show", "set", "apply"]
HERE = Path(__file__).resolve().parent
DOCS = HERE.parents[1] / "docs" / "cli.md"


def commands():
    """Every verb with its words, as the program has it."""
    group = typer.main.get_command(application())
    for name, command in group.commands.items():
        if name in ("console", "up", "serve"):
            continue  # of another distribution, which may not be here: its own tests look at them
        if hasattr(command, "commands"):
            yield from ((f"{name} {inner}", sub) for inner, sub in command.commands.items())
        else:
            yield name, command


ALL = dict(commands())


def test_every_verb_is_there_with_help_and_an_example(run):
    assert {name.partition(" ")[0] for name in ALL} >= set(VERBS)
    assert {name for name in ALL if name.startswith("agents ")} >= {f"agents {name}" for name in FAMILY}
    shown = run("--help").stdout
    assert all(verb in shown for verb in VERBS)


@pytest.mark.parametrize("name", ALL)
def test_help_says_how_it_is_typed(name, run):
    shown = " ".join(run(*name.split(), "--help").stdout.split())
    assert f"Usage: jackline {name}" in shown
    assert re.search(rf"(For example|In CI): jackline {name}", shown), f"the help of '{name}' has no example"


@pytest.mark.parametrize("name", ALL)
def test_every_option_is_documented_and_tested(name):
    """P37: an option that nobody sees an effect of does not exist."""
    documented = DOCS.read_text(encoding="utf-8")
    tested = "".join(path.read_text(encoding="utf-8") for path in HERE.parent.glob("*/test_*.py"))
    assert f"jackline {name}" in documented
    for parameter in ALL[name].params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in documented, f"docs/cli.md does not name {option} of {name}"
                assert f'"{option}"' in tested, f"no test uses {option} of {name}"


def test_the_version(run):
    assert run("--version").stdout == f"jackline {jackline.__version__}\n"


def test_nothing_asked_shows_the_help(run):
    result = CliRunner().invoke(application(), [])
    assert "Usage: " in result.output


def test_a_misspelt_verb_is_a_usage_error(run):
    assert "No such command 'chek'" in run("chek", code=2).stderr


def test_another_home_can_be_named(tmp_path, run, ask, monkeypatch):
    home = tmp_path / "elsewhere"
    with jackline.Guard(home=home, application="desk") as guard, guard.session(id="job-1"):
        pass
    assert "no journals yet" in run("sessions", code=1).stderr
    assert ask("--home", home, "sessions")["sessions"][0]["external_id"] == "job-1"
    monkeypatch.setenv("JACKLINE_HOME", str(home))
    assert ask("sessions")["sessions"][0]["external_id"] == "job-1"


def test_the_program_is_installed_and_prints_json_alone(program):
    ran = program("sessions", "--json")
    assert ran.returncode == 1
    assert "no journals yet" in json.loads(ran.stdout)["error"]
    assert ran.stderr == ""
    assert program("--version").stdout == f"jackline {jackline.__version__}\n"


def test_main_is_what_the_entry_point_names(monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["jackline", "--version"])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"jackline {jackline.__version__}\n"


def test_help_loads_nothing_heavy(tmp_path):
    script = (
        "import sys, jackline.cli\n"
        "sys.argv = ['jackline', '--help']\n"
        "try:\n    jackline.cli.main()\nexcept SystemExit: pass\n"
        "heavy = {'pydantic', 'sqlalchemy', 'yaml', 'alembic', 'genai_prices', 're2'} & set(sys.modules)\n"
        "print('heavy:', sorted(heavy), file=sys.stderr)\n"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert "Usage" in ran.stdout
    assert ran.stderr == "heavy: []\n"


class Greeting:
    """A plugin with a verb of its own."""

    def jackline_register_commands(self, cli):
        @cli.command("greet")
        def greet(name: str) -> None:
            """Say hello."""
            if name == "nobody":
                raise jackline.JacklineError("there is nobody to greet")
            typer.echo(f"hello {name}")


def test_third_parties_bring_verbs_through_the_same_hook(jackline_home):
    app = build(load_plugins([("greeting", Greeting())], installed=False))
    assert CliRunner().invoke(app, ["greet", "ann"]).stdout == "hello ann\n"
    ended = CliRunner().invoke(app, ["greet", "nobody"])
    assert (ended.exit_code, ended.stderr) == (1, "there is nobody to greet\n")
    assert "greet" in CliRunner().invoke(app, ["--help"]).stdout


def test_plugins_are_listed_with_their_distribution(run, ask):
    answer = ask("plugins")
    rule = next(row for row in answer["registered"] if (row["kind"], row["name"]) == ("policy", "rule"))
    assert rule["distribution"] == f"jackline {jackline.__version__}"
    assert "jackline.stores.sqlite:SQLiteStore" in run("plugins").stdout


def test_the_demo_is_given_what_was_asked(run, monkeypatch):
    asked = []

    def tell(*args):
        asked.append(args)
        return 1

    monkeypatch.setitem(sys.modules, "jackline.demo", types.SimpleNamespace(run=tell))
    run("demo", "--scenario", "audit-gap", "--sessions", "5", "--framework", "langchain", "--json", code=1)
    run("demo", code=1)
    assert asked == [("audit-gap", True, 5, "langchain"), (None, False, 100, "langchain")]


@pytest.mark.parametrize(
    ("missing", "install"),
    [
        ("langchain_core.tools", "the demo needs langchain_core; try: pip install jackline-langchain langchain"),
        ("jackline_budget", "the demo needs jackline_budget; try: pip install jackline-budget"),
    ],
)
def test_the_demo_names_what_is_missing(missing, install, run, ask, monkeypatch):
    def tell(*_):
        raise ModuleNotFoundError(f"No module named {missing!r}", name=missing)

    monkeypatch.setitem(sys.modules, "jackline.demo", types.SimpleNamespace(run=tell))
    assert run("demo", code=1).stderr == f"{install}\n"
    assert ask("demo", code=1) == {"error": install}


def test_another_missing_module_of_the_demo_is_not_explained_away(run, monkeypatch):
    def tell(*_):
        raise ModuleNotFoundError("No module named 'yy'", name="yy")

    monkeypatch.setitem(sys.modules, "jackline.demo", types.SimpleNamespace(run=tell))
    with pytest.raises(ModuleNotFoundError, match="yy"):
        run("demo")

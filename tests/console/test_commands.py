"""What is typed to serve the console and to let people in."""

from __future__ import annotations

import json
import re
import socket
from pathlib import Path

import httpx
import pytest
import typer
from console_harness import PASSWORD, PATIENCE, Process, program
from typer.testing import CliRunner

from jackline.cli.application import application
from jackline.errors import JacklineError
from jackline.events import AccessAmended
from jackline.home import Home
from jackline.journal import read
from jackline_console import serving
from jackline_console.access.passwords import matches
from jackline_console.access.users import Users
from jackline_console.app import create_app
from jackline_console.running import announced
from jackline_console.running import link as link_of
from jackline_console.settings import Settings

HERE = Path(__file__).resolve().parent
DOCS = (HERE.parents[1] / "docs" / "cli.md").read_text(encoding="utf-8")


@pytest.fixture
def run(home, config, monkeypatch):
    monkeypatch.setenv("JACKLINE_HOME", str(home))
    monkeypatch.setenv("JACKLINE_CONFIG", str(config))

    def type_(*words, code=0):
        result = CliRunner().invoke(application(), list(words))
        assert result.exit_code == code, result.output
        return result

    return type_


def commands():
    group = typer.main.get_command(application())
    console = group.commands["console"]
    yield "console", console
    yield "up", group.commands["up"]
    for name, command in console.commands["users"].commands.items():
        yield f"console users {name}", command


@pytest.mark.parametrize("name", dict(commands()))
def test_every_option_is_documented_and_has_a_meaning_here(name, run):
    shown = " ".join(run(*name.split(), "--help").stdout.split())
    assert f"For example: jackline {name}" in shown
    assert f"jackline {name}" in DOCS
    for parameter in dict(commands())[name].params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in DOCS, f"docs/cli.md does not name {option} of {name}"


def test_people_are_let_in(run, home, config):
    words = ["console", "users", "add", "ana", "--role", "approver", "--password", PASSWORD, "--why", "finance"]
    told = json.loads(run(*words, "--json").stdout)
    assert (told["name"], told["role"]) == ("ana", "approver")
    assert told["key"].startswith("ed25519:")
    assert (config / "keys" / "ana.pem").exists()
    user = Users(Home(home).path / "console").users()["ana"]
    assert matches(user.hash, PASSWORD)
    events = [line.event for path in (home / "journals").iterdir() for line in read(path)]
    (amended,) = [event for event in events if isinstance(event, AccessAmended)]
    assert (amended.subject, amended.why, amended.changes) == ("ana", "finance", {"created": True, "role": "approver"})
    shown = run("console", "users", "add", "ben", "--role", "approver", "--password", PASSWORD).stdout
    assert re.search(r"ben may log in as approver\n", shown)
    assert re.search(r'  ben: \{key: "ed25519:', shown)
    assert "ana" in run("console", "users", "list").stdout
    assert [one["name"] for one in json.loads(run("console", "users", "list", "--json").stdout)["users"]] == [
        "ana",
        "ben",
    ]
    wrong = run("console", "users", "add", "eve", "--role", "king", "--password", PASSWORD, code=2)
    assert "expected one of reporter, viewer, approver," in " ".join(wrong.stderr.split())
    assert "10 to 1024 were expected" in run("console", "users", "add", "eve", "--password", "short", code=1).stderr


def test_nobody_is_there_yet(run):
    assert run("console", "users", "list").stdout == "no users: the console serves this machine only\n"
    assert "no console runs on" in run("console", "--link", code=1).stderr


def test_a_port_that_is_taken_is_named(home, folder):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        process = Process(program(), "console", "--port", port, "--no-open", home=home, folder=folder)
        process.end()
    assert process.child.returncode == 1
    assert f"cannot listen on 127.0.0.1:{port}" in process.errors
    assert "--port 0 takes a free port" in process.errors


def test_up_serves_and_ends_when_it_is_told_to(home, folder, config):
    """P73: one command, an embedded database, no container and nothing to set up."""
    process = Process(program(), "up", "--port", "0", "--no-open", home=home, folder=folder, config=config)
    assert process.line() == f"jackline console for {home}"
    link = process.line()
    assert re.fullmatch(r"  http://127\.0\.0\.1:\d+/login\?token=\S+", link)
    assert httpx.get(f"{link.strip().partition('/login')[0]}/healthz", timeout=PATIENCE).json() == {"status": "ok"}
    running = home / "console" / "running.json"
    assert running.stat().st_mode & 0o777 == 0o600
    process.child.terminate()
    process.child.wait(PATIENCE)
    process.end()
    assert not running.exists()
    assert process.errors == ""
    assert (home / "index.db").read_bytes().startswith(b"SQLite format 3\0")


def test_a_browser_is_started_with_a_file_and_never_with_the_link(home, monkeypatch, capsys):
    """Other users of the machine see what programs are started with, and would be faster than the browser."""
    app = create_app(Settings(home=Home(home)))
    opened = []
    monkeypatch.setattr(serving.webbrowser, "open", opened.append)
    with announced(Home(home), "http://127.0.0.1:1/", "x"):
        serving._greet(app.state.console, "http://127.0.0.1:1/", browser=True)
        link = capsys.readouterr().out.splitlines()[1].strip()
        assert opened == [(home / "console" / "open.html").as_uri()]
        door = home / "console" / "open.html"
        assert f'url={link}">' in door.read_text()
        assert door.stat().st_mode & 0o777 == 0o600
    assert not door.exists()
    app.state.console.close()


def test_a_console_that_does_not_answer_is_said(home):
    with announced(Home(home), "http://127.0.0.1:1/", "x"), pytest.raises(JacklineError, match="no console runs on"):
        link_of(Home(home))

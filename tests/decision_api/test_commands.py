"""`jackline serve` and the tokens of agents, as they are typed."""

from __future__ import annotations

import json
import re
import ssl
import subprocess
from pathlib import Path

import httpx
import pytest
import typer
from decision_harness import check, events
from typer.testing import CliRunner

from jackline.cli.application import application
from jackline.home import Home
from jackline_console.access.users import Users

DOCS = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")
TESTS = "".join(path.read_text(encoding="utf-8") for path in Path(__file__).parent.glob("test_*.py"))


@pytest.fixture
def run(home, monkeypatch):
    """Type a command; the answer has the expected exit code, and nothing was raised."""
    monkeypatch.setenv("JACKLINE_HOME", str(home))

    def type_(*args, code=0):
        result = CliRunner().invoke(application(), [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return type_


def commands():
    serve = typer.main.get_command(application()).commands["serve"]
    yield "serve", serve
    for name, command in serve.commands["tokens"].commands.items():
        yield f"serve tokens {name}", command


@pytest.mark.parametrize("name", dict(commands()))
def test_every_option_is_documented_and_tested(name, run):
    shown = " ".join(run(*name.split(), "--help").stdout.split())
    assert f"For example: jackline {name}" in shown
    assert f"jackline {name}" in DOCS
    for parameter in dict(commands())[name].params:
        for option in parameter.opts:
            if option.startswith("--") and option != "--help":
                assert f"`{option}" in DOCS, f"docs/cli.md does not name {option} of {name}"
                assert f'"{option}"' in TESTS, f"no test uses {option} of {name}"


def test_a_token_is_made_listed_and_revoked(run, home):
    assert "no agent has a token" in run("serve", "tokens", "list").stdout
    words = ["serve", "tokens", "add", "billing", "--version", "3.1", "--framework", "go", "--why", "pilot"]
    made = json.loads(run(*words, "--hours", "2", "--json").stdout)
    users = Users(Home(home).path / "console")
    token = users.agent(made["token"], 0.0)
    assert (token.agent, token.version, token.framework, token.id) == ("billing", "3.1", "go", made["id"])
    assert token.expires == pytest.approx(token.created + 7200)
    assert made["token"] not in (home / "console" / "access.json").read_text(encoding="utf-8")
    listed = run("serve", "tokens", "list")
    assert "billing" in listed.stdout
    assert made["token"] not in listed.stdout
    assert json.loads(run("serve", "tokens", "list", "--json").stdout)["tokens"][0]["id"] == made["id"]
    shown = run("serve", "tokens", "revoke", made["id"], "--why", "over").stdout
    assert shown == f"token {made['id']} of agent billing is revoked\n"
    assert users.agent(made["token"], 0.0) is None
    gone = run("serve", "tokens", "revoke", made["id"], code=1)
    assert f"no agent has a token '{made['id']}'; see: jackline serve tokens list" in gone.stderr
    told = [(one.subject, one.why, one.changes) for one in events(home, "access_amended")]
    assert told == [
        ("token of agent billing", "pilot", {"created": True}),
        ("token of agent billing", "over", {"revoked": True}),
    ]


def test_a_token_for_people_is_printed_alone(run):
    shown = run("serve", "tokens", "add", "billing")
    assert re.fullmatch(r"jkl_[\w-]{43}\n", shown.stdout)
    assert "of agent billing; it is not shown again" in shown.stderr
    assert "an agent's name has letters that can be seen" in run("serve", "tokens", "add", "a\nb", code=2).output


def test_in_the_clear_it_serves_this_machine_only(run, bundle):
    told = run("serve", "--host", "0.0.0.0", "--bundle", bundle, code=1).stderr
    assert "on 0.0.0.0 tokens would cross the network in the clear: give --tls-cert and --tls-key" in told


def test_a_bundle_that_is_none_is_named(run, tmp_path):
    assert "nothing.yaml" in run("serve", "--bundle", tmp_path / "nothing.yaml", "--port", "0", code=1).stderr


def test_behind_https_it_serves_other_names(serve):
    server = serve("--host", "0.0.0.0", "--behind-https", "--name", "decide.example")
    server.base = server.base.replace("0.0.0.0", "127.0.0.1")
    client = server.client("billing")
    client.headers["Host"] = "decide.example"
    assert check(client)["permitted"]
    answer = client.get("/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_it_speaks_https(serve, tmp_path):
    certificate, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1"]
    words = ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", *subject]
    subprocess.run([*words, "-keyout", str(key), "-out", str(certificate)], check=True, capture_output=True)
    server = serve("--tls-cert", str(certificate), "--tls-key", str(key))
    assert server.base.startswith("https://")
    trusted = ssl.create_default_context(cafile=str(certificate))
    assert httpx.get(f"{server.base}/healthz", verify=trusted, trust_env=False).json() == {"status": "ok"}

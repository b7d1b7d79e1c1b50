"""Homes made by real guards, and a way to type commands."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from typer.testing import CliRunner

import jackline
from jackline.cli.application import application
from jackline.events import Usage
from jackline.request import Model

POLICIES = """\
jackline: 1
policies:
  - name: small-refunds
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: deny
    reason: more than 500
  - name: crm-lock
    use: rule
    on: tool.call
    agents: agent.team == 'crm'
    when: tool.status == 'new'
    effect: deny
  - name: no-wires
    use: rule
    on: tool.call
    when: tool.name == 'wire'
    effect: halt
    reason: nobody wires money
"""


@pytest.fixture
def run(jackline_home, tmp_path, monkeypatch):
    """Type a command in an empty folder; the answer has the expected exit code, and nothing was raised."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JACKLINE_REQUIRE_BUNDLE", raising=False)

    def type_(*args, code=0):
        result = CliRunner().invoke(application(), [str(arg) for arg in args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return type_


@pytest.fixture
def ask(run):
    """Type a command with --json and read its answer: nothing else may be on stdout."""

    def read(*args, code=0):
        return json.loads(run(*args, "--json", code=code).stdout)

    return read


@pytest.fixture
def bundle(tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text(POLICIES, encoding="utf-8")
    return path


@pytest.fixture
def guard(jackline_home, bundle):
    """A guard of a program called desk."""
    with jackline.Guard.load(bundle, application="desk") as made:
        yield made


@pytest.fixture
def model_call(guard):
    """Make one model call as an adapter makes it."""

    def call(name="gpt-4o-mini", provider="openai", answered=""):
        model = Model(name=name, provider=provider, max_tokens=100, input_bytes=40)
        messages = [{"role": "user", "content": "find order 7"}]
        request = guard.request("model.call", name, {"messages": messages}, model=model)
        decision = guard.check(request)
        guard.complete(request, decision, {"text": "done"}, usage=Usage(input=1000, output=50), model=answered)

    return call


@pytest.fixture
def story(guard, model_call):
    """Two sessions: job-17 is allowed and denied things, job-18 is halted. What ran is listed."""
    ran = []

    @guard.tool
    def crm_get(customer):
        ran.append("crm_get")
        return {"customer": customer, "mail": "ann@example.com"}

    @guard.tool
    def refund(order, amount):
        ran.append("refund")
        return crm_get(order)

    @guard.tool
    def broken():
        ran.append("broken")
        raise ValueError("no")

    @guard.tool
    def wire(amount):
        ran.append("wire")

    with guard.session(id="job-17", user="u-9", labels={"purpose": "research"}, agent="support"):
        model_call()
        refund("A-7", 20)
        with pytest.raises(jackline.Denied):
            refund("A-7", 900)
        with pytest.raises(ValueError, match="no"):
            broken()
    with guard.session(id="job-18", agent="billing"):
        crm_get("c-1")
        with pytest.raises(jackline.Halted):
            wire(10)
    guard.close()
    return ran


@pytest.fixture
def crashed(jackline_home, bundle):
    """A session job-9 whose process was killed inside a tool."""
    script = f"""
        import jackline, os, signal
        guard = jackline.Guard.load({str(bundle)!r}, application="desk")

        @guard.tool
        def long_job():
            os.kill(os.getpid(), signal.SIGKILL)

        with guard.session(id="job-9", agent="night"):
            long_job()
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    return jackline_home


@pytest.fixture
def program(run, tmp_path):
    """Run the installed program in a process of its own."""

    def start(*args):
        command = [str(Path(sys.executable).with_name("jackline")), *map(str, args)]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)

    return start

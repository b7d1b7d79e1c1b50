"""What the programs of examples/ show is what they say: users copy them."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).resolve().parents[2] / "examples"
LARGE = "Not permitted by policy 'large-refunds': refunds above 500 go through the back office"
SHOWN = {
    "plain_tools.py": [
        "40 for A-7",
        "60 for A-7",
        "C-1: Ann",
        "['ann 0', 'ann 1', 'ann 2']",
        LARGE,
        "  decided by: large-refunds",
        "Not permitted by policy 'support-tools': no policy permits tool.call 'wipe_disk' for agent 'support-desk'",
        "  decided by: support-tools",
        "spent $0.00, halted: False",
    ],
    "langchain_init.py": [
        "crm_get: C-1: Ann",
        f"refund: {LARGE}",
        "wipe_disk: Not permitted by policy 'support-tools': no policy permits tool.call 'wipe_disk' for agent 'support'",
        "refund: 40.0 for A-7",
        "done",
    ],
    "langchain_handler.py": [LARGE, "40.0 for A-7", LARGE],
    "langchain_middleware.py": [
        f"middleware: {LARGE}",
        f"attached: {LARGE}",
        "not attached: 4000.0 for A-7",
        "both spent $0.000108",
    ],
    "approvals.py": [
        "waits: refunds above 500",
        "900 for A-1",
        "waits: refunds above 500",
        "450 for A-2",
        "waits: refunds above 500",
        "Not permitted by policy 'refunds-need-a-human': ana denied it: no receipt",
    ],
    "pii_tools.py": [
        "C-1: [EMAIL:...], card **** **** **** 1111",
        "posted 37 signs",
        "sent",
        "Not permitted by policy 'no-secrets': found 1 SECRET",
    ],
    "scripted_model.py": [],
}


@pytest.fixture
def run(tmp_path):
    """Run a program as a user would; give what it printed."""

    def run_(*command, code=0):
        env = os.environ | {"JACKLINE_HOME": str(tmp_path / "home")}
        done = subprocess.run(command, cwd=EXAMPLES, env=env, capture_output=True, text=True, check=False, timeout=120)
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout

    return run_


@pytest.fixture
def jackline(run):
    return lambda *words, code=0: run(str(Path(sys.executable).with_name("jackline")), *words, code=code)


ELSEWHERE = ("crewai_", "llamaindex_", "http_")
"""Programs that need another framework: the tests of its adapter run them."""


def test_every_program_is_here():
    names = [path.name for path in EXAMPLES.glob("*.py") if not path.name.startswith(ELSEWHERE)]
    assert sorted(names) == sorted(SHOWN)


@pytest.mark.parametrize("name", SHOWN)
def test_a_program_prints_what_was_decided(name, run):
    assert run(sys.executable, name).splitlines() == SHOWN[name]


def test_the_bundle_loads(jackline):
    assert jackline("check", "jackline.yaml").startswith("jackline.yaml: ok, mode enforce")


def test_the_policy_cases_pass(jackline):
    assert jackline("test", "policy_cases").splitlines()[-1] == "8 cases, all passed"


def test_the_manifest_is_applied_to_an_agent_that_ran(run, jackline):
    run(sys.executable, "langchain_init.py")
    told = jackline("agents", "apply", "agents.yaml").splitlines()
    assert told == [
        "support: changed: status active, team care, environment production, labels tier=1, forbid wipe_disk",
        "support: drift: the tool 'wipe_disk' was seen and is not declared",
    ]
    again = jackline("agents", "apply", "agents.yaml", "--check", code=1).splitlines()
    assert again == ["support: drift: the tool 'wipe_disk' was seen and is not declared", "nothing to change"]


def test_a_program_that_does_not_close_its_guard_is_told_as_ended(run, jackline):
    run(sys.executable, "langchain_init.py")
    (row,) = json.loads(jackline("sessions", "--json"))["sessions"]
    assert (row["external_id"], row["user"], row["state"], row["denied"]) == ("ticket-1", "u-9", "ended", 2)
    assert json.loads(jackline("verify", "--json"))["ok"]

"""`jackline budget status` and `top-up`: a person sees what was spent, and raises a limit on record."""

from __future__ import annotations

import json
import os
import pwd
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import jackline
from jackline.cli.application import application
from jackline.events import BudgetToppedUp, SessionReopened
from jackline.journal import read
from jackline.ledger import Entry, Ledger
from jackline_budget.balances import group, standings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

ME = pwd.getpwuid(os.getuid()).pw_name
PRICES = "tool_prices: {step: 0.01 USD}"
BUNDLE = f"""\
jackline: 1
policies:
  - {{name: job, use: budget, with: {{limit: 0.02 USD, per: session, on_exceed: halt, {PRICES}}}}}
  - {{name: everyone, use: budget, with: {{limit: 5 calls, per: all, window: 24h, on_exceed: halt}}}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    return tmp_path / "home"


@pytest.fixture
def run(home: Path) -> Callable[..., Any]:
    """Type a command; the answer has the expected exit code."""

    def type_(*args: str, code: int = 0) -> Any:
        result = CliRunner().invoke(application(), ["budget", *args])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        assert result.exit_code == code, result.output
        return result

    return type_


@pytest.fixture
def guard(home: Path) -> Iterator[jackline.Guard]:
    with jackline.Guard.load("jackline.yaml", application="desk") as made:
        yield made


@pytest.fixture
def step(guard: jackline.Guard) -> Callable[[], str]:
    @guard.tool
    def step() -> str:
        return "done"

    return step


def said(home: Path, kind: Any) -> list[Any]:
    paths = sorted((home / "journals").glob("*.jsonl"))
    return [line.event for path in paths for line in read(path) if isinstance(line.event, kind)]


def test_a_top_up_reopens_the_session_that_this_budget_ended(
    guard: jackline.Guard, step: Callable[[], str], run: Callable[..., Any], home: Path
) -> None:
    with guard.session(id="job-1") as session:
        step()
        step()
        for _ in range(2):
            with pytest.raises(jackline.Halted, match=r"0\.02 USD per session: 0\.02 USD spent, this could take 0\.01"):
                step()
        told = json.loads(run("top-up", f"job/session/{session.id[:6]}", "0.01 USD", "--why", "PR 12", "--json").stdout)
        scope = f"job/session/{session.id}/usd"
        assert told == {
            "scope": scope,
            "unit": "usd",
            "amount": 10_000,
            "raised": 10_000,
            "who": ME,
            "why": "PR 12",
            "reopened": [session.id],
        }
        assert step() == "done"
        with pytest.raises(
            jackline.Halted, match=r"0\.02 USD per session and 0\.01 USD more by top-ups: 0\.03 USD spent"
        ):
            step()
    (topped,) = said(home, BudgetToppedUp)
    assert (topped.scope, topped.unit, topped.amount, topped.raised) == (scope, "usd", 10_000, 10_000)
    assert (topped.who, topped.why) == (ME, "PR 12")
    assert [(event.session, event.who, event.why) for event in said(home, SessionReopened)] == [
        (session.id, ME, "PR 12")
    ]
    listed = json.loads(run("status", "job/", "--json").stdout)["scopes"]
    assert listed == [
        {
            "policy": "job",
            "scope": scope,
            "unit": "usd",
            "limit": 20_000,
            "raised": 10_000,
            "spent": 30_000,
            "held": 0,
            "left": 0,
        }
    ]


def test_a_scope_of_many_sessions_reopens_those_that_it_ended_and_no_other(
    guard: jackline.Guard, step: Callable[[], str], run: Callable[..., Any], home: Path
) -> None:
    ids = []
    for number in range(4):
        with guard.session(id=f"job-{number}") as session:
            ids.append(session.id)
            for _ in range(2 + (number == 0)):
                try:
                    step()
                except jackline.Halted:
                    break
    shown = run("top-up", "everyone/", "2 calls", "--why", "a busy day").stdout.splitlines()
    assert shown[0] == f"everyone/all/window/1d/calls raised by 2 calls by {ME}: a busy day"
    assert sorted(shown[1:]) == sorted(f"session {each} reopened" for each in ids[2:])
    with guard.session(id="job-3"):
        assert step() == "done"
    with guard.session(id="job-0"), pytest.raises(jackline.Halted, match="per session"):
        step()
    rows = run("status").stdout.splitlines()
    assert rows[0].split() == ["scope", "limit", "raised", "spent", "held", "left"]
    assert rows[1].split() == [
        "everyone/all/window/1d/calls",
        "5",
        "calls",
        "2",
        "calls",
        "6",
        "calls",
        "0",
        "calls",
        "1",
        "calls",
    ]


def test_what_a_person_stopped_stays_stopped(
    guard: jackline.Guard, step: Callable[[], str], run: Callable[..., Any], home: Path
) -> None:
    with guard.session(id="job-1") as session:
        step()
        step()
        with pytest.raises(jackline.Halted):
            step()
        guard.control.stop(session.id, "ann", "wait")
        told = json.loads(run("top-up", "job", "1 USD", "--why", "x", "--json").stdout)
        assert told["reopened"] == []
        with pytest.raises(jackline.Halted):
            step()


def test_what_cannot_be_topped_up_is_told(
    guard: jackline.Guard, step: Callable[[], str], run: Callable[..., Any], home: Path
) -> None:
    with guard.session(id="job-1"):
        step()
    with guard.session(id="job-2"):
        step()

    def refusal(*args: str, code: int = 1) -> str:
        return str(json.loads(run("top-up", *args, "--json", code=code).stdout)["error"])

    assert refusal("job", "1 USD", "--why", " ") == "say why: the reason stands in the record"
    assert refusal("job", "1 call", "--why", "x") == "no scope in calls begins with 'job'; see: jackline budget status"
    assert refusal("job", "1 USD", "--why", "x").startswith("2 scopes in usd begin with 'job': job/session/")
    assert refusal("job", "1", "--why", "x", code=2) == (
        "Invalid value: '1' is not an amount; write it with its unit: 0.50 USD, 200k tokens or 40 calls"
    )
    assert refusal("job", "0 USD", "--why", "x", code=2) == "Invalid value: a top-up of nothing raises nothing"
    assert said(home, BudgetToppedUp) == [], "what was refused is not on record"
    assert run("status", "jib").stdout == "no budget has counted anything in a scope that begins with 'jib'\n"


def test_without_a_ledger_or_a_bundle(run: Callable[..., Any], home: Path, tmp_path: Path) -> None:
    assert "no budget has counted anything yet in " in run("status", code=1).stderr
    with jackline.Guard.load("jackline.yaml", application="desk"):
        (tmp_path / "jackline.yaml").write_text("jackline: 2\n", encoding="utf-8")
        told = run("status")
        assert told.stdout == "no budget has counted anything\n"
        assert "does not load, so limits are not known; see: jackline check jackline.yaml" in told.stderr
        (tmp_path / "jackline.yaml").unlink()
        assert run("status").stderr == ""


def test_a_window_that_is_over_counts_nothing_and_cannot_be_raised() -> None:
    entries = [
        Entry("p/all/window/1d/3/calls", "calls", 5, 1, 0, raised=7, turn=100),
        Entry("p/all/window/1d/4/calls", "calls", 2, 0, 0, turn=101),
    ]
    (now,) = standings(entries, {("p", "calls"): 10}, 112 * 7200.0 - 1)
    assert (now.spent, now.held, now.raised, now.left, now.key) == (7, 1, 7, 9, "p/all/window/1d/4/calls")
    (later,) = standings(entries, {}, 114 * 7200.0)
    assert (later.spent, later.held, later.raised, later.left, later.key) == (0, 1, 0, None, "")
    (long,) = standings([Entry("p/user/" + "x" * 169, "usd", 1, 0, 0)], {}, 0.0)
    assert long.key == ""
    assert group("p/session/5e/usd") == "p/session/5e/usd"


def test_names_that_look_like_a_window_are_names() -> None:
    """An agent is called `window` and its user 12; neither is a part of a rolling window."""
    scope = "p/agent/window/user/12/usd"
    assert group(scope) == scope
    (standing,) = standings([Entry(scope, "usd", spent=5, held=1, touched=0)], {("p", "usd"): 9}, now=1e9)
    assert (standing.scope, standing.key, standing.spent, standing.left) == (scope, scope, 5, 3)


def test_the_ledger_raises_only_what_it_counts(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger")
    with pytest.raises(jackline.errors.LedgerError, match="Nothing was ever counted in scope 'x', so there is nothing"):
        ledger.top_up("x", 1)
    with pytest.raises(jackline.errors.LedgerError, match="A top-up of 0 raises nothing: name more than 0"):
        ledger.top_up("x", 0)
    ledger.close()

"""`jackline budget prune`: what is over is forgotten, on record; what still counts never is."""

from __future__ import annotations

import json
import multiprocessing
import time
from typing import TYPE_CHECKING, Any

import pytest
from typer.testing import CliRunner

import jackline
from jackline.cli.application import application
from jackline.decision import Claim, Reservation
from jackline.events import BudgetPruned
from jackline.journal import read
from jackline.ledger import Entry, Ledger
from jackline_budget.retention import DAY, over

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_800_000_000.0  # 2027-01-15 08:00 UTC
OLD = int(NOW - 40 * DAY)
ENDED, LIVE = "e" * 32, "a" * 32


@pytest.mark.parametrize(
    ("scope", "touched", "expected"),
    [
        (f"job/session/{ENDED}/usd", OLD, True),
        (f"job/session/{ENDED}/usd", int(NOW - 29 * DAY), False),
        (f"job/session/{LIVE}/usd", OLD, False),
        (f"job/session/{LIVE}/day/2026-12-01/usd", OLD, True),
        ("cap/agent/support/day/2026-12-01/calls", OLD, True),
        ("cap/day/2027-01-14/calls", OLD, False),
        ("cap/day/2027-01-15/calls", OLD, False),
        ("cap/month/2026-11/tokens", OLD, True),
        ("cap/month/2027-01/tokens", OLD, False),
        ("cap/all/window/4w/3/usd", OLD, True),
        ("cap/all/window/60d/3/usd", OLD, False),
        ("cap/user/acme:u-1/usd", OLD, False),
        ("cap/agent/support/usd", OLD, False),
        ("cap/all/usd", OLD, False),
        ("of/another/pack", OLD, False),
        (f"{'x' * 200}/day/2026-12-01/usd"[:176], OLD, False),
    ],
)
def test_only_what_counts_no_more_is_over(scope: str, touched: int, expected: bool) -> None:
    entry = Entry(scope, "usd", 5, 0, touched)
    assert bool(over([entry], {LIVE}, NOW, NOW - 30 * DAY)) is expected
    assert over([entry._replace(held=1)], {LIVE}, NOW, NOW - 30 * DAY) == []


def spend(ledger: Ledger, scope: str, at: float) -> None:
    made = ledger.reserve([Claim(scope=scope, unit="calls", cap=1 << 40, fixed=1)], at=at)
    assert isinstance(made, Reservation)
    ledger.settle(made, {"calls": 1}, at)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home"))
    monkeypatch.chdir(tmp_path)
    (tmp_path / "jackline.yaml").write_text("jackline: 1\npolicies: []\n", encoding="utf-8")
    with jackline.Guard.load("jackline.yaml", application="desk") as guard, guard.session(id="job-1"):
        pass
    return tmp_path / "home"


def run(*args: str, code: int = 0) -> Any:
    result = CliRunner().invoke(application(), ["budget", "prune", *args])
    assert result.exit_code == code, result.output
    return result


def test_what_is_over_is_forgotten_on_record(home: Path) -> None:
    now = time.time()
    ledger = Ledger.open(home / "ledger")
    for scope, age in ((f"job/session/{ENDED}/calls", 40), ("cap/all/calls", 40), (f"job/session/{LIVE}/calls", 2)):
        spend(ledger, scope, now - age * DAY)
    told = json.loads(run("--dry-run", "--json").stdout)
    assert (told["over"], told["pruned"], told["dry_run"]) == (1, 0, True)
    assert len(ledger.balances()) == 3
    assert run("--dry-run").stdout == "1 scope would be forgotten\n"
    assert run("--older-than", "35d").stdout == "1 scope forgotten\n"
    assert {entry.scope for entry in ledger.balances()} == {"cap/all/calls", f"job/session/{LIVE}/calls"}
    assert run().stdout == "0 scopes forgotten\n"
    events = [line.event for path in (home / "journals").glob("*.jsonl") for line in read(path)]
    (event,) = [event for event in events if isinstance(event, BudgetPruned)]
    assert (event.scopes, event.who) == (1, told["who"])
    assert now - 36 * DAY < event.before < now - 34 * DAY
    assert "--older-than" in run("--older-than", "soon", code=2).stderr
    ledger.close()


def test_a_top_up_keeps_its_scope(home: Path) -> None:
    now, scope = time.time(), f"job/session/{ENDED}/calls"
    ledger = Ledger.open(home / "ledger")
    spend(ledger, scope, now - 40 * DAY)
    ledger.top_up(scope, 5, now)
    assert run().stdout == "0 scopes forgotten\n"
    ledger.close()


def _reserving(folder: Path, started: Any, stop: Any, done: Any) -> None:
    """Reserve in a scope of old that came into use, and in new ones, for as long as others prune."""
    ledger, count = Ledger.open(folder), 0
    while not stop.is_set() or count < 50:
        spend(ledger, f"job/session/{LIVE}/calls", time.time())
        spend(ledger, f"job/session/{count:032x}/calls", time.time())
        count += 1
        if count == 10:
            started.set()
    ledger.close()
    done.put(count)


def test_a_process_that_reserves_meanwhile_loses_nothing(home: Path) -> None:
    context = multiprocessing.get_context("spawn")
    started, stop, done = context.Event(), context.Event(), context.Queue()
    ledger, now = Ledger.open(home / "ledger"), time.time()
    other = context.Process(target=_reserving, args=(home / "ledger", started, stop, done))
    other.start()
    assert started.wait(60)
    forgotten = 0
    for round_ in range(5):
        for each in range(100):
            spend(ledger, f"job/session/{round_:016x}{each + 1_000_000:016x}/calls", now - 40 * DAY)
        forgotten += json.loads(run("--json").stdout)["pruned"]
    stop.set()
    count = done.get(timeout=60)
    other.join(60)
    assert forgotten == 500
    assert ledger.balance(f"job/session/{LIVE}/calls").spent == count
    assert len(ledger.balances()) == count + 1
    assert ledger.audit() == []
    ledger.close()

"""`doctor` and `status`: whether policies would hold here, shown by a call that is denied."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from jackline.cli import diagnosis, self_check
from jackline.cli.writers import dead_writers
from jackline.ledger import Ledger, Room
from jackline.plugins import load_plugins
from jackline.stores import sqlite

HOLDING = """
import os, sys
from jackline.decision import Claim
from jackline.ledger import Ledger
ledger = Ledger.open(sys.argv[1])
print(ledger.reserve([Claim(scope="day", unit="usd", cap=100, fixed=40)], at=1.0).id, flush=True)
os._exit(0)
"""


def told(answer, about):
    return [remark for remark in answer["remarks"] if remark["about"] == about]


def test_a_denied_call_is_really_made_and_its_body_does_not_run(run, ask, bundle):
    """P49: the check performs the act that it claims to prevent, and counts."""
    answer = ask("doctor")
    assert answer["ok"] is True
    (remark,) = told(answer, "self-check")
    assert remark["level"] == "ok"
    assert "its body ran 0 times, the body of an allowed one 1 times; both are on record" in remark["message"]
    assert "its body ran 0 times" in run("doctor").stdout


def test_a_guard_that_does_not_deny_is_a_problem(run, ask, monkeypatch):
    """The self-check sees it when denying does not work: nothing of it is taken for granted."""
    monkeypatch.setattr("jackline.cli.self_check._BUNDLE", self_check._BUNDLE.replace("denied_call'", "another'"))
    assert self_check.self_check() == self_check.Outcome(1, 1, raised=False, recorded=False)
    (remark,) = told(ask("doctor", code=1), "self-check")
    assert remark["level"] == "problem"
    assert "its body ran 1 times" in remark["message"]
    assert remark["message"].endswith("Denied was not raised; not on record")
    outcome = self_check.Outcome(0, 0, raised=True, recorded=True)
    monkeypatch.setattr(self_check, "self_check", lambda: outcome)
    assert told(ask("doctor", code=1), "self-check")[0]["message"].endswith("Denied was raised; on record")


def test_the_defaults_are_visible(run, ask, bundle):
    """P55: what happens where no policy says anything is said without being asked for."""
    notes = [remark["message"] for remark in told(ask("doctor"), "bundle")]
    assert "agents that nobody registered: allow" in notes[0]
    assert notes[1].startswith("agents that nobody registered may act; `unregistered: deny` stops them")
    assert ask("status")["bundle"]["unregistered"] == "allow"
    assert "agents that nobody registered: allow; those that only report: deny" in run("status").stdout


def test_no_bundle_is_said_plainly(run, ask, tmp_path, monkeypatch):
    (remark,) = told(ask("doctor"), "bundle")
    assert remark["level"] == "warning"
    told_ = f"none (jackline.yaml is not in {tmp_path}): agents are registered and traced, nothing is refused"
    assert remark["message"] == told_
    assert f"bundle: {told_}" in run("status").stdout
    assert ask("status")["bundle"] is None
    monkeypatch.setenv("JACKLINE_REQUIRE_BUNDLE", "1")
    assert told(ask("doctor", code=1), "bundle")[0]["level"] == "problem"


def test_a_bundle_that_does_not_load_is_a_problem(run, ask, bundle):
    bundle.write_text("jackline: 2\n", encoding="utf-8")
    (remark,) = told(ask("doctor", code=1), "bundle")
    assert remark["message"].startswith("invalid, nothing of it is in force\njackline.yaml:1:")
    assert ask("status")["bundle_error"].startswith("jackline.yaml:1:")
    assert "invalid" in run("status").stdout


def test_what_only_watches_and_what_keeps_everything_is_a_warning(ask, tmp_path):
    path = tmp_path / "watch.yaml"
    rule = "{name: a, use: rule, on: tool.call, when: depth > 1, effect: deny%s}"
    path.write_text(f"jackline: 1\nmode: observe\ncapture: full\nunregistered: deny\npolicies: [{rule % ''}]\n")
    remarks = told(ask("doctor", "--bundle", path), "bundle")
    assert [remark["level"] for remark in remarks] == ["warning", "warning"]
    assert "mode observe: nothing is refused, what would have been is recorded" in remarks[0]["message"]
    assert remarks[1]["message"].startswith("capture: full keeps every prompt")
    path.write_text(f"jackline: 1\nunregistered: deny\npolicies: [{rule % ', mode: observe'}]\n")
    assert told(ask("doctor", "--bundle", path), "bundle")[1]["message"] == "only observed, never enforced: a"
    assert "mode observe" not in ask("status", "--bundle", path)["bundle"]["mode"]


def test_a_home_that_cannot_be_written(run, ask, tmp_path):
    (tmp_path / "taken").write_text("")
    home = tmp_path / "taken" / "home"
    answer = ask("--home", home, "doctor", code=1)
    assert told(answer, "home")[0]["message"].startswith(f"cannot create the state folder {home}")
    assert f"home: {home} (not there yet)" in run("--home", home, "status").stdout


@pytest.mark.skipif(os.getuid() == 0, reason="root may write everywhere")
def test_a_home_without_rights(ask, jackline_home):
    jackline_home.chmod(0o500)
    assert "cannot be written" in told(ask("doctor", code=1), "home")[0]["message"]


def test_a_home_that_is_full(ask, jackline_home, monkeypatch):
    def full(**_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(diagnosis.tempfile, "TemporaryFile", full)
    remark = told(ask("doctor", code=1), "home")[0]
    assert remark["message"].startswith(
        f"{jackline_home} cannot be written: No space left on device; set JACKLINE_HOME"
    )


def test_a_home_that_others_can_enter(ask, jackline_home):
    jackline_home.chmod(0o755)
    assert told(ask("doctor"), "home")[0]["message"].endswith(f"chmod 700 {jackline_home}")


def test_an_examination_that_cannot_be_made_is_a_problem(ask, jackline_home):
    (jackline_home / "ledger").write_text("")
    (remark,) = told(ask("doctor", code=1), "ledger")
    assert remark["level"] == "problem"
    assert "cannot be opened" in remark["message"]


def test_whatever_breaks_is_told_and_the_rest_is_examined(ask, monkeypatch):
    def broken(_):
        raise TypeError("no such thing")

    monkeypatch.setattr(self_check, "Guard", broken)
    answer = ask("doctor", code=1)
    assert told(answer, "denying")[0]["level"] == "problem"
    assert told(answer, "user")


def test_holds_of_dead_processes_are_told_and_booked(ask, jackline_home):
    folder = jackline_home / "ledger"
    assert told(ask("doctor"), "ledger")[0]["message"] == "nothing metered yet"
    subprocess.run([sys.executable, "-c", HOLDING, str(folder)], check=True, capture_output=True)
    for _ in range(2):
        (remark,) = told(ask("doctor"), "ledger")
        assert remark["level"] == "warning"
        assert "1 holds of dead processes (" in remark["message"]
        assert remark["message"].endswith("are not yet booked as spent; jackline doctor --recover")
    (remark,) = told(ask("doctor", "--recover"), "ledger")
    assert remark["message"].endswith("were booked as spent: what they did is unknown")
    assert told(ask("doctor"), "ledger")[0]["message"] == "1 scopes, no hold of a dead process"


@pytest.mark.parametrize(("used", "level"), [(499, None), (500, "warning")])
def test_a_ledger_that_fills_up_is_told_of_from_half_on(ask, jackline_home, monkeypatch, used, level):
    Ledger.open(jackline_home / "ledger").close()
    monkeypatch.setattr(Ledger, "room", lambda _: Room(used, 1000))
    remarks = told(ask("doctor"), "ledger")
    assert [each["level"] for each in remarks] == ["ok", *([level] if level else [])]
    if level:
        full = "500 of about 1,000 cells are used (50 %); a full ledger refuses: jackline budget prune"
        assert remarks[-1]["message"] == full


def test_a_ledger_that_does_not_add_up_is_a_problem(ask, jackline_home, monkeypatch):
    from jackline.ledger import Ledger  # noqa: PLC0415

    Ledger.open(jackline_home / "ledger").close()
    monkeypatch.setattr(Ledger, "audit", lambda _: ["'day' holds 3, its reservations 0"])
    (remark,) = told(ask("doctor", code=1), "ledger")
    assert (remark["level"], remark["message"]) == ("problem", "'day' holds 3, its reservations 0")


def test_a_journal_whose_process_is_gone_is_named(crashed, ask):
    (remark,) = told(ask("doctor"), "journals")
    assert remark["level"] == "note"
    (path,) = (crashed / "journals").iterdir()
    assert remark["message"].startswith(f"{path.name.removesuffix('.0001.jsonl')} was not closed and its process (")
    path.write_bytes(b"not a journal\n")
    assert dead_writers(crashed / "journals") == []
    path.write_bytes(b"")
    assert dead_writers(crashed / "journals") == []


def test_a_running_process_and_a_closed_journal_are_fine(guard, ask, run):
    assert told(ask("doctor"), "journals")[0]["level"] == "ok"
    guard.close()
    assert told(ask("doctor"), "journals")[0]["level"] == "ok"


def test_a_journal_that_does_not_begin_as_one_has_no_writer(crashed):
    (path,) = (crashed / "journals").iterdir()
    path.write_bytes(b"".join(path.read_bytes().splitlines(keepends=True)[1:]))
    assert dead_writers(crashed / "journals") == []


def test_what_a_user_could_do_is_said(ask):
    assert "self-approval possible" in told(ask("doctor"), "user")[0]["message"]


@pytest.mark.parametrize(("version", "level"), [((3, 40, 1), "warning"), ((3, 51, 3), "ok")])
def test_an_affected_sqlite_is_a_warning(version, level, ask, monkeypatch):
    monkeypatch.setattr(sqlite.sqlite3, "sqlite_version_info", version)
    assert told(ask("doctor"), "sqlite")[0]["level"] == level


def test_prices_that_cannot_be_used_are_a_warning(ask, jackline_home, monkeypatch):
    from jackline.prices import Prices  # noqa: PLC0415

    real = Prices.warm

    def broken(prices, wait=0.0):
        real(prices, wait)
        prices.problem = "genai-prices cannot be imported"
        return True

    monkeypatch.setattr(Prices, "warm", broken)
    assert told(ask("doctor"), "prices")[0]["message"].endswith(
        "a call without a known price is denied by dollar budgets"
    )
    monkeypatch.undo()
    monkeypatch.setenv("JACKLINE_HOME", str(jackline_home))
    (jackline_home / "prices.yaml").write_text("a: [\n")
    assert told(ask("doctor", code=1), "prices")[0]["level"] == "problem"


class Fitting:
    """A plugin with an adapter for what surely is installed."""

    def __init__(self, supports):
        self.supports = supports

    def jackline_register_adapters(self, register):
        register("testing", "nowhere:Adapter", roots=("pluggy",), supports=self.supports)


@pytest.mark.parametrize(
    ("supports", "level", "message"),
    [
        ("pluggy>=1.0", "ok", "testing: pluggy "),
        ("pluggy>=1.0,<900", "ok", "testing: pluggy "),
        ("pluggy>=900", "problem", "is installed, pluggy>=900 is supported"),
        ("pluggy!=0.1", "ok", "testing: pluggy "),
        ("pluggy<=0.9", "problem", "is supported"),
        ("pluggy==0.9", "problem", "is supported"),
        ("pluggy>900", "problem", "is supported"),
        ("pluggy", "ok", "testing: pluggy "),
        ("no-such-framework>=1", "note", "testing: no-such-framework is not installed here"),
    ],
)
def test_adapters_are_held_to_what_they_support(supports, level, message, ask, monkeypatch):
    plugins = load_plugins([("fitting", Fitting(supports))], installed=False)
    monkeypatch.setattr("jackline.plugins.installed_plugins", lambda: plugins)
    found = list(diagnosis.plugins(None))
    remark = next(remark for remark in found if remark.message.startswith("testing"))
    assert remark.level == level
    assert message in remark.message


def test_each_library_of_an_adapter_is_held_to_its_own_bounds(monkeypatch):
    plugins = load_plugins(
        [("fitting", Fitting("msgspec>=0.1,<900, pluggy>=900, no-such-library>=1"))], installed=False
    )
    monkeypatch.setattr("jackline.plugins.installed_plugins", lambda: plugins)
    told = [remark for remark in diagnosis.plugins(None) if remark.message.startswith("testing")]
    assert [remark.level for remark in told] == ["ok", "problem", "note"]
    assert told[0].message.endswith("(msgspec>=0.1,<900)")
    assert told[1].message.endswith("is installed, pluggy>=900 is supported")


def test_a_framework_without_its_adapter_is_a_warning(monkeypatch):
    plugins = load_plugins(installed=False)
    monkeypatch.setattr("jackline.plugins.installed_plugins", lambda: plugins)
    monkeypatch.setattr("jackline.adapters.installed_plugins", lambda: plugins)
    monkeypatch.setattr("jackline.adapters.FRAMEWORKS", {"pluggy": "jackline-pluggy", "no_such_module": "x"})
    (remark,) = diagnosis.plugins(None)
    assert remark.message == "pluggy installed without adapter: its agents act ungoverned; pip install jackline-pluggy"


class Wrong:
    """A plugin whose registrations raise."""

    def jackline_register_commands(self, cli):
        raise ValueError("no terminal")


def test_a_plugin_that_failed_is_a_problem_and_listed(run, ask, monkeypatch):
    from jackline.cli.application import build  # noqa: PLC0415

    plugins = load_plugins([("wrong", Wrong())], installed=False)
    build(plugins)
    monkeypatch.setattr("jackline.plugins.installed_plugins", lambda: plugins)
    assert told(ask("doctor", code=1), "plugins")[0]["message"] == "wrong failed: its commands: ValueError: no terminal"
    assert "failed: plugin 'wrong': its commands: ValueError: no terminal" in run("plugins", code=1).stdout
    answer = ask("plugins", code=1)
    assert answer["failures"] == [
        {"plugin": "wrong", "distribution": "", "reason": "its commands: ValueError: no terminal"}
    ]


def test_status_says_how_far_the_index_is_behind(story, run, ask):
    behind = ask("status")["behind"]
    assert behind["events"] > 10
    assert f"index: {behind['events']} events ({behind['bytes']:,} bytes) behind the journals" in run("status").stdout
    run("ingest")
    assert ask("status")["behind"]["events"] == 0


def test_status_of_an_empty_home(run, ask, jackline_home):
    assert ask("status")["behind"] is None
    assert "index: nothing recorded yet" in run("status").stdout
    assert ask("status")["home"] == str(jackline_home)


def test_one_command_without_any_service(program, bundle):
    """P73: nothing but the program and a folder; the index is a file in it."""
    ran = program("doctor")
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "its body ran 0 times" in ran.stdout


def test_the_script_of_a_holder_is_sound(tmp_path):
    ran = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(HOLDING), str(tmp_path)], check=True, capture_output=True
    )
    assert len(ran.stdout.strip()) == 16
    assert Path(tmp_path / "cells").exists()

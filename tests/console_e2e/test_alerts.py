"""The page *Alerts* of `jackline up`: what fires appears by itself, is silenced, and is over; rules are tried on the past; channels are tested."""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path

import e2e_world
import pytest
from console_harness import Running, until
from e2e_world import knows, let_in, openings
from playwright.sync_api import expect

sys.path.insert(0, str(Path(__file__).parents[1] / "approvals"))

from receiver import SHARED, Receiver

WATCHED = """\
alerts:
  rules:
    denials: {when: {above: 3, window: 10s}, severity: critical}
    denied-session: {kind: denial_burst, by: session, when: {above: 3, window: 10s}}
    new-tool: {enabled: false}
notify:
  ops: {webhook: %s, secret: "env:JACKLINE_E2E_SECRET"}
approvers:
"""
AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => one.id)"""


class Site:
    """`jackline up` in a home of its own, and who hears of its alerts."""

    def __init__(self, root, browser, monkeypatch):
        self.receiver = Receiver()
        monkeypatch.setenv("JACKLINE_E2E_SECRET", SHARED)
        self.home, self.folder, config = e2e_world.furnish(root)
        path = self.folder / "jackline.yaml"
        text = path.read_text(encoding="utf-8")
        path.write_text(text.replace("approvers:\n", WATCHED % self.receiver.url), encoding="utf-8")
        self.console = Running(self.home, self.folder, config=config, verb="up")
        self.state = let_in(browser, self.console.link)
        self.client = knows(self.console, self.state)
        until(lambda: self.client.get("/alerts").json()["running"], "the alerter")

    def firing(self, rule):
        items = self.client.get("/alerts").json()["items"]
        return next((one for one in items if one["rule"] == rule), None)

    def end(self):
        self.console.end()
        self.receiver.close()


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    with pytest.MonkeyPatch.context() as monkeypatch:
        made = Site(tmp_path_factory.mktemp("watched"), browser, monkeypatch)
        yield made
        made.end()


@pytest.fixture(scope="module")
def denied(site):
    """An agent that is denied again and again, as it is suspended."""
    process = e2e_world.company(site.home, site.folder, "busy", 41, "billing")
    session = process.told("session")
    until(lambda: site.client.get("/agents/billing").status_code == 200, "the agent")
    site.client.post("/agents/billing/suspend", json={"why": "to be denied"}).raise_for_status()
    yield session
    process.end()


@pytest.fixture
def open_alerts(browser, site):
    with openings(browser, site.console.base, site.state) as opened:
        yield opened


def test_what_fires_appears_by_itself_and_is_silenced(open_alerts, site, denied, axe, shot):
    page = open_alerts("/alerts")
    line = page.locator(".alert").filter(has_text="denials")
    expect(line).to_be_visible()
    expect(line).to_contain_text("critical")
    expect(line).to_contain_text("billing")
    expect(line).to_contain_text("ops told")
    expect(page.get_by_role("link", name=re.compile("^Alerts [0-9]"))).to_be_visible()
    shot(page, "alerts-firing")
    page.evaluate(axe)
    assert page.evaluate(AXE) == []
    line.get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("known, being looked at")
    dialog.get_by_role("button", name="Silence").click()
    expect(line).to_contain_text("silenced until")
    page.get_by_role("tab", name="Silences").click()
    row = page.get_by_role("row").filter(has_text="known, being looked at")
    expect(row).to_contain_text("denials")
    expect(row).to_contain_text("agent billing")
    page.evaluate(axe)
    assert page.evaluate(AXE) == []
    row.get_by_role("button", name="Lift").click()
    dialog.get_by_label("Why").fill("tell us again")
    dialog.get_by_role("button", name="Lift").click()
    expect(row).to_have_count(0)
    assert site.client.get("/alerts/silences").json()["items"] == []
    told = [body for _, body in site.receiver.got if body.get("rule") == "denials"]
    assert [body["type"] for body in told] == ["alert.fired"]


def test_a_silence_of_a_rule_is_made_by_hand(open_alerts, site):
    page = open_alerts("/alerts?tab=silences")
    page.get_by_label("Rule").fill("loop")
    page.get_by_label("For how long").select_option("4")
    page.get_by_role("button", name="Silence").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("a load test")
    dialog.get_by_role("button", name="Silence").click()
    expect(page.get_by_role("row").filter(has_text="a load test")).to_contain_text("loop")
    (held,) = site.client.get("/alerts/silences").json()["items"]
    assert held["rule"] == "loop"
    assert abs(held["until"] - time.time() - 4 * 3600) < 120


def test_live_sessions_show_what_fires(open_alerts, site, denied):
    until(lambda: site.firing("denied-session"), "the alert of the session")
    page = open_alerts("/")
    expect(page.locator(".live-row").filter(has_text="busy-41").get_by_text("denied-session")).to_be_visible()


def test_rules_are_tried_on_the_past(open_alerts, site, denied, axe, shot):
    until(lambda: site.firing("denials"), "the alert")
    rules = site.client.get("/alerts/rules").json()["items"]
    page = open_alerts("/alerts?tab=rules")
    expect(page.locator("tbody tr")).to_have_count(len(rules))
    expect(page.get_by_role("row").filter(has_text="denials")).to_contain_text("above 3, window 10 s")
    page.get_by_role("button", name="denials").click()
    page.get_by_role("button", name="Preview").click()
    found = page.locator(".preview")
    expect(found).to_contain_text(re.compile(r"[1-9]\d* alerts? over [\d,]+ events"))
    expect(found.locator(".alert").first).to_contain_text("billing")
    shot(page, "rules-tried")
    page.evaluate(axe)
    assert page.evaluate(AXE) == []
    box = page.get_by_label("The rule as the bundle may have it")
    written = box.input_value()
    box.fill(written.replace('"above": 3', '"above": 900000'))
    page.get_by_role("button", name="Preview").click()
    expect(found).to_contain_text("0 alerts")


def test_a_wrong_rule_is_told_what_is_wrong(open_alerts, site):
    page = open_alerts("/alerts?tab=rules", but="status of 4")
    page.get_by_role("button", name="denials").click()
    box = page.get_by_label("The rule as the bundle may have it")
    box.fill(box.input_value().replace('"above"', '"abov"'))
    page.get_by_role("button", name="Preview").click()
    expect(page.locator(".preview").get_by_role("alert")).to_contain_text("abov")


def test_a_channel_is_tested(open_alerts, site, axe):
    page = open_alerts("/alerts?tab=channels")
    row = page.get_by_role("row").filter(has_text="ops")
    expect(row).to_contain_text("webhook")
    before = len(site.receiver.bodies)
    row.get_by_role("button", name="Test").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Why").fill("does it arrive?")
    dialog.get_by_role("button", name="Send").click()
    expect(page.get_by_role("status").filter(has_text="ops took the test")).to_be_visible()
    assert len(site.receiver.bodies) > before
    assert site.receiver.refused == []
    expect(row).to_contain_text("ok")
    page.evaluate(axe)
    assert page.evaluate(AXE) == []


def test_what_is_over_is_history(open_alerts, site, denied):
    until(lambda: site.firing("denials"), "the alert")
    page = open_alerts("/alerts?tab=history")
    line = page.locator(".alert").filter(has_text="denials").first
    expect(line).to_contain_text("critical")
    site.client.post("/agents/billing/resume", json={"why": "it is over"}).raise_for_status()
    expect(line).to_contain_text("resolved", timeout=40_000)
    page.get_by_role("tab", name="Firing").click()
    expect(page.locator(".alert").filter(has_text="denials")).to_have_count(0)

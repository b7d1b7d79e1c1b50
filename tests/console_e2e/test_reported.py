"""Agents that are only reported stand clearly apart from governed ones, and nothing on the page pretends to hold them."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from pathlib import Path
from urllib.parse import quote

import e2e_world
import pytest
from addresses import REPORTED
from console_harness import PATIENCE, Running, until
from e2e_world import knows, let_in, openings
from markup import FOUND, GO, TEXTS, one_line, shown
from playwright.sync_api import expect

from jackline.home import Home
from jackline_console.access.users import Users

AGENTS = Path(__file__).with_name("reporting_agents.py")
AXE = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact)).map((one) => `${one.id}: ${one.nodes[0].html}`)"""


class Site:
    """`jackline up` with governed agents at work, to which others report."""

    def __init__(self, root, browser):
        self.home, self.folder, config = e2e_world.furnish(root)
        self.console = Running(self.home, self.folder, config=config, verb="up")
        self.governed = e2e_world.company(self.home, self.folder, "now", 3)
        self.token = Users(Home(self.home).path / "console").issue("shop", "reporter", time.time(), None)[1]
        self.state = let_in(browser, self.console.link)
        self.client = knows(self.console, self.state)

    def report(self, *part):
        words = [sys.executable, str(AGENTS), self.console.base, self.token, *map(str, part)]
        done = subprocess.run(words, capture_output=True, text=True, timeout=PATIENCE, check=False)
        assert done.returncode == 0, done.stderr

    def names(self, route, key):
        return {one[key] for one in self.client.get(route, params={"limit": 500}).json()["items"]}

    def end(self):
        self.governed.end()
        self.console.end()


@pytest.fixture(scope="module")
def site(browser, tmp_path_factory):
    made = Site(tmp_path_factory.mktemp("reported"), browser)
    try:
        made.report("shop")
        made.report("open")
        until(lambda: {"buyer", "seller", "walker", "support"} <= made.names("/agents", "name"), "the agents")
        until(lambda: {"order-7", "walk-1"} <= made.names("/sessions", "external_id"), "their sessions")
        yield made
    finally:
        made.end()


@pytest.fixture
def open_site(browser, site):
    with openings(browser, site.console.base, site.state) as opened:
        yield opened


@pytest.fixture
def places(site):
    """The reported session, and a step of it."""
    (row,) = (
        one for one in site.client.get("/sessions?reported=true").json()["items"] if one["external_id"] == "order-7"
    )
    spans = site.client.get(f"/sessions/{row['session']}/spans").json()["items"]
    step = next(one["span"] for one in spans if one["name"] == "quote")
    return {"session": row["session"], "step": step}


def visit(page, path):
    page.goto(path)
    shown(page, path)
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", REPORTED)
def test_each_page_is_in_order_wide_and_narrow(name, scheme, open_site, places, axe, shot):
    path = REPORTED[name].format(**places)
    for shape, more in (
        ("", {"viewport": {"width": 1440, "height": 900}}),
        ("-phone", {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}),
    ):
        page = open_site(path, color_scheme=scheme, **more)
        expect(page.locator("h1").first).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        shot(page, f"{name}{shape}-{scheme}")
        assert page.evaluate("document.documentElement.scrollWidth") <= more["viewport"]["width"]
        page.evaluate(axe)
        assert page.evaluate(AXE) == []


def test_the_registry_lists_them_apart(open_site):
    page = open_site("/agents")
    apart = page.get_by_role("region", name="Only reported")
    expect(apart.locator("tbody tr")).to_have_count(3)
    assert {one.strip() for one in apart.locator("td:first-child a").all_text_contents()} == {
        "buyer",
        "seller",
        "walker",
    }
    expect(apart.get_by_text("reported", exact=True)).to_have_count(3)
    buyer = apart.get_by_role("row").filter(has_text="buyer")
    expect(buyer).to_contain_text("gpt-4o-mini")
    expect(buyer).to_contain_text("search")
    assert "buyer" not in "".join(page.locator("table").first.locator("a.strong").all_text_contents())
    page.get_by_label("Governed or reported").select_option("reported")
    expect(page.locator("table")).to_have_count(1)
    page.get_by_label("Governed or reported").select_option("governed")
    expect(apart).to_have_count(0)
    expect(page.get_by_role("link", name="support", exact=True)).to_be_visible()
    assert page.url.endswith("?who=governed")


def test_an_agent_s_page_says_that_nothing_here_holds_it(open_site, site):
    page = open_site("/agents/buyer")
    expect(page.locator("header.title")).to_contain_text("reported")
    expect(page.locator(".banner.told")).to_contain_text("cannot be stopped, suspended, or kept from a tool here")
    expect(page.get_by_role("button", name="Suspend")).to_have_count(0)
    expect(page.get_by_role("button", name="Permit")).to_have_count(0)
    expect(page.get_by_role("row").filter(has_text="search")).to_contain_text("seen")
    expect(page.locator(".facts").first).to_contain_text("none: nothing of it is decided")
    for route in ("/agents/buyer/suspend", "/agents/buyer/tools/search/suspend"):
        answer = site.client.post(route, json={"why": "it is too eager"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:jackline:problem:reported")
        assert "nothing of Jackline's stands before its acts" in answer.json()["detail"]
    page.goto("/agents/support")
    expect(page.get_by_role("button", name="Suspend").first).to_be_visible()
    expect(page.locator(".banner.told")).to_have_count(0)


def test_an_agent_that_reports_can_be_registered_and_named(open_site, site):
    page = open_site("/agents/seller")
    page.get_by_role("button", name="Register").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("nothing of it is judged")
    dialog.get_by_role("textbox").fill("it is the shop's")
    dialog.get_by_role("button", name="Register").click()
    expect(page.locator("header.title")).to_contain_text("active")
    expect(page.locator("header.title")).to_contain_text("reported")
    assert site.client.get("/agents/seller").json()["reported"] is True


def test_sessions_are_marked_and_told_apart(open_site):
    page = open_site("/sessions")
    expect(page.get_by_role("row").filter(has_text="order-7")).to_contain_text("reported")
    select = page.get_by_label("Governed or reported")
    select.select_option("reported")
    expect(page.locator("tbody tr")).to_have_count(2)
    select.select_option("governed")
    expect(page.get_by_role("row").filter(has_text="order-7")).to_have_count(0)
    expect(page.locator("tbody tr").first).to_be_visible()
    assert page.locator("tbody tr.told").count() == 0


def test_a_reported_act_shows_no_decision(open_site, places, site):
    page = open_site(f"/sessions/{places['session']}?span={places['step']}")
    details = page.get_by_role("complementary", name="The chosen step")
    expect(details).to_contain_text("reported, not judged")
    expect(details.locator(".details-state")).not_to_contain_text("allowed")
    expect(details).to_contain_text("TimeoutError")
    expect(page.locator(".banner.told")).to_contain_text("cannot be paused or stopped")
    for name in ("Pause", "Stop"):
        expect(page.get_by_role("button", name=name, exact=True)).to_have_count(0)
    levels = {
        " ".join(row.locator(".name").text_content().split()): row.get_attribute("aria-level")
        for row in page.locator(".span-row").all()
    }
    assert levels == {
        "buyer@7": "1",
        "gpt-4o-mini": "2",
        "search": "2",
        "seller@7": "2",
        "quote": "3",
        "nobody-knows": "4",
    }
    page.get_by_role("button", name="Replay").click()
    page.get_by_role("slider", name="Event").fill("2")
    expect(page.locator(".replay-at")).to_contain_text("reported")
    for verb in ("stop", "pause"):
        answer = site.client.post(f"/sessions/{places['session']}/{verb}", json={"why": "enough"})
        assert (answer.status_code, answer.json()["type"]) == (409, "urn:jackline:problem:reported")


def test_live_has_no_controls_for_them(open_site):
    page = open_site("/")
    row = page.locator(".live-row").filter(has_text="walk-1")
    expect(row.get_by_text("reported", exact=True)).to_be_visible()
    expect(row.get_by_role("button")).to_have_count(0)
    other = page.locator(".live-row").filter(has_text="live-")
    expect(other.first.get_by_role("button", name="Pause")).to_be_visible()


def test_costs_stand_apart(open_site, site):
    page = open_site("/costs")
    row = page.locator("table.table").first.get_by_role("row").filter(has_text="buyer")
    expect(row).to_contain_text("unmanaged")
    page.get_by_role("tab", name="Managed or not").click()
    table = page.locator("table.table").first
    expect(table.locator("tbody tr")).to_have_count(2)
    expect(table).to_contain_text("unmanaged (reported")
    items = site.client.get("/costs", params={"by": "managed,agent"}).json()["items"]
    assert {one["key"]["agent"] for one in items if one["key"]["managed"] == "no"} == {
        "buyer@7",
        "seller@7",
        "walker@7",
    }


def test_alerts_say_that_they_are_of_what_is_reported(open_site, site):
    def loops():
        return [one for one in site.client.get("/alerts?state=all").json()["items"] if one["rule"] == "loop"]

    (found,) = until(loops, "the loop")
    assert found["reported"] is True
    page = open_site("/alerts?tab=history")
    line = page.locator("li.alert").filter(has=page.get_by_text("loop", exact=True))
    expect(line.get_by_text("reported", exact=True)).to_be_visible()
    metrics = site.client.get(f"{site.console.base}/metrics").text
    assert 'jackline_alerts_firing{reported="yes"' in metrics


def test_a_reporter_sees_nothing(browser, site):
    headers = {"Authorization": f"Bearer {site.token}"}
    with openings(browser, site.console.base, site.state) as opened:
        page = opened("/agents", known=False, extra_http_headers=headers)
        expect(page.get_by_role("heading")).to_have_text("There is nothing to see for a reporter")
        expect(page.locator("nav")).to_have_count(0)
        assert "buyer" not in page.content()
        assert page.evaluate(FOUND) == []


def test_markup_in_what_is_reported_is_text(browser, tmp_path_factory, tmp_path):
    """Names of agents, tools, models, services, versions, users, conversations and errors are whatever a reporter sends."""
    site = Site(tmp_path_factory.mktemp("spoiled"), browser)
    try:
        corpus = tmp_path / "texts.json"
        corpus.write_text(json.dumps(TEXTS), encoding="utf-8")
        site.report("markup", corpus)
        until(lambda: len(sessions := spoiled(site)) >= len(set(TEXTS)) - LOST and sessions, "the sessions")
        with openings(browser, site.console.base, site.state) as opened:
            page = opened("/", viewport={"width": 1440, "height": 6400})
            for path in ("/", "/agents", "/sessions?who=reported", "/costs", "/costs?by=model", "/alerts?tab=history"):
                visit(page, path)
            every(page, site)
    finally:
        site.end()


LOST = 2
"""Texts of which nothing is left as a name: they are controls and blanks."""


def spoiled(site):
    return site.client.get("/sessions", params={"reported": True, "limit": 500}).json()["items"]


def every(page, site):
    """Each session and agent, by its own page."""
    for session in spoiled(site):
        page.evaluate(GO, f"/sessions/{session['session']}")
        expect(page.locator("h1")).to_have_text(one_line(session["external_id"]))
        expect(page.locator(".span-row").first).to_be_visible()
        assert page.evaluate(FOUND) == [], session["external_id"]
    for name in sorted(one["name"] for one in site.client.get("/agents").json()["items"] if one["reported"]):
        page.evaluate(GO, f"/agents/{quote(name, safe='')}")
        expect(page.locator("h1")).to_have_text(one_line(name))
        assert page.evaluate(FOUND) == [], name

"""Every page shows what the API says, in light and dark, without a serious fault of accessibility."""

from __future__ import annotations

import json
import re
import subprocess
import time
from pathlib import Path

import e2e_world
import pytest
from addresses import HELD, PAGES
from console_harness import program, until
from e2e_world import visible
from playwright.sync_api import expect

import jackline_console

SERIOUS = """async () => (await axe.run(document, {resultTypes: ['violations']})).violations
  .filter((one) => ['serious', 'critical'].includes(one.impact))
  .map((one) => `${one.id}: ${one.nodes.slice(0, 3).map((node) => node.html).join(' | ')}`)"""


@pytest.fixture(scope="module")
def places(world, client):
    """What the addresses of pages need; agents work beside while this module's tests run."""
    home, folder, _ = world
    beside = [e2e_world.company(home, folder, "now", 3), e2e_world.company(home, folder, "waits", 90)]
    session = beside[1].told("session")
    asked = until(
        lambda: [one for one in client.get("/approvals").json()["items"] if one["session"] == session], "a question"
    )
    spans = client.get("/sessions/ticket-44/spans?only=denied").json()["items"]
    yield {
        "approval": asked[0]["approval"],
        "denied": next(one["span"] for one in spans if one.get("effect") == "deny"),
    }
    for each in beside:
        each.end()


def faults(page, axe):
    page.evaluate(axe)
    return page.evaluate(SERIOUS)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("name", PAGES)
def test_no_serious_fault_of_accessibility(name, scheme, open_page, axe, places, shot):
    path = PAGES[name].format(**places)
    page = open_page(path, color_scheme=scheme, viewport={"width": 1440, "height": 900}, but="status of 404")
    settled(page)
    shot(page, f"{name}-{scheme}")
    assert faults(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_in_dialogs_and_notices(scheme, open_page, axe, places, shot):
    del places
    page = open_page("/", color_scheme=scheme)
    page.get_by_role("button", name="Pause waits-90").click()
    expect(page.get_by_role("dialog")).to_be_visible()
    shot(page, f"dialog-{scheme}")
    assert faults(page, axe) == []
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    page.locator("h1").click()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()
    assert faults(page, axe) == []


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_no_serious_fault_where_nobody_is_logged_in(scheme, open_page, axe, shot):
    page = open_page("/", color_scheme=scheme, known=False, but="status of 401")
    settled(page)
    expect(page.get_by_role("heading")).to_have_text("Open the link from your terminal")
    shot(page, f"login-{scheme}")
    assert faults(page, axe) == []


@pytest.mark.parametrize("name", HELD)
def test_a_phone_shows_no_more_than_its_width(name, open_page, places, axe, shot):
    path = PAGES[name].format(**places)
    page = open_page(path, viewport={"width": 390, "height": 844}, has_touch=True, is_mobile=True)
    settled(page)
    shot(page, f"{name}-phone")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert faults(page, axe) == []


def test_what_the_browser_loads_is_small():
    files = [path for path in (Path(jackline_console.__file__).parent / "static").rglob("*") if path.is_file()]
    assert any(path.suffix == ".js" for path in files)
    assert sum(path.stat().st_size for path in files) < 2_000_000


def settled(page):
    expect(page.locator("h1").first).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)


def test_a_trace_shows_each_step_and_who_denied(open_page, client):
    page = open_page("/sessions/ticket-44")
    spans = client.get("/sessions/ticket-44/spans").json()["items"]
    rows = page.locator(".span-row")
    expect(rows).to_have_count(len(spans))
    refused = page.locator(".span-row.refused")
    expect(refused).to_have_count(1)
    expect(refused).to_contain_text("denied by no-exports (when)")
    page.get_by_label("Only denied").check()
    expect(rows).to_have_count(2)
    assert "only=denied" in page.url


def test_a_link_to_a_step_opens_that_step(open_page, client):
    spans = client.get("/sessions/long/spans").json()["items"]
    wanted = [one["span"] for one in spans if one.get("effect") == "deny"][-1]
    page = open_page(f"/sessions/long?span={wanted}")
    details = page.get_by_role("complementary", name="The chosen step")
    expect(details).to_contain_text("customer data stays in the CRM")
    expect(page.locator(f"#row-{wanted}")).to_be_visible()
    details.get_by_role("button", name="Show").first.click()
    expect(details.locator("pre.json").first).to_contain_text("table")


def test_the_keyboard_moves_through_the_steps(open_page):
    page = open_page("/sessions/ticket-44")
    grid = page.get_by_role("treegrid")
    grid.focus()
    page.keyboard.press("Home")
    expect(page.locator(".span-row.selected")).to_contain_text("support")
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".span-row")).to_have_count(1)
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".span-row.selected")).to_contain_text("house-small")
    before = page.locator(".tick").all_text_contents()
    page.keyboard.press("+")
    assert page.locator(".tick").all_text_contents() != before
    page.keyboard.press("0")
    assert page.locator(".tick").all_text_contents() == before


def test_replay_shows_what_had_been_done_by_then(open_page):
    page = open_page("/sessions/study-57?replay=1")
    slider = page.get_by_role("slider", name="Event")
    expect(page.locator(".replay-at")).to_contain_text("1 of")
    total = int(slider.get_attribute("max"))
    assert total > 10
    rows = page.locator(".span-row")
    few = rows.count()
    slider.fill(str(total // 2))
    expect(page.locator(".replay-at")).to_contain_text(f"{total // 2 + 1} of {total + 1}")
    until(lambda: rows.count() > few, "rows of what had been done by then")
    half = rows.count()
    slider.fill(str(total))
    expect(page.locator(".replay-at")).to_contain_text(f"{total + 1} of {total + 1}")
    until(lambda: rows.count() > half, "every row")
    slider.fill("0")
    expect(rows).to_have_count(few)


def test_the_graph_has_every_node_of_the_api(open_page, client):
    graph = client.get("/sessions/study-57/graph").json()
    page = open_page("/sessions/study-57?tab=graph")
    expect(page.locator(".node")).to_have_count(len(graph["nodes"]))
    expect(page.locator(".edge")).to_have_count(len(graph["edges"]))
    page.get_by_role("button", name=re.compile("^web.search")).click()
    expect(page.locator(".graph-node")).to_contain_text("web.search")


@pytest.mark.parametrize(
    "where", ["agent.team == 'care'", "'customer-data' in agent.labels && agent.status == 'seen'", ""]
)
def test_the_query_box_the_api_and_the_command_give_the_same_agents(where, open_page, client, world):
    page = open_page("/agents")
    box = page.get_by_role("combobox", name="Only agents for which this condition holds")
    box.fill(where)
    box.press("Enter")
    names = [one["name"] for one in client.get("/agents", params={"where": where} if where else {}).json()["items"]]
    expect(page.locator("table.table tbody tr")).to_have_count(len(names))
    shown = [text.strip() for text in page.locator("tbody td:first-child a.strong").all_text_contents()]
    assert shown == [visible(name) for name in names]
    assert sorted(names) == sorted(listed(world, where))


def listed(world, where):
    """The same question to the command line."""
    words = [program(), "--home", str(world[0]), "agents", "list", "--json", *(["--where", where] if where else [])]
    answer = subprocess.run(words, capture_output=True, text=True, check=True, timeout=60, cwd=world[1])
    return [one["name"] for one in json.loads(answer.stdout)["agents"]]


def test_a_wrong_query_is_shown_at_its_column(open_page):
    page = open_page("/agents?where=agent.teem == 'care'", but="status of 400")
    fault = page.get_by_role("alert")
    expect(fault).to_contain_text("column 7")
    expect(fault).to_contain_text("agent has no field 'teem'")
    assert fault.locator("pre").text_content().split("\n")[1] == "      ^"


WEEK_S = 7 * 86_400
PAINTED = """(canvas) => {
  const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Set();
  for (let at = 0; at < data.length; at += 4) if (data[at + 3] === 255) colours.add((data[at] << 16) | (data[at + 1] << 8) | data[at + 2]);
  return colours.size;
}"""


@pytest.mark.parametrize("by", ["agent", "model", "team", "day"])
def test_costs_are_the_apis(by, open_page, client, places):
    del places

    def calls():
        since = (time.time() - WEEK_S) // 3600 * 3600
        items = client.get("/costs", params={"by": by, "since": since}).json()["items"]
        return len(items), sum(one["calls"] for one in items)

    _, before = calls()
    page = open_page(f"/costs?by={by}")
    rows = page.locator("table.table").first.locator("tbody tr")
    expect(rows).to_have_count(calls()[0])
    assert page.locator(".chart canvas").evaluate(PAINTED) > 3
    shown = [int(text.replace(",", "")) for text in rows.locator("td:nth-child(4)").all_text_contents()]
    assert 100 < before <= sum(shown) <= calls()[1]


def test_distributions_and_tools_are_the_apis(open_page, client):
    page = open_page("/costs")
    card = page.locator("section.card").filter(has=page.get_by_role("heading", name="Duration of a tool call"))
    items = client.get("/distributions", params={"what": "tool_duration", "by": "tool"}).json()["items"]
    names = [visible(one["name"]) for one in items if one["count"]][:6]
    expect(card.locator("tbody tr")).to_have_count(len(names))
    assert [text.strip() for text in card.locator("tbody td:first-child").all_text_contents()] == names
    tools = page.locator("table.table").last
    expect(tools.get_by_role("row").filter(has_text="web.search")).to_contain_text("%")
    export = tools.get_by_role("row").filter(has=page.get_by_role("cell", name="crm.export", exact=True))
    expect(export.locator("td:nth-child(3)")).to_have_text("0")
    assert int(export.locator("td:nth-child(5)").text_content()) >= 5, "denials are counted, and are no failures"


def test_light_and_dark_are_kept(open_page):
    page = open_page("/", color_scheme="light")
    assert page.evaluate("document.documentElement.dataset.theme") == "light"
    page.get_by_role("radio", name="Dark").click()
    page.reload()
    expect(page.get_by_role("radio", name="Dark")).to_be_checked()
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"

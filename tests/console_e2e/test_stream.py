"""One stream for the whole page: it goes on after a break, and each event comes once."""

from __future__ import annotations

from console_harness import until
from playwright.sync_api import expect

RECORD = """
  window.positions = [];
  window.opened = [];
  const Plain = window.EventSource;
  window.EventSource = class extends Plain {
    constructor(address) {
      super(address);
      window.opened.push(address);
      window.current = this;
      this.addEventListener('events', (message) => {
        for (const item of JSON.parse(message.data).items) window.positions.push([item.position, item.session]);
      });
    }
  };
"""


def test_a_broken_stream_goes_on_without_loss_or_repeat(open_page, company, client):
    process = company("now")
    session = process.told("session")
    page = open_page(f"/sessions/{session}", script=RECORD)
    expect(page.locator(".span-row").first).to_be_visible()
    until(lambda: page.evaluate("window.positions.length") > 5, "events")
    for _ in range(3):
        seen = page.evaluate("window.positions.length")
        page.context.set_offline(True)
        page.evaluate("window.current.dispatchEvent(new Event('error'))")
        expect(page.locator(".connection")).to_have_text("Connection lost")
        page.context.set_offline(False)
        until(lambda seen=seen: page.evaluate("window.positions.length") > seen + 5, "events after the break")
        expect(page.locator(".connection")).to_have_text("Connected")
    process.child.stdin.close()
    process.child.wait(30)
    until(lambda: len(of(page, session)) == len(on_record(client, session, of(page, session))), "the last event")
    every = [position for position, _ in page.evaluate("window.positions")]
    assert every == sorted(set(every))
    assert len(page.evaluate("window.opened")) >= 4
    assert all("after=" in address for address in page.evaluate("window.opened"))


def of(page, session):
    return [position for position, one in page.evaluate("window.positions") if one == session]


def on_record(client, session, seen):
    found, cursor = [], None
    while True:
        answer = client.get(
            f"/sessions/{session}/events", params={"limit": 1000, **({"cursor": cursor} if cursor else {})}
        ).json()
        found += [item["position"] for item in answer["items"]]
        cursor = answer["next"]
        if not cursor:
            return [position for position in found if seen and position >= seen[0]]


def test_there_is_one_stream_whatever_page_one_is_on(open_page):
    page = open_page("/", script=RECORD)
    for name in ("Trace", "Approvals", "Agents", "Policies", "Costs", "Live"):
        page.get_by_role("navigation").get_by_role("link", name=name).click()
        expect(page.get_by_role("heading", name=name, exact=True).first).to_be_visible()
    expect(page.locator(".connection")).to_have_text("Connected")
    assert 1 <= len(page.evaluate("window.opened")) <= 3  # with live rows, without, with them again

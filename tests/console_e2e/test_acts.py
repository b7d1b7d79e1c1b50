"""What people do on the page takes effect on agents that run beside it, and is on record with who and why."""

from __future__ import annotations

import re

import pytest
from console_harness import until
from playwright.sync_api import expect


def reason(page, action, why="seen on the page"):
    """Give the reason that the dialog asks for."""
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name=action, exact=True)
    expect(button).to_be_disabled()
    dialog.get_by_label("Why").fill(why)
    button.click()


def test_a_session_that_is_stopped_ends(open_page, company, client):
    process = company("waits", 71)
    session = process.told("session")
    assert process.told("now") == "pending"
    page = open_page("/")
    page.get_by_role("button", name="Stop waits-71").click()
    reason(page, "Stop", "it went wrong")
    assert process.told("now").startswith("halted")
    expect(page.get_by_role("status").filter(has_text="waits-71 is stopped")).to_be_visible()
    stop = until(lambda: client.get(f"/sessions/{session}").json()["halt_reason"], "the halt")
    assert "it went wrong" in stop
    expect(page.get_by_role("row").filter(has_text="waits-71").get_by_text("halted")).to_be_visible()


def test_a_suspended_agent_does_nothing_until_it_is_resumed(open_page, company, client):
    process = company("now")
    process.told("session")
    page = open_page("/agents/billing")
    page.get_by_role("button", name="Suspend", exact=True).first.click()
    reason(page, "Suspend")
    assert "suspended" in process.told("denied")
    expect(page.locator(".title .pill")).to_have_text("suspended")
    page.get_by_role("button", name="Resume", exact=True).first.click()
    reason(page, "Resume")
    expect(page.locator(".title .pill")).not_to_have_text("suspended")
    assert client.get("/agents/billing").json()["status"] != "suspended"


@pytest.mark.parametrize(
    ("way", "button", "told"),
    [
        ("Approve", "Approve", "ran paid 1800.0 for B-72"),
        ("Deny", "Deny", "denied"),
        ("Edit", "Approve these arguments", "ran paid 40.0 for B-74"),
        ("Respond", "Respond", "denied"),
    ],
)
def test_the_agent_gets_the_answer(way, button, told, open_page, company, client, shot):
    number = {"Approve": 72, "Deny": 73, "Edit": 74, "Respond": 75}[way]
    process = company("waits", number)
    session = process.told("session")
    assert process.told("now") == "pending"
    approval = until(lambda: waiting(client, session), "the question")
    phone = (
        {"viewport": {"width": 390, "height": 844}} if way == "Deny" else {"viewport": {"width": 1440, "height": 900}}
    )
    page = open_page("/approvals", **phone)
    page.locator(f'a[href^="/approvals/{approval}"]').click()
    card = page.get_by_role("article", name="tool.call refund")
    expect(card).to_contain_text("1800")
    expect(card).to_contain_text("refunds above 500 need a person")
    expect(card.locator(".countdown")).to_have_text(re.compile(r"2\d:\d\d"))
    shot(page, f"approval-{way.lower()}")
    card.get_by_text(way, exact=True).first.click()
    if way == "Edit":
        box = card.get_by_label("All arguments, as they shall be")
        box.fill("{")
        expect(card.get_by_role("button", name=button)).to_be_disabled()
        box.fill(f'{{"order": "B-{number}", "amount": 40.0, "customer": "c-9"}}')
    elif way != "Approve":
        expect(card.get_by_role("button", name=button)).to_be_disabled()
        card.get_by_label(re.compile("Why|What the agent is told")).fill("talk to Ines first")
    card.get_by_role("button", name=button).click()
    assert process.told("now").startswith(told)
    expect(card.locator(".approval-state")).not_to_contain_text(re.compile(r"\d:\d\d"))


def waiting(client, session):
    items = client.get("/approvals").json()["items"]
    return next((one["approval"] for one in items if one["session"] == session), None)


def test_a_bundle_is_checked_while_it_is_written_and_put_in_force(open_page, company, client, world):
    process = company("waits", 76)
    process.told("session")
    page = open_page("/policies?tab=edit")
    editor = page.locator(".editor .cm-content")
    foot = page.locator(".editor-foot")
    expect(foot).to_contain_text("4 policies")
    kept = client.get("/bundle").json()
    try:
        editor.click()
        page.keyboard.press("Control+End")
        page.keyboard.insert_text("policys: []\n")
        expect(foot).to_contain_text("unknown key `policys`")
        expect(page.get_by_role("button", name="Activate")).to_be_disabled()
        page.get_by_role("button", name="Discard").click()
        page.get_by_role("button", name="Activate").wait_for()
        editor.click()
        page.keyboard.press("Control+End")
        page.keyboard.insert_text("# looked at\n")
        page.get_by_role("button", name="Show changes").click()
        expect(page.locator(".diff .add")).to_contain_text("# looked at")
        expect(page.get_by_role("button", name="Activate")).to_be_enabled()
        page.get_by_role("button", name="Activate").click()
        reason(page, "Activate", "a remark")
        until(lambda: client.get("/bundle").json()["revision"] != kept["revision"], "the new revision")
        page.goto("/policies?tab=revisions")
        expect(page.locator("tbody tr").first).to_contain_text("a remark")
        expect(page.locator(".diff .add")).to_contain_text("# looked at")
    finally:
        (world[1] / "jackline.yaml").write_text(kept["text"], encoding="utf-8")
    assert process.told("now") == "pending"


def test_the_editor_completes(open_page):
    page = open_page("/policies?tab=edit")
    editor = page.locator(".editor .cm-content")
    expect(editor).to_contain_text("session-ceiling")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("unreg")
    options = page.locator(".cm-tooltip-autocomplete li")
    expect(options.filter(has_text="unregistered").first).to_be_visible()

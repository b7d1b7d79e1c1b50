"""What people do on the page takes effect on agents that run beside it, and is on record with who and why."""

from __future__ import annotations

import re
import time
from functools import partial

import pytest
from console_harness import until
from e2e_world import effects
from playwright.sync_api import expect

FOLLOWS_S = 1.0
"""Within this time every running process follows what a person does."""


def reason(page, action, why="seen on the page"):
    """Give the reason that the dialog asks for."""
    dialog = page.get_by_role("dialog")
    button = dialog.get_by_role("button", name=action, exact=True)
    expect(button).to_be_disabled()
    dialog.get_by_label("Why").fill(why)
    button.click()


def act(page, opens, action, route, why="seen on the page"):
    """Press a button, give the reason; what the console answered."""
    with page.expect_response(lambda answer: answer.url.endswith(route) and answer.request.method != "GET") as answered:
        page.get_by_role("button", name=opens, exact=True).first.click()
        reason(page, action, why)
    assert answered.value.status == 200, answered.value.text()
    return answered.value.json()


@pytest.fixture
def busy(company, world):
    """Start an agent that acts all the time: (session id, what it did)."""

    def start(number, agent):
        session = company("busy", number, agent).told("session")
        did = partial(effects, world[1], f"busy-{number}")
        until(lambda: len(did()) > 3, f"{agent} at work")
        return session, did

    return start


def rests(did, at, *others):
    """From a second after `at` on nothing was done, while the others went on."""
    before = [len(other()) for other in others]
    until(lambda: time.time() > at + FOLLOWS_S + 0.5 and all(len(o()) > n for o, n in zip(others, before, strict=True)))
    times = [one["at"] for one in did()]
    assert at - 1 < max(times) < at + FOLLOWS_S
    return max(times) - at


def works(did):
    many = len(did())
    until(lambda: len(did()) > many + 3, "work")


def test_a_session_that_is_stopped_does_nothing_more(open_page, busy, client):
    session, did = busy(11, "billing")
    _, other = busy(12, "billing")
    page = open_page("/")
    answer = act(page, "Stop busy-11", "Stop", "/stop", "it went wrong")
    expect(page.get_by_role("status").filter(has_text="busy-11 is stopped")).to_be_visible()
    rests(did, answer["at"], other)
    found = until(lambda: (one := client.get(f"/sessions/{session}").json())["halted"] and one, "the halt")
    assert "it went wrong" in found["halt_reason"]
    assert answer["who"] in found["halt_reason"] or answer["who"] == found["stop"]["who"]
    expect(page.get_by_role("row").filter(has_text="busy-11").get_by_text("halted")).to_be_visible()


def test_a_paused_session_goes_on_when_it_is_reopened(open_page, busy):
    session, did = busy(13, "billing")
    page = open_page(f"/sessions/{session}")
    rests(did, act(page, "Pause", "Pause", "/pause")["at"])
    expect(page.locator(".title .pill")).to_have_text("paused")
    act(page, "Reopen", "Reopen", "/reopen")
    works(did)
    expect(page.locator(".title .pill")).to_have_text("running")


def test_a_suspended_agent_does_nothing_until_it_is_resumed(open_page, busy, client):
    _, did = busy(14, "billing")
    _, other = busy(15, "support")
    page = open_page("/agents/billing")
    rests(did, act(page, "Suspend", "Suspend", "/agents/billing/suspend")["at"], other)
    expect(page.locator(".title .pill")).to_have_text("suspended")
    act(page, "Resume", "Resume", "/agents/billing/resume")
    works(did)
    expect(page.locator(".title .pill")).not_to_have_text("suspended")
    assert client.get("/agents/billing").json()["status"] != "suspended"


def test_a_suspended_tool_is_not_run_until_it_is_given_back(open_page, busy):
    _, did = busy(16, "billing")
    _, other = busy(17, "support")
    page = open_page("/agents/billing")
    row = page.get_by_role("row").filter(has_text="desk.tick")
    with page.expect_response("**/tools/desk.tick/suspend") as answered:
        row.get_by_role("button", name="Suspend").click()
        reason(page, "Suspend")
    rests(did, answered.value.json()["at"], other)
    with page.expect_response("**/tools/desk.tick/resume"):
        row.get_by_role("button", name="Resume").click()
        reason(page, "Permit")
    works(did)


@pytest.mark.parametrize(
    ("way", "button", "told"),
    [
        ("Approve", "Approve", "ran paid 1800.0 for B-72"),
        ("Deny", "Deny", "denied"),
        ("Edit", "Approve these arguments", "ran paid 40.0 for B-74"),
        ("Respond", "Respond", "denied"),
    ],
)
def test_the_agent_gets_the_answer(way, button, told, open_page, company, client, shot, world):
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
    amounts = {"Approve": [1800.0], "Edit": [40.0]}.get(way, [])
    assert [one["amount"] for one in effects(world[1], f"waits-{number}")] == amounts


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


STRICTER = """\
  - name: no-ticking
    use: rule
    on: tool.call
    agents: agent.name == 'billing'
    when: tool.name == 'desk.tick'
    effect: deny
    reason: the desk is closed
approvers:
"""


def test_a_running_agent_follows_what_is_activated_in_the_editor(open_page, busy, client, world):
    session, did = busy(18, "billing")
    _, other = busy(19, "support")
    kept = client.get("/bundle").json()
    page = open_page("/policies?tab=edit")
    try:
        page.locator(".editor .cm-content").click()
        page.keyboard.press("Control+A")
        page.keyboard.press("Delete")
        page.keyboard.insert_text(kept["text"].replace("approvers:\n", STRICTER))
        expect(page.locator(".editor-foot")).to_contain_text("5 policies")
        rests(did, act(page, "Activate", "Activate", "/bundle/activate", "closing time")["at"], other)
        expect(page.get_by_role("tab", name="Policies")).to_contain_text("5")
        denied = until(lambda: client.get(f"/sessions/{session}/spans?only=denied").json()["items"], "the denial")
        assert denied[-1]["reason"] == "the desk is closed"
        page.get_by_role("tab", name="Revisions").click()
        expect(page.locator("tbody tr").first).to_contain_text("closing time")
    finally:
        (world[1] / "jackline.yaml").write_text(kept["text"], encoding="utf-8")
    works(did)


def test_the_editor_completes(open_page):
    page = open_page("/policies?tab=edit")
    editor = page.locator(".editor .cm-content")
    expect(editor).to_contain_text("session-ceiling")
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("unreg")
    options = page.locator(".cm-tooltip-autocomplete li")
    expect(options.filter(has_text="unregistered").first).to_be_visible()


def tab_to(page, wanted, most=80):
    """Press Tab until the focus is there."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if wanted.count() and wanted.first.evaluate("(one) => one === one.getRootNode().activeElement"):
            return
    pytest.fail(f"Tab does not reach {wanted}")


def test_the_keyboard_alone_denies(open_page, company, client, world):
    process = company("waits", 77)
    session = process.told("session")
    assert process.told("now") == "pending"
    approval = until(lambda: waiting(client, session), "the question")
    page = open_page("/")
    expect(page.get_by_role("heading", name="Live")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("a")
    expect(page.get_by_role("heading", name="Approvals")).to_be_visible()
    tab_to(page, page.locator(f'a[href^="/approvals/{approval}"]'))
    page.keyboard.press("Enter")
    card = page.get_by_role("article", name="tool.call refund")
    tab_to(page, card.get_by_role("radio", name="Approve"))
    page.keyboard.press("ArrowRight")
    expect(card.get_by_role("radio", name="Deny")).to_be_checked()
    tab_to(page, card.get_by_label("Why"))
    page.keyboard.type("not by hand")
    tab_to(page, card.get_by_role("button", name="Deny"))
    page.keyboard.press("Enter")
    assert process.told("now").startswith("denied")
    assert effects(world[1], "waits-77") == []


def test_the_keyboard_alone_stops_a_session(open_page, busy):
    _, did = busy(20, "billing")
    page = open_page("/")
    expect(page.get_by_role("button", name="Stop busy-20")).to_be_visible()
    tab_to(page, page.get_by_role("button", name="Stop busy-20"))
    with page.expect_response("**/stop") as answered:
        page.keyboard.press("Enter")
        expect(page.get_by_role("dialog").get_by_label("Why")).to_be_focused()
        page.keyboard.type("enough")
        page.keyboard.press("Control+Enter")
    rests(did, answered.value.json()["at"])
    expect(page.get_by_role("dialog")).to_have_count(0)

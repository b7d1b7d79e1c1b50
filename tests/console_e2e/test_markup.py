"""Names, arguments, results, errors, labels and reasons that are markup stand on the page as text: nothing of them runs.

`markup.json` has the texts. Every page that shows one is visited; `open_page` fails a test by dialogs, windows, refusals of the CSP,
complaints, and requests that go elsewhere.
"""

from __future__ import annotations

import contextlib
import json
from urllib.parse import quote

import pytest
import yaml
from console_harness import until
from markup import CORPUS, FOUND, GO, TEXTS, one_line, shown
from playwright.sync_api import expect

import jackline
from jackline.request import Agent, Tool

QUOTED = '"'
TALL = {"width": 1440, "height": 6400}


def bundle(text):
    """The company's bundle; payloads are kept as they are, and each text is the reason why a payment needs a person."""
    lines = ""
    for number, reason in enumerate(TEXTS):
        when = f"tool.name == 'pay' && args.number == {number}"
        rule = {
            "name": f"pay-{number}",
            "use": "rule",
            "on": "tool.call",
            "when": when,
            "effect": "escalate",
            "reason": reason,
        }
        lines += f"  - {yaml.safe_dump(rule, default_style=QUOTED, default_flow_style=True, width=10**6).strip()}\n"
    return text.replace("approvers:\n", f"{lines}capture: full\napprovers:\n")


@pytest.fixture(scope="module")
def spoiled(world, client, tmp_path_factory):
    """A session for each text, which is everything about it; and one whose steps have all of them. By text: session, agent, approval."""
    home, folder, _ = world
    path = tmp_path_factory.mktemp("spoiled") / "jackline.yaml"
    path.write_text(bundle((folder / "jackline.yaml").read_text(encoding="utf-8")), encoding="utf-8")
    with jackline.Guard.load(path, home=home, application="spoiled") as guard:
        with guard.session(id="every text", agent="spoiled") as every:
            for text in TEXTS:
                act(guard, text, f"tool {text}")
        sessions = [spoil(guard, number, text) for number, text in enumerate(TEXTS)]
        until(
            lambda: {session for session, _ in sessions} <= {one["session"] for one in listed(client, "/sessions")},
            "sessions",
        )
        for session, text in sessions:
            answer = client.post(f"/sessions/{session}/stop", json={"why": text})
            assert answer.status_code == 200, answer.text
            with (
                contextlib.suppress(jackline.Halted),
                guard.session(id=f"job {text}", agent=Agent(name=f"agent {text}", version=text)),
            ):
                act(guard, text, "too late")
    until(lambda: len([one for one in listed(client, "/sessions") if one["halted"]]) >= len(sessions), "the halts")
    approvals = {one["session"]: one["approval"] for one in listed(client, "/approvals")}
    return every.id, {text: (session, f"agent {text}", approvals[session]) for session, text in sessions}


def spoil(guard, number, text):
    agent = Agent(
        name=f"agent {text}", team=text, environment=text, labels={text or "x": text}, framework=text, version=text
    )
    with (
        contextlib.suppress(jackline.Halted),
        guard.session(id=f"job {text}", user=text, labels={"text": text}, agent=agent) as session,
    ):
        act(guard, text, f"tool {text}")
        tool = Tool(name="pay", fingerprint="b" * 16)
        decision = guard.check(
            guard.request("tool.call", "pay", {"number": number, "to": text, text: [text]}, tool=tool)
        )
        assert decision.effect == "escalate", decision
    return session.id, text


def act(guard, text, name):
    """A step that is done, and one that fails."""
    for failing in (False, True):
        request = guard.request(
            "tool.call", name, {"text": text, text: text}, tool=Tool(name=name, fingerprint="a" * 16)
        )
        decision = guard.require(request)
        if failing:
            guard.fail(request, decision, ValueError(text))
        else:
            guard.complete(request, decision, {"result": text})


def listed(client, route):
    found, cursor = [], None
    while True:
        answer = client.get(route, params={"limit": 100, **({"cursor": cursor} if cursor else {})}).json()
        found += answer["items"]
        cursor = answer["next"]
        if not cursor:
            return found


def test_every_list_shows_them_as_text(open_page, spoiled):
    page = open_page("/", viewport=TALL)
    for path in (
        "/",
        "/sessions",
        "/agents",
        "/approvals",
        "/approvals?state=all",
        "/policies",
        "/costs",
        "/alerts",
        "/access",
    ):
        page.goto(path)
        shown(page, path)
    page.goto(f"/sessions/{spoiled[0]}?tab=graph")
    shown(page, "the graph")
    names = [" ".join(text.split()) for text in page.locator(".node title").all_text_contents()]
    assert {one_line(f"tool {text}") for text in TEXTS} <= set(names)


def test_every_step_shows_them_as_text(open_page, spoiled, client):
    page = open_page(f"/sessions/{spoiled[0]}", viewport=TALL)
    expect(page.locator(".span-row .name").first).to_be_visible()
    names = page.locator(".span-row .name")
    wanted = {one_line(f"tool {text}") for text in TEXTS}
    until(lambda: wanted <= {" ".join(text.split()) for text in names.all_text_contents()}, "every step's name")
    shown(page, "every step")
    page.set_viewport_size({"width": 1440, "height": 900})
    details = page.get_by_role("complementary", name="The chosen step")
    failed = client.get(f"/sessions/{spoiled[0]}/spans?only=failed").json()["items"]
    spans = {one["name"].removeprefix("tool "): one["span"] for one in failed if one.get("outcome") == "failed"}
    for text in TEXTS:
        page.evaluate(GO, f"/sessions/{spoiled[0]}?span={spans[text]}")
        expect(details.get_by_text(spans[text], exact=True)).to_be_visible()
        details.get_by_role("button", name="Show").first.click()
        expect(details.locator("pre.json").first).to_contain_text('"text"')
        assert json.loads(details.locator("pre.json").first.text_content())["text"] == text
        assert one_line(text) in " ".join(details.text_content().split())
        assert page.evaluate(FOUND) == [], text


def test_every_session_agent_and_approval_shows_its_text(open_page, spoiled):
    page = open_page("/")
    for text, (session, agent, approval) in spoiled[1].items():
        assert visit(page, f"/sessions/{session}", f"job {text}", ".banner.bad", text)
        assert visit(page, f"/agents/{quote(agent, safe='')}", agent, ".facts", text)
        assert visit(page, f"/approvals/{approval}", "Approvals", ".approval .why", text)


THERE = """([title, where]) => {
  const one = (text) => text.split(/\\s+/).filter(Boolean).join(' ');
  const [head, found] = [document.querySelector('h1'), document.querySelector(where)];
  return head && found && !document.querySelector('.shade') && one(head.textContent) === title ? one(found.textContent) : null;
}"""


def visit(page, path, title, where, text):
    """Go there within the page; whether a text stands at a place, and nothing of the page is more than text."""
    page.evaluate(GO, path)
    found = page.wait_for_function(THERE, arg=[one_line(title), where]).json_value()
    assert page.evaluate(FOUND) == [], path
    assert one_line(text) in found, path
    return True


@pytest.mark.parametrize("name", ["script", "end of title", "address", "direction", "prototype"])
def test_an_address_that_is_markup_is_text_too(name, open_page):
    text = CORPUS[name]
    page = open_page("/", but="status of 40[04]")
    for path in (
        "/{}",
        "/sessions/{}",
        "/agents/{}",
        "/approvals/{}",
        "/agents?where={}",
        "/sessions?agent={}",
        "/policies?tab={}",
        "/costs?by={}",
    ):
        page.goto(path.format(quote(text, safe="")))
        shown(page, path)

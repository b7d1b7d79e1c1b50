"""Names, arguments, errors and reasons that are markup are shown as text: nothing of them runs."""

from __future__ import annotations

import contextlib
from urllib.parse import quote

import pytest
from console_harness import until
from playwright.sync_api import expect

import jackline
from jackline.request import Agent, Tool

CORPUS = [
    "<script>window.ran = 1</script>",
    '"><img src=x onerror="window.ran = 2">',
    "javascript:window.ran=3",
    "</title><svg onload=window.ran=4>",
    "'-window.ran=5-'",
    "<iframe srcdoc='<script>parent.ran=6</script>'>",
    "<style>*{display:none}</style>",
    "{{constructor.constructor('window.ran=8')()}}",
    "\u202eevil\u2066\x00\x1b[31m",
]


@pytest.fixture(scope="module")
def spoiled(world, client):
    home, folder, _ = world
    with jackline.Guard.load(folder / "jackline.yaml", home=home, application="desk") as guard:
        for text in CORPUS:
            agent = Agent(
                name=f"agent {text}", team=text, environment=text, labels={text: text}, framework=text, version=text
            )
            with (
                contextlib.suppress(jackline.Halted),
                guard.session(id=f"job {text}", user=text, labels={"x": text}, agent=agent),
            ):
                tool = Tool(name=f"tool {text}", fingerprint="a" * 16)
                request = guard.request("tool.call", tool.name, {"text": text}, tool=tool)
                guard.fail(request, guard.check(request), ValueError(text))
                large = guard.request(
                    "tool.call",
                    "refund",
                    {"amount": 900.0, "order": text},
                    tool=Tool(name="refund", fingerprint="b" * 16),
                )
                guard.check(large)
    until(
        lambda: (
            len(
                [
                    one
                    for one in client.get("/sessions?limit=200").json()["items"]
                    if one["external_id"].startswith("job ")
                ]
            )
            >= len(CORPUS)
        ),
        "the sessions",
    )
    sessions = client.get("/sessions?limit=200").json()["items"]
    return [one["session"] for one in sessions if one["external_id"].startswith("job ")]


def test_nothing_of_it_runs(open_page, spoiled, client):
    paths = ["/", "/sessions", "/agents", "/approvals", "/policies", "/costs"]
    paths += [f"/sessions/{one}{tail}" for one in spoiled for tail in ("", "?tab=graph", "?replay=1")]
    paths += [
        f"/agents/{quote(one['name'], safe='')}"
        for one in client.get("/agents").json()["items"]
        if one["name"].startswith("agent ")
    ]
    paths += [
        f"/approvals/{one['approval']}"
        for one in client.get("/approvals").json()["items"]
        if one["agent"].startswith("agent ")
    ]
    paths += [f"/{quote(text, safe='')}" for text in CORPUS] + [f"/agents?where={quote(text)}" for text in CORPUS]
    page = open_page("/")
    for path in paths:
        page.goto(path)
        expect(page.locator("h1").first).to_be_visible()
        expect(page.get_by_role("status", name="Loading")).to_have_count(0)
        assert page.evaluate("window.ran") is None, path
        assert (
            page.evaluate("document.querySelectorAll('main script, main iframe, main img, main style').length") == 0
        ), path


def test_it_is_shown_as_it_was_recorded(open_page, spoiled):
    page = open_page(f"/sessions/{spoiled[-1]}")
    expect(
        page.locator(".span-row")
        .filter(has_text="tool <script>window.ran = 1</script>")
        .or_(page.locator(".span-row").filter(has_text="tool ").first)
        .first
    ).to_be_visible()
    page.locator(".span-row").filter(has_text="tool ").first.click()
    expect(page.get_by_role("complementary", name="The chosen step")).to_contain_text("ValueError")

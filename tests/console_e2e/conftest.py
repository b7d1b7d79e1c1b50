"""A console with a week on record, agents beside it, and Chromium: made once for all tests of the page."""

from __future__ import annotations

import os
import re
import shutil
import sys
from functools import partial
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "console"))

import e2e_world
from console_harness import Running
from playwright.sync_api import expect, sync_playwright

SHOTS = os.environ.get("JACKLINE_SCREENSHOTS", "")
"""A folder for a screenshot of every page; nowhere by default."""
expect.set_options(timeout=15_000)


@pytest.fixture(scope="session")
def world(tmp_path_factory):
    """Home, bundle and key: a week of sessions, and one of 10,000 spans."""
    if not Path(e2e_world.CHROMIUM).is_file():
        pytest.skip(f"no browser at {e2e_world.CHROMIUM}; install Debian's chromium, or set JACKLINE_CHROMIUM")
    root = tmp_path_factory.mktemp("world")
    home, folder, config = e2e_world.furnish(root)
    for part, number in (("week", 0), ("long", 10_000)):
        process = e2e_world.company(home, folder, part, number)
        process.told("done")
        process.end()
    return home, folder, config


@pytest.fixture(scope="session")
def console(world):
    home, folder, config = world
    running = Running(home, folder, config=config)
    yield running
    running.end()


@pytest.fixture(scope="session")
def client(console, state):
    """The same person's API: the page is compared with it."""
    made = console.plain(cookies={each["name"]: each["value"] for each in state["cookies"]})
    made.headers["X-Jackline-CSRF"] = made.get("/me").json()["csrf"]
    return made


@pytest.fixture(scope="session")
def browser(world):
    del world
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=e2e_world.CHROMIUM, args=e2e_world.FLAGS)
        yield made
        made.close()


@pytest.fixture(scope="session")
def state(browser, console):
    """The cookie of whoever followed the link."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(console.link)
    expect(page.get_by_role("heading", name="Live")).to_be_visible()
    kept = context.storage_state()
    context.close()
    return kept


@pytest.fixture
def open_page(browser, console, state):
    """Open a page at a path; afterwards nothing may have been thrown, complained of, opened, refused by the CSP, or asked of others.

    `but` is a pattern of complaints that a test brings about itself.
    """
    contexts, faults = [], []

    def opened(path="/", *, script="", but="^$", known=True, **more):
        context = browser.new_context(storage_state=state if known else None, base_url=console.base, **more)
        contexts.append(context)
        context.add_init_script(REFUSED + script)
        page = context.new_page()
        told = partial(complain, faults, re.compile(but))
        page.on("pageerror", lambda error: told(f"thrown: {error}"))
        page.on("dialog", lambda dialog: (told(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on(
            "console", lambda message: message.type == "error" and told(f"{message.text} {message.location['url']}")
        )
        page.on("popup", lambda other: told(f"a window was opened: {other.url}"))
        page.on("request", lambda request: request.url.startswith(console.base) or told(f"asked: {request.url}"))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


REFUSED = "addEventListener('securitypolicyviolation', (one) => console.error('CSP refused', one.violatedDirective, one.blockedURI));"


def complain(faults, but, text):
    if not but.search(text):
        faults.append(text)


@pytest.fixture
def company(world):
    """Start agents: `company("waits", 1)`."""
    home, folder, _ = world
    started = []

    def start(part, *more):
        process = e2e_world.company(home, folder, part, *more)
        started.append(process)
        return process

    yield start
    for process in started:
        process.end()


@pytest.fixture
def shot():
    """Keep a screenshot, where somebody wants them."""

    def keep(page, name):
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            page.screenshot(path=str(Path(SHOTS) / f"{name}.png"))

    return keep


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    found = Path(__file__).parents[2] / "console" / "page" / "node_modules" / "axe-core" / "axe.min.js"
    if not found.is_file():
        where = shutil.which("npm") or "npm"
        pytest.skip(f"axe-core is not installed: `{where} ci` in console/page")
    return found.read_text(encoding="utf-8")

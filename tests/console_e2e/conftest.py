"""A console with a week on record, agents beside it, and Chromium: made once for all tests of the page."""

from __future__ import annotations

import os
import shutil
import sys
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
    return e2e_world.knows(console, state)


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
    return e2e_world.let_in(browser, console.link)


@pytest.fixture
def open_page(browser, console, state):
    """Open a page of the console at a path: see `openings`."""
    with e2e_world.openings(browser, console.base, state) as opened:
        yield opened


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

"""What the tests of the page stand on: a bundle with approvers, a console, agents beside it, a browser."""

from __future__ import annotations

import contextlib
import json
import os
import re
import sys
from functools import partial
from pathlib import Path
from typing import Any

from playwright.sync_api import expect

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "console"))

from console_harness import Process  # noqa: E402

from jackline.cli import keys  # noqa: E402

BUNDLE = """\
# What this company's agents may do, and what it may cost.
jackline: 1
policies:
  - name: session-ceiling
    use: budget
    with: {limit: 0.50 USD, per: session, on_exceed: halt, unknown_price: {input: 1 USD/M, output: 4 USD/M}}
  - name: no-exports
    use: rule
    on: tool.call
    when: tool.name == 'crm.export'
    effect: deny
    reason: customer data stays in the CRM
  - name: refunds-need-a-human
    use: rule
    on: tool.call
    when: tool.name == 'refund' && args.amount > 500
    effect: escalate
    reason: refunds above 500 need a person
    with: {expires: 30m}
  - name: mail-inside-only
    use: rule
    mode: observe
    on: tool.call
    agents: "'customer-data' in agent.labels"
    when: tool.name == 'mail.send' && !args.to.endsWith('@example.com')
    effect: deny
    reason: mail goes to customers only
"""
PRICES = """\
prices:
  - {model: house-small, input: 0.60, output: 2.40}
  - {model: house-large, input: 3.00, output: 15.00}
"""
CHROMIUM = os.environ.get("JACKLINE_CHROMIUM", "/usr/bin/chromium")
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


HIDDEN = re.compile(
    "[\0-\x08\v-\x1f\x7f-\x9f\xad\u061c\u115f\u1160\u17b4\u17b5\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f"
    "\u3164\ufeff\uffa0\ufff9-\ufffb\U000e0000-\U000e007f]"
)


def visible(text: str) -> str:
    """As the page shows a text: what nobody sees, and what turns text around, as JSON's escapes."""
    return HIDDEN.sub(
        lambda found: json.dumps(found[0])[1:-1] if found[0] > "\x7f" else f"\\u{ord(found[0]):04x}", text
    )


def furnish(root: Path) -> tuple[Path, Path, Path]:
    """Make home, folder with the bundle, and the person's key: (home, folder, config)."""
    home, folder, config = root / "home", root / "desk", root / "config"
    home.mkdir(mode=0o700)
    folder.mkdir()
    (home / "prices.yaml").write_text(PRICES, encoding="utf-8")
    os.environ["JACKLINE_CONFIG"] = str(config)
    _, public, _ = keys.made("ana")
    (folder / "jackline.yaml").write_text(f'{BUNDLE}approvers:\n  ana: {{key: "{public}"}}\n', encoding="utf-8")
    return home, folder, config


def company(home: Path, folder: Path, part: str, *more: object) -> Process:
    """Agents in a process of their own."""
    words = [sys.executable, str(HERE / "company.py"), "jackline.yaml", part, *map(str, more)]
    return Process(*words, home=home, folder=folder)


def effects(folder: Path, by: str) -> list[dict[str, Any]]:
    """What the tools of one session did in the world, by their own account."""
    lines = (folder / "effects.jsonl").read_bytes().splitlines()
    return [line for line in map(json.loads, lines) if line["by"] == by]


@contextlib.contextmanager
def openings(browser, base, state):
    """Open pages; afterwards nothing may have been thrown, complained of, opened, refused by the CSP, or asked of others.

    `but` is a pattern of complaints that a test brings about itself.
    """
    contexts, faults = [], []

    def opened(path="/", *, script="", but="^$", known=True, **more):
        context = browser.new_context(storage_state=state if known else None, base_url=base, **more)
        contexts.append(context)
        context.add_init_script(REFUSED + script)
        page = context.new_page()
        told = partial(complain, faults, re.compile(but))
        page.on("pageerror", lambda error: told(f"thrown: {error}"))
        page.on("dialog", lambda dialog: (told(f"dialog: {dialog.message}"), dialog.dismiss()))
        page.on("console", lambda said: said.type == "error" and told(f"{said.text} {said.location['url']}"))
        page.on("popup", lambda other: told(f"a window was opened: {other.url}"))
        page.on("request", lambda request: request.url.startswith(base) or told(f"asked: {request.url}"))
        page.goto(path)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def let_in(browser, link):
    """Follow a console's link; the cookie of whoever did."""
    context = browser.new_context()
    page = context.new_page()
    page.goto(link)
    expect(page.get_by_role("heading", name="Live")).to_be_visible()
    kept = context.storage_state()
    context.close()
    return kept


def knows(console, state):
    """The API as the same person."""
    made = console.plain(cookies={each["name"]: each["value"] for each in state["cookies"]})
    made.headers["X-Jackline-CSRF"] = made.get("/me").json()["csrf"]
    return made


REFUSED = "addEventListener('securitypolicyviolation', (one) => console.error('CSP refused', one.violatedDirective, one.blockedURI));"


def complain(faults, but, text):
    if not but.search(text):
        faults.append(text)

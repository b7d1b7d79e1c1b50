"""Pictures of every page, from a real console with real agents beside it: `python tests/console_e2e/pictures.py FOLDER [docs/pictures]`.

Each page goes to FOLDER in light and dark, the approvals also as a phone shows them; those that the documents show are copied to the
second folder.
"""

from __future__ import annotations

import contextlib
import shutil
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "console"))

import e2e_world
from addresses import HELD, PAGES
from console_harness import Running, until
from playwright.sync_api import expect, sync_playwright

expect.set_options(timeout=20_000)
DESK = {"width": 1280, "height": 800}
PHONE = {"width": 390, "height": 844}
WORKED_S = 45
"""How long the live sessions have run when their picture is taken."""
PAST = ("costs",)
"""Pages whose picture is of the week alone."""
SHOWN = {
    "live-light": "live",
    "step-dark": "trace",
    "alerts-dark": "alerts",
    "agents-light": "agents",
    "approval-light": "approvals",
    "approval-phone-dark": "approvals-phone",
    "bundle-dark": "policies",
    "costs-light": "costs",
}
"""The pictures that the documents show, and under which name."""
MOST_BYTES = 200_000


def main(folder: Path, documents: Path | None) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    with place() as root:
        home, desk, config = e2e_world.furnish(root)
        for part, number in (("week", 0), ("long", 10_000)):
            past = e2e_world.company(home, desk, part, number)
            past.told("done")
            past.end()
        console = Running(home, desk, config=config, verb="up")
        with contextlib.ExitStack() as stack:
            stack.callback(console.end)

            def start(part: str, number: int) -> None:
                stack.callback(e2e_world.company(home, desk, part, number).end)

            take(console, start, folder)
    for name, shown in SHOWN.items() if documents else ():
        taken = folder / f"{name}.png"
        assert taken.stat().st_size < MOST_BYTES, f"{taken} has {taken.stat().st_size} bytes"
        documents.mkdir(parents=True, exist_ok=True)
        shutil.copy(taken, documents / f"{shown}.png")


@contextlib.contextmanager
def place():
    """A folder with a name that a picture may show, gone afterwards."""
    root = Path(tempfile.gettempdir()) / "company"
    root.mkdir(mode=0o700)
    try:
        yield root
    finally:
        shutil.rmtree(root)


def take(console: Running, start, folder: Path) -> None:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=e2e_world.CHROMIUM, args=e2e_world.FLAGS)
        context = browser.new_context(base_url=console.base)
        page = context.new_page()
        page.goto(console.link)
        expect(page.get_by_role("heading", name="Live")).to_be_visible()
        state = context.storage_state()
        client = console.plain(cookies={each["name"]: each["value"] for each in state["cookies"]})
        client.headers["X-Jackline-CSRF"] = client.get("/me").json()["csrf"]
        until(lambda: client.get("/status").json()["behind"]["bytes"] == 0, "the index")
        pictures(browser, console, state, folder, {name: path for name, path in PAGES.items() if name in PAST})
        for part, number in (("now", 9), ("waits", 81), ("waits", 82)):
            start(part, number)
        places = prepared(client)
        present = {name: path.format(**places) for name, path in PAGES.items() if name not in PAST}
        pictures(browser, console, state, folder, present)
        pictures(browser, console, state, folder, {name: present[name] for name in HELD if name in present}, phone=True)
        browser.close()


def prepared(client) -> dict[str, str]:
    """Agents that people registered, and the ids that the addresses need."""
    owned = {
        "support": ("care", {"customer-data": "yes", "purpose": "tickets"}),
        "research": ("insight", {}),
        "billing": ("finance", {}),
    }
    for name, (team, labels) in owned.items():
        until(lambda name=name: client.get(f"/agents/{name}").status_code == 200, name)
        said = {"status": "active", "team": team, "environment": "production", "labels": labels}
        client.patch(f"/agents/{name}", json={"why": "known and owned", **said}).raise_for_status()
    until(lambda: worked(client), "the live sessions", 3 * WORKED_S)
    spans = client.get("/sessions/ticket-44/spans?only=denied").json()["items"]
    denied = next(span["span"] for span in spans if span.get("effect") == "deny")
    asked = [one for one in client.get("/approvals").json()["items"] if one["external_id"].startswith("waits-")]
    return {"denied": denied, "approval": asked[-1]["approval"]}


def worked(client) -> bool:
    items = client.get("/live").json()["items"]
    return any(one["external_id"].startswith("live-") and one["last_at"] - one["started"] > WORKED_S for one in items)


def pictures(browser, console, state, folder, paths, *, phone=False) -> None:
    shape = (
        {"viewport": PHONE, "has_touch": True, "is_mobile": True, "device_scale_factor": 2}
        if phone
        else {"viewport": DESK}
    )
    for scheme in ("light", "dark"):
        context = browser.new_context(storage_state=state, base_url=console.base, color_scheme=scheme, **shape)
        page = context.new_page()
        for name, path in paths.items():
            picture(page, path, folder / f"{name}{'-phone' if phone else ''}-{scheme}.png")
        context.close()


def picture(page, path: str, to: Path) -> None:
    page.goto(path)
    expect(page.locator("h1").first).to_be_visible()
    expect(page.get_by_role("status", name="Loading")).to_have_count(0)
    expect(page.locator(".connection")).to_have_text("Connected")
    if "tab=edit" in path:
        expect(page.locator(".editor-foot")).not_to_contain_text("Checking")
    if "replay=1" in path:
        slider = page.get_by_role("slider", name="Event")
        expect(page.locator(".replay-at")).to_contain_text("1 of")
        slider.fill(str(int(slider.get_attribute("max")) * 2 // 3))
    if "tab=graph" in path:
        page.locator(".node").first.click()
    expect(page.locator(".shade")).to_have_count(0)
    page.evaluate("document.fonts.ready")
    page.screenshot(path=str(to))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else None)

"""How fast the page is, by the browser's own trace. Times are the main thread's own: what other programs take is not the page's."""

from __future__ import annotations

import json
import statistics
import sys

from console_harness import until
from playwright.sync_api import expect

WORK = {
    "FunctionCall",
    "FireAnimationFrame",
    "EventDispatch",
    "TimerFire",
    "UpdateLayoutTree",
    "Layout",
    "EvaluateScript",
    "MinorGC",
    "MajorGC",
}
CATEGORIES = ["toplevel", "devtools.timeline", "disabled-by-default-devtools.timeline", "v8.execute"]
OPENS = """(link) => new Promise((done) => {
  const began = performance.now();
  const seen = () => document.querySelectorAll('.span-row').length > 10;
  const look = () => (seen() ? done(performance.now() - began) : requestAnimationFrame(look));
  link.click();
  look();
})"""
"""From the click until the first frame with the waterfall's rows, in milliseconds."""
ROWS = "document.querySelectorAll('.span-row, .live-row').length"


def traced(browser, page, act):
    """Do something under the browser's trace; the main thread's events of this page's process."""
    browser.start_tracing(page=page, categories=CATEGORIES)
    act()
    events = json.loads(browser.stop_tracing())["traceEvents"]
    mains = {
        (one["pid"], one["tid"])
        for one in events
        if one.get("name") == "thread_name" and one["args"]["name"] == "CrRendererMain"
    }
    busy = {}
    for one in events:
        at = (one["pid"], one["tid"])
        if at in mains and one.get("ph") == "X":
            busy.setdefault(at, []).append(one)
    return max(busy.values(), key=len)


def cpu(event):
    """Milliseconds of the thread's own time; of the wall's where the trace has no other."""
    return event.get("tdur", event.get("dur", 0)) / 1000


def longest_task(events):
    tasks = [one for one in events if one["name"].endswith("RunTask")]
    assert tasks, "the trace has no tasks"
    return max(cpu(one) for one in tasks), max(one["dur"] for one in tasks) / 1000


def by_frame(events):
    """Script and layout of each frame in milliseconds: outermost events between one frame's begin and the next."""
    begins = sorted(
        one["ts"] for one in events if one["name"] in ("FireAnimationFrame", "PageAnimator::serviceScriptedAnimations")
    )
    work = sorted((one for one in events if one["name"] in WORK), key=lambda one: (one["ts"], -one["dur"]))
    frames, end, at = [0.0] * max(1, len(begins)), 0.0, 0
    for one in work:
        if one["ts"] < end:
            continue  # within another
        end = one["ts"] + one["dur"]
        while at + 1 < len(begins) and begins[at + 1] <= one["ts"]:
            at += 1
        frames[at] += cpu(one)
    return frames


def p95(values):
    return statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]


def test_a_session_of_ten_thousand_spans(browser, open_page, capsys):
    page = open_page("/sessions", viewport={"width": 1440, "height": 900})
    link = page.get_by_role("link", name="long", exact=True)
    page.goto("/sessions?agent=scraper&user=u-1")
    expect(link).to_be_visible()
    took = []
    for _ in range(3):
        took.append(link.evaluate(OPENS))
        page.go_back()
        expect(link).to_be_visible()
    link.click()
    expect(page.locator(".span-row").first).to_be_visible()
    expect(page.locator(".toolbar")).to_contain_text("10,001 steps")

    def scroll():
        page.mouse.move(500, 600)
        for step in range(120):
            page.mouse.wheel(0, 240 if step < 80 else 2400)
            page.evaluate("new Promise((done) => requestAnimationFrame(done))")

    most = 0
    events = traced(browser, page, scroll)
    most = max(most, page.evaluate(ROWS))
    own, wall = longest_task(events)
    frames = [one for one in by_frame(events) if one]
    with capsys.disabled():
        sys.stdout.write(
            f"\n10,000 spans: opens in {min(took):.0f}-{max(took):.0f} ms; scrolling {len(frames)} frames: p95 {p95(frames):.1f} ms, longest task {own:.1f} ms (wall {wall:.1f}), {most} rows"
        )
    assert min(took) < 1000
    assert most <= 500
    assert own <= 50
    assert p95(frames) <= 12


def test_five_hundred_live_sessions(browser, open_page, company, client, capsys):
    process = company("many", 500)
    process.told("running")
    page = open_page("/", viewport={"width": 1440, "height": 900})
    until(lambda: client.get("/summary").json()["running"] >= 490, "the sessions", 60)
    expect(page.locator(".live-row").first).to_be_visible()
    total = "Number(document.querySelector('.live').getAttribute('aria-rowcount'))"
    until(lambda: page.evaluate(total) > 490, "the rows", 60)
    watch = "window.changes = 0; new MutationObserver((all) => { window.changes += all.length }).observe(document.querySelector('.live-body'), {subtree: true, childList: true, characterData: true, attributes: true})"
    page.evaluate(watch)
    events = traced(browser, page, lambda: page.wait_for_timeout(10_000))
    own, wall = longest_task(events)
    rows, changes = page.evaluate(ROWS), page.evaluate("window.changes")
    with capsys.disabled():
        sys.stdout.write(
            f"\n500 live sessions: longest task {own:.1f} ms (wall {wall:.1f}), {rows} rows, {changes} changes in 10 s"
        )
    assert changes > 100, "the rows are not kept up"
    assert rows <= 500
    assert own <= 50

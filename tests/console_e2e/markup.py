"""Texts that are markup, and what of a page would show that one was taken for more than text."""

from __future__ import annotations

import json
from pathlib import Path

from e2e_world import visible
from playwright.sync_api import expect

CORPUS = json.loads((Path(__file__).parent / "markup.json").read_text(encoding="utf-8"))
TEXTS = list(CORPUS.values())
GO = "(path) => { history.pushState(null, '', path); dispatchEvent(new PopStateEvent('popstate')); }"
"""To another page of this one without loading it anew, as its links do."""
FOUND = """() => [
  window.ran === undefined ? '' : `ran ${window.ran}`,
  ({}).ran === undefined ? '' : 'a prototype was changed',
  ...[...document.querySelectorAll('body *')].flatMap((one) => [
    ['SCRIPT', 'IFRAME', 'IMG', 'STYLE', 'LINK', 'META', 'BASE', 'OBJECT', 'EMBED', 'VIDEO', 'AUDIO', 'MARQUEE'].includes(one.tagName) ? one.outerHTML : '',
    ...[...one.attributes].map((had) => (/^on/i.test(had.name) ? one.outerHTML : '')),
    one.tagName === 'A' && one.href && !/^http:\\/\\/127\\.0\\.0\\.1:/.test(one.href) ? one.href : '',
  ]),
].filter(Boolean)"""
"""What must not be there: signs that something ran, elements that the page has none of, handlers, links elsewhere."""


def shown(page, path):
    """Wait until a page is there; fail where anything of it is more than text."""
    expect(page.locator("h1").first).to_be_visible()
    expect(page.locator(".shade")).to_have_count(0)
    assert page.evaluate(FOUND) == [], path


def one_line(text):
    return " ".join(visible(text).split())

"""A real `jackline up` with a busy agent, a real Prometheus that scrapes it, and a real Alertmanager: made once."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
sys.path.insert(0, str(Path(__file__).parents[1] / "console"))

import servers
from console_harness import Process, Running, until
from mail import Receiver

from jackline.events import ApprovalDenied, ApprovalRequested, EventsLost
from jackline.home import Home
from jackline.journal import Journal
from jackline_console.access.users import Users

HERE = Path(__file__).resolve().parent
BUNDLE = """\
jackline: 1
policies:
  - {name: session-ceiling, use: budget, with: {limit: 50 USD, per: session, on_exceed: halt}}
  - {name: forbidden, use: rule, on: tool.call, when: "tool.name == 'forbidden'", effect: deny, reason: not today}
alerts:
  defaults: false
  rules:
    denials: {kind: denial_burst, severity: critical, when: {above: 5, window: 10s}}
notify:
  am: {alertmanager: "env:JACKLINE_TEST_AM"}
"""


class Landscape:
    """What runs."""

    def __init__(self, home, console, agent, prometheus, alertmanager, hook):
        self.home, self.console, self.agent, self.hook = home, console, agent, hook
        self.prometheus, self.alertmanager = prometheus, alertmanager
        self.token = token(home)

    def metrics(self, accept="*/*"):
        """The metrics as a scrape of this moment gets them."""
        headers = {"Authorization": f"Bearer {self.token}", "Accept": accept}
        answer = self.console.plain(headers=headers).get(f"{self.console.base}/metrics")
        assert answer.status_code == 200, answer.text
        return answer.text


def token(home):
    return Users(Home(home).path / "console").issue("prometheus", "viewer", time.time(), None)[1]


def answered(home):
    """A question that somebody said no to, and an observation that was lost: what the busy agent does not do."""
    now, act = time.time(), {"session": "1" * 32, "run": "a" * 32, "span": "b" * 16, "agent": "support@2"}
    what = {"action": "tool.call", "resource": "refund", "policy": "refunds", "reason": "large", "args": "d" * 32}
    journal = Journal.open(Home(home).journals)
    asked = {"approval": "c" * 64, "to": ("ana",), "needed": 1, "expires": now + 600, "rule": ""}
    journal.append(ApprovalRequested(at=now - 40, **asked, **act, **what))
    journal.append(ApprovalDenied(at=now, approval="c" * 64, session="1" * 32, who="ana", why="no"))
    journal.append(EventsLost(at=now, count=2, reason="the disk was full"))
    journal.close()


@pytest.fixture(scope="session")
def landscape(tmp_path_factory):
    for name in ("prometheus", "promtool", "prometheus-alertmanager"):
        servers.program(name)
    root = tmp_path_factory.mktemp("landscape")
    (root / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    home, closing = root / "home", []
    with pytest.MonkeyPatch.context() as patched:
        try:
            hook = Receiver()
            closing.append(hook.close)
            manager = servers.alertmanager(root / "alertmanager", hook.url)
            closing.append(manager.end)
            patched.setenv("JACKLINE_TEST_AM", manager.url)
            console = Running(home, root, config=root / "config", verb="up")
            closing.append(console.end)
            address = console.base.removeprefix("http://")
            watcher = servers.prometheus(root / "prometheus", address, token(home), manager.url.removeprefix("http://"))
            closing.append(watcher.end)
            words = [sys.executable, str(HERE / "busy.py"), "jackline.yaml"]
            agent = Process(*words, home=home, folder=root)
            closing.append(agent.end)
            agent.told("works")
            made = Landscape(home, console, agent, watcher, manager, hook)
            until(lambda: scraped(made, "jackline_events_dropped_total"), "the first scrape")
            answered(home)
            yield made
        finally:
            for close in reversed(closing):
                close()


def scraped(landscape, query):
    """The values that Prometheus has for a query now."""
    answer = landscape.prometheus.get("/api/v1/query", query=query)
    return answer["data"]["result"]

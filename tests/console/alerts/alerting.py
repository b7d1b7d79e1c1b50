"""A home with a governed agent, an index and an alerter, all on one clock that tests set."""

from __future__ import annotations

import contextlib
from typing import Any

import jackline
from jackline.bundle import load_bundle
from jackline.errors import JacklineError
from jackline.events import Usage
from jackline.home import Home
from jackline.ingest import ingest
from jackline.request import Model
from jackline.stores.sqlite import SQLiteStore
from jackline_console.alerts.alerter import Alerts
from jackline_console.alerts.silences import Silences

AT = 1_800_000_000.0
BUNDLE = "jackline: 1\npolicies: []\n"
BUDGET = """\
jackline: 1
policies:
  - {name: ceiling, use: budget, with: {limit: 1.00 USD, per: session, on_exceed: halt}}
"""
_PER_TOKEN = 0.60 / 1_000_000
"""Dollars of an output token of the model that these tests call."""


class Clock:
    """Seconds, moved by hand."""

    def __init__(self, now=AT):
        self.now = now

    def __call__(self):
        return self.now


class Told:
    """A delivery that keeps what it was handed."""

    def __init__(self):
        self.edges = []
        self.channels = []

    def deliver(self, alert, channels):
        self.edges.append(alert)
        self.channels.append(channels)

    def sent(self, alert):
        return ()


class World:
    """One home. `look` is what the tail does; `wait` lets time pass."""

    def __init__(self, folder, bundle=BUNDLE, clock=None):
        self.folder, self.clock, self.bundle = folder, clock or Clock(), bundle
        (folder / "jackline.yaml").write_text(bundle, encoding="utf-8")
        self.home = Home(folder / "home").make()
        self.guard = jackline.Guard.load(
            str(folder / "jackline.yaml"), home=self.home.path, application="desk", clock=self.clock
        )
        self.told = Told()
        self.begin()

    def begin(self):
        """Start an alerter, as a console does when it starts."""
        self.store = SQLiteStore(self.home.index)
        self.silences = Silences(self.store)
        self.alerts = Alerts(
            self.home,
            self.store,
            self.silences,
            rules=lambda: load_bundle(self.bundle.encode()).alerts,
            delivery=self.told,
            clock=self.clock,
        )
        self.position = self.store.head()[1]
        self.look()

    def restart(self, *, kept=True):
        """End the alerter and start another; `kept` false: as after a kill, nothing is put in order."""
        if kept:
            self.alerts.close()
        else:
            self.alerts._only.free()
        self.store.close()
        self.begin()

    def look(self):
        """Bring in what was written, and what the alerter wrote about it."""
        for _ in range(2):
            ingest(self.home.path, self.store)
            epoch, last = self.store.head()
            rows = list(self.store.events(after=self.position))
            self.position = last
            self.alerts.feed(epoch, rows)
            self.alerts.turn(epoch, last)

    def wait(self, seconds, step=1.0):
        """Let time pass, a second at a time, with nothing new; then look."""
        self.look()
        until = self.clock.now + seconds
        while self.clock.now < until:
            self.clock.now = min(until, self.clock.now + step)
            self.alerts.turn(*self.store.head())
        self.look()

    def tool(self, name, act=None):
        """A governed tool; it gives what it was given."""

        def body(value: Any = None) -> Any:
            return act(value) if act is not None else value

        body.__name__ = name
        return self.guard.tool(body)

    def fail(self, name, error=ValueError):
        """A governed tool that fails; calling it is no error of the test."""

        def act(_value):
            raise error("no")

        tool = self.tool(name, act)

        def call(value=None):
            with contextlib.suppress(error):
                tool(value)

        return call

    def spend(self, usd, model="gpt-4o-mini", provider="openai"):
        """Call a model, for so many dollars."""
        asked = Model(name=model, provider=provider, max_tokens=10, input_bytes=10)
        request = self.guard.request("model.call", model, {"messages": []}, model=asked)
        with contextlib.suppress(jackline.Halted, jackline.Denied):
            decision = self.guard.require(request)
            usage = Usage(output=round(usd / _PER_TOKEN))
            self.guard.complete(request, decision, result="x", usage=usage, model=model)

    def rows(self, rule="", *, open_only=False):
        """The alerts on record, the latest first."""
        return [row for row in self.store.alerts(open_only=open_only) if rule in ("", row.rule)]

    def fired(self, rule):
        """The one alert of a rule."""
        self.look()
        found = self.rows(rule)
        assert len(found) == 1, [(row.rule, row.message) for row in self.rows()]
        return found[0]

    def lines(self):
        """What the alerter has put on record: kind and rule."""
        return [
            (row.kind, row.event.rule) for row in self.store.events() if row.kind in ("alert_fired", "alert_resolved")
        ]

    def close(self):
        self.alerts.close()
        self.store.close()
        with contextlib.suppress(JacklineError):
            self.guard.close()

"""A real guard on a real home, with a clock that the test moves."""

from __future__ import annotations

import json
import sys
from types import SimpleNamespace
from typing import TYPE_CHECKING

import pytest

from jackline import Guard, options
from jackline.decision import Claim, Verdict
from jackline.hookspecs import hookimpl
from jackline.journal import read
from jackline.plain import canonical
from jackline.plugins import load_plugins
from jackline.policy import Reach

if TYPE_CHECKING:
    from pathlib import Path


class Clock:
    def __init__(self):
        self.now = 1_800_000_000.0

    def __call__(self):
        self.now += 0.001
        return self.now


class Bench:
    """Makes guards from bundle text and reads their journals back."""

    def __init__(self, home: Path):
        self.home = home
        self.clock = Clock()
        self.guards = []

    def guard(self, bundle: str | None = None, **options):
        options = {"home": self.home, "application": "app", "clock": self.clock, **options}
        if bundle is None:
            made = Guard(None, **options)
        else:
            path = self.home.parent / "jackline.yaml"
            path.write_text(bundle)
            made = Guard.load(path, **options)
        self.guards.append(made)
        return made

    def rewrite(self, bundle: str):
        """Change the bundle as editors do: at once, since this clock calls every file old enough to be read."""
        part = self.home.parent / "jackline.yaml.part"
        part.write_text(bundle)
        part.replace(self.home.parent / "jackline.yaml")

    def events(self, *kinds):
        found = [line for path in sorted((self.home / "journals").glob("*.jsonl")) for line in read(path)]
        return [line.event for line in found if not kinds or line.kind in kinds]

    def close(self):
        for guard in self.guards:
            guard.close()


@pytest.fixture
def bench(tmp_path):
    made = Bench(tmp_path / "home")
    yield made
    made.close()


class Mask:
    """Replaces the word SECRET in arguments and results."""

    phase = "modify"
    reach = Reach()
    observes = False
    Options = options.Options

    @classmethod
    def build(cls, name, options, context):
        return cls()

    def evaluate(self, request, state):
        text = canonical(request.args).decode()
        if "SECRET" not in text:
            return None
        return Verdict(effect="modify", reason="masked", args=json.loads(text.replace("SECRET", "***")))

    def observe(self, event, state):
        """Nothing."""


class Meter:
    """Claims a fixed amount of calls and dollars for every act."""

    phase = "meter"
    reach = Reach(actions=frozenset({"tool.call", "model.call"}))
    Options = options.Options

    def __init__(self):
        self.seen = []

    @classmethod
    def build(cls, name, options, context):
        return cls()

    def evaluate(self, request, state):
        scope = f"meter/session/{request.subject.session}"
        claims = (
            Claim(scope=f"{scope}/calls", unit="calls", cap=3, fixed=1, on_exceed="deny", label="3 calls per session"),
            Claim(scope=f"{scope}/usd", unit="usd", cap=1_000_000, fixed=200_000, on_exceed="halt"),
        )
        return Verdict(effect="allow", rule="limit", claims=claims)

    def observe(self, event, state):
        self.seen.append(event)
        state.memory["seen"] = state.memory.get("seen", 0) + 1


def _register(monkeypatch, name, policy):
    """Register a policy as a third party's plugin does."""
    monkeypatch.setitem(sys.modules, f"{name}_pack", SimpleNamespace(Policy=policy))

    class Plugin:
        @staticmethod
        @hookimpl
        def jackline_register_policies(register):
            register(name, f"{name}_pack:Policy")

    loaded = load_plugins([(name, Plugin)])
    monkeypatch.setattr("jackline.bundle.installed_plugins", lambda: loaded)
    return policy


@pytest.fixture
def masking(monkeypatch):
    return _register(monkeypatch, "mask", type("Mask", (Mask,), {}))


@pytest.fixture
def metering(monkeypatch):
    return _register(monkeypatch, "meter", type("Meter", (Meter,), {}))

"""A small pack that only the tests have, registered through the hooks as any other."""

from __future__ import annotations

import sys
import types

import pytest
from pydantic import field_validator

from jackline.decision import Verdict
from jackline.options import Money, Names, Options
from jackline.plugins import load_plugins
from jackline.policy import Reach
from jackline.request import Agent, Request, Subject, Tool


class Limits(Options):
    per: str = "session"
    most: Money = 1_000_000


class SpendOptions(Options):
    limit: Money
    limits: tuple[Limits, ...] = ()
    names: Names | None = None
    rules: tuple[str, ...] = ()
    count: int = 1
    strict: bool = False

    @field_validator("count")
    @classmethod
    def _counted(cls, value):
        if value == 12:
            raise KeyError("a dozen")
        return value


class Spend:
    """Denies what its rules say, and compares limits."""

    Options = SpendOptions
    phase = "judge"

    def __init__(self, options, context):
        self.options = options
        self.reach = Reach(actions=frozenset({"tool.call", "model.call"}))
        self.rules = [context.compile(rule, path=("rules", n)) for n, rule in enumerate(options.rules)]
        self.context = context

    @classmethod
    def build(cls, name, options, context):
        if options.count == 13:
            context.problem("13 is unlucky", path="count", hint="take another")
        if options.count == 14:
            raise ValueError("14 is too many")
        if options.count == 15:
            raise RuntimeError("broken pack")
        return cls(options, context)

    def evaluate(self, request, state):
        return Verdict(effect="deny", reason="spend")

    def observe(self, event, state):
        pass

    def widens(self, previous):
        more = self.options.limit - previous.options.limit
        return (f"limit raised by {more}",) if more > 0 else ()


class Access:
    """Grants tool calls and model calls; it cannot compare itself with an earlier one."""

    class Options(Options):
        allow: Names

    phase = "judge"

    def __init__(self, options):
        self.options = options
        self.reach = Reach()
        self.governs = frozenset({"tool.call", "model.call"})

    @classmethod
    def build(cls, name, options, context):
        return cls(options)

    def evaluate(self, request, state):
        return Verdict(effect="allow") if request.resource in self.options.allow else None

    def observe(self, event, state):
        pass

    def delegates(self, request, ancestor):
        return None


class TestPack:
    def jackline_register_policies(self, register):
        register("spend", "jackline_test_pack:Spend")
        register("access", "jackline_test_pack:Access")
        register("phaseless", "jackline_test_pack:Phaseless")
        register("reachless", "jackline_test_pack:Reachless")
        register("shapeless", "jackline_test_pack:Shapeless")


class Phaseless(Spend):
    phase = "later"


class Reachless(Access):
    def __init__(self, options):
        super().__init__(options)
        self.reach = None


class Shapeless(Access):
    @classmethod
    def build(cls, name, options, context):
        return 3


@pytest.fixture
def pack(monkeypatch):
    module = types.ModuleType("jackline_test_pack")
    for policy in (Spend, Access, Phaseless, Reachless, Shapeless):
        setattr(module, policy.__name__, policy)
    monkeypatch.setitem(sys.modules, "jackline_test_pack", module)
    return module


@pytest.fixture
def plugins(pack):
    return load_plugins([("test-pack", TestPack())], installed=False)


@pytest.fixture
def ask():
    """Make a request, by default a tool call."""

    def make(action="tool.call", tool="refund", *, agent="support", labels=None, **facts):
        return Request(
            action=action,
            resource=facts.pop("resource", tool),
            at=1.0,
            agent=Agent(name=agent, status="active", labels=labels or {}),
            subject=Subject(session="0" * 32),
            run="1" * 32,
            span="2" * 16,
            tool=Tool(name=tool) if action.startswith("tool.") else None,
            **facts,
        )

    return make

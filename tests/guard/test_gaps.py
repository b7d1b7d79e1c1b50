"""A policy that needs what an adapter cannot offer is refused when the adapter is to be used, and at a reload."""

from __future__ import annotations

import sys

import pytest

import jackline
from jackline.adapter import refuse
from jackline.bundle import load_bundle
from jackline.errors import BundleError, JacklineError

MASK = "jackline: 1\npolicies:\n  - {name: no-secrets, use: mask}\n"
HINT = "narrow its `on:` or `agents:`, or let it observe (`mode: observe`)"


class Half:
    """Governs a framework whose embeddings nobody can see and whose prompts nobody can change."""

    name = "half"

    def __init__(self, **gaps):
        self.enabled = []
        self._gaps = gaps or {"embedding": "it tells nobody", "modify model.call": "prompts are frozen", "x": "else"}

    def accepts(self, agent):
        return isinstance(agent, Half)

    def attach(self, guard, agent):
        self.enabled.append(guard)
        return agent

    def enable(self, guard):
        self.enabled.append(guard)

    def disable(self, guard):
        self.enabled.remove(guard)

    def gaps(self):
        return self._gaps


def rule(name="r", **more):
    fields = {"name": name, "use": "rule", "effect": "deny", "reason": "no"} | more
    entry = ", ".join(f"{key}: {value}" for key, value in fields.items())
    return f"jackline: 1\npolicies:\n  - {{{entry}}}\n"


def test_a_policy_about_what_is_never_judged_is_refused(bench):
    guard, adapter = bench.guard(rule(on="embedding")), Half()
    with pytest.raises(JacklineError) as refused:
        guard.enable(adapter)
    assert str(refused.value) == (
        f"policy 'r' needs to judge embedding, which the adapter 'half' cannot offer: it tells nobody; {HINT}"
    )
    assert adapter.enabled == []


def test_what_an_adapter_keeps_of_a_guard_is_ended_with_it_and_before_what_came_earlier(bench):
    guard, ended = bench.guard(), []
    guard.at_close(lambda: ended.append("first"))
    guard.enable(Half(x="else"))
    guard.at_close(lambda: ended.append("last"))
    guard.close()
    guard.close()
    assert ended == ["last", "first"]


def test_attaching_is_refused_likewise(bench, monkeypatch):
    adapter = Half()
    monkeypatch.setattr("jackline.adapters.adapter_for", lambda agent: agent)
    with pytest.raises(BundleError, match="policy 'r' needs to judge embedding"):
        bench.guard(rule(on="[embedding, tool.call]")).attach(adapter)
    assert adapter.enabled == []
    assert bench.guard(rule(on="tool.call")).attach(adapter) is adapter


def test_a_policy_that_changes_what_is_never_changed_is_refused(bench, masking):
    masking.reach = masking.reach.__class__(actions=frozenset({"model.call", "tool.call"}))
    with pytest.raises(BundleError) as refused:
        bench.guard(MASK).enable(Half())
    assert str(refused.value) == (
        "policy 'no-secrets' needs to change model.call, which the adapter 'half' cannot offer: "
        f"prompts are frozen; {HINT}"
    )


@pytest.mark.parametrize(
    "bundle",
    [
        rule(on="model.call"),  # to be asked is enough for a judge
        rule(),  # reaches whatever there is, and names nothing
        rule(on="embedding", mode="observe"),
        rule(on="embedding").replace("policies", "mode: observe\npolicies"),
        None,
    ],
)
def test_what_can_be_offered_is_used(bench, bundle):
    adapter = Half()
    guard = bench.guard(bundle)
    guard.enable(adapter)
    assert adapter.enabled == [guard]


def test_every_policy_is_named(bench):
    both = rule("one", on="embedding") + rule("two", on="embedding").partition("policies:\n")[2]
    with pytest.raises(BundleError) as refused:
        bench.guard(both).enable(Half())
    assert [line.partition(" needs")[0] for line in str(refused.value).splitlines()] == ["policy 'one'", "policy 'two'"]


@pytest.mark.parametrize(
    ("agents", "needed"),
    [
        ("agent.framework == 'half'", True),
        ("agent.framework == 'other'", False),
        ("agent.framework == 'other' && agent.name == 'worker'", False),
        ("agent.name == 'worker'", True),  # who will come is not known yet
        ("agent.framework == 'half' || agent.name == 'worker'", True),
    ],
)
def test_a_query_that_selects_none_of_the_frameworks_agents_needs_nothing(agents, needed):
    bundle = load_bundle(rule(on="embedding", agents=f'"{agents}"'))
    gaps = {"embedding": "it tells nobody"}
    if needed:
        with pytest.raises(BundleError, match="policy 'r' needs to judge embedding"):
            refuse(bundle, "half", gaps, ("half",))
    else:
        refuse(bundle, "half", gaps, ("half",))
    with pytest.raises(BundleError, match="which half cannot offer"):
        refuse(bundle, "half", gaps)  # its agents may be of any framework


def test_a_bundle_that_needs_a_gap_does_not_come_into_force(bench):
    guard, adapter = bench.guard(rule(on="tool.call")), Half()
    guard.enable(adapter)
    before = guard.revision
    bench.rewrite(rule("later", on="embedding"))
    with guard.session(id="job-1"):
        guard.check(guard.request("tool.call", "t", {}))
        bench.clock.now += 1
        guard.check(guard.request("tool.call", "t", {}))
    with guard._watcher._flight:  # the watching thread may have begun to load it
        assert guard.revision == before
    (event,) = bench.events("bundle_rejected")
    assert event.revision == before
    assert event.error == (
        f"policy 'later' needs to judge embedding, which the adapter 'half' cannot offer: it tells nobody; {HINT}"
    )
    with pytest.raises(BundleError, match="policy 'later'"):
        guard.reload(load_bundle(rule("later", on="embedding")))
    guard.reload(load_bundle(rule("other", on="model.call")))
    assert guard.bundle.policies == ("other",)


def test_init_refuses_too_and_leaves_nothing_on(tmp_path, monkeypatch):
    adapter, init = Half(), jackline.init
    monkeypatch.setattr(sys.modules["jackline.init"], "_govern_frameworks", lambda guard: guard.enable(adapter))
    (tmp_path / "jackline.yaml").write_text(rule(on="embedding"))
    with pytest.raises(BundleError, match="policy 'r' needs to judge embedding"):
        init(tmp_path / "jackline.yaml", home=tmp_path / "home")
    assert sys.modules["jackline.init"].current() is None
    assert adapter.enabled == []

"""Discovery: the core's own hooks, third parties' hooks, and plugins that are wrong, named with the reason."""

from __future__ import annotations

import importlib.metadata
import inspect
import subprocess
import sys
import tomllib
import types
from pathlib import Path

import pytest
import typer

from jackline import hookspecs
from jackline._version import __version__
from jackline.errors import PluginError
from jackline.options import Options
from jackline.plugins import Plugins, installed_plugins, load_plugins
from jackline.registrations import KINDS, PACKS, Failure, Registrations, Target, policy_fault

HOOKS = sorted(name for name in vars(hookspecs) if name.startswith("jackline_"))


class Plugin(types.SimpleNamespace):
    """A plugin made of functions, as a module is."""

    __hash__ = object.__hash__


class Good:
    """A policy class, as far as assembly looks."""

    class Options(Options):
        pass

    @classmethod
    def build(cls, name, options, context):
        return cls()

    def evaluate(self, request, state):
        return None

    def observe(self, event, state):
        pass

    def find(self, text):
        return []


@pytest.fixture
def module(monkeypatch):
    found = types.ModuleType("jackline_test_plugin")
    found.Good = Good
    monkeypatch.setitem(sys.modules, "jackline_test_plugin", found)
    return found


def point(name, value, distribution=("acme-jackline", "1.2")):
    found = importlib.metadata.EntryPoint(name, value, "jackline")
    if distribution is not None:
        vars(found)["dist"] = types.SimpleNamespace(name=distribution[0], version=distribution[1])
    return found


@pytest.fixture
def discover(monkeypatch):
    """Discover these entry points and nothing else."""

    def make(*points):
        monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: points if group == "jackline" else ())
        return load_plugins()

    return make


def test_the_core_registers_through_the_same_hooks():
    registrations = load_plugins(installed=False).registrations
    assert [
        (target.kind, target.name, target.target, target.plugin, target.origin)
        for kind in KINDS
        for target in registrations.targets(kind)
    ] == [
        ("policy", "rule", "jackline.rule:Rule", "core", f"jackline {__version__}"),
        ("adapter", "python", "jackline.python:PythonAdapter", "core", f"jackline {__version__}"),
        ("store", "sqlite", "jackline.stores.sqlite:SQLiteStore", "core", f"jackline {__version__}"),
    ]
    assert registrations.failures == ()


def test_every_target_of_the_core_exists():
    registrations = load_plugins(installed=False).registrations
    assert registrations.policy("rule").__name__ == "Rule"
    assert registrations.adapter("python").__name__ == "PythonAdapter"
    assert registrations.store("sqlite").__name__ == "SQLiteStore"


def test_the_installed_core_is_discovered_once():
    assert installed_plugins() is installed_plugins()
    targets = installed_plugins().registrations.targets("policy")
    assert [target.name for target in targets].count("rule") == 1
    assert installed_plugins().registrations.failures == ()


def test_discovery_imports_no_target_and_nothing_heavy():
    code = (
        "import sys; from jackline.plugins import load_plugins; r = load_plugins(installed=False).registrations; "
        "bad = {'pydantic', 'yaml', 'sqlalchemy', 'typer', 'jackline.rule'} & set(sys.modules); print(sorted(bad))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_the_hooks_are_the_documented_ones_a_sentence_each():
    assert HOOKS == [
        "jackline_register_adapters",
        "jackline_register_commands",
        "jackline_register_detectors",
        "jackline_register_policies",
        "jackline_register_sinks",
        "jackline_register_stores",
    ]
    for name in HOOKS:
        text = inspect.getdoc(getattr(hookspecs, name))
        assert text.count(".") >= 1
        assert "\n\n" not in text
        (argument,) = inspect.signature(getattr(hookspecs, name)).parameters
        assert argument == ("cli" if name.endswith("commands") else "register")
    assert set(KINDS.values()) == {name for name in HOOKS if not name.endswith("commands")}


@pytest.mark.parametrize(("kind", "hook"), KINDS.items())
def test_each_hook_registers_its_kind(kind, hook, module):
    plugin = Plugin(**{hook: lambda register: register("mine", "jackline_test_plugin:Good")})
    registrations = load_plugins([("mine", plugin)], installed=False).registrations
    assert "mine" in registrations.names(kind)
    assert getattr(registrations, kind)("mine") is Good
    assert registrations.target(kind, "mine").origin == "plugin 'mine'"


@pytest.mark.parametrize(
    ("target", "fault"), [("Options", "has no find()"), ("__name__", "is a str, expected a class")]
)
def test_what_is_no_detector_is_refused(target, fault, module):
    module.Options = Options
    plugin = Plugin(jackline_register_detectors=lambda register: register("mine", f"jackline_test_plugin:{target}"))
    registrations = load_plugins([("mine", plugin)], installed=False).registrations
    with pytest.raises(PluginError) as raised:
        registrations.detector("mine")
    message = f"detector 'mine' from plugin 'mine' cannot be used: jackline_test_plugin:{target} {fault}"
    assert str(raised.value) == message


def test_an_adapter_says_what_it_takes(module):
    class Marked:
        @hookspecs.hookimpl
        def jackline_register_adapters(self, register):
            register("mine", "jackline_test_plugin:Good", roots=("acme",), supports="acme>=2")

    target = load_plugins([("mine", Marked())], installed=False).registrations.target("adapter", "mine")
    assert target.facts == {"roots": ("acme",), "supports": "acme>=2"}


def test_commands_are_added_by_every_plugin_that_can():
    def broken(cli):
        raise RuntimeError("no terminal")

    def one(cli):
        cli.command("one")(lambda: None)

    plugins = load_plugins(installed=False)
    plugins.add(Plugin(jackline_register_commands=broken), "broken", "acme-broken 2")
    plugins.add(Plugin(jackline_register_commands=one), "one")
    cli = typer.Typer()
    plugins.add_commands(cli)
    assert "one" in {command.name for command in cli.registered_commands}
    assert plugins.registrations.failures == (
        Failure("broken", "acme-broken 2", "its commands: RuntimeError: no terminal"),
    )


@pytest.mark.parametrize("marked", [True, False])
def test_a_misspelt_hook_is_an_error_marked_or_not(marked):
    def hook(register):
        pass

    plugin = Plugin(jackline_register_polices=hookspecs.hookimpl(hook) if marked else hook)
    with pytest.raises(PluginError) as caught:
        load_plugins([("mine", plugin)], installed=False)
    assert str(caught.value) == (
        "plugin 'mine' has an unknown hook 'jackline_register_polices': did you mean 'jackline_register_policies'?"
    )


def test_a_hook_with_another_argument_is_an_error():
    plugin = Plugin(jackline_register_policies=lambda registry: None)
    with pytest.raises(PluginError, match=r"plugin 'mine' is not registered: .*registry"):
        load_plugins([("mine", plugin)], installed=False)


def test_a_module_named_like_a_hook_is_no_hook(module):
    plugin = Plugin(jackline_langchain=types.ModuleType("jackline_langchain"))
    assert load_plugins([("mine", plugin)], installed=False).registrations.failures == ()


def test_one_plugin_is_registered_once():
    plugins = Plugins()
    plugin = Plugin()
    plugins.add(plugin, "mine")
    with pytest.raises(PluginError, match="plugin 'mine' is not registered: Plugin name already registered"):
        plugins.add(Plugin(), "mine")


@pytest.mark.parametrize(
    ("name", "target", "message"),
    [
        ("My Policy", "a:B", "plugin 'mine' registers a policy as 'My Policy'; expected a name like 'my_policy'"),
        (None, "a:B", "plugin 'mine' registers a policy as None; expected a name like 'my_policy'"),
        ("mine", "a.B", "plugin 'mine' registers policy 'mine' as 'a.B'; expected text like 'package:Class'"),
        ("mine", Good, f"plugin 'mine' registers policy 'mine' as {Good!r}; expected text like 'package:Class'"),
    ],
)
def test_a_registration_that_cannot_be_right_is_an_error(name, target, message):
    plugin = Plugin(jackline_register_policies=lambda register: register(name, target))
    with pytest.raises(PluginError) as caught:
        load_plugins([("mine", plugin)], installed=False)
    assert str(caught.value) == message


def test_a_plugin_that_fails_while_it_registers_leaves_nothing_behind(module):
    def half(register):
        register("half", "jackline_test_plugin:Good")
        raise KeyError("x")

    plugins = Plugins()
    with pytest.raises(PluginError) as caught:
        plugins.add(Plugin(jackline_register_policies=half), "mine")
    assert str(caught.value) == "plugin 'mine' failed in jackline_register_policies: KeyError: 'x'"
    assert plugins.registrations.names("policy") == ()


def test_an_installed_plugin_that_fails_is_named_with_its_distribution_and_leaves_the_others(discover, module):
    module.jackline_register_policies = lambda register: register("acme", "jackline_test_plugin:Good")
    plugins = discover(
        point("core", "jackline.plugins", ("jackline", "9")),
        point("good", "jackline_test_plugin"),
        point("missing", "jackline_is_not_there", ("acme-missing", "3.1")),
        point("loose", "jackline_is_not_there", None),
    )
    assert plugins.registrations.policy("acme") is Good
    assert plugins.registrations.target("policy", "acme").origin == "acme-jackline 1.2"
    assert plugins.registrations.target("policy", "rule").origin == f"jackline {__version__}", "not by its entry point"
    reason = (
        "cannot be imported from 'jackline_is_not_there': ModuleNotFoundError: No module named 'jackline_is_not_there'"
    )
    assert plugins.registrations.failures == (
        Failure("loose", "", f"plugin 'loose' {reason}"),
        Failure("missing", "acme-missing 3.1", f"plugin 'missing' {reason}"),
    )


def test_a_policy_of_a_plugin_that_failed_is_refused_with_its_reason(discover):
    plugins = discover(point("pii", "jackline_is_not_there", ("jackline_pii", "0.1")))
    with pytest.raises(PluginError) as caught:
        plugins.registrations.policy("pii")
    assert str(caught.value) == (
        "the policy 'pii' is not usable; jackline_pii 0.1 failed: plugin 'pii' cannot be imported from "
        "'jackline_is_not_there': ModuleNotFoundError: No module named 'jackline_is_not_there'"
    )
    with pytest.raises(PluginError, match=r"unknown policy 'acme'; jackline_pii 0\.1 failed: plugin 'pii'"):
        plugins.registrations.policy("acme")
    with pytest.raises(PluginError, match="is not installed; install it: pip install jackline-budget"):
        plugins.registrations.policy("budget")


@pytest.mark.parametrize(("pack", "distribution"), PACKS.items())
def test_a_known_pack_that_is_not_installed_comes_with_its_pip_command(pack, distribution):
    with pytest.raises(PluginError) as caught:
        load_plugins(installed=False).registrations.policy(pack)
    assert str(caught.value) == f"the policy '{pack}' is not installed; install it: pip install {distribution}"


def test_two_plugins_that_use_one_name_are_told_apart_when_it_is_used(module):
    plugin = Plugin(jackline_register_policies=lambda register: register("rule", "jackline_test_plugin:Good"))
    registrations = load_plugins([("mine", plugin)], installed=False).registrations
    with pytest.raises(PluginError) as caught:
        registrations.policy("rule")
    assert str(caught.value) == (
        f"policy 'rule' is registered by jackline {__version__} and plugin 'mine'; uninstall one of them"
    )


def test_a_name_that_nobody_registered_comes_with_what_there_is():
    registrations = load_plugins(installed=False).registrations
    with pytest.raises(PluginError) as caught:
        registrations.store("postgres")
    assert str(caught.value) == "unknown store 'postgres'; known: sqlite"
    with pytest.raises(PluginError) as caught:
        registrations.sink("otlp")
    assert str(caught.value) == "unknown sink 'otlp'"
    with pytest.raises(PluginError) as caught:
        registrations.adapter("pyhton")
    assert str(caught.value) == "unknown adapter 'pyhton'; did you mean 'python'?"


def test_a_target_that_is_not_there_is_named(module):
    plugin = Plugin(
        jackline_register_policies=lambda register: [
            register("gone", "jackline_is_not_there:X"),
            register("typo", "jackline_test_plugin:Goood"),
        ]
    )
    registrations = load_plugins([("mine", plugin)], installed=False).registrations
    with pytest.raises(PluginError) as caught:
        registrations.policy("gone")
    assert str(caught.value) == (
        "policy 'gone' from plugin 'mine' cannot be used: importing jackline_is_not_there raised "
        "ModuleNotFoundError: No module named 'jackline_is_not_there'"
    )
    with pytest.raises(PluginError) as caught:
        registrations.policy("typo")
    assert str(caught.value) == (
        "policy 'typo' from plugin 'mine' cannot be used: jackline_test_plugin has no 'Goood'; did you mean 'Good'?"
    )


class Loose(Good):
    class Options:
        model_config = {}


@pytest.mark.parametrize(
    ("found", "fault"),
    [
        (Good, None),
        (Good(), "is a Good, expected a class"),
        (object, "has no build() and no evaluate() and no observe()"),
        (
            type("NoOptions", (Good,), {"Options": None}),
            "has no Options, a class derived from jackline.options.Options",
        ),
        (Loose, "has Options that let unknown keys pass; derive them from jackline.options.Options"),
    ],
)
def test_what_is_no_policy_class_is_told(found, fault, module):
    assert policy_fault(found) == fault
    module.Found = found
    plugin = Plugin(jackline_register_policies=lambda register: register("found", "jackline_test_plugin:Found"))
    registrations = load_plugins([("mine", plugin)], installed=False).registrations
    if fault is None:
        assert registrations.policy("found") is found
        return
    with pytest.raises(PluginError) as caught:
        registrations.policy("found")
    assert str(caught.value) == f"policy 'found' from plugin 'mine' is no policy: jackline_test_plugin:Found {fault}"


def test_only_this_projects_own_packs_are_trusted_by_themselves():
    registrations = Registrations()
    for name, distribution in [
        ("rule", "jackline 1"),
        ("budget", "jackline-budget 1"),
        ("pii", "acme-pii 1"),
        ("mine", "acme 1"),
        ("other", ""),
    ]:
        registrations.add(Target("policy", name, "a:B", name, distribution, {}))
    assert [registrations.first_party(name) for name in ("rule", "budget", "pii", "mine", "other")] == [
        True,
        True,
        False,
        False,
        False,
    ]


def test_a_hook_is_called_once_and_not_when_its_policy_is_used(module):
    calls = []

    def hook(register):
        calls.append(1)
        register("mine", "jackline_test_plugin:Good")

    plugins = load_plugins([("mine", Plugin(jackline_register_policies=hook))], installed=False)
    assert plugins.registrations.policy("mine") is plugins.registrations.policy("mine")
    assert calls == [1]


def test_p33_the_pip_command_of_a_pack_names_the_distribution_that_brings_it():
    """Peers P33: the documented install led to a version that lacked what was documented."""
    folders = sorted((Path(__file__).resolve().parents[2] / "policy_packs").iterdir())
    found = {}
    for folder in folders:
        project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
        assert "jackline" in project["entry-points"]
        found[folder.name] = project["name"]
    assert {"budget", "tool_access"} <= found.keys()
    assert found.items() <= PACKS.items()

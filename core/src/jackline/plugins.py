"""Discovery and registration, once: which plugins are installed and what they bring. Nothing they name is imported."""

from __future__ import annotations

import functools
import importlib
import inspect
import sys
from typing import TYPE_CHECKING, Any

import pluggy

from jackline import hookspecs
from jackline.errors import PluginError
from jackline.registrations import KINDS, Failure, Registrations, Target
from jackline.wording import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from importlib.metadata import EntryPoint

    import typer

    from jackline.hookspecs import Register, RegisterAdapter

GROUP = "jackline"
_PREFIX = "jackline_"
_CORE = "jackline.plugins"


class _Manager(pluggy.PluginManager):
    """Takes every function named `jackline_...` for a hook, marked or not: an unmarked misspelt one is found too."""

    def parse_hookimpl_opts(self, plugin: Any, name: str) -> Any:
        found = super().parse_hookimpl_opts(plugin, name)
        if found is None and name.startswith(_PREFIX) and inspect.isroutine(getattr(plugin, name, None)):
            return {}
        return found


class Plugins:
    """The installed plugins and their registrations."""

    def __init__(self) -> None:
        self.registrations = Registrations()
        self._distributions: dict[str, str] = {}
        self._manager = _Manager(hookspecs.PROJECT)
        self._manager.add_hookspecs(hookspecs)

    def add(self, plugin: Any, name: str, distribution: str = "") -> None:
        """Register one plugin and take in what it brings. Raises PluginError; nothing of it is kept then."""
        try:
            self._manager.register(plugin, name)
        except (ValueError, pluggy.PluginValidationError) as error:
            self._drop(plugin)
            raise PluginError(f"plugin '{name}' is not registered: {_first_line(error)}") from error
        try:
            self._check(plugin, name)
            found = self._collect(plugin, distribution)
        except BaseException:
            self._drop(plugin)
            raise
        self._distributions[name] = distribution
        for target in found:
            self.registrations.add(target)

    def discover(self) -> None:
        """Add every installed plugin; one that fails is named in `registrations.failures` and left out."""
        from importlib.metadata import entry_points  # noqa: PLC0415 - only assembly needs it

        for point in sorted(entry_points(group=GROUP), key=lambda point: point.name):
            if point.value == _CORE:
                continue
            distribution = f"{point.dist.name} {point.dist.version}" if point.dist is not None else ""
            try:
                self.add(_loaded(point), point.name, distribution)
            except PluginError as error:
                self.registrations.fail(Failure(point.name, distribution, str(error)))

    def add_commands(self, cli: typer.Typer) -> None:
        """Let every plugin add its subcommands to the command line; one that fails is noted and left out."""
        for name, plugin in self._manager.list_name_plugin():
            try:
                self._hook("jackline_register_commands", plugin)(cli=cli)
            except Exception as error:  # noqa: BLE001 - a plugin's command must not take the others away
                reason = f"its commands: {type(error).__name__}: {error}"
                self.registrations.fail(Failure(name, self._distributions.get(name, ""), reason))

    def commands(self) -> list[Target]:
        """Who adds subcommands to the command line, as targets of the kind `commands`, by plugin."""
        hook = "jackline_register_commands"
        found = [(one.plugin_name, one.plugin) for one in getattr(self._manager.hook, hook).get_hookimpls()]
        return [
            Target("commands", name, f"{_module(plugin)}:{hook}", name, self._distributions.get(name, ""), {})
            for name, plugin in sorted(found, key=lambda one: one[0])
        ]

    def _check(self, plugin: Any, name: str) -> None:
        try:
            self._manager.check_pending()
        except pluggy.PluginValidationError as error:
            known = [hook for hook in vars(hookspecs) if hook.startswith(_PREFIX)]
            unknown = [
                caller.name for caller in self._manager.get_hookcallers(plugin) or () if caller.name not in known
            ]
            hook = unknown[0]
            raise PluginError(f"plugin '{name}' has an unknown hook '{hook}': {nearest(hook, known)}") from error

    def _collect(self, plugin: Any, distribution: str) -> list[Target]:
        found: list[Target] = []
        name = self._manager.get_name(plugin) or ""
        for kind, hook in KINDS.items():

            def register(key: str, target: str, _kind: str = kind, **facts: Any) -> None:
                found.append(Target.checked(_kind, key, target, name, distribution, facts))

            try:
                self._hook(hook, plugin)(register=register)
            except PluginError:
                raise
            except Exception as error:
                raise PluginError(f"plugin '{name}' failed in {hook}: {type(error).__name__}: {error}") from error
        return found

    def _hook(self, hook: str, plugin: Any) -> pluggy.HookCaller:
        others = [other for other in self._manager.get_plugins() if other is not plugin]
        return self._manager.subset_hook_caller(hook, others)

    def _drop(self, plugin: Any) -> None:
        if any(known is plugin for known in self._manager.get_plugins()):
            self._manager.unregister(plugin)


def load_plugins(extra: Iterable[tuple[str, Any]] = (), *, installed: bool = True) -> Plugins:
    """Assemble the core's own plugin, then the installed ones, then `extra` pairs of name and plugin.

    Raises PluginError where the core or an extra plugin is wrong; installed ones that fail are named in
    `.registrations.failures` and matter only to a bundle that uses them.
    """
    from jackline._version import __version__  # noqa: PLC0415 - only assembly needs it

    plugins = Plugins()
    plugins.add(sys.modules[__name__], "core", f"jackline {__version__}")
    if installed:
        plugins.discover()
    for name, plugin in extra:
        plugins.add(plugin, name)
    return plugins


@functools.cache
def installed_plugins() -> Plugins:
    """Return the plugins of this environment, discovered once a process."""
    return load_plugins()


def _loaded(point: EntryPoint) -> Any:
    try:
        return point.load()
    except Exception as error:
        message = f"plugin '{point.name}' cannot be imported from '{point.value}': {type(error).__name__}: {error}"
        raise PluginError(message) from error


def _module(plugin: Any) -> str:
    """A plugin is a module, or an object of a class."""
    return str(getattr(plugin, "__name__", "") or type(plugin).__module__)


def _first_line(error: BaseException) -> str:
    lines: Sequence[str] = str(error).splitlines()
    return " ".join(line.strip() for line in lines[:3])


@hookspecs.hookimpl
def jackline_register_policies(register: Register) -> None:
    """The core's policy: a plain condition."""
    register("rule", "jackline.rule:Rule")


@hookspecs.hookimpl
def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Plain Python is governed without any framework."""
    register("python", "jackline.python:PythonAdapter")


@hookspecs.hookimpl
def jackline_register_stores(register: Register) -> None:
    """The store that needs nothing installed."""
    register("sqlite", "jackline.stores.sqlite:SQLiteStore")


@hookspecs.hookimpl
def jackline_register_commands(cli: typer.Typer) -> None:
    """The core's verbs. By name: the command line stands above this module."""
    importlib.import_module("jackline.cli.verbs").register(cli)

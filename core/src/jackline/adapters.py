"""Finding the adapter: by the type of an agent, or by the framework that a process loads."""

from __future__ import annotations

import functools
import importlib
import importlib.abc
import importlib.machinery
import sys
import threading
from typing import TYPE_CHECKING, Any, cast

from jackline.errors import JacklineError
from jackline.plugins import installed_plugins

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from types import ModuleType

    from jackline.adapter import Adapter
    from jackline.registrations import Target

FRAMEWORKS: Mapping[str, str] = {
    "langchain_core": "jackline-langchain",
    "langgraph": "jackline-langchain",
    "langchain": "jackline-langchain",
    "crewai": "jackline-crewai",
    "llama_index": "jackline-llamaindex",
}
"""Modules that show that a framework is loaded, and the distribution that governs it."""

SENDS: Mapping[str, tuple[str, str]] = {"http.request": ("http", "jackline-http")}
"""Acts of no framework in particular: the adapter that asks about them, and its distribution."""


def make(target: Target) -> Adapter:
    """Import an adapter and make its instance."""
    return cast("Adapter", target.load()())


def of_framework(module: str) -> Target | None:
    """The adapter that governs the framework with this top-level module."""
    targets = installed_plugins().registrations.targets("adapter")
    return next((target for target in targets if module in target.facts.get("roots", ())), None)


def of_frameworks() -> list[Target]:
    """Every adapter that says which modules show that its framework is loaded."""
    return [target for target in installed_plugins().registrations.targets("adapter") if target.facts.get("roots")]


def adapter_for(agent: Any) -> Adapter:
    """The adapter that accepts `agent`; raises JacklineError that names what is installed and what to install.

    Only adapters whose framework is loaded are imported: an agent of a framework cannot exist without it.
    """
    targets = installed_plugins().registrations.targets("adapter")
    for target in targets:
        roots = target.facts.get("roots", ())
        if not roots or any(root in sys.modules for root in roots):
            adapter = make(target)
            if adapter.accepts(agent):
                return adapter
    module = type(agent).__module__.partition(".")[0]
    names = ", ".join(target.name for target in targets)
    message = f"No adapter accepts '{type(agent).__qualname__}' (from {module}). Installed: {names}."
    if module in FRAMEWORKS:
        message += f" Try: pip install {FRAMEWORKS[module]}"
    raise JacklineError(message)


def when_loaded(modules: Sequence[str], act: Callable[[], None]) -> Callable[[], bool]:
    """Act now if one of the modules is loaded, else once, when the first of them is; what is returned calls it off."""
    call_off = _finder.watch(modules, act)
    loaded = next((module for module in modules if sys.modules.get(module) is not None), None)
    if loaded is not None:
        importlib.import_module(loaded)  # waits where another thread is in the middle of it
        if call_off():
            act()
    return call_off


class _Loader(importlib.abc.Loader):
    """Loads a module as its own loader does, and then tells."""

    def __init__(self, loader: Any, act: Callable[[], None]) -> None:
        self._loader = loader
        self._act = act

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        found: ModuleType | None = self._loader.create_module(spec)
        return found

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        self._loader.exec_module(module)
        self._act()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)


class _Watch:
    """What is to be done when the first of some modules is loaded."""

    def __init__(self, modules: Sequence[str], act: Callable[[], None]) -> None:
        self.modules = frozenset(modules)
        self.act = act


class _Finder(importlib.abc.MetaPathFinder):
    """Notices that a framework is imported after `init`."""

    def __init__(self) -> None:
        self._watches: list[_Watch] = []
        self._lock = threading.Lock()

    def watch(self, modules: Sequence[str], act: Callable[[], None]) -> Callable[[], bool]:
        """Act once, when the first of the modules is loaded; what is returned calls it off."""
        watch = _Watch(modules, act)
        with self._lock:
            self._watches.append(watch)
            if self not in sys.meta_path:
                sys.meta_path.insert(0, self)
        return functools.partial(self._call_off, watch)

    def _call_off(self, watch: _Watch) -> bool:
        """Forget a watch; whether it was still waiting."""
        with self._lock:
            waiting = watch in self._watches
            if waiting:
                self._watches.remove(watch)
            if not self._watches and self in sys.meta_path:
                sys.meta_path.remove(self)
            return waiting

    def _loaded(self, watches: Sequence[_Watch]) -> None:
        for watch in watches:
            if self._call_off(watch):
                watch.act()

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        waiting = [watch for watch in self._watches if name in watch.modules]
        if not waiting:
            return None
        for finder in list(sys.meta_path):
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                loader = spec.loader if spec.loader is not None else _namespace(spec)
                spec.loader = _Loader(loader, functools.partial(self._loaded, waiting))
                return spec
        return None


def _namespace(spec: importlib.machinery.ModuleSpec) -> Any:
    """The loader of a package without a file of its own, such as `llama_index`: made as importlib makes it later."""
    loader: Any = importlib.machinery.NamespaceLoader.__new__(importlib.machinery.NamespaceLoader)
    loader._path = spec.submodule_search_locations  # noqa: SLF001 - there is no other way, in importlib neither
    return loader


_finder = _Finder()

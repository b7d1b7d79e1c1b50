"""`jackline.init`: every agent of this process is governed, whatever framework it is of and whenever it is imported."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
import threading
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackline.errors import BundleError, JacklineError
from jackline.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from types import ModuleType

    from jackline.registrations import Target


DEFAULT_BUNDLE = "jackline.yaml"
_current: Guard | None = None
_calls_off: list[Callable[[], object]] = []
"""What ends the wait for frameworks that are not loaded yet."""


def init(bundle: str | Path | None = None, **options: Any) -> Guard:
    """Govern every agent of this process; return the guard. Calling it again replaces the guard before.

    `bundle` is a file; where none is named and there is no `jackline.yaml` in the working directory, what agents do is
    registered and recorded, nothing is refused, and one warning says so. With `JACKLINE_REQUIRE_BUNDLE=1` that is an
    error. A named bundle that is missing or invalid raises BundleError. `options` are those of `Guard`.
    """
    global _current  # noqa: PLW0603 - init is for the whole process; `jackline.close` undoes it
    path = _bundle_path(bundle)
    guard = Guard.load(path, **options) if path is not None else Guard(None, **options)
    close()
    try:
        _govern_frameworks(guard)
    except BaseException:
        guard.close()
        raise
    _current = guard
    return guard


def close() -> None:
    """Undo `init`: off means off."""
    global _current  # noqa: PLW0603 - see init
    while _calls_off:
        _calls_off.pop()()
    if _current is not None:
        _current.close()
        _current = None


def current() -> Guard | None:
    """The guard that `init` made, if any."""
    return _current


def _bundle_path(bundle: str | Path | None) -> Path | None:
    if bundle is not None:
        return Path(bundle)
    if Path(DEFAULT_BUNDLE).is_file():
        return Path(DEFAULT_BUNDLE)
    what = f"no bundle: {DEFAULT_BUNDLE} is not in {Path.cwd()}"
    if os.environ.get("JACKLINE_REQUIRE_BUNDLE") == "1":
        raise BundleError(
            f"{what}, and JACKLINE_REQUIRE_BUNDLE=1 asks for one; name it: jackline.init('path/to/bundle.yaml')"
        )
    warnings.warn(f"jackline: {what}; agents are registered and traced, nothing is refused", stacklevel=3)
    return None


def _govern_frameworks(guard: Guard) -> None:
    from jackline.adapters import FRAMEWORKS, of_framework, of_frameworks  # noqa: PLC0415 - assembly, once

    for target in of_frameworks():
        _when_governed(guard, target)
    for module, distribution in FRAMEWORKS.items():
        if of_framework(module) is None:
            _refuse_ungoverned(guard, module, distribution)


def _when_governed(guard: Guard, target: Target) -> None:
    _calls_off.append(when_loaded(target.facts["roots"], functools.partial(_enable, guard, target)))


def _enable(guard: Guard, target: Target) -> None:
    from jackline.adapters import make  # noqa: PLC0415 - assembly, once

    guard.enable(make(target))


def _refuse_ungoverned(guard: Guard, module: str, distribution: str) -> None:
    """A supported framework without its adapter would act ungoverned: an error where policies are enforced."""
    if guard.bundle is None or guard.bundle.mode != "enforce":
        return

    def refuse() -> None:
        raise JacklineError(
            f"'{module}' is loaded, but its adapter is not installed: its agents would act ungoverned. "
            f"Try: pip install {distribution}"
        )

    _calls_off.append(when_loaded((module,), refuse))


def when_loaded(modules: Sequence[str], act: Callable[[], None]) -> Callable[[], object]:
    """Act now if one of the modules is loaded, else once, when the first of them is; what is returned calls it off."""
    if any(module in sys.modules for module in modules):
        act()
        return lambda: None
    return _finder.watch(modules, act)


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

    def watch(self, modules: Sequence[str], act: Callable[[], None]) -> Callable[[], object]:
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
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, functools.partial(self._loaded, waiting))
                return spec
        return None


_finder = _Finder()

"""`jackline.init`: every agent of this process is governed, whatever framework it is of and whenever it is imported."""

from __future__ import annotations

import functools
import importlib.abc
import importlib.machinery
import os
import sys
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
    _finder.stop()
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
    from jackline.adapters import FRAMEWORKS, of_framework  # noqa: PLC0415 - assembly, once

    targets = {target.name: target for module in FRAMEWORKS if (target := of_framework(module)) is not None}
    for target in targets.values():
        _when_loaded(target.facts["roots"], functools.partial(_enable, guard, target))
    for module, distribution in FRAMEWORKS.items():
        if of_framework(module) is None:
            _refuse_ungoverned(guard, module, distribution)


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

    _when_loaded((module,), refuse)


def _when_loaded(modules: Sequence[str], act: Callable[[], None]) -> None:
    """Act now if one of the modules is loaded, else when the first of them is."""
    if any(module in sys.modules for module in modules):
        act()
    else:
        _finder.watch(modules, act)


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


class _Finder(importlib.abc.MetaPathFinder):
    """Notices that a framework is imported after `init`."""

    def __init__(self) -> None:
        self._watched: dict[str, Callable[[], None]] = {}

    def watch(self, modules: Sequence[str], act: Callable[[], None]) -> None:
        """Act once, when the first of the modules is loaded."""

        def once() -> None:
            for module in modules:
                self._watched.pop(module, None)
            act()

        self._watched.update(dict.fromkeys(modules, once))
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def stop(self) -> None:
        self._watched.clear()
        if self in sys.meta_path:
            sys.meta_path.remove(self)

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        act = self._watched.pop(name, None)
        if act is None:
            return None
        for finder in sys.meta_path:
            if finder is not self and (spec := finder.find_spec(name, path, target)) is not None:
                if spec.loader is not None:
                    spec.loader = _Loader(spec.loader, act)
                return spec
        self._watched[name] = act
        return None


_finder = _Finder()

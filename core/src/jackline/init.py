"""`jackline.init`: every agent of this process is governed, whatever framework it is of and whenever it is imported."""

from __future__ import annotations

import functools
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from jackline.errors import BundleError, JacklineError
from jackline.guard import Guard

if TYPE_CHECKING:
    from collections.abc import Callable

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
    _tell_unasked(guard)


def _when_governed(guard: Guard, target: Target) -> None:
    from jackline.adapters import when_loaded  # noqa: PLC0415 - assembly, once

    _calls_off.append(when_loaded(target.facts["roots"], functools.partial(_enable, guard, target)))


def _enable(guard: Guard, target: Target) -> None:
    from jackline.adapters import make  # noqa: PLC0415 - assembly, once

    guard.enable(make(target))


def _refuse_ungoverned(guard: Guard, module: str, distribution: str) -> None:
    """A supported framework without its adapter would act ungoverned: an error where policies are enforced."""
    if guard.bundle is None or guard.bundle.mode != "enforce":
        return

    from jackline.adapters import when_loaded  # noqa: PLC0415 - assembly, once

    def refuse() -> None:
        raise JacklineError(
            f"'{module}' is loaded, but its adapter is not installed: its agents would act ungoverned. "
            f"Try: pip install {distribution}"
        )

    _calls_off.append(when_loaded((module,), refuse))


def _tell_unasked(guard: Guard) -> None:
    """Warn of policies that nobody would ask, since the adapter that asks about such acts is not installed."""
    from jackline.adapters import SENDS  # noqa: PLC0415 - assembly, once
    from jackline.plugins import installed_plugins  # noqa: PLC0415 - the same

    installed = installed_plugins().registrations.names("adapter")
    for action, (adapter, distribution) in SENDS.items():
        entries = guard.bundle.entries if guard.bundle is not None and adapter not in installed else ()
        names = [f"'{entry.name}'" for entry in entries if action in (entry.policy.reach.actions or ())]
        if names:
            warnings.warn(
                f"jackline: nobody asks {', '.join(names)} about {action}, since its adapter is not installed. "
                f"Try: pip install {distribution}",
                stacklevel=4,
            )

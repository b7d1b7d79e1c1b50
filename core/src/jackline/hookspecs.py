"""The hooks of Jackline, in one place: what a plugin can bring. Each is called once, when plugins are discovered.

A plugin is a module (or object) that the entry-point group `jackline` names. Its functions with these names are
its hooks; `@jackline.hookspecs.hookimpl` may mark them and is not needed. A target is text, `module:Class`: it is
imported when a bundle or a user first needs it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

import pluggy

if TYPE_CHECKING:
    import typer

PROJECT = "jackline"
hookspec = pluggy.HookspecMarker(PROJECT)
hookimpl = pluggy.HookimplMarker(PROJECT)


class Register(Protocol):
    """Names a target: `register("budget", "jackline_budget:Budget")`."""

    def __call__(self, name: str, target: str) -> None: ...  # noqa: D102 - the class says it


class RegisterAdapter(Protocol):
    """Names an adapter, the packages whose agents it takes, and the framework versions that it supports."""

    def __call__(self, name: str, target: str, *, roots: tuple[str, ...] = (), supports: str = "") -> None: ...  # noqa: D102 - the same


@hookspec
def jackline_register_policies(register: Register) -> None:
    """Bring policies: what a bundle names with `use:`."""


@hookspec
def jackline_register_adapters(register: RegisterAdapter) -> None:
    """Bring adapters: what decides and records inside one framework."""


@hookspec
def jackline_register_stores(register: Register) -> None:
    """Bring stores: where journals can be queried, by the scheme of the store's URL."""


@hookspec
def jackline_register_sinks(register: Register) -> None:
    """Bring sinks: where events are exported to."""


@hookspec
def jackline_register_detectors(register: Register) -> None:
    """Bring detectors: what finds personal data and secrets of one kind."""


@hookspec
def jackline_register_commands(cli: typer.Typer) -> None:
    """Bring further subcommands of `jackline`: `cli` is its typer application."""

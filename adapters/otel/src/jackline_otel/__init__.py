"""Jackline to OpenTelemetry: what agents did and what was decided, to any OTLP endpoint. Importing it loads little."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from jackline_otel._version import __version__

if TYPE_CHECKING:
    import typer

    from jackline.hookspecs import Register
    from jackline_otel.export import Exporter
    from jackline_otel.sender import Endpoint, ExportError
    from jackline_otel.translate import Dialect

__all__ = ["Dialect", "Endpoint", "ExportError", "Exporter", "__version__"]

_WHERE = {"Dialect": "translate", "Endpoint": "sender", "ExportError": "sender", "Exporter": "export"}


def jackline_register_sinks(register: Register) -> None:
    """Name the sink."""
    register("otlp", "jackline_otel.export:Exporter")


def jackline_register_commands(cli: typer.Typer) -> None:
    """Offer `jackline otel`."""
    from jackline_otel.commands import register  # noqa: PLC0415 - typer only on the command line

    register(cli)


def __getattr__(name: str) -> Any:
    """Import a public name when it is first asked for."""
    if name in _WHERE:
        return getattr(import_module(f"jackline_otel.{_WHERE[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

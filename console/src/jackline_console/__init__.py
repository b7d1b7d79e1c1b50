"""The console: what agents do, spend and ask for, in a browser. Registering imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_console._version import __version__

if TYPE_CHECKING:
    import typer

__all__ = ["__version__", "jackline_register_commands"]


def jackline_register_commands(cli: typer.Typer) -> None:
    """Offer `jackline console`, `jackline up` and `jackline serve`."""
    from jackline_console.commands import register  # noqa: PLC0415 - typer only on the command line

    register(cli)

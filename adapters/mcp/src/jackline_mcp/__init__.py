"""Jackline for MCP: a gateway in front of tools, for agents that you did not build."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jackline_mcp._version import __version__

if TYPE_CHECKING:
    import typer

__all__ = ["__version__", "jackline_register_commands"]


def jackline_register_commands(cli: typer.Typer) -> None:
    """Offer `jackline mcp`."""
    from jackline_mcp.commands import register  # noqa: PLC0415 - typer only on the command line

    register(cli)

"""Ceilings in dollars, tokens and calls that hold before the act. Registering imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_budget._version import __version__

if TYPE_CHECKING:
    import typer

    from jackline.hookspecs import Register
    from jackline_budget.policy import Budget

__all__ = ["Budget", "__version__", "jackline_register_commands", "jackline_register_policies"]


def jackline_register_policies(register: Register) -> None:
    """Offer `use: budget`."""
    register("budget", "jackline_budget:Budget")


def jackline_register_commands(cli: typer.Typer) -> None:
    """Offer `jackline budget`."""
    from jackline_budget.commands import register  # noqa: PLC0415 - typer only on the command line

    register(cli)


def __getattr__(name: str) -> Any:
    """Import the policy, and with it pydantic, when a bundle uses it."""
    if name == "Budget":
        from jackline_budget.policy import Budget  # noqa: PLC0415 - the point of this function

        return Budget
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

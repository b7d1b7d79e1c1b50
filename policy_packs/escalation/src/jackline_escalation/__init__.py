"""Risk adds up, and people are asked at a threshold. Registering imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_escalation._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import Register
    from jackline_escalation.policy import Escalation

__all__ = ["Escalation", "__version__", "jackline_register_policies"]


def jackline_register_policies(register: Register) -> None:
    """Offer `use: escalation`."""
    register("escalation", "jackline_escalation:Escalation")


def __getattr__(name: str) -> Any:
    """Import the policy, and with it pydantic, when a bundle uses it."""
    if name == "Escalation":
        from jackline_escalation.policy import Escalation  # noqa: PLC0415 - the point of this function

        return Escalation
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

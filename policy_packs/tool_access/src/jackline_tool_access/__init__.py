"""Which tools, models and sub-agents an agent may use. Registering imports no policy: the target is a string."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_tool_access._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import Register
    from jackline_tool_access.policy import ToolAccess

__all__ = ["ToolAccess", "__version__", "jackline_register_policies"]


def jackline_register_policies(register: Register) -> None:
    """Offer `use: tool_access`."""
    register("tool_access", "jackline_tool_access:ToolAccess")


def __getattr__(name: str) -> Any:
    """Import the policy, and with it pydantic, when a bundle uses it."""
    if name == "ToolAccess":
        from jackline_tool_access.policy import ToolAccess  # noqa: PLC0415 - the point of this function

        return ToolAccess
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

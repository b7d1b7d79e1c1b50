"""Personal data and secrets are stopped before they cross a boundary. Registering imports no detector."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_pii._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import Register
    from jackline_pii.policy import Pii

__all__ = ["Pii", "__version__", "jackline_register_detectors", "jackline_register_policies"]


def jackline_register_policies(register: Register) -> None:
    """Offer `use: pii`."""
    register("pii", "jackline_pii:Pii")


def jackline_register_detectors(register: Register) -> None:
    """Offer a detector for each entity."""
    from jackline_pii.catalogue import TARGETS  # noqa: PLC0415 - only assembly needs it

    for name, target in TARGETS.items():
        register(name, target)


def __getattr__(name: str) -> Any:
    """Import the policy, and with it pydantic, when a bundle uses it."""
    if name == "Pii":
        from jackline_pii.policy import Pii  # noqa: PLC0415 - the point of this function

        return Pii
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

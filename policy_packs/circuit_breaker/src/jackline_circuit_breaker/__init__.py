"""Loops, failing tools and runaway sessions are stopped before the next act. Registering imports nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline_circuit_breaker._version import __version__

if TYPE_CHECKING:
    from jackline.hookspecs import Register
    from jackline_circuit_breaker.policy import CircuitBreaker

__all__ = ["CircuitBreaker", "__version__", "jackline_register_policies"]


def jackline_register_policies(register: Register) -> None:
    """Offer `use: circuit_breaker`."""
    register("circuit_breaker", "jackline_circuit_breaker:CircuitBreaker")


def __getattr__(name: str) -> Any:
    """Import the policy, and with it pydantic, when a bundle uses it."""
    if name == "CircuitBreaker":
        from jackline_circuit_breaker.policy import CircuitBreaker  # noqa: PLC0415 - the point of this function

        return CircuitBreaker
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

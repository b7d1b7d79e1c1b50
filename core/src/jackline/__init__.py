"""Jackline: decide, record and account for what an agent does, before it does it."""

from jackline._version import __version__

__all__ = ["__version__"]

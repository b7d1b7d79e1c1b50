"""Jackline for CrewAI: what crews, agents and flows do is judged before it happens."""

from jackline_crewai._version import __version__

__all__ = ["__version__"]

"""Jackline for outgoing requests: what tools send is traced and judged before it leaves."""

from jackline_http._version import __version__

__all__ = ["__version__"]

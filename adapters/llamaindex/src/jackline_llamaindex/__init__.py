"""Jackline for LlamaIndex: what agents, query engines and models do is judged before it happens."""

from jackline_llamaindex._version import __version__

__all__ = ["__version__"]

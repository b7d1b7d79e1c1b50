"""Where values come from: the user's own words, a trusted tool, or only what an outsider may have written."""

from jackline.provenance.memory import Memory, Origin
from jackline.provenance.sources import Sources
from jackline.provenance.tracing import Trace, Tracing

__all__ = ["Memory", "Origin", "Sources", "Trace", "Tracing"]

"""What was reported over OTLP, counted."""

from __future__ import annotations

from pydantic import BaseModel


class Reports(BaseModel):
    """Since this console started."""

    spans: int
    """Runs and acts that were put on record."""
    repeated: int
    """Spans that came again."""
    held: int
    """Spans that wait for what is above them, now."""
    no_act: int
    """Spans that are no act of an agent."""
    lines: int
    """Lines of other homes' journals."""
    metrics: int
    """Metrics of the conventions: not counted once more."""
    other_metrics: int

"""The page *Alerts*: what fires. A console that evaluates no rules says so."""

from __future__ import annotations

from fastapi import APIRouter

from jackline_console.access.gate import Viewer
from jackline_console.models.alerts import Alerts

router = APIRouter(tags=["alerts"])


@router.get("/alerts")
def alerts(_who: Viewer) -> Alerts:
    """What fires; nothing where no rules are evaluated."""
    return Alerts(items=[], running=False)

"""How the console stands, the numbers above every page, metrics and health."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

from fastapi import APIRouter, Request, Response
from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics

from jackline.opening import open_registry
from jackline_console._version import __version__
from jackline_console.access.gate import Viewer
from jackline_console.models.status import BundleFacts, Health, Status, Summary
from jackline_console.routes.asking import Here
from jackline_console.stream import Cursor, behind_of

if TYPE_CHECKING:
    from jackline_console.console import Console

router = APIRouter(tags=["status"])
plain = APIRouter()
_DAY = 86400
_PLAIN = "text/plain; version=0.0.4; charset=utf-8"
_OPENMETRICS = "application/openmetrics-text"


@router.get("/status")
def status(here: Here, _who: Viewer) -> Status:
    """How the console stands, and by how much the index runs behind."""
    behind = behind_of(here)  # before the cursor: where it says that nothing is missing, the cursor is behind it all
    epoch, position = here.store.head()
    found = here.bundles.found()
    bundle = None
    if found is not None:
        mode = found.bundle.mode if found.bundle is not None else ""
        problem = str(found.error) if found.error is not None else ""
        revision = found.revision if found.data else ""
        bundle = BundleFacts(source=str(here.bundles.path), revision=revision, mode=mode, problem=problem)
    return Status.model_validate(
        {
            "version": __version__,
            "home": str(here.home.path),
            "epoch": epoch,
            "cursor": str(Cursor(epoch, position)),
            "behind": behind,
            "bundle": bundle,
            "self_approval_possible": self_approval_possible(here),
            "lost_events": here.lost_events(),
            "started": here.started,
        }
    )


@router.get("/summary")
def summary(here: Here, _who: Viewer) -> Summary:
    """The numbers above every page."""
    cursor = Cursor(*here.store.head())
    today = int(here.clock()) // _DAY * _DAY
    spent = here.store.usage((), since=today)
    rows = here.store.live(here.clock() - 300, 2000)
    return Summary(
        running=sum(row.state == "running" for row in rows),
        pending_approvals=len(here.questions.pending()),
        firing_alerts=sum(here.store.open_alerts().values()) if here.alerts.running else 0,
        unregistered_agents=unregistered(here),
        cost_today_micro_usd=sum(row.cost_micro_usd for row in spent),
        unpriced_today=sum(row.unpriced for row in spent),
        lost_events=here.lost_events(),
        cursor=str(cursor),
    )


@router.get("/openapi.json", include_in_schema=False)
def openapi(_who: Viewer, request: Request) -> dict[str, Any]:
    """This API in OpenAPI, made from the code."""
    schema: dict[str, Any] = request.app.openapi()
    return schema


@plain.get("/healthz", include_in_schema=False)
def health(here: Here) -> Health:
    """Whether the console answers; no database is asked, and nothing is told."""
    return Health(status="ok" if not here.tail.problem else "behind")


@plain.get("/metrics", include_in_schema=False)
def metrics(here: Here, _who: Viewer, request: Request) -> Response:
    """The metrics, as Prometheus reads them: in OpenMetrics where it asks for that."""
    registry = here.metrics.registry()
    if _OPENMETRICS in request.headers.get("accept", ""):
        told: bytes = openmetrics.generate_latest(registry)  # type: ignore[no-untyped-call,unused-ignore]
        return Response(told, media_type=openmetrics.CONTENT_TYPE_LATEST)
    return Response(generate_latest(registry), media_type=_PLAIN)


def unregistered(here: Console) -> int:
    """How many agents were seen and never registered: those that the page *Agents* shows first."""
    entries = open_registry(here.home).entries.values()
    return sum(one.facts(max(one.versions, default="")).status == "seen" for one in entries)


def self_approval_possible(here: Console) -> bool:
    """Whether agents of this home run as the user whose keys this console has."""
    if not hasattr(os, "getuid"):
        return True
    try:
        owners = {path.stat().st_uid for path in here.home.journals.glob("*.jsonl")}
    except OSError:
        return True
    return os.getuid() in owners

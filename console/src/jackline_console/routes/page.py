"""The page itself, and the link that lets its owner in."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, Request
from fastapi.responses import FileResponse, PlainTextResponse, Response

from jackline_console.problems import unknown
from jackline_console.routes.access import follow_link
from jackline_console.routes.asking import Here

router = APIRouter(include_in_schema=False)
STATIC = Path(__file__).resolve().parents[1] / "static"
_WEEK = "public, max-age=604800, immutable"


@router.get("/login")
def login(here: Here, request: Request, token: str = "") -> Response:
    """Use up a link; without one the page asks for name and password."""
    return follow_link(here, request, token) if token else _index()


@router.get("/{path:path}")
def page(path: str) -> Response:
    """A file of the page; any other path is one of its views."""
    if path.startswith("api/"):
        unknown("route", f"/{path}", "a route of /api/v1", "GET /api/v1/openapi.json lists them")
    found = _file(path)
    if found is not None:
        return FileResponse(found, headers={"Cache-Control": _WEEK if path.startswith("assets/") else "no-cache"})
    if path.startswith("assets/"):
        unknown(
            "file",
            f"/{path}",
            "a file of the page",
            "another version of the console is served by now: load the page again",
        )
    return _index()


def _file(path: str) -> Path | None:
    """The page's file of a path; None where there is none, or it is none of the page's."""
    try:
        found = (STATIC / path).resolve()
        return found if found.is_relative_to(STATIC) and found.is_file() else None
    except (OSError, ValueError):  # longer than a name can be, or no name
        return None


def _index() -> Response:
    index = STATIC / "index.html"
    if index.is_file():
        return FileResponse(index, headers={"Cache-Control": "no-cache"})
    told = "The page is not built into this installation. The API is at /api/v1; see docs/console-api.md.\n"
    return PlainTextResponse(told)

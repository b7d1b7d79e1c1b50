"""The application: one object that a server runs, and tests ask."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import anyio.to_thread
from fastapi import FastAPI
from fastapi.routing import APIRoute

from jackline_console import problems
from jackline_console._version import __version__
from jackline_console.console import Console
from jackline_console.headers import Headers
from jackline_console.otlp.refusals import Told
from jackline_console.problems import Problem
from jackline_console.routes import (
    access,
    agents,
    alerts,
    approvals,
    channels,
    costs,
    live,
    otlp,
    page,
    policies,
    status,
    stream,
    trace,
)

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

    from jackline_console.settings import Settings

API = "/api/v1"
THREADS = 8
"""Threads in which routes run: as many connections to the index at once, and never on the event loop."""


def create_app(settings: Settings) -> FastAPI:
    """Make the application of one home. Raises JacklineError where the home cannot be used."""
    console = Console(settings)

    @contextlib.asynccontextmanager
    async def running(_app: FastAPI) -> AsyncIterator[None]:
        anyio.to_thread.current_default_thread_limiter().total_tokens = THREADS
        console.tail.start()
        if settings.alerts:
            console.channels.start(lambda: console.alerts.running)
        try:
            yield
        finally:
            await anyio.to_thread.run_sync(console.close)

    app = FastAPI(
        title="Jackline console",
        version=__version__,
        description="What agents do, spend and ask for. See docs/console-api.md for what holds everywhere.",
        docs_url=None,
        redoc_url=None,
        openapi_url=None,
        lifespan=running,
        generate_unique_id_function=_identity,
        responses={"default": {"model": Problem, "description": "What failed, and what to do"}},
    )
    app.state.console = console
    told = Told(console)
    app.add_middleware(Headers, settings=settings, refused=told)
    problems.install(app, told)
    for routes in (access, status, live, trace, agents, approvals, policies, alerts, channels, costs, otlp, stream):
        app.include_router(routes.router, prefix=API)
    if settings.oidc is not None:
        from jackline_console.routes import oidc  # noqa: PLC0415 - an extra that few need

        app.include_router(oidc.router, prefix=API)
    app.include_router(status.plain)
    app.include_router(otlp.plain)
    app.include_router(page.router)
    app.openapi = _api_schema(app)  # type: ignore[method-assign]
    return app


def _identity(route: APIRoute) -> str:
    """A route's name for generated clients: its function's."""
    return route.name


def _api_schema(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """OpenAPI of the routes under `/api/v1`, made once. FastAPI takes every refusal for one of its own."""
    made = app.openapi

    def schema() -> dict[str, Any]:
        if app.openapi_schema is None:
            for path in made()["paths"].values():
                for operation in path.values():
                    operation["responses"].pop("422", None)
                    refusal = operation["responses"]["default"]["content"]
                    refusal["application/problem+json"] = refusal.pop(next(iter(refusal)))
        return made()

    return schema

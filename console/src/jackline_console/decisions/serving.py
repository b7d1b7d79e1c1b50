"""Runs the Decision API until it is told to end."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn

from jackline.cli import output
from jackline_console.connections import HEAD_S, MOST, Connection
from jackline_console.decisions.application import DecisionAPI
from jackline_console.listening import Quiet, listen

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.guard import Guard
    from jackline_console.settings import Settings

_GRACE_S = 3
_PRICES_S = 10.0


def serve(guard: Guard, settings: Settings, *, cert: Path | None = None, key: Path | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises JacklineError where the address cannot be had."""
    listening = listen(settings)
    guard.prices.warm(wait=_PRICES_S)  # what the first model call costs is asked on the loop, which waits for nothing
    settings = replace(settings, port=listening.getsockname()[1])
    api = DecisionAPI(guard, settings)
    config = uvicorn.Config(
        api,
        log_level="error",
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        http=Connection.telling(api.unread),
        limit_concurrency=MOST,
        timeout_keep_alive=int(HEAD_S),
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=cert,
        ssl_keyfile=key,
        proxy_headers=settings.secure and cert is None,
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    output.say(f"decision api: {'https' if cert is not None else 'http'}://{host}:{settings.port}/v1")
    asyncio.run(Quiet(config).serve([listening]))

"""Runs a gateway's endpoint until it is told to stop."""

from __future__ import annotations

from typing import TYPE_CHECKING

import uvicorn

from jackline.errors import JacklineError
from jackline_mcp.endpoint import PATH, Endpoint

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.guard import Guard
    from jackline_mcp.config import Gateway

_LEAVE = 2
"""Seconds that open streams are given at the end."""


async def serve(guard: Guard, config: Gateway, say: Callable[[str], object]) -> None:
    """Listen and answer; `say` is told where. Raises JacklineError where the address is taken."""
    endpoint = Endpoint(guard, config)
    settings = uvicorn.Config(
        endpoint,
        host=config.host,
        port=config.port,
        lifespan="off",
        log_level="warning",
        timeout_graceful_shutdown=_LEAVE,
        h11_max_incomplete_event_size=64 * 1024,
    )
    try:
        sock = settings.bind_socket()
    except SystemExit as error:
        raise JacklineError(f"{config.host}:{config.port} cannot be listened on") from error
    sock.listen(settings.backlog)  # whoever is told of it may call at once
    host, port = sock.getsockname()[:2]
    for name in config.servers:
        say(f"{name}: http://{host}:{port}{PATH}{name}")
    try:
        await uvicorn.Server(settings).serve(sockets=[sock])
    finally:
        await endpoint.close()

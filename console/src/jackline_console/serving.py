"""Runs the server until it is told to end."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import sys
import webbrowser
from dataclasses import replace
from typing import TYPE_CHECKING

import uvicorn

from jackline.cli import output
from jackline_console.app import create_app
from jackline_console.connections import MOST, Connection
from jackline_console.listening import Quiet, listen
from jackline_console.routes.access import login_link
from jackline_console.running import announced, doorway

if TYPE_CHECKING:
    import socket
    from pathlib import Path

    from jackline_console.console import Console
    from jackline_console.settings import Settings

_GRACE_S = 3


class _Server(Quiet):
    """Says goodbye to streams before it waits for them."""

    def __init__(self, config: uvicorn.Config, console: Console) -> None:
        super().__init__(config)
        self._console = console

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End every stream, then the server."""
        for stream in list(self._console.streams):
            stream.end("the console ends")
        await super().shutdown(sockets)


def serve(settings: Settings, *, browser: bool, cert: Path | None = None, key: Path | None = None) -> None:
    """Serve until SIGINT or SIGTERM. Raises JacklineError where the address cannot be had."""
    listening = listen(settings)
    settings = replace(settings, port=listening.getsockname()[1])
    app = create_app(settings)
    console: Console = app.state.console
    config = uvicorn.Config(
        app,
        log_level="error",  # who sends what is no HTTP does not fill the log
        access_log=False,
        server_header=False,
        date_header=False,
        ws="none",
        http=Connection,
        limit_concurrency=MOST,
        timeout_graceful_shutdown=_GRACE_S,
        ssl_certfile=cert,
        ssl_keyfile=key,
        proxy_headers=settings.secure and cert is None,  # of a proxy on this machine, or in FORWARDED_ALLOW_IPS
    )
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    url = f"{'https' if cert is not None else 'http'}://{host}:{settings.port}/"
    with contextlib.ExitStack() as stack:
        stack.callback(console.close)
        if settings.loopback:
            console.secret = secrets.token_urlsafe(32)
            stack.enter_context(announced(settings.home, url, console.secret))
        _greet(console, url, browser=browser)
        asyncio.run(_Server(config, console).serve([listening]))


def _greet(console: Console, url: str, *, browser: bool) -> None:
    settings = console.settings
    output.say(f"jackline console for {settings.home.path}")
    if not settings.loopback:
        output.say(f"  {url}")
        return
    link = login_link(console)
    output.say(f"  {link}")
    output.say("  the link works once, within 15 minutes; another one: jackline console --link")
    sys.stdout.flush()
    if browser:
        webbrowser.open(doorway(settings.home, link))

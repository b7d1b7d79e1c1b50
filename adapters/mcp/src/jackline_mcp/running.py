"""Runs a gateway's endpoint until it is told to stop; a changed configuration comes into force meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import resource
from typing import TYPE_CHECKING

import uvicorn

from jackline.errors import BundleError, JacklineError
from jackline.reload import Watcher
from jackline_mcp.admission import PATH
from jackline_mcp.callers import Callers
from jackline_mcp.certificates import tls_context
from jackline_mcp.config import Gateway, read
from jackline_mcp.connections import Connection
from jackline_mcp.ending import Server
from jackline_mcp.endpoint import Endpoint

if TYPE_CHECKING:
    import ssl
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from jackline.guard import Guard
    from jackline_mcp.oauth import AccessTokens

_LEAVE = 2
"""Seconds that open streams are given at the end."""
_MOST = 10_000
"""Connections at once; no more than half of the files that the process may open."""


async def serve(guard: Guard, path: Path, config: Gateway, say: Callable[[str], object]) -> None:
    """Listen and answer; `say` is told where. Raises JacklineError where that cannot be."""
    async with _tokens(config, path, say) as tokens:
        endpoint = Endpoint(guard, config, tokens)
        settings = _settings(endpoint, path, config)
        try:
            sock = settings.bind_socket()
        except SystemExit as error:
            raise JacklineError(f"{config.host}:{config.port} cannot be listened on") from error
        sock.listen(settings.backlog)  # whoever is told of it may call at once
        host, port = sock.getsockname()[:2]
        here = f"{'https' if config.tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
        endpoint.admission.base = config.oauth.url if config.oauth and config.oauth.url else here
        watcher = _watcher(endpoint, path, config, say)
        for name in config.servers:
            say(f"{name}: {here}{PATH}{name}")
        watcher.start()
        try:
            await Server(settings).serve(sockets=[sock])
        finally:
            watcher.stop()
            await endpoint.close()


def _settings(endpoint: Endpoint, path: Path, config: Gateway) -> uvicorn.Config:
    tls = None
    if config.tls is not None:
        tls = tls_context(config.tls, path.parent, endpoint.admission.tell)

    def made(*_: object) -> ssl.SSLContext:
        assert tls is not None
        return tls

    # What callers send is on record; it must not fill a log with tracebacks besides.
    logging.getLogger("mcp.server.streamable_http").setLevel(logging.CRITICAL)
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return uvicorn.Config(
        endpoint,
        host=config.host,
        port=config.port,
        lifespan="off",
        log_level="error",
        access_log=False,
        http=Connection,
        ws="none",
        server_header=False,
        proxy_headers=False,
        limit_concurrency=_MOST if files == resource.RLIM_INFINITY else min(_MOST, max(100, files // 2)),
        timeout_graceful_shutdown=_LEAVE,
        h11_max_incomplete_event_size=64 * 1024,
        ssl_context_factory=None if tls is None else made,
    )


@contextlib.asynccontextmanager
async def _tokens(config: Gateway, path: Path, say: Callable[[str], object]) -> AsyncIterator[AccessTokens | None]:
    """What looks at access tokens, with keys that are kept new for as long as the context lasts."""
    if config.oauth is None:
        yield None
        return
    from jackline_mcp.issuer_keys import IssuerKeys  # noqa: PLC0415 - where it is used
    from jackline_mcp.oauth import AccessTokens  # noqa: PLC0415

    keys = IssuerKeys(config.oauth.jwks, path.parent, say, refresh=config.oauth.refresh)
    if "://" in config.oauth.jwks:
        await keys.look()
    else:
        await keys.load()
    keeping = asyncio.create_task(keys.keep())
    try:
        yield AccessTokens(config.oauth, keys)
    finally:
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)


def _watcher(endpoint: Endpoint, path: Path, config: Gateway, say: Callable[[str], object]) -> Watcher[Gateway]:
    """Brings a changed configuration into force on the running loop, and says so."""
    loop = asyncio.get_running_loop()
    now = config

    def loaded(found: Gateway) -> None:
        nonlocal now
        # Somebody may be shut out at once; whoever needs no credentials is let in by a restart only, with its address.
        anonymous = found.anonymous if not found.anonymous else config.anonymous
        effective = config.model_copy(
            update={"callers": found.callers, "revoked": found.revoked, "anonymous": anonymous}
        )
        if effective != now:
            now = effective
            loop.call_soon_threadsafe(endpoint.replace, Callers(effective))
            say(f"{path.name}: {len(found.callers)} callers and {len(found.revoked)} revocations are in force")
        waiting = [name for name in Gateway.model_fields if getattr(found, name) != getattr(effective, name)]
        if waiting:
            say(f"{path.name}: a restart brings into force: {', '.join(waiting)}")

    def failed(error: BundleError) -> None:
        say(f"{error}\n{path.name} is in force as it was before")

    return Watcher(path, lambda data: read(data, path), loaded=loaded, failed=failed)

"""aiohttp: each time that a session asks its connector for a connection, for every hop and every retry."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from jackline_http.enforce import GOVERNING, Exchange
from jackline_http.translate import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline_http.libraries import Library

_EXCHANGE = "_jackline_exchange"


def put_on(library: Library, module: Any) -> None:
    """Wrap what gives a connection, new or kept, and what reads a response's head."""
    family, parse = module.ClientError, sys.modules["yarl"].URL

    def connecting(original: Callable[..., Any]) -> Callable[..., Any]:
        async def connect(self: Any, req: Any, *args: Any, **kwargs: Any) -> Any:
            if not GOVERNING.asks():
                return await original(self, req, *args, **kwargs)
            exchange = Exchange.of("aiohttp", family, req, lambda: _described(self, req))
            sending = await exchange.aask()
            if sending.changed:
                try:
                    await _change(parse, sending, req)
                except Exception as error:
                    raise exchange.unchangeable(error) from error
            with exchange:
                connection = await original(self, req, *args, **kwargs)
            setattr(connection, _EXCHANGE, exchange)
            connection.add_callback(lambda: _released(exchange))
            return connection

        return connect

    library.cover_family(module.BaseConnector, lambda kind: library.cover(kind, {"connect": connecting}))
    library.cover_family(module.ClientResponse, lambda kind: library.cover(kind, {"start": _starting}))


def _described(connector: Any, req: Any) -> Sending:
    url, proxy = req.url, req.proxy
    file = getattr(connector, "path", None)  # of a connector to a socket file
    return Sending(
        req.method,
        url.scheme,
        f"unix:{file}" if isinstance(file, str) else url.raw_host or "",
        url.port,
        url.raw_path_qs,
        headers=req.headers.items(),
        body=_body(req.body),
        proxy=f"{proxy.host}:{proxy.port or ''}" if proxy is not None else "",
    )


def _body(body: Any) -> Any:
    """What a payload holds, where it holds it already."""
    if isinstance(body, (bytes, bytearray)):
        return bytes(body) or None
    held = getattr(body, "_value", None)
    return held if isinstance(held, (bytes, bytearray, str)) else body


async def _change(parse: Callable[..., Any], sending: Sending, req: Any) -> None:
    """Give the request what a policy has changed: it is the session's own, made for this hop."""
    if "url" in sending.changed:
        req.url = req.url.join(parse(sending.path, encoded=True))
    if "body" in sending.changed:
        if hasattr(req, "update_body"):
            await req.update_body(sending.body)
        else:  # before 3.12.7
            req.headers.popall("content-length", None)
            req.update_body_from_data(sending.body)
    if "headers" in sending.changed:
        kept = {name.lower() for name, _ in sending.headers}
        for name in [name for name in req.headers if name.lower() not in kept]:
            del req.headers[name]
        for name, value in sending.headers:
            req.headers[name] = value


def _starting(original: Callable[..., Any]) -> Callable[..., Any]:
    async def start(self: Any, connection: Any) -> Any:
        exchange: Exchange | None = getattr(connection, _EXCHANGE, None)
        if exchange is None:
            return await original(self, connection)
        exchange.reading = True  # a response without a body gives its connection back before it has a status
        try:
            found = await original(self, connection)
        except BaseException as error:
            exchange.close(error)
            raise
        exchange.status, exchange.content, exchange.reading = self.status, self.content, False
        if self._connection is None:
            _released(exchange)
        return found

    return start


def _released(exchange: Exchange) -> None:
    """The connection is free again: the response has ended, one way or another."""
    if exchange.reading:
        return
    content = exchange.content
    if content is None:  # it ended before there was a response
        exchange.close(sys.exception() or "abandoned")
        return
    exchange.received = getattr(content, "total_bytes", 0)
    error = content.exception()
    # A response that its reader leaves before the end is told so as an error of its own.
    exchange.close(None if error is None or str(error) == "Connection closed" else error)

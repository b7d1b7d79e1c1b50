"""httpx, and httpx2 which is built alike: each hop of a client, and transports that are used without one."""

from __future__ import annotations

import sys
from functools import cache
from typing import TYPE_CHECKING, Any

from jackline_http.enforce import GOVERNING, Exchange
from jackline_http.translate import Sending, text

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from jackline_http.libraries import Library


def put_on(library: Library, module: Any) -> None:
    """Wrap the one way by which a client sends each hop, and the one into each transport that speaks to a network."""
    library.cover_family(module.Client, lambda kind: library.cover(kind, {"_send_single_request": _client}))
    library.cover_family(module.AsyncClient, lambda kind: library.cover(kind, {"_send_single_request": _async_client}))
    library.wrap(module.HTTPTransport, "handle_request", _transport)
    library.wrap(module.AsyncHTTPTransport, "handle_async_request", _async_transport)


def _client(original: Callable[..., Any]) -> Callable[..., Any]:
    def _send_single_request(self: Any, request: Any) -> Any:
        if not GOVERNING.asks():
            return original(self, request)
        return _sent(original, self, self._transport_for_url(request.url), request)

    return _send_single_request


def _transport(original: Callable[..., Any]) -> Callable[..., Any]:
    def handle_request(self: Any, request: Any) -> Any:
        if not GOVERNING.asks():
            return original(self, request)
        return _sent(original, self, self, request)

    return handle_request


def _async_client(original: Callable[..., Any]) -> Callable[..., Any]:
    async def _send_single_request(self: Any, request: Any) -> Any:
        if not GOVERNING.asks():
            return await original(self, request)
        return await _asent(original, self, self._transport_for_url(request.url), request)

    return _send_single_request


def _async_transport(original: Callable[..., Any]) -> Callable[..., Any]:
    async def handle_async_request(self: Any, request: Any) -> Any:
        if not GOVERNING.asks():
            return await original(self, request)
        return await _asent(original, self, self, request)

    return handle_async_request


def _sent(original: Callable[..., Any], owner: Any, transport: Any, request: Any) -> Any:
    module = _module(request)
    exchange = Exchange.of("httpx", module.RequestError, request, lambda: _described(transport, request))
    request = _native(module, exchange, exchange.ask(), request)
    with exchange:
        response = original(owner, request)
    return _watched(module, exchange, response)


async def _asent(original: Callable[..., Any], owner: Any, transport: Any, request: Any) -> Any:
    module = _module(request)
    exchange = Exchange.of("httpx", module.RequestError, request, lambda: _described(transport, request))
    request = _native(module, exchange, await exchange.aask(), request)
    with exchange:
        response = await original(owner, request)
    return _watched(module, exchange, response)


def _module(request: Any) -> Any:
    return sys.modules[type(request).__module__.partition(".")[0]]


def _described(transport: Any, request: Any) -> Sending:
    url = request.url
    pool = getattr(transport, "_pool", None)
    proxy = getattr(pool, "_proxy_url", None)
    file = getattr(pool, "_uds", None)
    return Sending(
        request.method,
        url.scheme,
        f"unix:{file}" if file else url.raw_host.decode("ascii"),
        url.port,
        url.raw_path.decode("ascii"),
        headers=request.headers.raw,
        body=getattr(request, "_content", request.stream),
        proxy=f"{text(proxy.host)}:{proxy.port or ''}" if proxy is not None else "",
    )


def _native(module: Any, exchange: Exchange, sending: Sending, request: Any) -> Any:
    """The request to send: the caller's own, or another where a policy has changed something."""
    if not sending.changed or exchange.native is not request:
        return request
    try:
        made = _changed(module, sending, request)
    except Exception as error:
        raise exchange.unchangeable(error) from error
    exchange.native = made
    return made


def _changed(module: Any, sending: Sending, request: Any) -> Any:
    content = {"content": sending.body} if "body" in sending.changed else {"stream": request.stream}
    made = module.Request(
        request.method,
        request.url.copy_with(raw_path=sending.path.encode()),
        headers=sending.headers,
        extensions=request.extensions,
        **content,
    )
    if "body" not in sending.changed and hasattr(request, "_content"):
        made._content = request._content  # noqa: SLF001 - as `Request` itself keeps it
    return made


def _watched(module: Any, exchange: Exchange, response: Any) -> Any:
    """The response, which tells when it has ended."""
    if exchange.attached:
        return response
    exchange.attached = True
    exchange.status = response.status_code
    if hasattr(response, "_content"):
        exchange.received = len(response._content)  # noqa: SLF001 - read before it came here, as of a transport's own
        exchange.close()
    else:
        exchange.received = 0
        sync, asynchronous = _streams(module)
        kind = sync if isinstance(response.stream, module.SyncByteStream) else asynchronous
        response.stream = kind(response.stream, exchange)
    return response


class _Watched:
    """What stands between a response and its bytes, and is asked for the rest like what it stands for."""

    def __init__(self, inner: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._exchange = exchange

    def __getattr__(self, name: str) -> Any:
        return getattr(self._inner, name)

    def __del__(self) -> None:
        self._exchange.close()


class _WatchedSync(_Watched):
    def __iter__(self) -> Iterator[bytes]:
        try:
            for chunk in self._inner:
                self._exchange.count(len(chunk))
                yield chunk
        except Exception as error:
            self._exchange.close(error)
            raise

    def close(self) -> None:
        try:
            self._inner.close()
        finally:
            self._exchange.close()


class _WatchedAsync(_Watched):
    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            async for chunk in self._inner:
                self._exchange.count(len(chunk))
                yield chunk
        except Exception as error:
            self._exchange.close(error)
            raise

    async def aclose(self) -> None:
        try:
            await self._inner.aclose()
        finally:
            self._exchange.close()


@cache
def _streams(module: Any) -> tuple[type, type]:
    """Both kinds, as streams of this library: it looks at the class."""
    return (
        type("WatchedSync", (_WatchedSync, module.SyncByteStream), {}),
        type("WatchedAsync", (_WatchedAsync, module.AsyncByteStream), {}),
    )

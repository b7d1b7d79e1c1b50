"""urllib3: each request of a connection pool, be it a hop, a retry or what requests and others send through it."""

from __future__ import annotations

from http.client import IncompleteRead
from typing import TYPE_CHECKING, Any

from jackline.facts import origin
from jackline_http.enforce import GOVERNING, Exchange, passing
from jackline_http.translate import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline_http.libraries import Library

_EXCHANGE = "_jackline_exchange"


def put_on(library: Library, module: Any) -> None:
    """Wrap what a pool is asked for, the one send beneath it, and the ends of a response."""
    pools, response = module.connectionpool, module.response.HTTPResponse
    family, parse = module.exceptions.HTTPError, module.util.parse_url

    def opening(original: Callable[..., Any]) -> Callable[..., Any]:
        def urlopen(
            self: Any, method: str, url: str, body: Any = None, headers: Any = None, *args: Any, **kwargs: Any
        ) -> Any:
            if not GOVERNING.asks():
                return original(self, method, url, body, headers, *args, **kwargs)
            given = self.headers if headers is None else headers
            exchange = Exchange.of("urllib3", family, None, lambda: _described(self, parse, method, url, body, given))
            sending = exchange.ask()
            with exchange:
                if sending.changed:
                    url = sending.path if url.startswith("/") else f"{origin(*sending.destination[1:4])}{sending.path}"
                    body, headers = sending.body, dict(sending.headers)
                return original(self, method, url, body, headers, *args, **kwargs)

        return urlopen

    library.cover_family(
        pools.HTTPConnectionPool,
        lambda kind: library.cover(kind, {"urlopen": opening, "_make_request": _sending}),
    )
    library.wrap(response, "_init_length", _beginning)
    library.wrap(response, "_error_catcher", _catching)
    for name in ("release_conn", "close"):
        library.wrap(response, name, _ending)
    for name in ("_fp_read", "_handle_chunk"):
        library.wrap(response, name, _counting)


def _described(pool: Any, parse: Callable[[str], Any], method: str, url: str, body: Any, headers: Any) -> Sending:
    """Where a request goes: to the pool's host, or, through a proxy that reads whole addresses, where the URL says."""
    proxy = pool.proxy
    scheme, name, port, path = pool.scheme, pool.host, pool.port, url
    if not url.startswith("/"):
        parts = parse(url)
        path = parts.request_uri
        if proxy is not None and parts.host:
            scheme, name, port = parts.scheme, parts.host, parts.port
    return Sending(
        method,
        scheme,
        name,
        port,
        path,
        headers=headers.items(),
        body=body,
        proxy=f"{proxy.host}:{proxy.port or ''}" if proxy is not None else "",
    )


def _sending(original: Callable[..., Any]) -> Callable[..., Any]:
    def _make_request(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = passing() if GOVERNING.guards else None
        if exchange is None:
            return original(self, *args, **kwargs)
        try:
            response = original(self, *args, **kwargs)
        except BaseException as error:
            exchange.close(error)
            raise
        below = getattr(response, "_original_response", None)
        if below is None or below.isclosed():  # read at once
            exchange.close()
        return response

    return _make_request


def _beginning(original: Callable[..., Any]) -> Callable[..., Any]:
    """Where a response is made, before anything of its body is read."""

    def _init_length(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = passing() if GOVERNING.guards else None
        if exchange is not None and not exchange.attached:
            exchange.attached = True
            exchange.status, exchange.received = self.status, 0
            setattr(self, _EXCHANGE, exchange)
        return original(self, *args, **kwargs)

    return _init_length


def _catching(original: Callable[..., Any]) -> Callable[..., Any]:
    """Around everything that is read of a response: what goes wrong there ends it, and so does its last byte."""

    def _error_catcher(self: Any) -> Any:
        exchange = self.__dict__.get(_EXCHANGE)
        return original(self) if exchange is None else _Reading(original(self), self, exchange)

    return _error_catcher


class _Reading:
    """A part of a response is read; the connection is given back before it is known whether that went well."""

    __slots__ = ("_exchange", "_inner", "_response", "_within")

    def __init__(self, inner: Any, response: Any, exchange: Exchange) -> None:
        self._inner = inner
        self._response = response
        self._exchange = exchange
        self._within = exchange.reading

    def __enter__(self) -> None:
        self._exchange.reading = True
        self._inner.__enter__()

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> Any:
        exchange = self._exchange
        try:
            swallowed = self._inner.__exit__(kind, error, trace)
        except BaseException as translated:
            exchange.reading = self._within
            exchange.close(translated)
            raise
        exchange.reading = self._within
        if error is not None and not swallowed:
            exchange.close(error)
        elif self._response._original_response is None or self._response._original_response.isclosed():  # noqa: SLF001 - its own
            exchange.close()
        return swallowed


def _counting(original: Callable[..., Any]) -> Callable[..., Any]:
    def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = self.__dict__.get(_EXCHANGE)
        if exchange is None:
            return original(self, *args, **kwargs)
        try:
            data = original(self, *args, **kwargs)
        except IncompleteRead as error:
            exchange.count(len(error.partial))
            raise
        exchange.count(len(data or b""))
        return data

    return counted


def _ending(original: Callable[..., Any]) -> Callable[..., Any]:
    def ended(self: Any, *args: Any, **kwargs: Any) -> Any:
        exchange = self.__dict__.get(_EXCHANGE)
        try:
            return original(self, *args, **kwargs)
        finally:
            if exchange is not None and not exchange.reading:
                exchange.close()

    return ended

"""requests: every transport adapter of a session, each hop of a redirect."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jackline.errors import Signal
from jackline_http.enforce import GOVERNING, Exchange
from jackline_http.signals import signal
from jackline_http.translate import Sending

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline_http.libraries import Library


def put_on(library: Library, module: Any) -> None:
    """Wrap what sends a prepared request, in adapters of others too."""
    adapters, utils = module.adapters, module.utils

    def sending(original: Callable[..., Any]) -> Callable[..., Any]:
        def send(self: Any, request: Any, *args: Any, **kwargs: Any) -> Any:
            if not GOVERNING.asks():
                return original(self, request, *args, **kwargs)
            proxies = kwargs.get("proxies") or (args[4] if len(args) > 4 else None)  # noqa: PLR2004 - of the signature
            return _sent(
                lambda made: original(self, made, *args, **kwargs),
                request,
                module.RequestException,
                lambda: _described(request, utils.select_proxy(request.url, proxies) or ""),
            )

        return send

    library.cover_family(adapters.BaseAdapter, lambda kind: library.cover(kind, {"send": sending}))


def _sent(send: Callable[[Any], Any], request: Any, family: type[Exception], describe: Callable[[], Sending]) -> Any:
    exchange = Exchange.of("requests", family, request, describe)
    request = _native(exchange, exchange.ask(), request)
    try:
        with exchange:
            response = send(request)
    except Signal as refusal:  # of a retry, which urllib3 makes by itself
        if isinstance(refusal, family):
            raise
        raise signal(family, refusal.decision) from refusal
    if not exchange.is_handed_to("urllib3") and not exchange.attached:
        exchange.status = response.status_code
        content: Any = getattr(response, "_content", False)
        length = response.headers.get("content-length", "")
        exchange.received = len(content) if content else int(length) if length.isdecimal() else None
        exchange.close()
    return response


def _described(request: Any, proxy: str) -> Sending:
    parts = urlsplit(request.url)
    if proxy:
        through = urlsplit(proxy if "//" in proxy else f"//{proxy}")
        proxy = f"{through.hostname}:{through.port or ''}"
    return Sending(
        request.method,
        parts.scheme.lower(),
        parts.hostname or "",
        parts.port,
        (parts.path or "/") + (f"?{parts.query}" if parts.query else ""),
        headers=request.headers.items(),
        body=request.body,
        proxy=proxy,
    )


def _native(exchange: Exchange, sending: Sending, request: Any) -> Any:
    """The request to send: the caller's own, or a copy where a policy has changed something."""
    if not sending.changed or exchange.native is not request:
        return request
    try:
        made = _changed(sending, request)
    except Exception as error:
        raise exchange.unchangeable(error) from error
    exchange.native = made
    return made


def _changed(sending: Sending, request: Any) -> Any:
    made = request.copy()
    if "url" in sending.changed:
        made.url = urlsplit(request.url)._replace(path="", query="", fragment="").geturl() + sending.path
    made.headers = type(request.headers)(sending.headers)
    made.body = sending.body
    return made

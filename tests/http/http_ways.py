"""Every way to send a request: by each library, at each of its entrances, waiting and awaited."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable  # noqa: TC003 - a NamedTuple's fields
from typing import Any, NamedTuple

import aiohttp
import httpx
import httpx2
import requests
import urllib3

Answer = tuple[int, str]


class Way(NamedTuple):
    """How a request is sent; `error` is the family that a refusal belongs to."""

    name: str
    send: Callable[..., Answer]
    error: type[Exception]

    def __repr__(self) -> str:
        return self.name


def _client(module: Any) -> Callable[..., Answer]:
    def send(url: str, method: str = "GET", **what: Any) -> Answer:
        with module.Client(trust_env=False, follow_redirects=True) as client:
            response = client.request(method, url, **what)
            return response.status_code, response.text

    return send


def _built(url: str, method: str = "GET", **what: Any) -> Answer:
    with httpx.Client(trust_env=False, follow_redirects=True) as client:
        response = client.send(client.build_request(method, url, **what), stream=True)
        try:
            return response.status_code, response.read().decode()
        finally:
            response.close()


def _transport(url: str, method: str = "GET", **what: Any) -> Answer:
    with httpx.HTTPTransport() as transport:
        response = transport.handle_request(httpx.Request(method, url, **what))
        text = response.read().decode()
        response.close()
        if response.has_redirect_location:
            return _transport(response.headers["location"])
        return response.status_code, text


def _async_client(module: Any) -> Callable[..., Answer]:
    async def send(url: str, method: str = "GET", **what: Any) -> Answer:
        async with module.AsyncClient(trust_env=False, follow_redirects=True) as client:
            response = await client.request(method, url, **what)
            return response.status_code, response.text

    return _awaited(send)


def _awaited(send: Callable[..., Awaitable[Answer]]) -> Callable[..., Answer]:
    def run(*args: Any, **kwargs: Any) -> Answer:
        return asyncio.run(send(*args, **kwargs))

    return run


def _named(what: dict[str, Any]) -> dict[str, Any]:
    """httpx's name for a body is its own."""
    return {{"content": "data"}.get(key, key): value for key, value in what.items()}


def _requests(url: str, method: str = "GET", **what: Any) -> Answer:
    with requests.Session() as session:
        session.trust_env = False
        response = session.request(method, url, **_named(what))
        return response.status_code, response.text


def _prepared(url: str, method: str = "GET", **what: Any) -> Answer:
    with requests.Session() as session:
        prepared = session.prepare_request(requests.Request(method, url, **_named(what)))
        response = session.send(prepared, allow_redirects=True)
        return response.status_code, response.text


def _manager(url: str, method: str = "GET", content: Any = None, headers: Any = None) -> Answer:
    with urllib3.PoolManager() as manager:
        response = manager.request(method, url, body=content, headers=headers)
        return response.status, response.data.decode()


def _pool(url: str, method: str = "GET", content: Any = None, headers: Any = None) -> Answer:
    parts = urllib3.util.parse_url(url)
    with urllib3.HTTPConnectionPool(parts.host, parts.port) as pool:
        response = pool.urlopen(method, parts.request_uri, body=content, headers=headers, redirect=False)
        target = response.get_redirect_location()
    return _pool(target) if target else (response.status, response.data.decode())


async def _aiohttp(url: str, method: str = "GET", **what: Any) -> Answer:
    async with aiohttp.ClientSession() as session, session.request(method, url, **_named(what)) as response:
        return response.status, await response.text()


WAYS = (
    Way("httpx.Client", _client(httpx), httpx.RequestError),
    Way("httpx.send", _built, httpx.RequestError),
    Way("httpx.HTTPTransport", _transport, httpx.RequestError),
    Way("httpx.AsyncClient", _async_client(httpx), httpx.RequestError),
    Way("httpx2.Client", _client(httpx2), httpx2.RequestError),
    Way("httpx2.AsyncClient", _async_client(httpx2), httpx2.RequestError),
    Way("requests.request", _requests, requests.RequestException),
    Way("requests.send", _prepared, requests.RequestException),
    Way("urllib3.PoolManager", _manager, urllib3.exceptions.HTTPError),
    Way("urllib3.pool", _pool, urllib3.exceptions.HTTPError),
    Way("aiohttp", _awaited(_aiohttp), aiohttp.ClientError),
)

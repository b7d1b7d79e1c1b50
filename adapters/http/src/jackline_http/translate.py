"""From a request of any library to the question about it, and from a policy's change back to what is sent."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from jackline.facts import PORTS, host, origin
from jackline.plain import plain
from jackline.rewriting import UnchangeableError

if TYPE_CHECKING:
    from collections.abc import Iterable

Headers = list[tuple[str, str]]

SECRET = ("authorization", "cookie", "api-key", "apikey", "token", "secret", "password", "signature", "credential")
"""Headers with one of these in their name are in no record, and policies do not see them."""


class Sending:
    """A request that is about to go out: where to, and what is in it. What a policy changes makes another one."""

    __slots__ = ("_headers", "_items", "body", "changed", "host", "method", "path", "port", "proxy", "scheme")

    def __init__(
        self,
        method: str,
        scheme: str,
        name: str,
        port: int | None,
        path: str,
        *,
        headers: Iterable[tuple[Any, Any]] = (),
        body: Any = None,
        proxy: str = "",
    ) -> None:
        """`path` has the query; `headers` are text or bytes; `proxy` is `host:port`."""
        self.method = method.upper()
        self.scheme = scheme
        self.host = host(name)
        self.port = port or PORTS.get(scheme, 0)
        self.path = path
        self._items = headers
        self._headers: Headers | None = None
        self.body = body
        self.proxy = proxy
        self.changed: frozenset[str] = frozenset()
        """What a policy changed: of `url`, `headers`, `body`."""

    @property
    def headers(self) -> Headers:
        """As pairs of text."""
        if self._headers is None:
            self._headers = [(text(name), text(value)) for name, value in self._items]
        return self._headers

    @property
    def destination(self) -> tuple[str, str, str, int, str]:
        """Equal where two libraries speak of the same request."""
        return self.method, self.scheme, self.host, self.port, self.path

    @property
    def size(self) -> int | None:
        """Bytes of the body; None where they are not known before it ends."""
        body = self.body
        if body is None:
            return 0
        if isinstance(body, (bytes, bytearray)):
            return len(body)
        if isinstance(body, str):
            return len(body.encode())
        length = next((value for name, value in self.headers if name.lower() == "content-length"), "")
        return int(length) if length.isdecimal() else None

    def facts(self, inside: str) -> dict[str, Any]:
        """What conditions and policies may ask by name."""
        return {
            "http": {
                "host": self.host,
                "method": self.method,
                "scheme": self.scheme,
                "path": self.path.partition("?")[0] or "/",
                "port": self.port,
                "proxy": self.proxy,
                "inside": inside,
            }
        }

    def args(self) -> dict[str, Any]:
        """What policies see and may change: plain data, without credentials."""
        shown: dict[str, str] = {}
        for name, value in self.headers:
            key = _shown_as(name)
            if key:
                shown[key] = f"{shown[key]}, {value}" if key in shown else value
        url = f"{origin(self.scheme, self.host, self.port)}{self.path}"
        args: dict[str, Any] = plain(
            {"method": self.method, "url": url, "headers": shown, "body": _readable(self.body)}
        )
        return args

    def rewritten(self, before: dict[str, Any], after: dict[str, Any]) -> Sending:
        """The request as a policy wants it; raises UnchangeableError where that cannot be sent."""
        if before.keys() != after.keys():
            raise UnchangeableError("a request has a method, a url, headers and a body, and nothing else")
        if before["method"] != after["method"]:
            raise UnchangeableError("the method of a request cannot be changed")
        changed = {name for name in ("url", "headers", "body") if before[name] != after[name]}
        path = _path(before["url"], after["url"]) if "url" in changed else self.path
        headers = self._given(after["headers"]) if "headers" in changed else self.headers
        body = self.body
        if "body" in changed:
            if not isinstance(before["body"], (str, type(None))) or not isinstance(after["body"], str):
                raise UnchangeableError("a body that is no text cannot be changed")
            body = after["body"].encode()
            headers = [pair for pair in headers if pair[0].lower() != "content-length"]
            headers.append(("content-length", str(len(body))))
        made = Sending(
            self.method, self.scheme, self.host, self.port, path, headers=headers, body=body, proxy=self.proxy
        )
        made.changed = self.changed | changed | ({"headers"} if "body" in changed else set())
        return made

    def _given(self, after: Any) -> Headers:
        if not isinstance(after, dict) or not all(isinstance(text, str) for pair in after.items() for text in pair):
            raise UnchangeableError("headers are text by name")
        hidden = [(name, value) for name, value in self.headers if not _shown_as(name)]
        return [*hidden, *after.items()]


def text(value: str | bytes) -> str:
    """A header's name or value; bytes are Latin-1, as in HTTP."""
    return value if type(value) is str else value.decode("latin-1") if isinstance(value, bytes) else str(value)


@lru_cache(maxsize=1024)
def _shown_as(name: str) -> str:
    """A header's name in lower case; empty where policies do not see it."""
    name = name.lower()
    return "" if any(part in name for part in SECRET) else name


def _readable(body: Any) -> Any:
    if isinstance(body, (bytes, bytearray)):
        try:
            return bytes(body).decode()
        except UnicodeDecodeError:
            return bytes(body)
    return body


def _path(before: str, after: Any) -> str:
    """The path and query of a changed URL, which must lead to the same place."""
    if not isinstance(after, str):
        raise UnchangeableError("a url is text")
    old, new = urlsplit(before), urlsplit(after)
    if (old.scheme, old.netloc) != (new.scheme, new.netloc):
        raise UnchangeableError(f"a request to {old.netloc} cannot be sent to {new.netloc or 'nowhere'} instead")
    return (new.path or "/") + (f"?{new.query}" if new.query else "")

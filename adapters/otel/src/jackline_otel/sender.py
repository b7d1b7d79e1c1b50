"""OTLP over HTTP: one request at a time, tried again where the conventions say that it may be."""

from __future__ import annotations

import gzip
import http.client
import os
import random
import time
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote, urlsplit

from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_AGAIN = (429, 502, 503, 504)
_SHOWN = 200
_LONGEST_S = 30.0
"""Between two tries."""
_ASKED_S = 300.0
"""The same where the receiver says how long: `Retry-After`."""


class ExportError(JacklineError):
    """Something could not be exported; it is exported by the next try, from where this one came to."""


class TooLargeError(ExportError):
    """The receiver takes no request of this size."""


@dataclass(frozen=True, kw_only=True)
class Endpoint:
    """Where to export to: the base URL, to which `/v1/logs` and the like are added."""

    url: str
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    timeout_s: float = 10.0
    tries: int = 6
    """How often one request is sent where the receiver cannot take it now."""

    @classmethod
    def of_environment(cls, url: str = "", headers: Mapping[str, str] | None = None) -> Endpoint:
        """An endpoint as OpenTelemetry's own variables name it, where it is not named here. Raises ExportError."""
        url = url or os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", "")
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).hostname:
            raise ExportError(
                f"'{url}' is no endpoint to export to; expected http://HOST:PORT or https://..., "
                "as --endpoint or in OTEL_EXPORTER_OTLP_ENDPOINT"
            )
        told = dict(_pairs(os.environ.get("OTEL_EXPORTER_OTLP_HEADERS", "")))
        return cls(url=url.rstrip("/"), headers={**told, **(headers or {})})


class Sender:
    """Sends requests to one endpoint."""

    def __init__(self, endpoint: Endpoint, sleep: Callable[[float], object] = time.sleep) -> None:
        self._endpoint, self._sleep = endpoint, sleep
        self._opener = urllib.request.build_opener(_NoRedirect)

    def post(self, signal: str, message: bytes) -> bytes:
        """Send one request for `logs`, `traces` or `metrics`; gives the answer's body. Raises ExportError."""
        last = ""
        for number in range(1, max(self._endpoint.tries, 1) + 1):
            try:
                return self._send(signal, message)
            except urllib.error.HTTPError as error:
                with error:
                    last = f"it answers {error.code}: {_read(error)}"
                    if error.code == http.HTTPStatus.REQUEST_ENTITY_TOO_LARGE:
                        raise TooLargeError(self._told(signal, last)) from error
                    if error.code not in _AGAIN:
                        raise ExportError(self._told(signal, last)) from error
                    wait = _wait(error.headers.get("Retry-After"), number)
            except (OSError, http.client.HTTPException) as error:
                last, wait = f"{type(error).__name__}: {error}", _wait(None, number)
            if number < self._endpoint.tries:
                self._sleep(wait)
        raise ExportError(self._told(signal, f"{last} (tried {self._endpoint.tries} times)"))

    def _send(self, signal: str, message: bytes) -> bytes:
        headers = {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip", **self._endpoint.headers}
        url = f"{self._endpoint.url.rstrip('/')}/v1/{signal}"
        request = urllib.request.Request(  # noqa: S310 - the scheme was checked
            url, data=gzip.compress(message, 5, mtime=0), headers=headers, method="POST"
        )
        with self._opener.open(request, timeout=self._endpoint.timeout_s) as answer:
            found: bytes = answer.read(1 << 20)
            return found

    def _told(self, signal: str, reason: str) -> str:
        return f"Cannot export {signal} to {self._endpoint.url}: {reason}. What is not exported yet stays on record"


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A receiver that sends on is asked for by its own address: headers with secrets follow nowhere."""

    def redirect_request(self, *_args: Any) -> None:
        """Follow none."""
        return


def _wait(told: str | None, number: int) -> float:
    """Seconds until the next try: what the receiver asks for, else longer each time, and not all at once."""
    asked = _asked(told) if told else None
    if asked is not None:
        return max(0.0, min(asked, _ASKED_S))
    return float(min(2.0 ** (number - 1), _LONGEST_S) * random.uniform(0.5, 1.0))  # noqa: S311 - spreads retries


def _asked(told: str) -> float | None:
    """The seconds of a `Retry-After`: a number, or a date; None where it is neither."""
    if told.strip().isdecimal():
        return float(told)
    try:
        return parsedate_to_datetime(told).timestamp() - time.time()
    except ValueError:
        return None


def _read(error: urllib.error.HTTPError) -> str:
    try:
        return error.read(_SHOWN).decode(errors="replace")
    except OSError:
        return ""


def _pairs(text: str) -> list[tuple[str, str]]:
    """`name=value,name=value`, as OpenTelemetry writes headers."""
    found = (part.partition("=") for part in text.split(",") if "=" in part)
    return [(name.strip(), unquote(value.strip())) for name, _, value in found]

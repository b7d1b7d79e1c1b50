"""A real server on loopback that counts what arrives: what it has not seen was not sent."""

from __future__ import annotations

import contextlib
import threading
from collections import Counter
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

LARGE = b"x" * 200_000


@dataclass
class Arrival:
    """One request as the server read it."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def handle(self) -> None:
        with contextlib.suppress(ConnectionError):
            super().handle()

    def _answer(self) -> None:
        length = int(self.headers.get("content-length") or 0)
        body = self.rfile.read(length) if length else b""
        if "chunked" in (self.headers.get("transfer-encoding") or ""):
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
        headers = {name.lower(): value for name, value in self.headers.items()}
        place, query = urlsplit(self.path).path, parse_qs(urlsplit(self.path).query)
        self.server.arrived(Arrival(self.command, self.path, headers, body))
        if place.startswith("http://"):  # as a proxy is asked
            place = urlsplit(place).path
        getattr(self, f"_{place.strip('/').partition('/')[0]}", self._ok)(body, query)

    do_GET = do_POST = do_PUT = do_HEAD = do_CONNECT = _answer  # noqa: N815 - the names that it is called by

    def _ok(self, body: bytes, query: Any) -> None:
        self._send(200, b"hello " + body)

    def _missing(self, body: bytes, query: Any) -> None:
        self._send(404, b"no such thing")

    def _large(self, body: bytes, query: Any) -> None:
        self._send(200, LARGE)

    def _redirect(self, body: bytes, query: Any) -> None:
        self.send_response(302)
        self.send_header("location", query["to"][0])
        self.send_header("content-length", "0")
        self.end_headers()

    def _chunks(self, body: bytes, query: Any) -> None:
        self.send_response(200)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()
        for _ in range(10):
            self.wfile.write(b"5\r\nabcde\r\n")
        self.wfile.write(b"0\r\n\r\n")

    def _broken(self, body: bytes, query: Any) -> None:
        """Promise more than is sent, and hang up."""
        self.send_response(200)
        self.send_header("content-length", "1000")
        self.end_headers()
        self.wfile.write(b"half")
        self.close_connection = True

    def _gone(self, body: bytes, query: Any) -> None:
        """Hang up without an answer; the first time only where the query says so."""
        if "once" in query and self.server.count(self.path) > 1:
            self._send(200, b"at last")
        else:
            self.close_connection = True

    def _send(self, status: int, body: bytes) -> None:
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class Server(ThreadingHTTPServer):
    """Serves in threads of its own; `got` is what arrived, in order."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), _Handler)
        self.got: list[Arrival] = []
        self.connections = 0
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    @property
    def port(self) -> int:
        return int(self.server_address[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def get_request(self) -> Any:
        self.connections += 1
        return super().get_request()

    def arrived(self, arrival: Arrival) -> None:
        with self._lock:
            self.got.append(arrival)

    def count(self, path: str) -> int:
        with self._lock:
            return Counter(arrival.path for arrival in self.got)[path]

    def stop(self) -> None:
        self.shutdown()
        self.server_close()
        self._thread.join(5)

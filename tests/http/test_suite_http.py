"""The conformance suite, by each library: what is sent is judged like whatever else an agent does."""

from __future__ import annotations

import contextlib
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import TYPE_CHECKING, Any

from http_ways import WAYS, Way

import jackline_http
from jackline.testing.adapters import AdapterSuite
from jackline.testing.paths import Job, Path

if TYPE_CHECKING:
    from collections.abc import Iterator


@contextlib.contextmanager
def served(job: Job) -> Iterator[str]:
    """A server whose body is the job's: what arrives there was sent."""

    class Receiving(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            text = self.rfile.read(int(self.headers["content-length"])).decode()
            job.bodies.receive(text)
            self.send_response(200)
            self.send_header("content-length", "4")
            self.end_headers()
            self.wfile.write(b"sent")

        def log_message(self, *_: Any) -> None:
            """Say nothing."""

    server = HTTPServer(("127.0.0.1", 0), Receiving)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/ok"
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)


def send(way: Way, job: Job) -> str:
    """Send the prompt, as the agent that the session is of."""
    job.history = job.prompt
    jackline_http.enable(job.guard)
    try:
        with served(job) as url, job.guard.session(job.session):
            return way.send(url, "POST", content=job.prompt.encode())[1]
    finally:
        jackline_http.disable(job.guard)


class TestHttp(AdapterSuite):
    adapter = jackline_http.HttpAdapter()

    @classmethod
    def paths(cls) -> list[Path]:
        return [
            Path(
                name=way.name,
                group="async" if "Async" in way.name or way.name == "aiohttp" else "direct call",
                carries=frozenset({"sends"}),
                drive=partial(send, way),
                action="http.request",
            )
            for way in WAYS
        ]

"""What agents of every framework send: their tools' requests, their models', and connections past the libraries."""

from __future__ import annotations

import socket
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import httpx
import pytest
from mixed import FRAMEWORKS, run

from jackline.testing.paths import Call, Step
from jackline.testing.records import assert_accounted
from jackline.testing.scripted import on_record
from jackline_http import HttpAdapter

if TYPE_CHECKING:
    from collections.abc import Iterator

EGRESS = """
- name: out
  use: tool_access
  with: {egress: {allow: ["127.0.0.1:ALLOWED"], others: deny}}
"""


class Service(ThreadingHTTPServer):
    """Counts what arrives."""

    def __init__(self) -> None:
        self.arrived: list[str] = []
        super().__init__(("127.0.0.1", 0), Answer)
        threading.Thread(target=self.serve_forever, args=(0.01,), daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Service

    def do_GET(self) -> None:
        self.server.arrived.append(self.path)
        self.send_response(200)
        self.send_header("content-length", "3")
        self.end_headers()
        self.wfile.write(b"Ann")

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@pytest.fixture
def services() -> Iterator[tuple[Service, Service, Service]]:
    """One that tools may ask, one that they may not, and the models' provider."""
    made = Service(), Service(), Service()
    yield made
    for service in made:
        service.shutdown()
        service.server_close()


@pytest.mark.parametrize("mode", ["sync", "async"])
@pytest.mark.parametrize("framework", FRAMEWORKS)
def test_requests_are_judged_as_their_agents_acts(framework: str, mode: str, world: Any, services: Any) -> None:
    good, bad, provider = services
    guard = world.guard(bundle=EGRESS.replace("ALLOWED", str(good.server_port)))
    guard.enable(HttpAdapter())

    def fetch(text: str) -> str:
        """Fetch a page."""
        try:
            return httpx.get({"good": good, "bad": bad}[text].url + "/tool", trust_env=False).text
        except httpx.RequestError as error:
            return str(error)

    def connect(text: str) -> str:
        """Connect somewhere."""
        try:
            socket.create_connection(("127.0.0.1", bad.server_port)).close()
        except OSError as error:
            return str(error)
        return "connected"

    ask = world.counts.ask
    world.counts.ask = lambda *told: (httpx.get(f"{provider.url}/model", trust_env=False), ask(*told))
    steps = (
        Step(calls=(Call("fetch", {"text": "good"}),)),
        Step(calls=(Call("fetch", {"text": "bad"}),)),
        Step(calls=(Call("connect", {"text": "x"}),)),
        Step("done: {told}"),
    )
    answer = run(world.agent(framework, "worker", steps, fetch, connect), mode)
    assert answer.startswith("done: Not permitted by policy 'out': tcp://127.0.0.1:")
    assert good.arrived == ["/tool"]
    assert bad.arrived == []
    assert set(provider.arrived) == {"/model"}
    sent = [event for event in on_record(guard, "decided") if event.action == "http.request"]
    acts = {event.span: event for event in on_record(guard, "decided") if event.action in ("tool.call", "model.call")}
    assert {event.agent for event in sent} == {"worker"}
    assert {acts[event.parent].action for event in sent if event.http.port == provider.server_port} == {"model.call"}
    assert {acts[event.parent].resource for event in sent if event.http.port == good.server_port} == {"fetch"}
    refused = [event for event in sent if event.effect == "deny"]
    assert [(event.http.scheme, event.http.port) for event in refused] == [
        ("http", bad.server_port),
        ("tcp", bad.server_port),
    ]
    guard.close()
    assert_accounted(guard)

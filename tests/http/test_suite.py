"""The conformance suite on outgoing requests: every library, at each of its entrances, by the program and by a tool."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

from http_server import Arrival, Server
from http_ways import WAYS, Way

from jackline.testing import AdapterSuite
from jackline.testing import paths as suite
from jackline_http import HttpAdapter

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from jackline.testing.paths import Group, Job


PORTS: dict[Path, int] = {}
"""Where a guard's jobs send to, by the guard's home: the same request goes to the same place."""


class Library(Server):
    """Counts in the suite's bodies what arrives."""

    def __init__(self, job: Job) -> None:
        home = job.guard.home.path
        super().__init__(PORTS.get(home, 0))
        PORTS[home] = self.port
        self.job = job

    def arrived(self, arrival: Arrival) -> None:
        self.job.bodies.receive(arrival.body.decode())


def send(way: Way, job: Job) -> None:
    job.history = body = job.prompt
    server = Library(job)
    try:
        way.send(f"{server.url}/pages", "POST", content=body)
    finally:
        server.stop()


def by_the_program(way: Way, job: Job) -> None:
    job.guard.enable(HttpAdapter())
    with job.guard.session(id=job.session):
        send(way, job)


def by_a_tool(way: Way, job: Job) -> None:
    """What a tool sends is its agent's."""
    job.guard.enable(HttpAdapter())
    with job.guard.session(id=job.session, agent="researcher"):
        job.guard.tool(partial(send, way, job), name="look_up")()


def path(way: Way, drive: Callable[[Way, Job], None], name: str, **more: Any) -> suite.Path:
    group: Group = "async" if "Async" in way.name or way.name == "aiohttp" else "sync"
    return suite.Path(
        name=f"enable, {way.name}{name}",
        group=group,
        carries=frozenset({"sends"}),
        drive=partial(drive, way),
        action="http.request",
        **more,
    )


class TestRequests(AdapterSuite):
    adapter = HttpAdapter()

    @classmethod
    def paths(cls) -> list[suite.Path]:
        return [
            *(path(way, by_the_program, "") for way in WAYS),
            *(path(way, by_a_tool, " in a tool", agent="researcher") for way in WAYS),
        ]

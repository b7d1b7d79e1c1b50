"""The ways to the clinic's server: none between, wrapped over pipes, served over HTTP, and with it behind an address."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from mcp import Client
from mcp_harness import reached
from test_serve import Serve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CLINIC = Path(__file__).with_name("clinic_server.py")
WAYS = pytest.mark.parametrize("way", ["wrap", "serve", "far"])
PIPES_AND_HTTP = pytest.mark.parametrize("way", ["wrap", "serve"])


@contextmanager
def listening(script: Path, env: dict[str, str]) -> Iterator[str]:
    """A server behind an address; its URL."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, str(script), str(port)]
    process = subprocess.Popen(command, env={**os.environ, **env}, stderr=subprocess.DEVNULL)
    try:
        reached(port)
        yield f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


class Ways(Serve):
    """Connections to the clinic, each way; policies and the registry name its tools `clinic.NAME` in all of them."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.server = [sys.executable, str(CLINIC)]
        self.options += ["--name", "clinic"]
        self._address = ""

    @contextmanager
    def up(self, way: str) -> Iterator[None]:
        """Have what a way needs run."""
        if way in ("wrap", "bare"):
            yield
        elif way == "bare far":
            with listening(CLINIC, {"RAN": str(self.log)}) as self._address:
                yield
        elif way == "serve":
            command, env = f"[{sys.executable}, {CLINIC}]", f"{{RAN: {self.log}}}"
            self.more = f"  clinic: {{command: {command}, env: {env}}}\n{self.more}"
            with self.running():
                yield
        else:
            with listening(CLINIC, {"RAN": str(self.log)}) as url:
                self.more = f"  clinic: {{url: '{url}'}}\n{self.more}"
                with self.running():
                    yield

    @asynccontextmanager
    async def to(self, way: str, **options: Any) -> AsyncIterator[Client]:
        """A client that came this way."""
        if way == "bare far":
            async with Client(self._address, **options) as client:
                yield client
        elif way in ("wrap", "bare"):
            async with Client(self.parameters(bare=way == "bare"), **options) as client:
                yield client
        else:
            async with self.client(server="clinic", **options) as client:
                yield client

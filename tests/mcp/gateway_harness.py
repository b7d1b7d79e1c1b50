"""A gateway in a process of its own, and what its callers need: certificates, tokens, connections."""

from __future__ import annotations

import asyncio
import datetime as dt
import hashlib
import ipaddress
import json
import os
import re
import ssl
import subprocess
import sys
import threading
from contextlib import asynccontextmanager, contextmanager
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp_harness import COMMAND, SERVER, Wrap

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator
    from pathlib import Path

ACCEPT = {"Accept": "application/json, text/event-stream"}
INITIALIZE = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {"protocolVersion": "2025-11-25", "capabilities": {}, "clientInfo": {"name": "c", "version": "1"}},
}


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def call(name: str, number: int = 2, **arguments: Any) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "method": "tools/call", "params": {"name": name, "arguments": arguments}}


class Gateway(Wrap):
    """A gateway that runs, with one server, `accounts`."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.folder = folder
        self.file = folder / "jackline-mcp.yaml"
        self.more = ""
        self.callers: dict[str, str] = {}
        self.url = ""
        self.process: subprocess.Popen[str]
        self._said: list[str] = []
        self._reading: threading.Thread

    @property
    def address(self) -> tuple[str, int]:
        found = re.match(r"https?://([^:]+):([0-9]+)/", self.url)
        assert found is not None
        return found[1], int(found[2])

    def configuration(self) -> str:
        env = f"{{RAN: {self.log}, PYTHONPATH: {os.environ.get('PYTHONPATH', '')!r}}}"
        callers = "".join(f"  {name}: {{{entry}}}\n" for name, entry in self.callers.items())
        return (
            f"jackline_mcp: 1\nport: 0\nservers:\n  accounts: {{command: [{sys.executable}, {SERVER}], env: {env}}}\n"
            f"callers: {'' if callers else '{}'}\n{callers}{self.more}"
        )

    def write(self) -> None:
        """The configuration, in one step, as editors save it."""
        fresh = self.file.with_suffix(".new")
        fresh.write_text(self.configuration(), encoding="utf-8")
        fresh.replace(self.file)

    @contextmanager
    def running(self) -> Iterator[Gateway]:
        self.write()
        command = [*COMMAND, "--home", str(self.home), "mcp", "serve", str(self.file)]
        self.process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True, env={**os.environ, **self.env})
        self._said.clear()
        self._reading = threading.Thread(target=self._read)
        started = threading.Event()
        self._started = started
        self._reading.start()
        try:
            started.wait(60)
            if not self.url:
                pytest.fail(f"it did not start: {self.said}")
            yield self
        finally:
            self.process.terminate()
            try:
                self.process.wait(30)
            finally:
                self.process.kill()
                self._reading.join()
            self.url = ""

    def _read(self) -> None:
        assert self.process.stderr is not None
        with self.process.stderr:
            for line in self.process.stderr:
                self._said.append(line)
                found = re.search(r"accounts: (https?://\S+/mcp/accounts)", line)
                if found:
                    self.url = found[1]
                    self._started.set()
        self._started.set()

    def cli(self, *words: str) -> str:
        """What a command of Jackline's says."""
        command = [*COMMAND, "--home", str(self.home), *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    def discovered(self, name: str) -> list[str]:
        """How an agent that nobody registered was seen."""
        found = json.loads(self.cli("agents", "discover", "--json"))["found"]
        return [one["how"] for one in found if one["name"] == name]

    @property
    def said(self) -> str:
        """What it has said, without line breaks."""
        return " ".join(" ".join(self._said).split())

    async def says(self, text: str) -> None:
        """Wait until it has said this."""
        async with asyncio.timeout(30):
            while text not in self.said:  # noqa: ASYNC110 - another process says it
                await asyncio.sleep(0.02)

    async def told(self, kind: str) -> Any:
        """The first refusal of a kind, as soon as it is on record."""
        async with asyncio.timeout(30):
            while True:
                found = [event for event in self.refusals() if event.what == kind]
                if found:
                    return found[0]
                await asyncio.sleep(0.02)

    def refusals(self) -> list[Any]:
        return self.on_record("caller_refused")

    @asynccontextmanager
    async def http(self, token: str = "", verify: Any = True) -> AsyncIterator[httpx2.AsyncClient]:
        headers = {**ACCEPT, **({"Authorization": f"Bearer {token}"} if token else {})}
        async with httpx2.AsyncClient(headers=headers, timeout=60, verify=verify) as client:
            yield client

    @asynccontextmanager
    async def speaking(self, token: str = "", *, verify: Any = True, mode: Any = "legacy") -> AsyncIterator[Client]:
        """The official SDK's client."""
        async with (
            self.http(token, verify) as http,
            Client(streamable_http_client(self.url, http_client=http), mode=mode) as client,
        ):
            yield client


class Authority:
    """Signs certificates."""

    def __init__(self, folder: Path, name: str = "ca") -> None:
        self._folder = folder
        self.key = ec.generate_private_key(ec.SECP256R1())
        self._name = _name(name)
        self.certificate = self._signed(self._name, self.key.public_key(), [_basic(ca=True)])
        self.path = folder / f"{name}.pem"
        self.path.write_bytes(self.certificate.public_bytes(Encoding.PEM))

    def issue(
        self,
        name: str,
        *alternative: str,
        subject: str | None = None,
        days: tuple[int, int] = (-1, 1),
        server: bool = False,
        organization: str = "",
    ) -> Path:
        """A certificate and its key in one file. `days`: from and until when it is valid, from now."""
        key = ec.generate_private_key(ec.SECP256R1())
        usage = ExtendedKeyUsageOID.SERVER_AUTH if server else ExtendedKeyUsageOID.CLIENT_AUTH
        extensions: list[Any] = [_basic(ca=False), x509.ExtendedKeyUsage([usage])]
        if alternative:
            extensions.append(x509.SubjectAlternativeName([_alternative(each) for each in alternative]))
        made = self._signed(_name(subject or name, organization), key.public_key(), extensions, days)
        path = self._folder / f"{name}.pem"
        private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(made.public_bytes(Encoding.PEM) + private)
        return path

    def trusting(self, shown: Path | None = None) -> ssl.SSLContext:
        """A client's TLS: it trusts this authority, and shows a certificate."""
        context = ssl.create_default_context(cafile=str(self.path))
        if shown is not None:
            context.load_cert_chain(shown)
        return context

    def _signed(
        self, subject: x509.Name, key: Any, extensions: list[Any], days: tuple[int, int] = (-2, 2)
    ) -> x509.Certificate:
        now = dt.datetime.now(dt.UTC)
        builder = x509.CertificateBuilder(
            issuer_name=self._name,
            subject_name=subject,
            public_key=key,
            serial_number=x509.random_serial_number(),
            not_valid_before=now + dt.timedelta(days=days[0]),
            not_valid_after=now + dt.timedelta(days=days[1]),
        )
        own = x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key())
        for extension in [*extensions, x509.SubjectKeyIdentifier.from_public_key(key), own]:
            builder = builder.add_extension(extension, critical=isinstance(extension, x509.BasicConstraints))
        return builder.sign(self.key, hashes.SHA256())


def _basic(*, ca: bool) -> x509.BasicConstraints:
    return x509.BasicConstraints(ca=ca, path_length=None)


def _name(name: str, organization: str = "") -> x509.Name:
    more = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization)] if organization else []
    return x509.Name([*more, x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _alternative(text: str) -> x509.GeneralName:
    kind, _, value = text.partition(":")
    if kind == "IP":
        return x509.IPAddress(ipaddress.ip_address(value))
    return {"DNS": x509.DNSName, "URI": x509.UniformResourceIdentifier, "email": x509.RFC822Name}[kind](value)

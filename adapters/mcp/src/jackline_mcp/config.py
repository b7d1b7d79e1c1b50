"""`jackline-mcp.yaml`: the servers behind the gateway, and who may call it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import Field, model_validator

from jackline.errors import BundleError, JacklineError, Problem
from jackline.validation import validate
from jackline.yaml_source import parse
from jackline_mcp.catalogue import Cares
from jackline_mcp.frames import MIB
from jackline_mcp.identity_config import UNKNOWN, CallerEntry, Digest, Name, OAuthEntry, Part, TlsEntry, is_loopback
from jackline_mcp.relay import Options

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

Care = Literal["allow", "alert", "deny"]
CREDENTIALS = ("token_sha256", "certificate", "oauth_client")
"""The keys of a caller's entry by which it is known."""
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class ServerEntry(Part):
    """One server: a command that speaks over stdin and stdout, or an address of streamable HTTP."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = Field(default_factory=dict)
    """Added to PATH, HOME and the like; `${NAME}` stands for a variable of the gateway's own environment."""
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = Field(default_factory=dict)
    """Sent with each request; `${NAME}` as in `env`."""

    @model_validator(mode="after")
    def _one_way(self) -> ServerEntry:
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either `command` or `url`")
        return self


class ToolCares(Part):
    """What is done about tools: see `jackline mcp wrap --help`."""

    new: Care = "alert"
    changed: Care = "deny"
    poisoned: Care = "deny"


class Limits(Part):
    """Times in seconds."""

    frame_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    sessions: Annotated[int, Field(ge=1)] = 1000
    sessions_per_caller: Annotated[int, Field(ge=1)] = 200
    idle: Annotated[float, Field(gt=0)] = 1800.0
    body: Annotated[float, Field(gt=0)] = 30.0
    """For a request's body to come."""
    unknown: Annotated[int, Field(ge=0)] = 100
    """How many callers that no entry names are registered; what comes after them is refused."""
    wait: Annotated[float, Field(ge=0)] = 45.0
    wait_with_progress: Annotated[float, Field(ge=0)] = 300.0
    silence: Annotated[float, Field(gt=0)] = 600.0


class Gateway(Part):
    """The whole file."""

    jackline_mcp: Literal[1]
    bundle: str = "jackline.yaml"
    """The bundle that decides; relative to this file."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8717
    hosts: tuple[str, ...] = ()
    """Further names by which clients call it (`Host` headers): `gateway.example:443`."""
    servers: Annotated[dict[Name, ServerEntry], Field(min_length=1)]
    tls: TlsEntry | None = None
    oauth: OAuthEntry | None = None
    callers: dict[str, CallerEntry] = Field(default_factory=dict)
    revoked: tuple[Digest, ...] = ()
    """SHA-256 of tokens (of their text) and of certificates (of their DER) that do not count any more."""
    anonymous: str = ""
    """As which agent somebody without a token acts; only where it listens on this machine alone. Empty: nobody."""
    tools: ToolCares = ToolCares()
    limits: Limits = Limits()

    def options(self) -> Options:
        """How its relays go about their work."""
        tools, limits = self.tools, self.limits
        cares = Cares(tools.new, tools.changed, tools.poisoned)
        return Options(cares, limits.wait, limits.wait_with_progress, silence=limits.silence)

    @property
    def frame(self) -> int:
        """Bytes of the largest message."""
        return self.limits.frame_mib * MIB


def load(path: Path) -> Gateway:
    """Read a configuration; raises BundleError with the line and column of what is wrong, or JacklineError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise JacklineError(f"{path} cannot be read: {error.strerror}") from error
    return read(data, path)


def read(data: bytes, path: Path) -> Gateway:
    """A configuration of these bytes; raises BundleError."""
    document = parse(data, str(path), "configuration")
    found, problems = validate(Gateway, document.data, document)
    if found is None or document.problems or problems:
        raise BundleError(problems=tuple(sorted((*document.problems, *problems), key=lambda one: one[1:3])))
    wrong = tuple(_unsound(found, str(path)))
    if wrong:
        raise BundleError(problems=wrong)
    return found


def _unsound(found: Gateway, file: str) -> Iterator[Problem]:
    owners: dict[tuple[str, str], str] = {}
    for name, caller in found.callers.items():
        for server in caller.servers or ():
            if server not in found.servers:
                known = ", ".join(found.servers)
                yield Problem(file, 1, 1, f"caller '{name}' names no server: {server}", f"one of {known}")
        if not name or name.startswith(UNKNOWN):
            yield Problem(file, 1, 1, f"caller '{name}' is named as callers are that nobody names", "another name")
        for key in CREDENTIALS:
            for value in getattr(caller, key):
                if owners.setdefault((key, value), name) != name:
                    both = f"'{owners[key, value]}' and '{name}'"
                    yield Problem(file, 1, 1, f"{both} have the same `{key}`: {value}", "a caller is known by its own")
        if caller.certificate and not (found.tls and found.tls.client_ca):
            yield Problem(file, 1, 1, f"caller '{name}' has a certificate, and none is asked for", "add `client_ca`")
        if caller.oauth_client and found.oauth is None:
            yield Problem(file, 1, 1, f"caller '{name}' is an OAuth client, and no issuer is known", "add `oauth:`")
    yield from _unsafe(found, file)


def _unsafe(found: Gateway, file: str) -> Iterator[Problem]:
    if found.anonymous and not is_loopback(found.host):
        hint = "give each caller a token"
        yield Problem(file, 1, 1, f"`anonymous` beyond this machine: it listens on {found.host}", hint)
    if found.anonymous.startswith(UNKNOWN):
        yield Problem(file, 1, 1, "`anonymous` is named as callers are that nobody names", "another name")
    if found.oauth is not None and not found.oauth.url and found.host in ("0.0.0.0", "::", ""):  # noqa: S104
        yield Problem(file, 1, 1, "`oauth` does not say how clients call this gateway", "add `url: https://...` to it")
    if not (found.anonymous or found.callers or found.oauth or (found.tls and found.tls.client_ca)):
        yield Problem(file, 1, 1, "nobody may call it", "add `callers:`, see: jackline mcp token")


def filled(values: dict[str, str]) -> dict[str, str]:
    """Values with `${NAME}` replaced from the environment; raises JacklineError for one that is not set."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise JacklineError(f"the environment has no {name}, which the configuration names as ${{{name}}}")
        return os.environ[name]

    return {key: _VARIABLE.sub(value, text) for key, text in values.items()}

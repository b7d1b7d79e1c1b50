"""`jackline-mcp.yaml`: the servers behind the gateway, and who may call it."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from jackline.errors import BundleError, JacklineError, Problem
from jackline.validation import validate
from jackline.yaml_source import parse
from jackline_mcp.catalogue import Cares
from jackline_mcp.frames import MIB
from jackline_mcp.relay import Options

if TYPE_CHECKING:
    from pathlib import Path

Care = Literal["allow", "alert", "deny"]
Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]
_VARIABLE = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ServerEntry(_Part):
    """One server: a command that speaks over stdin and stdout, or an address of streamable HTTP."""

    command: tuple[str, ...] = ()
    env: dict[str, str] = {}
    """Added to PATH, HOME and the like; `${NAME}` stands for a variable of the gateway's own environment."""
    cwd: str | None = None
    url: str = ""
    headers: dict[str, str] = {}
    """Sent with each request; `${NAME}` as in `env`."""

    @model_validator(mode="after")
    def _one_way(self) -> ServerEntry:
        if bool(self.command) == bool(self.url):
            raise ValueError("a server has either `command` or `url`")
        return self


class CallerEntry(_Part):
    """One caller: who it is here, and the SHA-256 of its token."""

    token_sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    user: str = ""
    labels: dict[str, str] = {}
    servers: tuple[Name, ...] | None = None
    """Which servers it may reach; all where none is named."""


class ToolCares(_Part):
    """What is done about tools: see `jackline mcp wrap --help`."""

    new: Care = "alert"
    changed: Care = "deny"
    poisoned: Care = "deny"


class Limits(_Part):
    """Times in seconds."""

    frame_mib: Annotated[int, Field(ge=1, le=1024)] = 16
    sessions: Annotated[int, Field(ge=1)] = 1000
    sessions_per_caller: Annotated[int, Field(ge=1)] = 200
    idle: Annotated[float, Field(gt=0)] = 1800.0
    wait: Annotated[float, Field(ge=0)] = 45.0
    wait_with_progress: Annotated[float, Field(ge=0)] = 300.0
    silence: Annotated[float, Field(gt=0)] = 600.0


class Gateway(_Part):
    """The whole file."""

    jackline_mcp: Literal[1]
    bundle: str = "jackline.yaml"
    """The bundle that decides; relative to this file."""
    host: str = "127.0.0.1"
    port: Annotated[int, Field(ge=0, le=65535)] = 8717
    hosts: tuple[str, ...] = ()
    """Further names by which clients call it (`Host` headers): `gateway.example:443`."""
    servers: Annotated[dict[Name, ServerEntry], Field(min_length=1)]
    callers: dict[str, CallerEntry] = {}
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
    document = parse(data, str(path), "configuration")
    found, problems = validate(Gateway, document.data, document)
    if found is None or document.problems or problems:
        raise BundleError(problems=tuple(sorted((*document.problems, *problems), key=lambda one: one[1:3])))
    wrong = tuple(_unsound(found, str(path)))
    if wrong:
        raise BundleError(problems=wrong)
    return found


def _unsound(found: Gateway, file: str) -> list[Problem]:
    problems: list[Problem] = []
    for name, caller in found.callers.items():
        unknown = [server for server in caller.servers or () if server not in found.servers]
        if unknown:
            known = ", ".join(found.servers)
            problems.append(Problem(file, 1, 1, f"caller '{name}' names no server: {unknown[0]}", f"one of {known}"))
    if found.anonymous and found.host not in ("127.0.0.1", "::1", "localhost"):
        hint = "give each caller a token"
        problems.append(Problem(file, 1, 1, f"`anonymous` beyond this machine: it listens on {found.host}", hint))
    if not found.anonymous and not found.callers:
        problems.append(Problem(file, 1, 1, "nobody may call it", "add `callers:`, see: jackline mcp token"))
    return problems


def filled(values: dict[str, str]) -> dict[str, str]:
    """Values with `${NAME}` replaced from the environment; raises JacklineError for one that is not set."""

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name not in os.environ:
            raise JacklineError(f"the environment has no {name}, which the configuration names as ${{{name}}}")
        return os.environ[name]

    return {key: _VARIABLE.sub(value, text) for key, text in values.items()}

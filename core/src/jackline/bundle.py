"""Policies from a YAML file: the loaded files with a revision, ready to become an engine."""

from __future__ import annotations

import hashlib
import os
import stat
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.answers import Approvers
from jackline.build_context import BuildContext
from jackline.bundle_loader import Loader
from jackline.condition import Condition, EvaluationError
from jackline.engine import Bound, Engine
from jackline.errors import BundleError, Problem
from jackline.facts import agent_facts
from jackline.plugins import installed_plugins
from jackline.provenance import Sources, Tracing

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from jackline.alert_rules import AlertRule
    from jackline.build_context import Placed
    from jackline.bundle_model import Capture, Standing
    from jackline.decision import Mode, Verdict
    from jackline.engine import OnError
    from jackline.notices.target import Target
    from jackline.plugins import Plugins
    from jackline.policy import Policy
    from jackline.request import Agent

__all__ = ["BuildContext", "Bundle", "Entry", "load_bundle", "read_bundle"]

MOST_BYTES = 1024 * 1024
"""A larger file is refused before it is read."""


class Entry(NamedTuple):
    """One policy of a bundle, built."""

    name: str
    use: str
    policy: Policy
    options: Any
    """The instance of its class's Options."""
    agents: Condition | None = None
    """Which agents it is for; None for all."""
    mode: Mode = "enforce"
    on_error: OnError = "deny"
    trusted: bool = True

    def selects(self, agent: Agent) -> bool:
        """Whether it is for this agent. A query that cannot be evaluated selects."""
        if self.agents is None:
            return True
        try:
            return self.agents.holds(agent_facts(agent))
        except EvaluationError:
            return True

    def bound(self) -> Bound:
        """The policy as the engine takes it."""
        return Bound(
            self.policy,
            self.name,
            selects=None if self.agents is None else self.selects,
            mode=self.mode,
            on_error=self.on_error,
            trusted=self.trusted,
        )


class Bundle:
    """The policies of one revision of a file; immutable."""

    def __init__(
        self,
        *,
        revision: str,
        source: str,
        entries: tuple[Entry, ...] = (),
        mode: Mode = "enforce",
        unregistered: Standing = "allow",
        unmanaged: Standing = "deny",
        capture: Capture = "redacted",
        placed: tuple[Placed, ...] = (),
        approvers: Approvers | None = None,
        trusted_tools: tuple[str, ...] = (),
        notify: tuple[Target, ...] = (),
        alerts: tuple[AlertRule, ...] = (),
        unanswered: tuple[Problem, ...] = (),
    ) -> None:
        self.revision = revision
        """SHA-256 of the file's bytes, hex."""
        self.source = source
        """The file's path as it was given, or what messages call it."""
        self.entries = entries
        self.mode: Mode = mode
        self.unregistered: Standing = unregistered
        """What managed agents with status `seen` may do."""
        self.unmanaged: Standing = unmanaged
        """The same for agents that only report."""
        self.capture: Capture = capture
        self.approvers = approvers if approvers is not None else Approvers()
        """Who may answer what is escalated."""
        self.notify = notify
        """Who is told of approvals."""
        self.alerts = alerts
        """The rules of alerts in force."""
        self.trusted_tools = trusted_tools
        """Names and globs of the tools whose results conditions may trust."""
        self.unanswered = unanswered
        """Gates that name who must answer where the bundle knows nobody: what they escalate is not done."""
        self._placed = placed

    def __repr__(self) -> str:
        return f"Bundle({self.source!r}, {len(self.entries)} policies, revision {self.revision[:12]})"

    @property
    def policies(self) -> tuple[str, ...]:
        """The names of its policies, as listed."""
        return tuple(entry.name for entry in self.entries)

    @property
    def unverified(self) -> tuple[Problem, ...]:
        """The parts of `args` that conditions name and that no known tool's schema could check."""
        return tuple(problem for placed in self._placed for problem in placed.unverified())

    def check_tool(self, name: str, schema: Mapping[str, Any]) -> tuple[Problem, ...]:
        """Check the conditions about a tool that has appeared against the JSON Schema of its arguments."""
        return tuple(problem for placed in self._placed if (problem := placed.check(name, schema)) is not None)

    @property
    def priced(self) -> bool:
        """Whether a policy needs the price table before the first act."""
        return any(getattr(entry.policy, "priced", False) for entry in self.entries)

    @property
    def traces(self) -> bool:
        """Whether a condition asks where values come from."""
        return any(placed.condition.traces for placed in self._placed)

    def engine(
        self, call: Callable[[Callable[[], Verdict | None]], Verdict | None] | None = None, *, key: bytes = b""
    ) -> Engine:
        """Make the engine of this revision; `call` runs policies that are not trusted (see `Engine`).

        `key` keys the hashes of what sessions hear, where a condition asks where values come from.
        """
        return Engine(
            [entry.bound() for entry in self.entries],
            self.revision,
            self.mode,
            unregistered=self.unregistered,
            unmanaged=self.unmanaged,
            call=call,
            tracing=Tracing(key, Sources(self.trusted_tools)) if self.traces else None,
        )


def load_bundle(
    source: str | os.PathLike[str] | bytes,
    plugins: Plugins | None = None,
    *,
    file: str = "",
    prices: Callable[[], Any] | None = None,
    tool_schemas: Mapping[str, Mapping[str, Any]] | None = None,
) -> Bundle:
    """Load a bundle from a path, from bytes, or from text that has a line break.

    `file` is what messages call it where `source` is no path; `prices` gives the price table to policies that
    ask; `tool_schemas` are the JSON Schemas of the tools that the registry knows, by name. Raises BundleError
    with every problem and its place; nothing is loaded then.
    """
    if isinstance(source, bytes):
        data, name = source, file or "bundle"
    elif isinstance(source, str) and "\n" in source:
        data, name = source.encode(errors="surrogatepass"), file or "bundle"
    else:
        data, name = read_bundle(source), file or os.fspath(source)
    _check_size(len(data), name)
    plugins = plugins if plugins is not None else installed_plugins()
    loaded = Loader(data, name, plugins, prices=prices or _prices, tool_schemas=tool_schemas or {}).load()
    return Bundle(
        revision=hashlib.sha256(data).hexdigest(),
        source=name,
        entries=tuple(Entry(*part) for part in loaded.parts),
        mode=loaded.file.mode,
        unregistered=loaded.file.unregistered or "allow",
        unmanaged=loaded.file.unregistered or "deny",
        capture=loaded.file.capture,
        placed=tuple(loaded.placed),
        approvers=loaded.approvers,
        trusted_tools=loaded.file.trusted_tools,
        notify=loaded.targets,
        alerts=loaded.alerts,
        unanswered=loaded.unanswered,
    )


def read_bundle(path: str | os.PathLike[str]) -> bytes:
    """Read a bundle's bytes. Raises BundleError where the file is missing, no file, or too large to be one."""
    name = os.fspath(path)
    try:
        found = Path(path).stat()
        if not stat.S_ISREG(found.st_mode):
            raise _refused(name, "this is not a file", "name the bundle's file, such as jackline.yaml")
        _check_size(found.st_size, name)
        with Path(path).open("rb") as stream:
            return stream.read(MOST_BYTES + 1)
    except FileNotFoundError:
        raise _refused(name, "there is no such file", "create it, or name another") from None
    except (OSError, ValueError) as error:
        raise _refused(name, f"the file cannot be read: {getattr(error, 'strerror', None) or error}") from None


def _check_size(size: int, name: str) -> None:
    if size > MOST_BYTES:
        message = f"the file has {size:,} bytes, a bundle has at most {MOST_BYTES:,}; nothing of it was read"
        raise _refused(name, message, "keep data out of the bundle")


def _refused(file: str, message: str, hint: str = "") -> BundleError:
    return BundleError(problems=(Problem(file, 1, 1, message, hint),))


def _prices() -> Any:
    from jackline.prices import Prices  # noqa: PLC0415 - only bundles with priced policies pay for it

    return Prices.load()

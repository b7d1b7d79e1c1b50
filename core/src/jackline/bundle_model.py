"""What a bundle's file may say, whatever policies it uses."""

from __future__ import annotations

import fnmatch
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, WithJsonSchema

from jackline.alert_rules import AlertsSection
from jackline.answers import public_key
from jackline.decision import Mode  # noqa: TC001 - pydantic reads it
from jackline.engine import OnError  # noqa: TC001 - pydantic reads it
from jackline.notices.target import ATTEMPTS, EDGES, KINDS, REFERENCE, Edge, Kind
from jackline.options import Names, Options, listed, non_empty, wrong
from jackline.request import ACTIONS, Action

FORMAT = 1
INLINE = ("when", "effect", "reason")
"""Options that a policy class may take beside `with:` by naming them in its `inline`."""

_LOOPBACK = ("localhost", "127.0.0.1", "::1")

Capture = Literal["none", "redacted", "full"]
Standing = Literal["allow", "deny"]

_ACTIONS_SCHEMA = {
    "anyOf": [
        {"enum": list(ACTIONS)},
        {"type": "array", "items": {"enum": list(ACTIONS)}, "minItems": 1, "uniqueItems": True},
    ],
}

Actions = Annotated[
    tuple[Action, ...], BeforeValidator(listed), AfterValidator(non_empty), WithJsonSchema(_ACTIONS_SCHEMA)
]
"""One action or a list of them."""


def _free(name: str) -> str:
    if name == "registry":
        raise wrong("the name 'registry' is taken by the agents' own standing", "call the policy something else")
    return name


Name = Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$"), AfterValidator(_free)]


class PolicyEntry(Options):
    """One policy of the list; `with` is its class's to check."""

    name: Name
    """What decisions and events call it; unique in the bundle."""
    use: str
    """The policy's registered name: `rule`, `tool_access`, `budget`, ..."""
    agents: str | None = None
    """A condition over the one root `agent`; without it every agent is selected."""
    on: Actions | None = None
    """The actions on which it is asked; without it, all that its class answers."""
    mode: Mode = "enforce"
    """`observe` records what it would have decided, and changes nothing."""
    on_error: OnError | None = None
    """What counts when it fails: `deny` (the default), `halt`, or `skip` it with a finding."""
    trusted: bool | None = None
    """Ask it in place, without a worker and its deadline. This project's own packs are trusted already."""
    with_: dict[str, Any] = Field(default={}, alias="with")
    """Its options."""


def _key(text: str) -> str:
    try:
        public_key(text)
    except ValueError as error:
        raise wrong(str(error), "make one with: jackline approvals key NAME") from None
    return text


class ApproverEntry(Options):
    """Who may answer what is escalated."""

    key: Annotated[str, AfterValidator(_key)]
    """The Ed25519 public key with which answers are verified: `ed25519:...`, as `jackline approvals key` prints it."""
    user: str = ""
    """The same person as a user of agents, who approves nothing that is done for them; the name unless said."""


def _tool_pattern(whole: str) -> str:
    text, behind, field = whole.partition("#")
    if behind and not all(field.split(".")):
        raise wrong(f"{whole!r} names no field", "write the field behind the tool: list_events#participants")
    if not text or text != text.strip():
        raise wrong(f"{text!r} is no tool's name: it is empty, or has space around it", "write the name alone")
    if "[" in text and "(?!)" in fnmatch.translate(text):
        raise wrong(f"{text!r} can never match", "the range in its character class runs backwards")
    if not text.strip("*?"):
        raise wrong(f"{text!r} trusts every tool, those that outsiders write to among them", "name the tools")
    return whole


TrustedTools = Annotated[
    tuple[Annotated[str, AfterValidator(_tool_pattern)], ...],
    BeforeValidator(listed),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}),
]
"""Names and globs of tools."""


def _reference(text: str) -> str:
    if REFERENCE.fullmatch(text) is None:
        raise wrong("a secret does not stand in a bundle", "write env:NAME, and set NAME where notices are sent")
    return text


def _address(text: str) -> str:
    if REFERENCE.fullmatch(text) is not None:
        return text
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.password:
        raise wrong("this is no webhook's address", "write https://..., without a password, or env:NAME")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise wrong("notices would go over the network in clear", "write https://")
    return text


_TOLD = [*KINDS, *EDGES]
_KINDS_SCHEMA = {"anyOf": [{"enum": _TOLD}, {"type": "array", "items": {"enum": _TOLD}, "minItems": 1}]}


class NotifyEntry(Options):
    """Who is told of approvals and alerts: a webhook, a service that apprise knows, or an Alertmanager."""

    webhook: Annotated[str, AfterValidator(_address)] | None = None
    """The address to which notices are posted, signed; or `env:NAME`."""
    secret: Annotated[str, AfterValidator(_reference)] | None = None
    """`env:NAME` of the secret that signs, `whsec_...` (HMAC-SHA256) or `whsk_...` (Ed25519); of an Alertmanager: of a
    bearer token, where it asks for one."""
    apprise: Annotated[str, AfterValidator(_reference)] | None = None
    """`env:NAME` of an apprise URL: Slack, Teams, e-mail, PagerDuty and others. Needs `jackline[notify]`."""
    alertmanager: Annotated[str, AfterValidator(_address)] | None = None
    """The URL of a Prometheus Alertmanager, or `env:NAME` of one: it gets alerts, and tells whom it knows."""
    on: Annotated[
        tuple[Kind | Edge, ...], BeforeValidator(listed), AfterValidator(non_empty), WithJsonSchema(_KINDS_SCHEMA)
    ] = ("asked", "answered", "expired", "fired", "resolved")
    """What is told: that something is `asked`, `answered`, `expired` or `used`, that an alert is `fired` or `resolved`;
    all but `used` unless said."""
    attempts: Annotated[int, Field(ge=1, le=100)] = ATTEMPTS
    """How often a delivery is tried, with growing pauses, before it is given up."""


class BundleFile(Options):
    """The whole file."""

    jackline: Literal[1]
    """The format's number."""
    policies: list[Any]
    mode: Mode = "enforce"
    unregistered: Standing | None = None
    """What agents with status `seen` may do. Unless said, managed ones may act and unmanaged ones may not."""
    approvers: dict[Name, ApproverEntry] = Field(default={})
    """People who may answer what is escalated, by name."""
    groups: dict[Name, Names] = Field(default={})
    """Groups of approvers, by name."""
    trusted_tools: TrustedTools = ()
    """Tools and retrievers, by name or glob, whose results (`tool#field`: part of them) outsiders cannot write."""
    notify: dict[Name, NotifyEntry] = Field(default={})
    """Who is told of approvals and alerts, by name: see [Telling people](approvals.md)."""
    alerts: AlertsSection = AlertsSection()
    """What is looked for, and who is told: see [Alerts](alerts.md)."""
    capture: Capture = "redacted"
    """What is kept of arguments and results: nothing, their structure, or all."""

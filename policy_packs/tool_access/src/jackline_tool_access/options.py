"""What a bundle may say under `with:` of a `tool_access` policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from jackline import options
from jackline_tool_access.patterns import Pattern, objection
from jackline_tool_access.places import RAW, Place, flaw

if TYPE_CHECKING:
    from collections.abc import Iterator


def _name(text: str) -> str:
    problem = objection(text)
    if problem is not None:
        raise options.wrong(*problem)
    return text


def _spawn_list(value: Any) -> Any:
    """Take true for every agent and false for none."""
    if isinstance(value, bool):
        return ["*"] if value else []
    if not isinstance(value, list):
        raise options.wrong(f"{value!r} does not say which agents", "write true, false or a list of agents' names")
    return value


Name = Annotated[str, AfterValidator(_name)]
Agents = Annotated[
    list[Name],
    BeforeValidator(_spawn_list),
    WithJsonSchema({"anyOf": [{"type": "boolean"}, {"type": "array", "items": {"type": "string"}}]}),
]
Permission = Literal["deny", "allow"]


def _name_or_map(schema: dict[str, Any]) -> None:
    """Tell editors that a plain name will do."""
    written_out = dict(schema)
    schema.clear()
    schema["anyOf"] = [{"type": "string"}, written_out]


class Entry(options.Options):
    """A line of `allow`, `deny` or `delegate`: a name or glob, or a map that says more."""

    model_config = ConfigDict(json_schema_extra=_name_or_map)

    tool: Name
    when: str | None = Field(default=None, min_length=1)
    fingerprint: str | None = Field(default=None, pattern=r"^[0-9a-f]{16}$")
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_name(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"tool": _name(value)}
        if not isinstance(value, (dict, Entry)):
            raise options.wrong(f"{value!r} is no tool", "write a name, a glob, or a map with tool: and when:")
        return value


def _host(text: str) -> str:
    problem = flaw(text)
    if problem is not None:
        raise options.wrong(*problem)
    return text


def _method(text: str) -> str:
    if not text.isascii() or not text.isalpha():
        raise options.wrong(f"{text!r} is no method", "write GET, POST, ...")
    return text.upper()


Host = Annotated[str, AfterValidator(_host)]
Methods = Annotated[list[Annotated[str, AfterValidator(_method)]], Field(min_length=1)]
Schemes = Annotated[list[Literal["http", "https"]], Field(min_length=1)]


class Destination(options.Options):
    """A line of `egress`: `[scheme://]host[:port]`, or a map that says more."""

    model_config = ConfigDict(json_schema_extra=_name_or_map)

    host: Host
    methods: Methods | None = None
    reason: str = ""

    @model_validator(mode="before")
    @classmethod
    def _accept_host(cls, value: Any) -> Any:
        if isinstance(value, str):
            return {"host": _host(value)}
        if not isinstance(value, (dict, Destination)):
            raise options.wrong(f"{value!r} is no place", "write host:port, or a map with host: and methods:")
        return value


class EgressOptions(options.Options):
    """Where requests may go; what is not listed is denied."""

    allow: list[Destination] | None = None
    deny: list[Destination] | None = None
    methods: Methods | None = None
    schemes: Schemes | None = None
    others: Literal["record", "deny"] = "record"
    model_hosts: Literal["allow", "listed"] = "allow"

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Say what is well formed and cannot be meant."""
        for section in ("allow", "deny"):
            for index, entry in enumerate(getattr(self, section) or ()):
                scheme = Place(entry.host).scheme
                if entry.methods is not None and scheme in RAW:
                    yield (
                        (section, index, "methods"),
                        f"{entry.host!r} is a connection, which has no method",
                        "leave it out",
                    )


class ToolAccessOptions(options.Options):
    """See docs/packs/tool_access.md for each option's meaning."""

    allow: list[Entry] | None = None
    deny: list[Entry] | None = None
    delegate: list[Entry] | None = None
    read_only: bool = False
    new_tools: Permission = "deny"
    changed_tools: Permission = "deny"
    provider_tools: list[Name] | None = None
    models: list[Name] | None = None
    spawn: Agents | None = None
    egress: EgressOptions | None = None

    @property
    def governs_tools(self) -> bool:
        """Whether a tool call needs an entry of `allow` that lists it."""
        return self.read_only or any(part is not None for part in (self.allow, self.deny, self.delegate))

    @property
    def closes_provider_tools(self) -> bool:
        """Whether a provider's tool needs an entry of `provider_tools`: said so, or implied by an allow list."""
        return self.provider_tools is not None or self.allow is not None

    @property
    def handed_on(self) -> list[Entry]:
        """What sub-agents may be given: `delegate`, or the same as `allow`."""
        return (self.allow if self.delegate is None else self.delegate) or []

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Say what is well formed and cannot be meant."""
        others = (self.provider_tools, self.models, self.spawn, self.egress)
        if not (self.governs_tools or any(part is not None for part in others)):
            yield (
                (),
                "the policy decides nothing",
                (
                    "give allow, deny, delegate, read_only, provider_tools, models, spawn or egress; "
                    "allow: [] permits no tool"
                ),
            )
        for path, message, hint in self.egress.mistakes() if self.egress is not None else ():
            yield ("egress", *path), message, hint
        for section in ("allow", "delegate"):
            for index, entry in enumerate(getattr(self, section) or ()):
                if entry.fingerprint is not None and not Pattern(entry.tool).exact:
                    yield (
                        (section, index, "fingerprint"),
                        f"a fingerprint is one tool's, and {entry.tool!r} is a pattern",
                        "name that tool exactly",
                    )

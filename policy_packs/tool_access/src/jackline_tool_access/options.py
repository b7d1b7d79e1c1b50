"""What a bundle may say under `with:` of a `tool_access` policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

from jackline import options
from jackline_tool_access.patterns import Pattern, objection

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
        if not (self.governs_tools or any(part is not None for part in (self.provider_tools, self.models, self.spawn))):
            yield (
                (),
                "the policy decides nothing",
                "give allow, deny, delegate, read_only, provider_tools, models or spawn; allow: [] permits no tool",
            )
        for section in ("allow", "delegate"):
            for index, entry in enumerate(getattr(self, section) or ()):
                if entry.fingerprint is not None and not Pattern(entry.tool).exact:
                    yield (
                        (section, index, "fingerprint"),
                        f"a fingerprint is one tool's, and {entry.tool!r} is a pattern",
                        "name that tool exactly",
                    )

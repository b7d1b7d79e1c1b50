"""What a bundle may say under `with:` of a `pii` policy."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

import re2  # type: ignore[import-untyped]
from pydantic import AfterValidator, Field

from jackline import options
from jackline_pii.catalogue import DEFAULT
from jackline_pii.detectors.phone import REGIONS
from jackline_pii.folding import UNKNOWN, fold
from jackline_pii.shapes import linear

if TYPE_CHECKING:
    from collections.abc import Iterator

Action = Literal["redact", "mask", "hash", "tokenise", "deny", "escalate", "record"]
NAMED = frozenset({"PERSON", "LOCATION"})
"""The entities that a language model finds."""
CHANGING: frozenset[Action] = frozenset({"redact", "mask", "hash", "tokenise"})
"""The actions that replace what was found; the others only judge."""


def _pattern(text: str) -> str:
    """Refuse what is no pattern, and what would match everywhere or nowhere."""
    if not text.isascii():
        hint = f"texts are read with ASCII letters alone: write {fold(text).text!r}"
        if UNKNOWN in fold(text).text:
            hint = "texts are read with ASCII letters alone: write . for each sign that has none"
        raise options.wrong(f"{text!r} can never match", hint)
    try:
        compiled = linear(text)
    except re2.error as error:
        raise options.wrong(
            f"{text!r} is no pattern: {_told(error)}",
            "write it as RE2 reads it: without look-around and references back",
        ) from None
    if compiled.search(b"") is not None:
        raise options.wrong(f"{text!r} also matches nothing at all", "write a pattern that needs at least one sign")
    return text


def _told(error: Exception) -> str:
    """What RE2 says, which is in bytes."""
    said = error.args[0] if error.args else ""
    return said.decode() if isinstance(said, bytes) else str(said)


Kind = Annotated[str, Field(pattern=r"^[A-Z][A-Z0-9_]{0,63}$")]
Pattern = Annotated[str, AfterValidator(_pattern)]
Confidence = Annotated[float, Field(ge=0, le=1)]
Text = Annotated[str, Field(min_length=1)]


class Custom(options.Options):
    """A recogniser of the bundle's own."""

    name: Kind
    pattern: Pattern
    words: list[Text] = Field(default=[])
    """Words of which one must stand near; without them the pattern alone counts."""
    confidence: Confidence = 0.9


class VaultOptions(options.Options):
    """Where the originals of tokens are kept, and who gets them back."""

    key_env: Text
    """The environment variable that holds the key; several with commas between them: the first seals, all open."""
    file: Text | None = None
    """The vault's path; `pii-vault.db` in Jackline's state folder unless it is said."""
    ttl: options.Duration = 30 * 86400.0
    """How long an original is kept."""
    tools: list[Text] = Field(default=[])
    """Tools that are given the originals: names, or with `*`."""
    output: bool = False
    """Whether the final answer has the originals again."""


class NamesOptions(options.Options):
    """The language model that finds PERSON and LOCATION."""

    engine: Literal["presidio", "gliner"] = "presidio"
    """Which library reads: each is installed as an extra."""
    model: Text | None = None
    """Its model: the name of an installed spaCy model, or a GLiNER model's folder or name."""


class PiiOptions(options.Options):
    """See docs/packs/pii.md for each option's meaning."""

    entities: Annotated[list[Kind], Field(min_length=1)] | None = None
    """What is looked for, and nothing else; without it, everything that this pack can find but URL."""
    action: Action = "redact"
    """What becomes of it: it is replaced in one of four ways, or the request is denied, held or only recorded."""
    custom: list[Custom] = Field(default=[])
    """Further patterns, found beside the entities."""
    allow: list[Text] = Field(default=[])
    """Values that may pass: exact, or with `*` for any signs; the case does not count."""
    confidence: Confidence = 0.5
    """What is less sure is left alone."""
    key_env: Text | None = None
    """The environment variable that holds the key for `hash`."""
    vault: VaultOptions | None = None
    """For `tokenise`: where originals are kept, and who gets them back."""
    names: NamesOptions | None = None
    """For PERSON and LOCATION: what finds them."""
    regions: Annotated[list[Annotated[str, Field(pattern=r"^[A-Z]{2}$")]], Field(min_length=1)] = Field(
        default=list(REGIONS)
    )
    """The countries whose national telephone numbers are known by their form alone."""
    addresses: Literal["public", "all"] = "public"
    """Whether private and reserved IP addresses count as well."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """The entities that are looked for; where only custom ones are given, no others."""
        if self.entities is None:
            return () if self.custom else DEFAULT
        return tuple(dict.fromkeys(self.entities))

    def mistakes(self) -> Iterator[tuple[tuple[str | int, ...], str, str]]:
        """Say what is well formed and cannot be meant."""
        if self.action == "hash" and self.key_env is None:
            hint = "name an environment variable that holds a secret: key_env: PII_KEY"
            yield ("action",), "`hash` needs a key, or anyone could try all numbers", hint
        if self.action != "hash" and self.key_env is not None:
            yield ("key_env",), f"`{self.action}` uses no key", "leave it out, or write `action: hash`"
        if (self.action == "tokenise") != (self.vault is not None):
            hint = "write `action: tokenise` and `vault: {key_env: ...}` together, or neither"
            yield ("vault",), f"`{self.action}` {'needs' if self.vault is None else 'uses no'} vault", hint
        if self.names is not None and not NAMED & set(self.kinds):
            yield ("names",), "neither PERSON nor LOCATION is looked for", "leave it out, or name one under entities"
        names = [*self.kinds, *(custom.name for custom in self.custom)]
        for index, custom in enumerate(self.custom):
            if names.count(custom.name) > 1:
                yield ("custom", index, "name"), f"the name {custom.name!r} is used twice", "call it something else"
        if "IP_ADDRESS" not in self.kinds and self.addresses == "all":
            yield ("addresses",), "IP_ADDRESS is not looked for", "leave it out, or name IP_ADDRESS under entities"
        for index, text in enumerate(self.allow):
            if not text.strip("*"):
                yield ("allow", index), f"{text!r} lets everything pass", "write the values that may pass"

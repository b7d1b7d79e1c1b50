"""What an approver says, signed: an answer binds one question, word for word, and nobody else can give it.

An answer's body is signed as the bytes that are kept, which are never encoded again. It names the approval (the digest
of the exact action) and the SHA-256 of the question's file, so that it answers nothing else and no later question.
"""

from __future__ import annotations

import base64
import binascii
import unicodedata
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from jackline.errors import JacklineError
from jackline.plain import canonical

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

Say = Literal["approve", "deny", "edit", "respond"]
REFUSING: frozenset[Say] = frozenset({"deny", "respond"})
"""Answers with which the act is not done: one is enough."""

PREFIX = "ed25519:"
_KEY_BYTES = 32
_DOMAIN = b"jackline approval answer v1\n"


class AnswerError(JacklineError):
    """An answer that does not count: forged, of another question, or of nobody who may answer."""


def folded(name: str) -> str:
    """A person's name however it is written: nobody is another person by a capital or a wide letter."""
    return unicodedata.normalize("NFKC", name).casefold().strip()


class Approver(msgspec.Struct, frozen=True, kw_only=True):
    """Who may answer, as the bundle pins it."""

    name: str
    key: str
    """The Ed25519 public key: `ed25519:` and the base64 of its 32 bytes."""
    user: str = ""
    """The same person's name as a user of agents; the approver's own name where it is empty."""

    @property
    def known_as(self) -> frozenset[str]:
        """The names by which this person is told from others, folded."""
        return frozenset({folded(self.name), folded(self.user or self.name)})


class Approvers:
    """The people and groups of one bundle."""

    def __init__(
        self, people: Mapping[str, Approver] | None = None, groups: Mapping[str, Collection[str]] | None = None
    ) -> None:
        self.people = dict(people or {})
        self.groups = {name: tuple(members) for name, members in (groups or {}).items()}

    def __bool__(self) -> bool:
        return bool(self.people)

    def named(self, to: Collection[str], *, user: str = "") -> dict[str, Approver]:
        """Everyone whom `to` names (empty: everyone there is), without the one for whom the agent acts."""
        names = {member for name in to for member in self.groups.get(name, (name,))} if to else set(self.people)
        found = {name: self.people[name] for name in sorted(names) if name in self.people}
        return {name: one for name, one in found.items() if not user or folded(user) not in one.known_as}


class Answer(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True):
    """What one approver says to one question."""

    approval: str
    """The digest of the exact action, 64 hex digits."""
    question: str
    """SHA-256 of the question's file, hex: who asked, for how long, whom."""
    say: Say
    who: str
    at: float
    why: str = ""
    """The reason; with `respond`, what the agent is told in place of a result."""
    args: dict[str, Any] | None = None
    """With `edit`: the arguments to use instead. They are judged again."""


class Signed(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An answer as it is kept."""

    body: str
    """The answer's JSON; what is signed is its bytes."""
    signature: str
    """Base64 of the Ed25519 signature."""


_decode = msgspec.json.Decoder(Answer).decode
_decode_signed = msgspec.json.Decoder(Signed).decode


def sign(answer: Answer, key: Ed25519PrivateKey) -> bytes:
    """The file of a signed answer."""
    body = canonical(answer)
    signature = base64.b64encode(key.sign(_DOMAIN + body)).decode()
    return msgspec.json.encode(Signed(body=body.decode(), signature=signature))


def verified(data: bytes, *, approval: str, question: str, approvers: Mapping[str, Approver]) -> Answer:
    """The answer in a file. Raises AnswerError, which says why it does not count."""
    from cryptography.exceptions import InvalidSignature  # noqa: PLC0415 - only where somebody has answered

    try:
        signed = _decode_signed(data)
        answer = _decode(signed.body)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AnswerError(f"it is no answer: {error}") from error
    approver = approvers.get(answer.who)
    if approver is None:
        known = ", ".join(approvers) or "nobody"
        raise AnswerError(f"'{answer.who}' may not answer this, expected {known}")
    try:
        public_key(approver.key).verify(
            base64.b64decode(signed.signature, validate=True), _DOMAIN + signed.body.encode()
        )
    except (InvalidSignature, binascii.Error, ValueError):
        raise AnswerError(f"its signature is not of the key that the bundle pins for '{answer.who}'") from None
    if answer.approval != approval or answer.question != question:
        raise AnswerError(f"'{answer.who}' signed it for another question ({answer.approval[:12]})")
    if (answer.say == "edit") != (answer.args is not None):
        raise AnswerError("arguments belong to `edit`, and to nothing else")
    return answer


def claimed(data: bytes) -> dict[str, Any] | None:
    """What an answer's file says of itself, whoever wrote it: who, what, when and why. None where it is none."""
    try:
        answer = _decode(_decode_signed(data).body)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return None
    said = {"who": answer.who, "say": answer.say, "at": answer.at, "why": answer.why}
    return said if answer.args is None else {**said, "args": answer.args}


def public_key(text: str) -> Any:
    """Read `ed25519:...`; raises ValueError that says what is wrong."""
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey  # noqa: PLC0415 - as above

    try:
        data = base64.b64decode(text.removeprefix(PREFIX), validate=True)
    except binascii.Error:
        data = b""
    if len(data) != _KEY_BYTES or text != PREFIX + base64.b64encode(data).decode():  # one key, one spelling
        raise ValueError(f"{text!r} is no public key: expected {PREFIX} and the base64 of {_KEY_BYTES} bytes")
    return Ed25519PublicKey.from_public_bytes(data)


def public_text(key: Ed25519PrivateKey) -> str:
    """The public half as bundles pin it."""
    return PREFIX + base64.b64encode(key.public_key().public_bytes_raw()).decode()

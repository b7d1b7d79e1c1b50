"""Whether an answer would count: what the bundle at hand says of who gives it, before anything is signed."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from jackline.answers import folded, public_text
from jackline.errors import BundleError

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from jackline.approvals import Question
    from jackline.bundle import Bundle


class Entitlement(NamedTuple):
    """What is known of an answer before it is given."""

    refusal: str = ""
    """Why no guard would count it; empty where one may."""
    doubt: str = ""
    """Why that could not be looked at here."""


def entitlement(
    question: Question, who: str, key: Ed25519PrivateKey, bundle: Bundle | BundleError | None, path: str
) -> Entitlement:
    """Whether `who`, with this key, may answer a question under the bundle in a file (None: there is no such file).

    What counts is the bundle in force where the act goes on. Without it at hand an answer is taken and said to be
    unverified; only the person for whom the agent acts is refused under any bundle.
    """
    if question.user and folded(who) == folded(question.user):
        return Entitlement(refusal=f"'{who}' may not answer this: it is done for '{question.user}'")
    if bundle is None:
        return Entitlement(doubt=f"there is no {path} here")
    if isinstance(bundle, BundleError):
        return Entitlement(doubt=f"{path} does not load (see: jackline check {path})")
    if question.policy not in bundle.policies:
        return Entitlement(doubt=f"{path} has no policy '{question.policy}', which asks")
    return _under(bundle, question, who, public_text(key), path)


def _under(bundle: Bundle, question: Question, who: str, public: str, path: str) -> Entitlement:
    named = bundle.approvers.named(question.to, user=question.user)
    able = ", ".join(named) or "nobody"
    mend = f"{path} says that these may answer: {able}"
    pinned = bundle.approvers.people.get(who)
    if pinned is None:
        return Entitlement(refusal=f"'{who}' is no approver; {mend}")
    if pinned.key != public:
        return Entitlement(refusal=f"your key is not the one that {path} pins for '{who}'; these may answer: {able}")
    if who in named:
        return Entitlement()
    why = f"'{who}' may not answer this; {mend}"
    if bundle.revision == question.revision or not bundle.approvers.named((who,), user=question.user):
        return Entitlement(refusal=why)
    return Entitlement(doubt=f"{path} was changed since it was asked, and asked were {', '.join(question.to)}")

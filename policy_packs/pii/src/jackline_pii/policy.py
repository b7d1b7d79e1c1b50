"""The policy `pii`: what is found is replaced, denied, escalated or only recorded."""

from __future__ import annotations

import importlib.util
import os
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, ClassVar, Self

from jackline.decision import Finding, Verdict
from jackline.errors import PluginError
from jackline.policy import Phase, Reach, State
from jackline_pii.custom import Allowed, recogniser
from jackline_pii.detectors.devices import IpAddress
from jackline_pii.detectors.names import MODELS, PACKAGES, Named
from jackline_pii.detectors.phone import Phone
from jackline_pii.loading import shadows
from jackline_pii.options import CHANGING, NamesOptions, PiiOptions
from jackline_pii.places import Found, Leaf, cut, leaves, rebuilt, search
from jackline_pii.replacing import hashed, masked, redacted, texts_with
from jackline_pii.scanning import Scanner
from jackline_pii.widening import widened

if TYPE_CHECKING:
    from jackline.build_context import BuildContext
    from jackline.decision import Effect
    from jackline.detector import Detector
    from jackline.events import Event
    from jackline.request import Request
    from jackline_pii.replacing import Replace
    from jackline_pii.tokens import Tokens

_NEW_KEY = "python -c 'from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())'"
_NAME = re.compile(r"'[a-z0-9_]+'")
MOST_FINDINGS = 100
"""Findings of one request that are listed; the last one tells how many more there are."""
_CREDENTIALS = frozenset({"authorization", "proxy-authorization", "x-api-key", "api-key", "x-goog-api-key", "cookie"})
"""Headers in which a secret belongs: a request without them could not be answered."""
_EFFECTS: dict[str, Effect] = {"deny": "deny", "escalate": "escalate", "record": "allow"}
_DONE = {
    "redact": "redacted",
    "mask": "masked",
    "hash": "hashed",
    "tokenise": "tokenised",
    "deny": "found",
    "escalate": "found",
    "record": "found",
}


class Pii:
    """Personal data and secrets, in whatever the request carries."""

    observes: ClassVar[bool] = False
    Options: ClassVar[type[PiiOptions]] = PiiOptions

    def __init__(
        self, name: str, options: PiiOptions, detectors: dict[str, Detector], key: bytes, tokens: Tokens | None = None
    ) -> None:
        self.name = name
        self.options = options
        self.phase: Phase = "modify" if options.action in CHANGING else "judge"
        self.reach = Reach()
        self._scanner = Scanner(detectors, threshold=options.confidence, shadows=shadows())
        self._allowed = Allowed(options.allow)
        ways: dict[str, Replace] = {"redact": redacted, "mask": masked, "hash": hashed(key)}
        self._replace = ways.get(options.action)
        self._tokens = tokens

    @classmethod
    def build(cls, name: str, options: PiiOptions, context: BuildContext) -> Self:
        """Make the policy of a bundle entry; entities that nothing finds are the bundle's errors."""
        for path, message, hint in options.mistakes():
            context.problem(message, path=path, hint=hint)
        detectors: dict[str, Detector] = {}
        for index, kind in enumerate(options.kinds):
            detector = _detector(kind, options, context, ("entities", index))
            if detector is not None:
                detectors[kind] = detector
        detectors |= {custom.name: recogniser(custom) for custom in options.custom}
        key = os.environ.get(options.key_env, "") if options.key_env is not None else ""
        if options.key_env is not None and not key:
            hint = "set it to a secret before Jackline starts"
            context.problem(f"the environment variable {options.key_env!r} is empty", path="key_env", hint=hint)
        return cls(name, options, detectors, key.encode(), _tokens(options, context))

    def evaluate(self, request: Request, state: State) -> Verdict | None:  # noqa: ARG002 - keeps no memory
        """Answer where something is found; None where nothing is."""
        if not request.args:
            return None
        if self._tokens is not None and self._tokens.gives_back(request):
            return self._given_back(self._tokens, request)
        texts = leaves(request.args)
        unread = cut(texts)
        if unread:
            return self._unread(unread)
        if request.action == "http.request":
            texts = [_without_credentials(leaf) for leaf in texts]
        found = [part for part in search(texts, self._scanner) if self._counts(part, texts)]
        if not found:
            return None
        kinds = Counter(part.span.kind for part in found if part.first)
        told = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
        effect: Effect = _EFFECTS.get(self.options.action, "modify")
        args: dict[str, Any] | None = None
        if self._tokens is not None:
            session = self._tokens.session(request)
            args = rebuilt(request.args, texts_with(found, texts, session.replace))
            session.keep()
        elif self._replace is not None:
            args = rebuilt(request.args, texts_with(found, texts, self._replace))
        return Verdict(
            effect=effect,
            policy=self.name,
            rule=" ".join(sorted(kinds)),
            reason=f"{_DONE[self.options.action]} {told}",
            findings=_findings(found, texts),
            args=args,
        )

    def observe(self, event: Event, state: State) -> None:
        """Keep no memory: what is found in a text does not depend on others."""

    def widens(self, previous: Pii) -> tuple[str, ...]:
        """How these options let pass what `previous` stopped, a sentence each; empty where they do not."""
        return widened(self.options, previous.options)

    def _given_back(self, tokens: Tokens, request: Request) -> Verdict | None:
        args, count = tokens.restored(request)
        if not count:
            return None
        reason = f"gave back {count} {'original' if count == 1 else 'originals'}"
        return Verdict(effect="modify", policy=self.name, rule="vault", reason=reason, args=args)

    def _unread(self, place: str) -> Verdict:
        """What is too much to be looked at is not let through."""
        effect: Effect = _EFFECTS.get(self.options.action, "deny")
        return Verdict(
            effect=effect,
            policy=self.name,
            rule="unread",
            reason="there is more than can be looked at: send less at once",
            findings=(Finding("unread", place),),
        )

    def _counts(self, part: Found, texts: list[Leaf]) -> bool:
        return texts[part.leaf].text[part.start : part.end] not in self._allowed


def _tokens(options: PiiOptions, context: BuildContext) -> Tokens | None:
    if options.vault is None:
        return None
    if importlib.util.find_spec("cryptography") is None:
        context.problem("a vault needs cryptography", path="vault", hint="pip install 'jackline-pii[vault]'")
        return None
    from jackline_pii.tokens import Tokens  # noqa: PLC0415 - only those that tokenise need cryptography

    try:
        return Tokens(options.vault, os.environ.get(options.vault.key_env, ""))
    except ValueError:
        name = options.vault.key_env
        message = f"the environment variable {name!r} holds no key for the vault"
        context.problem(message, path=("vault", "key_env"), hint=f"make one: {_NEW_KEY}")
        return None


def _without_credentials(leaf: Leaf) -> Leaf:
    name = leaf.path.lower().removeprefix("args.headers.")
    return leaf._replace(text="") if name in _CREDENTIALS and not leaf.is_key else leaf


def _detector(kind: str, options: PiiOptions, context: BuildContext, path: tuple[str | int, ...]) -> Detector | None:
    try:
        found = context.detector(kind.lower())
    except PluginError as error:
        message, _, hint = str(error).partition("; ")
        named = _NAME.sub(lambda name: name[0].upper(), hint)
        context.problem(f"nothing finds {kind}: {message}", path=path, hint=named)
        return None
    if found is IpAddress:
        return IpAddress(everything=options.addresses == "all")
    if found is Phone:
        if importlib.util.find_spec("phonenumbers") is None:
            hint = "pip install phonenumbers, or list the entities without PHONE"
            context.problem("PHONE needs the numbering plans of phonenumbers", path=path, hint=hint)
            return None
        return Phone(options.regions)
    if issubclass(found, Named):
        names = options.names or NamesOptions()
        if importlib.util.find_spec(PACKAGES[names.engine]) is None:
            hint = f"pip install 'jackline-pii[{names.engine}]' and a model, or list the entities without it"
            context.problem(f"{kind} needs a language model, and {names.engine} is not installed", path=path, hint=hint)
            return None
        model = names.model or MODELS[names.engine]
        if names.engine == "presidio" and importlib.util.find_spec(model) is None:
            # Presidio would fetch it on the agent's path.
            hint = "install it, or name one that is: names: {model: ...}"
            context.problem(f"{kind} needs the spaCy model {model!r}, which is not installed", path=path, hint=hint)
            return None
        by_model: Detector = found(names.engine, names.model, options.confidence)
        return by_model
    detector: Detector = found()
    return detector


def _findings(found: list[Found], texts: list[Leaf]) -> tuple[Finding, ...]:
    """Say what was seen where, without the value: a place names no key in which something was found."""
    hidden = {texts[part.leaf].text for part in found if texts[part.leaf].is_key}
    parts = [part for part in found if part.first]
    listed = []
    for part in parts[:MOST_FINDINGS]:
        leaf, span = texts[part.leaf], part.span
        place = f"{leaf.path}.<key>" if leaf.is_key else leaf.path
        for key in hidden:
            place = place.replace(key, "<key>")
        listed.append(Finding(span.kind, place, span.confidence, span.note))
    if len(parts) > MOST_FINDINGS:
        listed.append(Finding("more", "args", 1.0, f"{len(parts) - MOST_FINDINGS} further places"))
    return tuple(listed)

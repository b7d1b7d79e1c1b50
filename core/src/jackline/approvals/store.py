"""The questions of a home: asked once, found again."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.approvals.asked import Asked, asked_in
from jackline.approvals.files import put
from jackline.approvals.question import ApprovalError, Question, counted, digest

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.request import Request

_HEX = re.compile(r"[0-9a-f]{6,64}")
_ACTION_DIGITS = 32


class Approvals:
    """The approvals of a home, shared by all its processes. Raises ApprovalError where they cannot be used."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def ask(
        self,
        request: Request,
        *,
        policy: str,
        rule: str,
        now: float,
        following: frozenset[str] = frozenset(),
        **more: Any,
    ) -> tuple[Asked, bool]:
        """The question about this act, and whether this call asked it first.

        `more` are the other fields of `Question`, without those that the request gives. `following`: ids that the
        caller has been waiting for; how they ended is its answer, where a caller that comes later asks anew.
        """
        binding: dict[str, Any] = {
            "action": request.action,
            "resource": request.resource,
            "fingerprint": request.tool.fingerprint if request.tool is not None else "",
            "args": request.args,
            "agent": request.agent.key,
            "session": request.subject.session,
            "policy": policy,
            "rule": rule,
        }
        folder = self.directory / digest(binding)[:_ACTION_DIGITS]
        known = list(asked_in(folder))
        for one in known:
            if one.question.id in following and one.ended() not in (None, "consumed"):
                return one, False
        if request.call_id:
            for one in known:
                if one.question.nonce == request.call_id:
                    return one, False
        for one in known:
            adopted = one.question.told or not request.call_id
            if adopted and (one.ended() is None or _still_denied(one, now)):
                return one, False
        nonce = request.call_id or counted([one.question.nonce for one in known], now)
        made = Question(
            id=digest({**binding, "nonce": nonce}),
            asked=now,
            user=request.subject.user,
            run=request.run,
            span=request.span,
            nonce=nonce,
            **binding,
            **more,
        )
        asked = Asked(folder / made.id)
        first = put(asked.folder / "question.json", msgspec.json.encode(made))
        return asked, first

    def all(self) -> Iterator[Asked]:
        """Every question, in no order."""
        if self.directory.is_dir():
            for folder in sorted(self.directory.iterdir()):
                if folder.is_dir() and not folder.name.startswith("."):
                    yield from asked_in(folder)

    def named(self, name: str) -> Asked:
        """The question with this id, or an id that begins so. Raises ApprovalError."""
        if not _HEX.fullmatch(name):
            raise ApprovalError(
                f"{name!r} is no approval's id: 6 to 64 hex digits were expected; see: jackline approvals"
            )
        found = [one for one in self.all() if one.folder.name.startswith(name)]
        if len(found) != 1:
            what = "no approval has" if not found else f"{len(found)} approvals have"
            raise ApprovalError(f"{what} an id that begins with '{name}'; see: jackline approvals list")
        return found[0]


def _still_denied(one: Asked, now: float) -> bool:
    """A no holds for as long as the question would have: asking again does not wear people down."""
    return one.ended() == "denied" and now < one.question.expires

"""Someone who answers what a guard asks: with a key of her own, and a clock that can be put forward."""

from __future__ import annotations

import contextlib
import threading
import time
from typing import TYPE_CHECKING, Any

from jackline.answers import Answer, Approver, Approvers, public_text, sign

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.answers import Say
    from jackline.approvals import Asked
    from jackline.guard import Guard

EXPIRES = 600.0
LATE = "nobody approved it in time"
_GLANCE = 0.01


class Ana:
    """The one approver of a suite's bundles."""

    name = "ana"

    def __init__(self) -> None:
        from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey  # noqa: PLC0415 - when needed

        self._key = Ed25519PrivateKey.generate()
        self.late = 0.0
        """By how many seconds her clock, and that of the guard, is ahead of the machine's."""
        self.approvers = Approvers({self.name: Approver(name=self.name, key=public_text(self._key))})

    def clock(self) -> float:
        """Unix seconds."""
        return time.time() + self.late

    @staticmethod
    def terms(wait: str = "tell") -> dict[str, Any]:
        """What a verdict's detail says that asks her."""
        return {"to": [Ana.name], "expires": EXPIRES, "wait": wait}

    def asked(self, guard: Guard) -> list[Asked]:
        """The questions that are open."""
        return [one for one in guard.approvals.all() if one.ended() is None]

    def says(self, guard: Guard, say: Say, **more: Any) -> int:
        """Give every open question the same answer; how many there are. `more` are further fields of an `Answer`."""
        found = self.asked(guard)
        for one in found:
            self.answer(one, say, **more)
        return len(found)

    def answer(self, asked: Asked, say: Say, **more: Any) -> None:
        """Answer one question."""
        approval, at = asked.question.id, self.clock()
        answer = Answer(approval=approval, question=asked.fingerprint, say=say, who=self.name, at=at, **more)
        asked.answer(sign(answer, self._key), say, at)

    @contextlib.contextmanager
    def answering(self, guard: Guard, say: Say, **more: Any) -> Iterator[list[str]]:
        """Give each question that comes meanwhile the same answer, in a thread; the ids of those that were asked."""
        seen: list[str] = []
        over = threading.Event()

        def look() -> None:
            while not over.wait(_GLANCE):
                for one in self.asked(guard):
                    if one.folder.name not in seen:
                        seen.append(one.folder.name)
                        self.answer(one, say, **more)

        looking = threading.Thread(target=look)
        looking.start()
        try:
            yield seen
        finally:
            over.set()
            looking.join()

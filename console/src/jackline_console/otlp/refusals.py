"""What the OTLP routes would not take is on record: who was not let in, what was too large, too slow or no message."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from jackline.errors import JacklineError
from jackline.events import CallerRefused, LoginFailed
from jackline.journal.refusals import Refusals

if TYPE_CHECKING:
    from collections.abc import MutableMapping
    from typing import Any

    from jackline_console.console import Console
    from jackline_console.problems import ProblemError

ROUTES = frozenset({"/v1/traces", "/v1/metrics", "/v1/logs"})
BY = "otlp"
_SAID = 300
_NOBODY = 401


class Told:
    """Puts each refusal of these routes on record; floods of one kind are counted only. Used on one event loop."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._kinds: dict[str, Refusals] = {}

    def __call__(self, error: ProblemError, scope: MutableMapping[str, Any]) -> None:
        """Take a refusal of whatever route; others than these routes' are passed over."""
        if scope["path"] not in ROUTES:
            return
        problem, console = error.problem, self._console
        address = scope["client"][0] if scope.get("client") else ""
        with contextlib.suppress(JacklineError):  # what refused stands, whether that can be written or not
            if problem.status == _NOBODY:
                if not any(name == b"authorization" for name, _ in scope["headers"]):  # a wrong one is on record
                    reason = "there was none"
                    console.refused(
                        LoginFailed(at=console.clock(), name="", how="token", reason=reason, address=address)
                    )
                return
            kind = problem.type.rpartition(":")[2]
            refusals = self._kinds.setdefault(kind, Refusals(console.record))
            detail = problem.detail[:_SAID]
            refusals.tell(CallerRefused(at=console.clock(), by=BY, what=kind, detail=detail, address=address))

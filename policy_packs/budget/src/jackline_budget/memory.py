"""What a budget remembers of a session: what was spent, what was warned of, how large inputs turned out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.decision import Finding
from jackline.events import Completed, Decided, Failed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.decision import Claim, Unit
    from jackline.events import Event

_KEPT = 64
"""Entries of each part of the memory: scopes of past days and calls without an outcome make way."""


class Memory:
    """Reads and writes one policy's memory: `spent` and `warned` by scope, `asked` by span, `ratios` by model."""

    def __init__(self, policy: str, prefix: str, thresholds: tuple[float, ...], *, tight: bool) -> None:
        self._policy = policy
        self._prefix = prefix
        self._thresholds = sorted(thresholds)
        self.tight = tight
        self.used = tight or bool(thresholds)

    def warnings(
        self, claims: Sequence[Claim], labels: dict[Unit, str], memory: dict[str, Any], detail: dict[str, Any]
    ) -> tuple[Finding, ...]:
        """Findings for thresholds that were passed since the last warning; `detail` says which, for `observe`."""
        spent = memory.get("spent")
        if not spent or not self._thresholds:
            return ()
        found: list[Finding] = []
        for claim in claims:
            share = spent.get(claim.scope, 0) / claim.cap
            if share < self._thresholds[0]:
                continue
            passed = max(threshold for threshold in self._thresholds if share >= threshold)
            if passed > memory.get("warned", {}).get(claim.scope, 0.0):
                note = f"{int(share * 100)} % of {labels[claim.unit]}"
                found.append(Finding(kind="budget", place=claim.scope, note=note))
                detail.setdefault("warned", {})[claim.scope] = passed
        return tuple(found)

    def ratio(self, model: str, memory: dict[str, Any]) -> float | None:
        """The largest share of its bound that an input to this model has used; None before the first."""
        found = memory.get("ratios", {}).get(model)
        return None if found is None else float(found)

    def observe(self, event: Event, memory: dict[str, Any]) -> None:
        """Take note of a decision or an outcome."""
        if not self.used:
            return
        if isinstance(event, Decided):
            self._decided(event, memory)
        elif isinstance(event, (Completed, Failed)):
            spent = memory.get("spent", {})
            for scope, amount in event.settled.items():
                if scope.startswith(self._prefix):
                    _put(memory, "spent", scope, spent.get(scope, 0) + amount)
            if self.tight:
                self._measured(event, memory)

    def _decided(self, event: Decided, memory: dict[str, Any]) -> None:
        for verdict in event.verdicts:
            if verdict.policy == self._policy:
                for scope, threshold in verdict.detail.get("warned", {}).items():
                    _put(memory, "warned", scope, threshold)
                if event.reservation is not None and "input_bound" in verdict.detail:
                    _put(memory, "asked", event.span, verdict.detail["input_bound"])
        for hold in event.reservation.holds if event.reservation is not None else ():
            if hold.scope.startswith(self._prefix):
                _put(memory, "spent", hold.scope, max(hold.spent, memory.get("spent", {}).get(hold.scope, 0)))

    def _measured(self, event: Completed | Failed, memory: dict[str, Any]) -> None:
        bound = memory.get("asked", {}).pop(event.span, None)
        usage = event.usage
        if bound is None or usage is None or usage.estimated or usage.input <= 0:
            return
        known = memory.get("ratios", {}).get(event.resource, 0.0)
        _put(memory, "ratios", event.resource, max(known, usage.input / bound))


def _put(memory: dict[str, Any], part: str, key: str, value: float) -> None:
    """Write an entry; where there are too many, the one written first makes way."""
    entries = memory.setdefault(part, {})
    entries[key] = value
    if len(entries) > _KEPT:
        del entries[next(iter(entries))]

"""How new options let pass what the old ones stopped: a reload that does so is an event and an alert."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline_pii.options import PiiOptions

_STRICTNESS = ("record", "hash", "tokenise", "mask", "redact", "escalate", "deny")


def widened(new: PiiOptions, old: PiiOptions) -> tuple[str, ...]:
    """Say each way in which `new` may let pass what `old` did not. Errs on the side of saying too much."""
    return tuple(_wider(new, old))


def _wider(new: PiiOptions, old: PiiOptions) -> Iterator[str]:
    yield from (f"entities: {kind} is not looked for any more" for kind in old.kinds if kind not in new.kinds)
    if _STRICTNESS.index(new.action) < _STRICTNESS.index(old.action):
        yield f"action: was {old.action}, is {new.action}"
    kept = {custom.name: custom for custom in new.custom}
    for custom in old.custom:
        if kept.get(custom.name) != custom:
            yield f"custom: {custom.name} {'was changed' if custom.name in kept else 'was taken away'}"
    further = len(set(new.allow) - set(old.allow))
    if further:
        yield f"allow: {further} further {'value' if further == 1 else 'values'} may pass"
    if new.vault is not None and old.vault is not None:
        yield from (f"vault: tool {tool} is given originals" for tool in new.vault.tools if tool not in old.vault.tools)
        if new.vault.output and not old.vault.output:
            yield "vault: the final answer has the originals"
    if new.confidence > old.confidence:
        yield f"confidence: raised from {old.confidence:g} to {new.confidence:g}"
    yield from (f"regions: {region} was taken away" for region in old.regions if region not in new.regions)
    if old.addresses == "all" != new.addresses:
        yield "addresses: private ones may pass"

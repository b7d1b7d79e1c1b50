"""Whether agents could answer in an approver's name: who runs them here, and whose keys that user has."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from jackline.cli import keys, state
from jackline.errors import JacklineError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from jackline.bundle import Bundle
    from jackline.home import Home


def possible(bundle: Bundle, home: Home) -> str:
    """What is said where the user of this process runs agents and has an approver's key; else empty.

    Agents run as whoever owns the home and its journals. Keys in other users' folders cannot be seen from here.
    """
    if not bundle.approvers or not hasattr(os, "getuid") or os.getuid() not in _agents(home):
        return ""
    pinned = {one.key: name for name, one in bundle.approvers.people.items()}
    mine = sorted({pinned[key] for key in _public() if key in pinned})
    if not mine:
        return ""
    who = ", ".join(mine)
    return (
        f"self-approval possible: '{state.person()}' runs agents here and has the key of {who} ({keys.folder()}): "
        "run agents as a user of their own"
    )


def _agents(home: Home) -> set[int]:
    """The user ids that have written here."""
    paths = [home.path, *home.journals.glob("*.jsonl")] if home.path.exists() else []
    return {path.stat().st_uid for path in paths}


def _public() -> Iterator[str]:
    """The public halves of this user's keys, as bundles pin them."""
    from jackline.answers import public_text  # noqa: PLC0415 - cryptography only where there are keys

    for path in keys.folder().glob("*.pem"):
        try:
            yield public_text(keys.load(path.stem)[1])
        except JacklineError:  # no key of this user's after all
            continue

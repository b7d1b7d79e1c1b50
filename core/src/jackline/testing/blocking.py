"""What a detector of blocking calls has to know of Jackline: the small file accesses that are accepted on a loop.

The journal's write goes into the page cache (1 to 3 us). The rest is rare: a new file, a reloaded mark, a new agent,
a new model's price.
Databases, network and locks that wait are not among them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

WRITES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("jackline/journal/writer.py", ("_write",)),
    ("jackline/journal/payloads.py", ("_write",)),
    ("jackline/registry.py", ("_append",)),
)
"""Where each act may write a line: (end of the file's path, functions)."""

FILES: tuple[tuple[str, tuple[str, ...]], ...] = (
    ("jackline/journal/writer.py", ("_ready", "_look", "_own")),
    ("jackline/journal/payloads.py", ("_open",)),
    ("jackline/registry.py", ("refresh", "_exclusive")),
    ("jackline/control.py", ("_read", "_write", "stops", "halts")),
    ("jackline/sessions.py", ("_put_aside", "_restored")),
    ("jackline/prices/__init__.py", ("_read", "_keep")),
    ("jackline/approvals/asked.py", ("mark",)),
)
"""Where a file is now and then opened, looked at, read or replaced."""

_FILE_CALLS = (
    "os.mkdir",
    "os.stat",
    "os.listdir",
    "os.scandir",
    "os.replace",
    "os.rename",
    "os.unlink",
    "os.write",
    "io.BufferedReader.read",
    "io.BufferedWriter.write",
    "io.TextIOWrapper.read",
)


class _Function(Protocol):
    def can_block_in(self, filename: str, functions: Iterable[str]) -> Any:
        """Accept a call that one of these functions of this file makes."""


class Detector(Protocol):
    """What a `blockbuster.BlockBuster` is here."""

    @property
    def functions(self) -> Mapping[str, _Function]:
        """The functions that it watches, by name."""


def allow_journal_writes(blockbuster: Detector) -> None:
    """Tell a BlockBuster of the writes and file accesses that Jackline makes on an event loop, and of nothing else."""
    watched = blockbuster.functions
    for file, functions in WRITES:
        watched["os.write"].can_block_in(file, set(functions))
    for name in _FILE_CALLS:
        if name in watched:
            for file, functions in FILES:
                watched[name].can_block_in(file, set(functions))

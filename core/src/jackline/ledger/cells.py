"""The ledger's mapped file: a cell for each scope, a record for each reservation, and the redo log over both.

The file is an array of 64-bit words: a header, the redo log, then blocks and hash tables in the order in
which they were needed. Everything here is called with the ledger's lock held. What another process can reach
changes only through `commit`, whole or not at all, wherever a process is killed.
"""

from __future__ import annotations

import mmap
import os
import struct
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING

from jackline.errors import LedgerError

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

MAGIC = int.from_bytes(b"JACKLEDG", "little")
VERSION = 2
MEBIBYTE = 1 << 20
CHUNK = MEBIBYTE
"""Bytes by which the file grows."""
CAPACITY = 1 << 15
"""Entries of the first hash table; it is built anew, four times as large, when half of it is used."""
KNOWN = 1 << 16
"""Scopes that a process remembers the place of."""
LARGEST = 1 << 31
"""Bytes that the file may have: some 8 million scopes. Block numbers of reservation ids end there."""

(H_MAGIC, H_VERSION, H_SIZE, H_END, H_LAYOUT, H_FREE_CELL, H_FREE_RECORD, H_CHAIN, H_SERIAL, H_OWNERS) = range(10)
(H_TABLE, H_CAPACITY, H_USED, H_SPARE, H_SPARE_CAPACITY, H_BOOT, H_INTENT, LOG) = range(10, 18)
LOG_WORDS = 128
HEADER = 160

CELL = 32
"""Words of a cell's block: 256 bytes. A cell is named by its first word, which is what it has spent."""
(SPENT, HELD, KEY1, KEY2, TOUCHED, UNIT, NEXT_FREE_CELL, LENGTH, CREDIT, TURN, TEXT) = range(11)
TEXT_BYTES = 8 * (CELL - TEXT)

RECORD = 64
"""Words of a reservation's block: 512 bytes."""
(ID, OWNER, AT, COUNT, CHAIN, NEXT_FREE_RECORD, PARTS) = range(7)
MAX_SCOPES = (RECORD - PARTS) // 2

_PACKS = [struct.Struct(f"{n}q") for n in range(max(LOG_WORDS, RECORD) + 1)]
_KEYS = struct.Struct("qq")
_BURIED = -1
DAMAGE = (IndexError, KeyError)
"""What reading blocks raises where their numbers are no blocks' or units'."""


def keys(scope: str) -> tuple[int, int]:
    """Hash a scope to 128 bits, as two words."""
    first, second = _KEYS.unpack(blake2b(scope.encode("utf-8", "surrogatepass"), digest_size=16).digest())
    return first, second


def boot() -> int:
    """Tell one start of the host from another; 0 where the platform does not say."""
    try:
        text = Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii")
    except OSError:
        return 0
    return int(text.replace("-", "")[:15], 16)


def allocate(fd: int, start: int, stop: int) -> None:
    """Give the file real blocks, so that a full disk is an error here and not a SIGBUS at a later store."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(fd, start, stop - start)
        return
    for at in range(start, stop, MEBIBYTE):
        size = min(MEBIBYTE, stop - at)
        if os.pwrite(fd, bytes(size), at) != size:
            raise OSError(f"short write at byte {at}")


def create(path: Path) -> None:
    """Write an empty ledger: complete under its name, or not there."""
    draft = path.with_suffix(".draft")
    table_end = HEADER + 2 * CAPACITY
    size = -(-8 * (table_end + CELL) // CHUNK) * CHUNK
    words = [0] * HEADER
    words[H_MAGIC], words[H_VERSION], words[H_SIZE], words[H_END] = MAGIC, VERSION, size // 8, table_end
    words[H_TABLE], words[H_CAPACITY], words[H_BOOT] = HEADER, CAPACITY, boot()
    draft.unlink(missing_ok=True)
    fd = os.open(draft, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        allocate(fd, 0, size)
        os.pwrite(fd, struct.pack(f"{HEADER}q", *words), 0)
        os.fsync(fd)
    finally:
        os.close(fd)
    draft.rename(path)


def _misled(head: Sequence[int], words: int) -> str:
    """Say which number of the header leads out of the file; empty where none does."""
    if not HEADER <= head[H_END] <= words:
        return "its end is damaged"
    if any(head[at] and not HEADER <= head[at] < words for at in (H_FREE_CELL, H_FREE_RECORD, H_CHAIN)):
        return "its list of blocks is damaged"
    if not 0 <= head[H_OWNERS] < 1 << 40:
        return "its count of processes is damaged"
    size = head[H_INTENT]
    if not 0 <= size <= LOG_WORDS or size % 2 or any(not 0 <= at < words for at in head[LOG : LOG + size : 2]):
        return "its log is damaged"
    return ""


class Cells:
    """The mapped file. `words` is what all processes see; it is replaced when the file grows."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        self.known: dict[tuple[str, str], int] = {}
        """Cells by scope and unit, as this process has found them."""
        try:
            self._check()
            self._map()
        except BaseException:
            os.close(self.fd)
            raise

    def _check(self) -> None:
        head = os.pread(self.fd, 8 * HEADER, 0)
        size = os.fstat(self.fd).st_size
        what = ""
        if len(head) < 8 * HEADER:
            what = f"it ends after {len(head)} bytes"
        else:
            magic, version, words = struct.unpack_from("3q", head)
            if magic != MAGIC:
                what = "it does not begin as a ledger does"
            elif version != VERSION:
                what = f"it has format {version}, and this jackline reads format {VERSION}"
            elif size < 8 * words:
                what = f"it has {size} bytes of {8 * words}"
            else:
                table, capacity = struct.unpack_from("2q", head, 8 * H_TABLE)
                if capacity < CAPACITY or capacity & (capacity - 1) or not HEADER <= table <= words - 2 * capacity:
                    what = "its table is damaged"  # a search in it might never end
                else:
                    what = _misled(struct.unpack(f"{HEADER}q", head), words)
        if what:
            raise LedgerError(self.advice(what))

    def advice(self, what: str) -> str:
        """Say what is wrong with the file and what to do."""
        return (
            f"The ledger {self.path} cannot be used: {what}. Nothing was changed, and nothing that a budget meters is "
            f"permitted. Stop the agents, then restore {self.path.name} from a copy, or move the whole folder "
            f"{self.path.parent} away to start at zero on purpose."
        )

    def damaged(self, error: Exception) -> LedgerError:
        """What is raised where a block leads to none."""
        return LedgerError(self.advice(f"its content is damaged ({type(error).__name__}: {error})"))

    def _map(self) -> None:
        with memoryview(os.pread(self.fd, 8 * HEADER, 0)).cast("q") as head:
            size, layout = head[H_SIZE], head[H_LAYOUT]
        self.map = mmap.mmap(self.fd, 8 * size)
        self.words = memoryview(self.map).cast("q")
        self.known.clear()
        self.layout = layout

    def refresh(self) -> None:
        """Complete what a killed process had begun, then follow growth and pruning by others."""
        words = self.words
        if words[H_INTENT]:
            self.redo()
        if words[H_LAYOUT] != self.layout:
            if os.fstat(self.fd).st_size < 8 * self.words[H_SIZE]:
                raise LedgerError(self.advice("it was cut short while in use"))
            self._map()

    def commit(self, changes: Sequence[int]) -> None:
        """Store the changes (word, value, word, value, ...) as one step that the next holder of the lock completes.

        The number of logged words is what makes the step count: it is stored after the log and before the first
        change. A kill before it leaves all as it was; after it, `redo` repeats the stores, which say values and
        not differences.
        """
        words = self.words
        size = len(changes)
        _PACKS[size].pack_into(self.map, 8 * LOG, *changes)
        words[H_INTENT] = size
        pairs = iter(changes)
        for at, value in zip(pairs, pairs):  # noqa: B905 - saves 0.2 us, and an odd number cannot be
            words[at] = value
        words[H_INTENT] = 0

    def redo(self) -> None:
        """Repeat the step that was begun and not ended."""
        logged = self.words[LOG : LOG + self.words[H_INTENT]].tolist()
        if max(logged[::2]) >= len(self.words):
            self._map()
        for at, value in zip(logged[::2], logged[1::2], strict=True):
            self.words[at] = value
        self.words[H_INTENT] = 0

    def room(self, size: int) -> int:
        """Find `size` words at the end of the file, which grows where it must; nothing is taken yet."""
        end = self.words[H_END]
        have = self.words[H_SIZE]
        if end + size > have:
            stop = -(-8 * (end + size) // CHUNK) * CHUNK
            if stop > LARGEST:
                raise LedgerError(
                    f"The ledger {self.path} is full: it may have {LARGEST} bytes. Prune scopes that are over "
                    "(`jackline budget prune`)."
                )
            try:
                allocate(self.fd, 8 * have, stop)
            except OSError as error:
                raise LedgerError(
                    f"The ledger {self.path} cannot grow to {stop} bytes: {error}. What was booked stands. "
                    "Free space on the disk, or prune scopes that are over (`jackline budget prune`)."
                ) from error
            self.commit([H_SIZE, stop // 8, H_LAYOUT, self.words[H_LAYOUT] + 1])
            self._map()
        return end

    def write(self, at: int, values: list[int]) -> None:
        """Fill a block that nothing refers to yet."""
        _PACKS[len(values)].pack_into(self.map, 8 * at, *values)

    def find(self, scope: str) -> int:
        """Where a scope's cell is, or 0."""
        if len(self.known) >= KNOWN:
            self.known.clear()
        return self._probe(*keys(scope))[1]

    def _probe(self, key1: int, key2: int) -> tuple[int, int]:
        """Return the entry of a key and its cell, or the entry where it would go and 0."""
        words = self.words
        table, mask = words[H_TABLE], words[H_CAPACITY] - 1
        slot = key1 & mask
        vacant = 0
        while True:
            entry = table + 2 * slot
            cell = words[entry + 1]
            if cell == 0:
                return vacant or entry, 0
            if cell == _BURIED:
                vacant = vacant or entry
            elif words[entry] == key1 and words[cell + KEY2] == key2:
                return entry, cell
            slot = (slot + 1) & mask

    def add(self, scope: str, unit: int, at: int) -> int:
        """Make a cell with nothing spent for a scope that has none."""
        if 2 * (self.words[H_USED] + 1) > self.words[H_CAPACITY]:
            self._rebuild()
        cell = self.words[H_FREE_CELL]
        took = (H_FREE_CELL, self.words[cell + NEXT_FREE_CELL]) if cell else ()
        if not cell:
            cell = self.room(CELL)
            took = (H_END, cell + CELL)
        words = self.words
        key1, key2 = keys(scope)
        entry, _ = self._probe(key1, key2)
        text = scope.encode("utf-8", "replace")[:TEXT_BYTES]
        self.write(cell, [0, 0, key1, key2, at, unit, 0, len(text), 0, 0])
        self.map[8 * (cell + TEXT) : 8 * (cell + TEXT) + len(text)] = text
        used = words[H_USED] + (words[entry + 1] == 0)
        self.commit([*took, entry, key1, entry + 1, cell, H_USED, used])
        return cell

    def _rebuild(self) -> None:
        """Build the hash table anew without buried entries, larger where the cells need it."""
        old = list(self.entries())
        capacity = self.words[H_CAPACITY]
        wanted = capacity * 4 if 4 * len(old) > capacity else capacity
        spare = self.words[H_SPARE]
        took: tuple[int, ...] = ()
        if not spare or self.words[H_SPARE_CAPACITY] != wanted:
            spare = self.room(2 * wanted)
            took = (H_END, spare + 2 * wanted)
        words = self.words
        self.map[8 * spare : 8 * (spare + 2 * wanted)] = bytes(16 * wanted)
        for _, cell in old:
            key1 = words[cell + KEY1]
            slot = key1 & (wanted - 1)
            while words[spare + 2 * slot + 1]:
                slot = (slot + 1) & (wanted - 1)
            words[spare + 2 * slot], words[spare + 2 * slot + 1] = key1, cell
        replaced = (H_SPARE, words[H_TABLE], H_SPARE_CAPACITY, capacity, H_TABLE, spare, H_CAPACITY, wanted)
        self.commit([*took, *replaced, H_USED, len(old)])

    def entries(self, first: int = 0, count: int = LARGEST) -> Iterator[tuple[int, int]]:
        """Yield each cell with its entry in the hash table, (entry, cell), from the `first` of `count` entries on."""
        table = self.words[H_TABLE]
        start, stop = 2 * first, 2 * min(first + count, self.words[H_CAPACITY])
        entries = self.words[table + start : table + stop].tolist()
        for at in range(1, len(entries), 2):
            if entries[at] > 0:
                yield table + start + at - 1, entries[at]

    def room_for_scopes(self) -> tuple[int, int]:
        """How many cells there are, and about how many there can be."""
        used = sum(1 for _ in self.entries())
        return used, max(used, self._most(used))

    def _most(self, used: int) -> int:
        """Count what is free, and what the largest file leaves beside larger tables."""
        words, capacity = self.words, self.words[H_CAPACITY]
        free, cell = LARGEST // 8 - words[H_END], words[H_FREE_CELL]
        found = used
        while cell and found < LARGEST // (8 * CELL):
            found += 1
            cell = words[cell + NEXT_FREE_CELL]
        while found + free // CELL > capacity // 2:
            if free - 8 * capacity < 0 or found + (free - 8 * capacity) // CELL < capacity // 2:
                return capacity // 2
            free -= 8 * capacity
            capacity *= 4
        return found + free // CELL

    def reachable(self, cell: int) -> bool:
        """Whether a search for a cell's key finds this cell."""
        return self._probe(self.words[cell + KEY1], self.words[cell + KEY2])[1] == cell

    def bury(self, entry: int, cell: int) -> None:
        """Take a cell out of the table; its block is used again."""
        words = self.words
        freed = (cell + NEXT_FREE_CELL, words[H_FREE_CELL], H_FREE_CELL, cell)
        self.commit([entry + 1, _BURIED, *freed, H_LAYOUT, words[H_LAYOUT] + 1])
        self.known.clear()
        self.layout = words[H_LAYOUT]

    def scope(self, cell: int) -> str:
        """Read a cell's scope as text, at most 176 bytes of it."""
        start = 8 * (cell + TEXT)
        return self.map[start : start + self.words[cell + LENGTH]].decode("utf-8", "replace")

    def records(self) -> Iterator[int]:
        """Yield where each reservation's block is, the free ones among them."""
        record = self.words[H_CHAIN]
        while record:
            yield record
            record = self.words[record + CHAIN]

    def parts(self, record: int) -> Iterator[tuple[int, int]]:
        """Yield the cells of a reservation and what it holds in each."""
        parts = iter(_PACKS[2 * self.words[record + COUNT]].unpack_from(self.map, 8 * (record + PARTS)))
        return zip(parts, parts)  # noqa: B905 - as in commit

    def close(self) -> None:
        """Give the map and the descriptor back."""
        self.words.release()
        self.map.close()
        os.close(self.fd)

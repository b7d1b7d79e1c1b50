"""Prices: what a model call costs, from genai-prices and the user's own file, never from the network."""

from __future__ import annotations

import contextlib
import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, ClassVar, Final

import msgspec

from jackline.events import Cost, Usage
from jackline.prices.override import Override, PriceError
from jackline.prices.price import Dated, Price, Rates, Worst, choose
from jackline.waiting import on_event_loop

if TYPE_CHECKING:
    from jackline.prices.table import Table

__all__ = ["CACHE_HIT", "Price", "PriceError", "Prices", "Rates", "Worst"]

CACHE_HIT: Final = Cost(micro_usd=0, source="cache hit")
"""What an answer costs that came from a cache of the framework and was never asked of the provider."""

_REMEMBERED = 4096
_FORMAT = 1
_IMPORT_S = 10.0
"""For how long a fork waits for an import that goes on in a thread; it takes some 150 ms of processor time."""


class _Cached(msgspec.Struct, frozen=True):
    """The cache file: what one version of genai-prices answered."""

    format: int
    source: str
    prices: dict[str, tuple[Dated, ...]]


class Prices:
    """Find prices by model, provider and time.

    The user's file is asked first, then genai-prices, then the user's default for models that nothing prices.
    None means unknown, never free. Importing genai-prices takes some 150 ms: `warm` does it in a thread, and what
    was looked up is kept in a small file for each of its versions. A model that is neither there nor in memory is
    looked up at once, except on an event loop while the table is not ready: a loop must not wait, so the price is
    then unknown (and what needs it denied) until `ready`. Whoever builds a guard avoids that with `warm(wait=5)`.
    """

    _warming: ClassVar[set[threading.Thread]] = set()
    _cut_off: ClassVar[bool] = False
    """Whether this process was forked in the middle of the import, which nobody can finish in it."""

    def __init__(self, override: Override, cache: Path | None, version: str) -> None:
        self.problem = ""
        """Why genai-prices cannot be used; empty while it can."""
        self._override = override
        self._version = version
        self._cache = cache / f"prices-{version}.json" if cache is not None and version else None
        self._kept = self._read()
        self._known: dict[tuple[str, str], tuple[Dated, ...]] = {}
        self._table: Table | None = None
        self._loading = threading.Lock()
        self._thread: threading.Thread | None = None

    @classmethod
    def load(cls, override: Path | str | None = None, cache: Path | str | None = None) -> Prices:
        """Read the user's file (PriceError where it is wrong) and what was kept in the folder `cache`."""
        from importlib import metadata  # noqa: PLC0415 - once, when a guard is built

        try:
            version = metadata.version("genai-prices")
        except metadata.PackageNotFoundError:
            version = ""
        own = Override(Path(override) if override is not None else None)
        return cls(own, Path(cache) if cache is not None else None, version)

    def warm(self, wait: float = 0.0) -> bool:
        """Load the table in a thread, once; wait for it at most that many seconds. True where it is ready."""
        with self._loading:
            if self._thread is None:
                self._thread = threading.Thread(target=self._load, name="jackline-prices", daemon=True)
                self._warming.add(self._thread)
                self._thread.start()
        if wait:
            self._thread.join(wait)
        return self.ready()

    def ready(self) -> bool:
        """Whether every lookup is answered at once."""
        return self._table is not None or bool(self.problem)

    @property
    def kept(self) -> int:
        """How many models an earlier process looked up: their prices are there at once."""
        return len(self._kept)

    def price(self, model: str, provider: str = "", at: float = 0.0) -> Price | None:
        """Return a model's price at a Unix time; None where it is not known.

        `provider` may be a name of LangChain's or OpenTelemetry's (`google_genai`, `aws.bedrock`) or empty, and the
        model may be a Bedrock name with a region or carry its provider (`openai/gpt-5`).
        """
        dated = self._known.get((model, provider))
        if dated is None:
            dated = self._find(model, provider)
            if dated is None:
                return choose(self._override.lookup(model, provider), at)
        return choose(dated, at) or self._override.default

    def cost(self, model: str, provider: str, usage: Usage, at: float) -> Cost | None:
        """Price what a call used; None where the model's price is not known, never zero."""
        price = self.price(model, provider, at)
        if price is None:
            return None
        return Cost(micro_usd=price.cost(usage), matched=price.matched, source=price.source)

    def _find(self, model: str, provider: str) -> tuple[Dated, ...] | None:
        """Look a model up; None where the table would have to be waited for on an event loop."""
        key = f"{provider}/{model}"
        found = self._kept.get(key)
        if found is None:
            if not self.ready():
                if on_event_loop():
                    self.warm()
                    return None
                self._load()
            found = self._ask(model, provider)
            if found:
                self._keep(key, found)
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        result = self._known[model, provider] = found + self._override.lookup(model, provider)
        return result

    def _ask(self, model: str, provider: str) -> tuple[Dated, ...]:
        if self._table is None:
            return ()
        try:
            return self._table.lookup(model, provider)
        except LookupError as error:
            self.problem = str(error)
            return ()

    def _load(self) -> None:
        if self._cut_off:
            self.problem = "genai-prices cannot be used: this process was forked while it was being imported"
            return
        try:
            from jackline.prices.table import Table  # noqa: PLC0415 - the slow import

            self._table = Table(self._version)
        except Exception as error:  # noqa: BLE001 - a broken table is no price, and said
            self.problem = f"genai-prices cannot be used: {type(error).__name__}: {error}"
        finally:
            self._warming.discard(threading.current_thread())

    def _read(self) -> dict[str, tuple[Dated, ...]]:
        if self._cache is None:
            return {}
        try:
            cached = msgspec.json.decode(self._cache.read_bytes(), type=_Cached)
        except (OSError, msgspec.DecodeError):
            return {}
        return cached.prices if cached.format == _FORMAT and cached.source == self._version else {}

    def _keep(self, key: str, found: tuple[Dated, ...]) -> None:
        """Write what was looked up for the next process; a cache that cannot be written costs time only."""
        if self._cache is None:
            return
        self._kept = {**self._read(), **self._kept, key: found}
        draft = self._cache.with_suffix(f".{os.getpid()}-{threading.get_ident()}.draft")
        with contextlib.suppress(OSError):
            draft.parent.mkdir(parents=True, exist_ok=True)
            draft.write_bytes(msgspec.json.encode(_Cached(_FORMAT, self._version, self._kept)))
            draft.replace(self._cache)


def _finish_warming() -> None:
    """Let imports in threads end before a fork: a child would wait for ever on a half imported module."""
    for thread in list(Prices._warming):  # noqa: SLF001 - the class's own module
        thread.join(_IMPORT_S)


def _without_threads() -> None:
    """In the child of a fork: an import that did not end in time has no thread here, and its lock no owner."""
    Prices._cut_off = Prices._cut_off or bool(Prices._warming)  # noqa: SLF001 - the same
    Prices._warming.clear()  # noqa: SLF001 - the same


os.register_at_fork(before=_finish_warming, after_in_child=_without_threads)

"""How often a wrong password may be tried: each failure of an account, or from an address, makes the next one wait."""

from __future__ import annotations

import ipaddress
import threading
from collections import OrderedDict

FREE = 5
"""Failures without a wait."""
FIRST_S = 1.0
LONGEST_S = 900.0
FORGET_S = 3600.0
_MOST = 10_000
"""Accounts and addresses that are remembered: what failed last stays."""

_Key = tuple[str, ...]


class Attempts:
    """Failures by account and by address; bounded, thread-safe. Times are Unix seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: OrderedDict[_Key, tuple[int, float]] = OrderedDict()
        self._known: OrderedDict[_Key, None] = OrderedDict()
        """From where accounts have been let in: who floods a name from elsewhere does not stop them."""

    def attempt(self, account: str, address: str, now: float) -> float:
        """Begin an attempt, which counts as failed until it succeeds: at once, so that many in parallel are many.

        Gives 0, or the seconds until one is looked at again; then nothing was counted.
        """
        with self._lock:
            keys = self._keys(account, address)
            wait = max(0.0, *[self._until(key) - now for key in keys])
            if wait > 0:
                return wait
            for key in keys:
                count, last = self._failed.pop(key, (0, now))
                self._failed[key] = (1 if now - last > FORGET_S else count + 1, now)
            while len(self._failed) > _MOST:
                self._failed.popitem(last=False)
            return 0.0

    def withdrawn(self, account: str, address: str) -> None:
        """Take back an attempt that was not looked at."""
        with self._lock:
            for key in self._keys(account, address):
                self._less(key)

    def succeeded(self, account: str, address: str) -> None:
        """Take an attempt back, and forget the failures of its account. Those of other names from there stay."""
        with self._lock:
            own, place = self._keys(account, address)
            self._failed.pop(own, None)
            self._less(place)
            self._known[("account", _folded(account), place[1])] = None
            while len(self._known) > _MOST:
                self._known.popitem(last=False)

    def _less(self, key: _Key) -> None:
        count, last = self._failed.get(key, (0, 0.0))
        if count > 1:
            self._failed[key] = (count - 1, last)
        else:
            self._failed.pop(key, None)

    def _until(self, key: _Key) -> float:
        count, last = self._failed.get(key, (0, 0.0))
        # An address stands for many accounts behind one router: it may fail more often.
        over = count - (FREE if key[0] == "account" else 4 * FREE)
        return last + min(LONGEST_S, FIRST_S * 2 ** min(over, 20)) if over >= 0 else 0.0

    def _keys(self, account: str, address: str) -> tuple[_Key, ...]:
        """What an attempt counts for. Links and unknown tokens are of no account, and stop no password."""
        place = network(address)
        if not account:
            return (("unnamed", place),)
        here = ("account", _folded(account), place)
        return (here if here in self._known else here[:2]), ("address", place)


def network(address: str) -> str:
    """An address; of IPv6 the network that one customer has at least: its addresses cost nothing."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address[:64]
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    return str(found.ipv4_mapped or ipaddress.ip_network((found, 64), strict=False))


def _folded(account: str) -> str:
    return account[:64].casefold()

"""How often a wrong password may be tried: each failure of an account, or from an address, makes the next one wait."""

from __future__ import annotations

import threading
from collections import OrderedDict

FREE = 5
"""Failures without a wait."""
FIRST_S = 1.0
LONGEST_S = 900.0
FORGET_S = 3600.0
_MOST = 10_000
"""Accounts and addresses that are remembered: what failed last stays."""


class Attempts:
    """Failures by account and by address; bounded, thread-safe. Times are Unix seconds."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._failed: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def wait(self, account: str, address: str, now: float) -> float:
        """Seconds until the next try is looked at; 0 where it is now."""
        with self._lock:
            return max(0.0, *[self._until(key) - now for key in _keys(account, address)])

    def failed(self, account: str, address: str, now: float) -> None:
        """Count a failure."""
        with self._lock:
            for key in _keys(account, address):
                count, last = self._failed.pop(key, (0, now))
                self._failed[key] = (1 if now - last > FORGET_S else count + 1, now)
            while len(self._failed) > _MOST:
                self._failed.popitem(last=False)

    def succeeded(self, account: str, address: str) -> None:
        """Forget the failures of an account that was let in, and of where it came from."""
        with self._lock:
            for key in _keys(account, address):
                self._failed.pop(key, None)

    def _until(self, key: tuple[str, str]) -> float:
        count, last = self._failed.get(key, (0, 0.0))
        # An address stands for many accounts behind one router: it may fail more often.
        over = count - (FREE if key[0] == "account" else 4 * FREE)
        return last + min(LONGEST_S, FIRST_S * 2 ** min(over, 20)) if over >= 0 else 0.0


def _keys(account: str, address: str) -> tuple[tuple[str, str], ...]:
    """Links and unknown tokens are of no account: only where they come from counts."""
    place = ("address", address)
    return (("account", account[:64].casefold()), place) if account else (place,)

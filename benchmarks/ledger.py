"""What a reservation and its settlement cost, alone and against other processes.

    python benchmarks/ledger.py [pairs]

Prints the time of a pair over two scopes, how eight processes share one ledger, how long a process waits for the
lock while another one is busy with other things, and what growth costs.
"""

from __future__ import annotations

import os
import sys
import tempfile
import threading
import time
from pathlib import Path

from jackline.control import Control
from jackline.decision import Claim, Reservation
from jackline.ledger import Ledger


def claims(cap: int = 10**15) -> list[Claim]:
    session = "session-ceiling/session/0123456789abcdef0123456789abcdef/usd"
    return [
        Claim(scope=session, unit="usd", cap=cap, fixed=1_200, per_output=15_000_000),
        Claim(scope="team-a-day/day/2026-01-01/usd", unit="usd", cap=cap, fixed=1_200, per_output=15_000_000),
    ]


def pair(ledger: Ledger, wanted: list[Claim]) -> None:
    made = ledger.reserve(wanted, output=1_000, at=1.0)
    assert isinstance(made, Reservation)
    ledger.settle(made, {"usd": 500}, 1.0)


def timed(ledger: Ledger, pairs: int, pause: float = 0.0) -> list[float]:
    """Microseconds of each pair, sorted."""
    wanted, took = claims(), []
    for _ in range(pairs):
        start = time.perf_counter_ns()
        pair(ledger, wanted)
        took.append((time.perf_counter_ns() - start) / 1_000)
        if pause:
            time.sleep(pause)
    return sorted(took)


def line(name: str, took: list[float]) -> None:
    parts = [("median", 0.5), ("p99", 0.99), ("p99.9", 0.999)]
    told = "  ".join(f"{label} {took[int(len(took) * part)]:9.1f}" for label, part in parts)
    print(f"{name:44s} {told}  max {took[-1]:10.1f}  us")


def in_children(count: int, act: object) -> None:
    pids = []
    for _ in range(count):
        pid = os.fork()
        if pid == 0:
            act()
            os._exit(0)
        pids.append(pid)
    for pid in pids:
        os.waitpid(pid, 0)


def eight(ledger: Ledger, pairs: int) -> None:
    def child() -> None:
        line("  one of 8 processes", timed(ledger, pairs))

    start = time.perf_counter()
    in_children(8, child)
    seconds = time.perf_counter() - start
    print(f"{'8 processes together':44s} {8 * pairs / seconds:9.0f} pairs/s")


def beside_a_busy_process(ledger: Ledger) -> None:
    """The other process has a thread that never gives up the GIL by itself: the worst neighbour of an event loop."""
    stop = time.monotonic() + 3

    def burn() -> None:
        while time.monotonic() < stop:
            sum(range(100))

    def child() -> None:
        threading.Thread(target=burn, daemon=True).start()
        while time.monotonic() < stop:
            pair(ledger, claims())
            time.sleep(0.0001)

    pid = os.fork()
    if pid == 0:
        child()
        os._exit(0)
    line("beside a process with a busy thread", timed(ledger, 5_000, pause=0.0003))
    os.waitpid(pid, 0)


def growth(folder: str) -> None:
    ledger = Ledger.open(Path(folder) / "growing")
    took = []
    for number in range(20_000):
        start = time.perf_counter_ns()
        ledger.release(ledger.reserve([Claim(scope=f"session/{number}", unit="usd", cap=9, fixed=1)], at=1.0))
        took.append((time.perf_counter_ns() - start) / 1_000)
    line("20,000 new scopes (the table grows once)", sorted(took))
    start = time.perf_counter()
    forgotten = ledger.prune(2.0)
    print(f"{f'pruning {forgotten} scopes':44s} {(time.perf_counter() - start) * 1_000:9.0f} ms")


def main() -> None:
    pairs = int(sys.argv[1]) if len(sys.argv) > 1 else 20_000
    with tempfile.TemporaryDirectory() as folder:
        ledger = Ledger.open(Path(folder) / "ledger")
        timed(ledger, 1_000)
        line("reserve + settle, 2 scopes", timed(ledger, pairs))
        beside_a_busy_process(ledger)
        eight(ledger, pairs // 4)
        assert ledger.audit() == []
        assert {entry.held for entry in ledger.balances()} == {0}
        growth(folder)
        control = Control(Path(folder) / "control")
        start = time.perf_counter_ns()
        for _ in range(100_000):
            _ = control.epoch
        print(f"{'control.epoch':44s} {(time.perf_counter_ns() - start) / 100_000:9.0f} ns")


if __name__ == "__main__":
    main()

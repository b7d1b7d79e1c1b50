"""Cases of the pack `pii`: what looking at a text costs. Every value in the texts is a published example."""

from __future__ import annotations

from typing import TYPE_CHECKING

from timing import Case, Local

from jackline_pii.catalogue import DEFAULT
from jackline_pii.loading import scanner

if TYPE_CHECKING:
    from contextlib import ExitStack

KILOBYTE = 1000
PROSE = (
    "The tenants met in the garden behind the library and talked about the weather, the choir and who would bake for "
    "the market. Nobody had an answer, so the oldest of them promised to ask around and to write the names on a list. "
)
DENSE = (
    "Dear Anna Schmidt, thank you for your order. We could not reach you on +44 20 7946 0958, so Mr Jonathan Meyer of "
    "our team in Leeds writes to you instead: the card 4111 1111 1111 1111 was declined on Friday, 13 March. Please "
    "answer to billing@example.org, or send the amount of 84.50 EUR to GB82 WEST 1234 5698 7654 32. Kind regards. "
)
ADVERSARIAL = "a1-"


def texts() -> dict[str, str]:
    """The texts by name: clean has no digit; dense has a value in every 85 characters, and names."""
    return {
        "1 kB clean": (PROSE * 6)[:KILOBYTE],
        "1 kB dense": (DENSE * 4)[:KILOBYTE],
        "100 kB dense": (DENSE * 400)[: 100 * KILOBYTE],
        "32 kB of `a1-`": (ADVERSARIAL * 11_000)[: 32 * 1024],
        "64 kB of `a1-`": (ADVERSARIAL * 22_000)[: 64 * 1024],
    }


def cases(_: ExitStack) -> list[Case]:
    """Every case of this file."""
    found = scanner(DEFAULT)
    goals = {"1 kB clean": 10.0, "1 kB dense": 300.0}
    return [
        Case(
            f"pii: scan, {name}, {len(DEFAULT)} entities",
            Local(lambda text=text: found.scan(text)),
            goal=goals.get(name),
        )
        for name, text in texts().items()
    ]


def main() -> int:
    """Print median and 99th percentile of each, in microseconds of CPU."""
    import time  # noqa: PLC0415 - only when run by itself

    found = scanner(DEFAULT)
    for name, text in texts().items():
        times = []
        for _ in range(400 if len(text) == KILOBYTE else 20):
            started = time.thread_time_ns()
            found.scan(text)
            times.append((time.thread_time_ns() - started) / 1000)
        times.sort()
        median, late = times[len(times) // 2], times[len(times) * 99 // 100]
        print(f"{name:16} median {median:9.1f} us  p99 {late:9.1f} us  {len(found.scan(text))} found")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())

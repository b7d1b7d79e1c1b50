"""Who may wait: an event loop never does, and an answer that nobody waits for any more is given back."""

from __future__ import annotations

import sys
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

T = TypeVar("T")


def on_event_loop() -> bool:
    """Whether an event loop runs in this thread: what waits here holds up everything else on it."""
    # Another thread may be in the middle of importing it: then no loop runs in this one.
    running = getattr(sys.modules.get("asyncio"), "get_running_loop", None)
    if running is None:
        return False
    try:
        running()
    except RuntimeError:
        return False
    return True


async def elsewhere(body: Callable[[], T], unwanted: Callable[[T], object]) -> T:
    """Run `body` in a thread; `unwanted` gets its answer where the caller was cancelled meanwhile."""
    from asyncio import CancelledError, to_thread  # noqa: PLC0415 - a program without an event loop does not pay for it

    lock = threading.Lock()
    answers: list[T] = []
    gone = False

    def run() -> T:
        found = body()
        with lock:
            answers.append(found)
            late = gone
        if late:
            unwanted(found)
        return found

    try:
        return await to_thread(run)
    except CancelledError:
        with lock:
            gone = True
            late = bool(answers)
        if late:
            unwanted(answers[0])
        raise

"""A bounded pool with a deadline for policies not trusted to be quick: a hung one costs a worker, not an agent."""

from __future__ import annotations

import os
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from jackline.decision import Verdict


class DeadlineError(Exception):
    """A policy did not answer in time, or no worker was free to ask it."""


class _Job:
    __slots__ = ("answer", "body", "done", "error")

    def __init__(self, body: Callable[[], Verdict | None]) -> None:
        self.body = body
        self.done = threading.Event()
        self.answer: Verdict | None = None
        self.error: BaseException | None = None

    def run(self) -> None:
        try:
            self.answer = self.body()
        except BaseException as error:  # noqa: BLE001 - handed to whoever waits
            self.error = error
        finally:
            self.done.set()


class Workers:
    """At most `limit` daemon threads, started when needed; a call that finds none free is refused at once."""

    def __init__(self, limit: int = 16, deadline: float = 1.0) -> None:
        """`deadline` in seconds."""
        self.deadline = deadline
        self._limit = limit
        self._reset()
        os.register_at_fork(after_in_child=self._reset)

    def _reset(self) -> None:
        self._lock = threading.RLock()
        self._wake = threading.Condition(self._lock)
        self._jobs: list[_Job] = []
        self._idle = 0
        self._threads = 0

    def call(self, body: Callable[[], Verdict | None]) -> Verdict | None:
        """Run `body` in a worker; raise what it raises, or DeadlineError."""
        job = _Job(body)
        with self._lock:
            if self._idle > len(self._jobs):
                self._jobs.append(job)
                self._wake.notify()
            elif self._threads < self._limit:
                self._threads += 1
                self._jobs.append(job)
                threading.Thread(target=self._work, name="jackline-policy", daemon=True).start()
            else:
                raise DeadlineError(f"all {self._limit} policy workers are busy with policies that do not answer")
        if not job.done.wait(self.deadline):
            raise DeadlineError(f"no answer within {self.deadline:g} s")
        if job.error is not None:
            raise job.error
        return job.answer

    def _work(self) -> None:
        while True:
            with self._lock:
                while not self._jobs:
                    self._idle += 1
                    woken = self._wake.wait(timeout=30)
                    self._idle -= 1
                    if not woken and not self._jobs:
                        self._threads -= 1
                        return
                job = self._jobs.pop(0)
            job.run()

"""How soon an agent is at rest once a person ends its session, and that nothing begins after it.

An agent of a framework acts without end in a process of its own; a person ends its session from this one, as the
console and the command line do, and another session begins.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import threading
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from jackline.events import Decided, SessionHalted
from jackline.home import Home
from jackline.journal import Journal, read
from jackline.person import Person

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

BUNDLE = (
    "jackline: 1\npolicies:\n  - {name: no-wires, use: rule, on: tool.call, when: tool.name == 'wire', effect: halt}\n"
)
ACT_S = 0.002
"""How long an act takes, beside what the framework does."""
_TURNS = 900
"""Frameworks end an agent that never comes to an end."""


class Stopped(NamedTuple):
    """One session that a person ended."""

    session: str
    seconds: float
    """From asking that it stop to the end of the agent's run."""
    acts: int
    """Bodies that began, in all."""
    late: int
    """Of them those that began after the request was in place: one may have been permitted right before."""
    how: str
    """What the agent was told."""


def stopped(framework: str, folder: Path, times: int = 10) -> list[Stopped]:
    """End so many sessions of an agent of `framework` (as `jackline demo --framework` names it)."""
    home, bundle = Home(folder / "home").make(), folder / "stops.yaml"
    bundle.write_text(BUNDLE, encoding="utf-8")
    command = [sys.executable, "-m", "jackline.testing.stops", framework, str(bundle), str(home.path), str(times)]
    found = []
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as agent,  # noqa: S603 - this program
        Journal.open(home.journals, writer="cli") as journal,
    ):
        try:
            somebody = Person(home, "ana", journal.append)
            for number in range(times):
                session = _told(agent, "began")
                threading.Event().wait(0.01 + number % 5 * 0.007)
                asked = time.monotonic()
                somebody.stop(session, "enough")
                placed = time.monotonic()
                ended = _told(agent, "ended")
                late = sum(at > placed for at in ended["acts"])
                found.append(Stopped(session, ended["at"] - asked, len(ended["acts"]), late, ended["how"]))
            agent.wait(60)
        finally:
            agent.kill()
    return found


def after_its_end(home: Path, session: str) -> list[Decided]:
    """What was permitted in a session after the line that halted it; nothing, or stopping does not hold."""
    lines = [line.event for path in sorted((home / "journals").iterdir()) for line in read(path)]
    of = [event for event in lines if getattr(event, "session", "") == session]
    place = next(place for place, event in enumerate(of) if isinstance(event, SessionHalted))
    return [event for event in of[place:] if isinstance(event, Decided) and event.effect in ("allow", "modify")]


def _told(agent: subprocess.Popen[str], key: str) -> Any:
    assert agent.stdout is not None
    assert agent.stderr is not None
    for line in agent.stdout:
        with contextlib.suppress(ValueError):  # frameworks print as well
            told = json.loads(line)
            if isinstance(told, dict) and key in told:
                return told[key]
    raise AssertionError(f"the agent ended without a word of '{key}': {agent.stderr.read()}")


def _work(framework: str, bundle: str, home: str, times: int) -> None:
    """Be the agent: act in a session until somebody ends it, and say when its run was over."""
    from jackline.demo import agents_of  # noqa: PLC0415 - a framework
    from jackline.demo.agents import Job, Turn  # noqa: PLC0415 - as above
    from jackline.guard import Guard  # noqa: PLC0415 - as above

    agents = agents_of(framework)
    adapter = agents.adapter()
    out = os.fdopen(os.dup(1), "w")
    with Guard.load(bundle, home=home, application="stops") as guard, _governed(adapter, guard):
        for number in range(times):
            begun: list[float] = []

            def act(number: int) -> str:
                """Do something."""
                begun.append(time.monotonic())  # noqa: B023 - the job ends before the next begins
                if len(begun) == 1:  # noqa: B023 - as above
                    print(json.dumps({"began": guard.scope().session.id}), file=out, flush=True)
                threading.Event().wait(ACT_S)
                return f"did {number}"

            def script(place: int) -> Turn:
                return Turn(calls=(("act", {"number": place}),)) if place < _TURNS else Turn("done")

            job = Job(f"job-{number}", "worker", "You work.", "Work.", [act], script)
            ran = agents.run(job)
            told = {"at": time.monotonic(), "acts": begun, "how": ran.ended}
            print(json.dumps({"ended": told}), file=out, flush=True)


@contextlib.contextmanager
def _governed(adapter: Any, guard: Any) -> Iterator[None]:
    adapter.enable(guard)
    try:
        yield
    finally:
        adapter.disable(guard)


if __name__ == "__main__":
    _work(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))

"""Ana, who answers what a guard asks about refunds above 500; agents with a checkpointer; how they are called."""

from __future__ import annotations

import asyncio
import pickle
from typing import TYPE_CHECKING, Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from langgraph.checkpoint.memory import InMemorySaver

from jackline.answers import Answer, public_text, sign
from jackline.guard import Guard

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.approvals import Asked

NOW = 1_800_000_000.0
BUNDLE = """\
jackline: 1
approvers: {{ana: {{key: '{key}'}}}}
policies:
  - name: refunds
    use: rule
    on: {on}
    when: "{when}"
    effect: escalate
    with: {{to: ana, expires: 30m, wait: {wait}}}
"""
LARGE = "tool.name == 'refund' && args.amount > 500"


class Desk:
    """A guard whose bundle asks Ana, and Ana."""

    def __init__(self, folder: Path, wait: str = "tell", on: str = "tool.call", when: str = LARGE) -> None:
        self.key = Ed25519PrivateKey.generate()
        self.bundle, self.home, self.now = folder / "jackline.yaml", folder / "home", NOW
        self.bundle.write_text(BUNDLE.format(key=public_text(self.key), on=on, when=when, wait=wait))
        self.made: list[Guard] = []
        self.guard = self.restart()

    def restart(self) -> Guard:
        """Another guard on the same home, as a process that starts anew has it."""
        self.guard = Guard.load(self.bundle, home=self.home, application="app", clock=lambda: self.now)
        self.made.append(self.guard)
        return self.guard

    def close(self) -> None:
        for guard in self.made:
            guard.close()

    def asked(self) -> list[Asked]:
        """The questions that nobody has ended, by amount where there is one."""
        found = [one for one in self.guard.approvals.all() if one.ended() is None]
        return sorted(found, key=lambda one: one.question.args.get("amount", 0))

    def says(self, say: Any, asked: Asked | None = None, **more: Any) -> None:
        """Answer the one question that is open, or this one."""
        if asked is None:
            (asked,) = self.asked()
        approval, question = asked.question.id, asked.fingerprint
        answer = Answer(approval=approval, question=question, say=say, who="ana", at=self.now, **more)
        asked.answer(sign(answer, self.key), say, self.now)


def saved(saver: InMemorySaver) -> bytes:
    """Everything that a checkpointer holds, as a database would keep it."""
    storage = {thread: {ns: dict(kept) for ns, kept in spaces.items()} for thread, spaces in saver.storage.items()}
    writes = {key: dict(kept) for key, kept in saver.writes.items()}
    return pickle.dumps((storage, writes, dict(saver.blobs)))


def restored(data: bytes) -> InMemorySaver:
    """The checkpointer of another process on the same database."""
    saver = InMemorySaver()
    storage, writes, blobs = pickle.loads(data)
    for thread, spaces in storage.items():
        saver.storage[thread].update(spaces)
    for key, kept in writes.items():
        saver.writes[key].update(kept)
    saver.blobs.update(blobs)
    return saver


# --- ways to call an agent: (agent, task, config) -> the interrupts that its caller is shown


def _invoke(agent: Any, task: Any, config: Any) -> list[Any]:
    return list(agent.invoke(task, config).get("__interrupt__", ()))


def _ainvoke(agent: Any, task: Any, config: Any) -> list[Any]:
    return list(asyncio.run(agent.ainvoke(task, config)).get("__interrupt__", ()))


def _stream(agent: Any, task: Any, config: Any) -> list[Any]:
    parts = list(agent.stream(task, config, stream_mode="updates"))
    return [one for part in parts for one in part.get("__interrupt__", ())]


def _astream(agent: Any, task: Any, config: Any) -> list[Any]:
    async def gather() -> list[Any]:
        return [part async for part in agent.astream(task, config, stream_mode="updates")]

    return [one for part in asyncio.run(gather()) for one in part.get("__interrupt__", ())]


CALLS = {"invoke": _invoke, "ainvoke": _ainvoke, "stream": _stream, "astream": _astream}
TASK = {"messages": [("user", "please")]}
THREAD: dict[str, Any] = {"configurable": {"thread_id": "t-1"}}

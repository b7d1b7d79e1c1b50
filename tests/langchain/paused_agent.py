"""An agent in a process of its own: `paused_agent.py WAY BUNDLE HOME THREAD DONE ask|resume`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from desk import NOW, TASK, THREAD, restored, saved
from fakes import Scripted, ai
from harness import Governed
from langchain_core.tools import tool
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.types import Command

from jackline.guard import Guard


def main(way: str, bundle: str, home: str, thread: str, done: str, what: str) -> None:
    @tool
    def refund(order: str, amount: float) -> str:
        """Pay a customer back."""
        with Path(done).open("a") as file:
            file.write(f"{amount}\n")
        return f"refunded {amount}"

    saver = InMemorySaver() if what == "ask" else restored(Path(thread).read_bytes())
    guard = Guard.load(bundle, home=home, application="app", clock=lambda: NOW)
    model = Scripted(ai("", ("refund", {"order": "o", "amount": 900.0}, "c1")), ai("done"))
    agent = Governed(way, None).agent(guard, model, [refund], checkpointer=saver, name="desk")  # type: ignore[arg-type]
    task: Any = TASK if what == "ask" else Command(resume="approved")
    state = agent.invoke(task, THREAD)
    if what == "ask":
        Path(thread).write_bytes(saved(saver))
    print("paused" if "__interrupt__" in state else state["messages"][2].content)  # noqa: T201 - how the test hears of it
    guard.close()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""An agent that works until it is killed: `killed_agent.py HOME EFFECTS ACKNOWLEDGED`; a tool run writes a byte."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent))

from typing import Annotated

from fakes import Streaming, ai
from langchain.agents import create_agent
from langchain_core.tools import InjectedToolCallId, tool

from jackline.guard import Guard
from jackline_langchain import LangChainAdapter


def opened(path: str) -> int:
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)


def acknowledging(guard: Guard, descriptor: int) -> None:
    """Note every sequence number that the journal has promised, after it has."""
    journal = guard.recorder.journal
    append = journal.append

    def noted(event: Any) -> int:
        seq = append(event)
        os.write(descriptor, f"{seq}\n".encode())
        return seq

    journal.append = noted


def main(home: str, effects: str, acknowledged: str) -> None:
    done = opened(effects)

    @tool
    def pay(order: str, call: Annotated[str, InjectedToolCallId]) -> str:
        """Pay an order back."""
        os.write(done, f"{call}\n".encode())
        os.write(1, b".")
        return f"paid {order}"

    script = [ai("", *(("pay", {"order": f"{turn}-{n}"}, f"call-{turn}-{n}") for n in range(3))) for turn in range(400)]
    guard = Guard(None, home=home, application="tests")
    acknowledging(guard, opened(acknowledged))
    guard.enable(LangChainAdapter())
    agent = create_agent(Streaming(*script, ai("done")), [pay], name="worker")
    agent.invoke({"messages": [("user", "go on")]}, {"recursion_limit": 2000, "metadata": {"session_id": "killed"}})


if __name__ == "__main__":
    main(*sys.argv[1:])

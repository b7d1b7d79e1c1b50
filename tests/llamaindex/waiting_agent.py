"""An agent that pays once, about which people are asked: `waiting_agent.py BUNDLE HOME EFFECTS`; a payment is a byte."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from llama_fakes import Provider
from llama_index.core.agent.workflow import FunctionAgent
from llama_index.core.tools import FunctionTool

import jackline_llamaindex
from jackline import Guard
from jackline.testing.paths import Bodies, Call, Job, Step


def main(bundle: str, home: str, effects: str) -> None:
    done = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    async def pay(order: str, amount: float) -> str:
        """Pay a customer back."""
        os.write(done, b"p")
        return "paid"

    async def work(job: Job) -> None:
        made = FunctionAgent(name="worker", llm=Provider(job), tools=[FunctionTool.from_defaults(async_fn=pay)])
        await made.run(user_msg="see to it", session_id="job-1")

    with Guard.load(bundle, home=home, application="desk") as guard:
        jackline_llamaindex.enable(guard)
        steps = (Step(calls=(Call("pay", {"order": "A-1", "amount": 900.0}),)), Step("done"))
        asyncio.run(work(Job(guard, Bodies(), steps, "see to it", "job-1")))


if __name__ == "__main__":
    main(*sys.argv[1:])

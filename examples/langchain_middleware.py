"""An agent that is governed wherever it is called: built with middleware, or attached to afterwards."""

import asyncio
from pathlib import Path
from typing import Any

from langchain.agents import create_agent
from langchain_core.tools import tool
from scripted_model import ScriptedModel

import jackline
from jackline_langchain import JacklineMiddleware


@tool
def refund(order: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount} for {order}"


def replies(answer: dict[str, Any]) -> list[str]:
    return [message.content for message in answer["messages"] if message.type == "tool"]


guard = jackline.Guard.load(Path(__file__).with_name("jackline.yaml"))
model = ScriptedModel(calls=[("refund", {"order": "A-7", "amount": 4000})])
task = {"messages": [("user", "Pay order A-7 back.")]}

built = create_agent(model, [refund], middleware=[JacklineMiddleware(guard)], name="support")
print("middleware:", *replies(asyncio.run(built.ainvoke(task))))

plain = create_agent(model, [refund], name="back-office")
print("attached:", *replies(guard.attach(plain).invoke(task)))
print("not attached:", *replies(plain.invoke(task)))  # `attach` gives a governed copy; the original is as it was

# Several agents that work for one user on one job spend from one session.
with guard.session(id="job-17", user="u-9") as session:
    built.invoke(task)
    guard.attach(plain).invoke(task)
    print(f"both spent ${session.cost_usd:.6f}")
guard.close()

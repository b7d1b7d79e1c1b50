"""One call of one agent: LangChain's own callbacks carry the guard to everything that the call does."""

from pathlib import Path

from langchain.agents import create_agent
from langchain_core.tools import tool
from scripted_model import ScriptedModel

import jackline
from jackline_langchain import JacklineCallbackHandler


@tool
def refund(order: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount} for {order}"


guard = jackline.Guard.load(Path(__file__).with_name("jackline.yaml"))
model = ScriptedModel(calls=[("refund", {"order": "A-7", "amount": 4000}), ("refund", {"order": "A-7", "amount": 40})])
agent = create_agent(model, [refund], name="support")

governed = {"callbacks": [JacklineCallbackHandler(guard)]}
for message in agent.invoke({"messages": [("user", "Pay order A-7 back.")]}, governed)["messages"]:
    if message.type == "tool":
        print(message.content)

# A tool that is called without an agent raises.
try:
    refund.invoke({"order": "A-7", "amount": 900}, governed)
except jackline.Denied as denied:
    print(denied)
guard.close()

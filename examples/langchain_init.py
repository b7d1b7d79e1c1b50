"""Every LangChain agent of the process, those built earlier too: one line, and no change to the agent."""

from pathlib import Path

from langchain.agents import create_agent
from langchain_core.tools import tool
from scripted_model import ScriptedModel

import jackline


@tool
def crm_get(customer: str) -> str:
    """Look a customer up."""
    return f"{customer}: Ann"


@tool
def refund(order: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount} for {order}"


@tool
def wipe_disk() -> str:
    """Free space."""
    return "never returned"


model = ScriptedModel(
    calls=[
        ("crm_get", {"customer": "C-1"}),
        ("refund", {"order": "A-7", "amount": 4000}),
        ("wipe_disk", {}),
        ("refund", {"order": "A-7", "amount": 40}),
    ]
)
agent = create_agent(model, [crm_get, refund, wipe_disk], name="support")

jackline.init(Path(__file__).with_name("jackline.yaml"))

# The thread is the session: what budgets and halts bound, over all its runs.
config = {"configurable": {"thread_id": "ticket-1"}, "metadata": {"user_id": "u-9"}}
answer = agent.invoke({"messages": [("user", "Please help Ann.")]}, config)
for message in answer["messages"]:
    if message.type == "tool":
        print(f"{message.name}: {message.content}")
print(answer["messages"][-1].content)

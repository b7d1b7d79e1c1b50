"""Every crew of the process: one line, and no change to the crew."""

import json
from pathlib import Path
from typing import Any

from crewai import Agent, BaseLLM, Crew, Task
from crewai.tools import tool

import jackline

guard = jackline.init(Path(__file__).with_name("jackline.yaml"))


class ScriptedLLM(BaseLLM):
    """Asks for one tool call after the other, then is done; it needs no network: use `LLM("gpt-4o-mini")` in yours."""

    calls: list[tuple[str, dict[str, Any]]]

    def supports_function_calling(self) -> bool:
        return True

    def call(self, messages: Any, *args: Any, **kwargs: Any) -> Any:
        self._track_token_usage_internal({"prompt_tokens": 100, "completion_tokens": 20})
        turn = sum(message["role"] == "assistant" for message in messages)
        for name, arguments in self.calls[turn : turn + 1]:
            return [{"id": f"call-{turn}", "function": {"name": name, "arguments": json.dumps(arguments)}}]
        return f"done; the last call answered: {messages[-1]['content']}"


@tool("crm_get")
def crm_get(customer: str) -> str:
    """Look a customer up."""
    return f"{customer}: Ann"


@tool("refund")
def refund(order: str, amount: float) -> str:
    """Pay an order back."""
    return f"{amount} for {order}"


calls = [("crm_get", {"customer": "C-1"}), ("refund", {"order": "A-7", "amount": 4000})]
model = ScriptedLLM(model="gpt-4o-mini", calls=calls)
support = Agent(role="support", goal="Help customers.", backstory="A clerk.", llm=model, tools=[crm_get, refund])
crew = Crew(agents=[support], tasks=[Task(description="Please help Ann.", expected_output="An answer.", agent=support)])

# The inputs may name the session: what budgets and halts bound, over all its runs.
print(crew.kickoff(inputs={"session_id": "ticket-1", "user_id": "u-9"}).raw)

with guard.session(id="ticket-2", user="u-9") as session:  # or the program names it
    for amount in (40, 4000):
        try:
            print(refund.run(order="A-7", amount=amount))
        except jackline.Denied as denied:  # a call that no agent makes
            print(denied)
    print(f"halted: {session.halted}")

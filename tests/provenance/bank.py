"""A guard whose bundle asks where a recipient comes from, and tools that count what they did."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import jackline
from jackline.journal import read
from jackline.request import Agent, Model, Tool

if TYPE_CHECKING:
    from pathlib import Path

RULES = """
jackline: 1
trusted_tools: [contacts.*]
policies:
  - name: recipients
    use: rule
    on: tool.call
    when: tool.name == 'send_money' && !from_trusted(args.recipient)
    effect: deny
    reason: the recipient is nobody's that the user or the address book named
"""
ATTACKER, FRIEND = "US133000000121212121212", "GB29NWBK60161331926819"


class Bank:
    """An application: its guard, its session, what was sent."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.sent: list[str] = []
        self.guard = self.load(RULES)

    def load(self, text: str, **options: Any) -> jackline.Guard:
        path = self.folder / "jackline.yaml"
        path.write_text(text)
        return jackline.Guard.load(path, home=self.folder / "home", application="bank", **options)

    def call(self, tool: str, result: Any = None, **args: Any) -> jackline.Decision:
        """One call of a tool that gives back `result`."""
        guard = self.guard
        request = guard.request("tool.call", tool, args, tool=Tool(name=tool))
        decision = guard.check(request)
        if decision.permitted:
            if tool == "send_money":
                self.sent.append(args["recipient"])
            guard.complete(request, decision, result)
        return decision

    def send(self, recipient: Any) -> str:
        """What is on record of where the recipient comes from."""
        self.call("send_money", recipient=recipient, amount=1)
        return self.decided()[-1].provenance["args.recipient"]

    def prompt(self, *messages: Any, agent: str | None = None, answer: Any = None, run: Any = None) -> None:
        """One call of a model; a text is what the user says."""
        made = [{"role": "user", "content": one} if isinstance(one, str) else one for one in messages]
        scope = run if run is not None else self.guard.scope()
        if agent is not None:
            scope = jackline_scope(scope, self.guard.agent(agent))
        model = Model(name="m")
        request = self.guard.request("model.call", "m", {"messages": made}, scope=scope, model=model)
        decision = self.guard.check(request)
        assert decision.permitted
        self.guard.complete(request, decision, answer)

    def decided(self) -> list[Any]:
        lines = [line for path in sorted((self.folder / "home" / "journals").glob("*.jsonl")) for line in read(path)]
        return [line.event for line in lines if line.kind == "decided"]

    def text_on_disk(self) -> str:
        """Everything that is kept, as text."""
        return json.dumps([path.read_text("latin-1") for path in self.folder.rglob("*") if path.is_file()])


def jackline_scope(scope: Any, agent: Agent) -> Any:
    from msgspec.structs import replace  # noqa: PLC0415 - one use

    return replace(scope, agent=agent)

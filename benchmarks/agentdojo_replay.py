"""One session of AgentDojo through a guard: a prompt, calls and results, and what an attacker makes of them."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import agentdojo_data as data
import yaml
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jackline import Guard
from jackline.answers import Answer, public_text, sign
from jackline.request import Model

if TYPE_CHECKING:
    from agentdojo_data import Attack, Call, Task

    from jackline.decision import Decision
    from jackline.request import Request

BUNDLES = Path(__file__).resolve().parents[1] / "examples" / "agentdojo"
USER, APPROVER, AGENT = "emma", "desk", "assistant"
Change = Callable[[dict[str, Any]], dict[str, Any]]
KEY = re.compile(r"ed25519:[A-Za-z0-9+/=]+")
REFUSED = 10_000
"""The risk of what no gate can let through."""
MODEL = Model(name="recorded", provider="none", max_tokens=1000)
SEVERITY = ("allow", "escalate", "deny", "halt")


class Step(NamedTuple):
    """What one call met."""

    tool: str
    effect: str
    reason: str
    risk: int


@dataclass
class Played:
    """What became of one session."""

    benign: list[Step] = field(default_factory=list)
    attack: list[Step] = field(default_factory=list)


def worst(steps: list[Step]) -> str:
    """The most severe effect."""
    return max((step.effect for step in steps), key=SEVERITY.index, default="allow")


def risk(steps: list[Step]) -> int:
    """The highest risk."""
    return max((step.risk for step in steps), default=0)


class Replay:
    """One suite under one bundle."""

    def __init__(self, suite: str, folder: Path, home: Path, change: Change | None = None) -> None:
        """`change`: a change of the bundle, which then observes: nothing is held up, every act's risk is on record."""
        self.suite, self.tools = suite, data.tools(folder, suite)
        self._key = Ed25519PrivateKey.generate()
        home.mkdir(parents=True)
        self.bundle = home / f"{suite}.yaml"
        text = KEY.sub(public_text(self._key), (BUNDLES / f"{suite}.yaml").read_text("utf-8"))
        if change is not None:
            text = yaml.safe_dump(change(_observing(yaml.safe_load(text))), sort_keys=False)
        self.bundle.write_text(text, "utf-8")
        self.guard = Guard.load(self.bundle, home=home / "home", application="agentdojo")
        self.agent = self.guard.agent(AGENT, tools=tuple(self.tools.named.values()))
        self.took: list[tuple[str, float]] = []
        """Action and effect of each check, and its microseconds with the record in the journal."""
        self._number = 0

    def play(self, task: Task, attack: Attack | None = None, after: int = -1, *, late: bool = False) -> Played:
        """One session. The attacker's text is in each result up to the call `after`; its calls follow, or come last."""
        self._number += 1
        played, messages = Played(), [{"role": "user", "content": task.prompt}]
        reads = attack.reads.get(task.name, {}) if attack is not None else {}
        with self.guard.session(id=f"{task.name}-{self._number}", user=USER, agent=self.agent):
            for number, call in enumerate(task.calls):
                result = call.result
                if attack is not None and number in reads and (number <= after or late):
                    result = data.tainted(result, reads[number], attack.task.prompt)
                played.benign.append(self._step(call, result, messages, f"user-{number}"))
                if number == after and not late:
                    break
            for number, call in enumerate(attack.task.calls if attack is not None else ()):
                played.attack.append(self._step(call, call.result, messages, f"attack-{number}", approve=False))
        return played

    def _step(
        self, call: Call, result: Any, messages: list[dict[str, Any]], call_id: str, *, approve: bool = True
    ) -> Step:
        """The model is asked, it calls a tool, the result comes back."""
        guard = self.guard
        asked = guard.request("model.call", MODEL.name, {"messages": list(messages)}, model=MODEL)
        decision = self._timed(asked)
        assert decision.permitted, decision.reason
        guard.complete(asked, decision, {"role": "assistant", "content": ""})
        args = self.tools.bound(call)
        request = guard.request("tool.call", call.tool, args, tool=self.tools.named[call.tool], call_id=call_id)
        decision = self._timed(request)
        step = Step(call.tool, decision.effect, decision.reason, _risk(decision))
        if decision.effect == "escalate" and approve:
            decision = self._approved(call, args, call_id)
        if decision.permitted:
            judged = guard.returned(request, result)
            assert judged is None or judged.permitted, judged
            guard.complete(request, decision, result)
            called = {"id": call_id, "name": call.tool, "args": args}
            messages.append({"role": "assistant", "content": "", "tool_calls": [called]})
            messages.append({"role": "tool", "tool_call_id": call_id, "content": json.dumps(result)})
        return step

    def _timed(self, request: Request) -> Decision:
        started = time.perf_counter_ns()
        decision = self.guard.check(request)
        self.took.append((f"{request.action} {decision.effect}", (time.perf_counter_ns() - started) / 1_000))
        return decision

    def _approved(self, call: Call, args: dict[str, Any], call_id: str) -> Decision:
        """A person looks at the question and signs; the call comes again."""
        (asked,) = [one for one in self.guard.approvals.all() if one.ended() is None and one.question.nonce == call_id]
        approval, now = asked.question.id, time.time()
        answer = Answer(approval=approval, question=asked.fingerprint, say="approve", who=APPROVER, at=now)
        asked.answer(sign(answer, self._key), "approve", now)
        return self.guard.check(
            self.guard.request("tool.call", call.tool, args, tool=self.tools.named[call.tool], call_id=call_id)
        )


def _observing(bundle: dict[str, Any]) -> dict[str, Any]:
    """With a gate that every risk reaches, for the risk is told where a gate would ask."""
    bundle["mode"] = "observe"
    for policy in bundle["policies"]:
        if policy["use"] == "escalation":
            policy["on"] = policy.pop(True)  # PyYAML reads YAML 1.1, where `on` is true
            policy["with"]["gates"] = [{"at": 1}]
    return bundle


def _risk(decision: Decision) -> int:
    """What the escalation policy says; a call that is denied is above every gate."""
    if {decision.effect, decision.would} & {"deny", "halt"}:
        return REFUSED
    return max((each.detail.get("risk", 0) for each in decision.verdicts if each.detail), default=0)

"""One session's story against a policy: asked, decided, done, each told to the policy as a guard does."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import msgspec

from jackline.events import Completed, Cost, Decided, Event, Failed
from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from jackline.decision import Verdict
    from jackline.request import Request

START = 1_780_000_000.0


def breaker(**options: Any) -> CircuitBreaker:
    return CircuitBreaker.build("loops", CircuitBreaker.Options.model_validate(options), Context())


class Story:
    """A session; `asked` and `told` are what a journal and its payloads would hold of it."""

    def __init__(self, policy: CircuitBreaker | None = None, **options: Any) -> None:
        self.policy = policy or breaker(**options)
        self.state = State()
        self.now = START
        self.told: list[Request | Event] = []
        self.verdicts: list[Verdict | None] = []
        self.reads_first = False
        """Whether a result is judged before its call is told to have ended."""

    def ask(self, asked: Request, *, others: str = "allow") -> Verdict | None:
        """Evaluate a request and tell what was decided; `others` is what other policies answered."""
        verdict = self.policy.evaluate(asked, self.state)
        effect = others if verdict is None or verdict.effect == "allow" else verdict.effect
        self.told.append(asked)
        self.verdicts.append(verdict)
        self.tell(
            Decided(
                at=asked.at, session="s", run=asked.run, span=asked.span, agent="a", action=asked.action,
                resource=asked.resource, effect=effect, verdicts=() if verdict is None else (verdict,),
            )
        )  # fmt: skip
        return verdict

    def tell(self, event: Event) -> None:
        self.told.append(event)
        self.policy.observe(event, self.state)

    def start(self, name: str = "search", arguments: Any = None, **changes: Any) -> tuple[Request, Verdict | None]:
        self.now += 1.0
        changes = {"span": f"{len(self.told):016x}", "at": self.now, **changes}
        others = changes.pop("others", "allow")
        args = {"q": "x"} if arguments is None else arguments if isinstance(arguments, dict) else {"q": arguments}
        asked = request(changes.pop("action", "tool.call"), name, args=args, **changes)
        return asked, self.ask(asked, others=others)

    def end(self, asked: Request, result: str = "same", error: str | None = None, micro_usd: int | None = None) -> None:
        actions = self.policy.reach.actions or ()
        reads = error is None and asked.action == "tool.call" and "tool.return" in actions
        if reads and self.reads_first:
            self.ask(msgspec.structs.replace(asked, action="tool.return", args={"result": result}))
        what: dict[str, Any] = {
            "at": self.now, "session": "s", "run": asked.run, "span": asked.span, "action": asked.action,
            "resource": asked.resource,
        }  # fmt: skip
        cost = None if micro_usd is None else Cost(micro_usd=micro_usd)
        if error is None:
            self.tell(Completed(**what, duration_ms=1.0, result=result, cost=cost))
        else:
            self.tell(Failed(**what, error=error, cost=cost))
        if reads and not self.reads_first:
            self.ask(msgspec.structs.replace(asked, action="tool.return", args={"result": result}))

    def call(
        self,
        name: str = "search",
        arguments: Any = None,
        result: str = "same",
        error: str | None = None,
        **changes: Any,
    ) -> Verdict | None:
        """One call from the question to its end; what blocks it, or None."""
        asked, verdict = self.start(name, arguments, **changes)
        if verdict is None or verdict.effect == "allow":
            self.end(asked, result, error)
        return verdict

    def calls_until_stopped(self, steps: Any, most: int = 60) -> int:
        """How many calls ran before one was blocked; `most` where none was. `steps`: keywords of `call`."""
        for ran, step in enumerate(steps):
            if ran >= most or blocked(self.call(**step)):
                return min(ran, most)
        return most

    def model(self, micro_usd: int = 1000, **changes: Any) -> Verdict | None:
        asked, verdict = self.start("gpt", action="model.call", **changes)
        if not blocked(verdict):
            self.end(asked, micro_usd=micro_usd)
        return verdict


def blocked(verdict: Verdict | None) -> bool:
    return verdict is not None and verdict.effect != "allow"


def said(verdict: Verdict | None) -> list[tuple[str, str]]:
    return [] if verdict is None else [(finding.place, finding.note) for finding in verdict.findings]


def replayed(
    story: Story, policy: CircuitBreaker, reload_every: int = 0
) -> tuple[list[Verdict | None], dict[str, Any]]:
    """What another instance answers and remembers when it is told the same, from its written form."""
    state, verdicts = State(), []
    for number, item in enumerate(story.told, 1):
        again = msgspec.json.decode(msgspec.json.encode(item), type=type(item))
        if isinstance(again, Event):
            policy.observe(again, state)
        else:
            verdicts.append(policy.evaluate(again, state))
        if reload_every and number % reload_every == 0:
            state = State(json.loads(json.dumps(state.memory)))
            policy = CircuitBreaker.build("loops", policy.options, Context())
    return verdicts, state.memory

"""From a decision and what came of it to the records: Decided, Completed, Failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec.structs import replace

from jackline.decision import SEVERITY, Decision, Refusal, Verdict
from jackline.events import Cost, Decided, Http, Usage

if TYPE_CHECKING:
    from collections.abc import Sequence

    from jackline.decision import Claim, Reservation, Unit
    from jackline.request import Request
    from jackline.session import Halt

REFUSALS = ("escalate", "deny", "halt")
"""What a claim that does not fit can lead to: never to a permission."""

FREE = Cost(micro_usd=0, source="cache hit")

_UNBOUNDED = 2**62
"""The cap of a claim that only observes: it counts, and nothing is refused."""


def decided(request: Request, decision: Decision, args: str, size: int, latency_us: int = 0) -> Decided:
    """The record of a decision; it names digests, never arguments."""
    tool = request.tool
    registry: dict[str, Any] = {"status": request.agent.status}
    if tool is not None:
        registry["tool"] = tool.status
    return Decided(
        at=request.at,
        session=decision.session,
        run=request.run,
        span=request.span,
        parent=request.parent,
        agent=request.agent.key,
        action=request.action,
        resource=request.resource,
        fingerprint=tool.fingerprint if tool is not None else "",
        call_id=request.call_id,
        args=args,
        size=size,
        effect=decision.effect,
        reason=decision.reason,
        policy=decision.policy,
        rule=decision.rule,
        revision=decision.revision,
        mode=decision.mode,
        would=decision.would,
        verdicts=tuple(map(_recorded, decision.verdicts)),
        evaluated=decision.evaluated,
        limits=decision.limits,
        reservation=decision.reservation,
        registry=registry,
        http=_http(request) if request.action == "http.request" else None,
        provenance=dict(request.origins.all) if request.origins is not None else {},
        approvals=decision.approvals,
        latency_us=latency_us,
    )


def _http(request: Request) -> Http | None:
    """How a request goes out, without what only payloads may hold: its path and query."""
    told = request.facts.get("http")
    if not told:
        return None
    return Http(**{name: told[name] for name in ("method", "scheme", "port", "proxy") if name in told})


def _recorded(verdict: Verdict) -> Verdict:
    """A verdict without what only memory may hold."""
    if verdict.args is None and not verdict.claims:
        return verdict
    return Verdict(
        effect=verdict.effect,
        reason=verdict.reason,
        rule=verdict.rule,
        policy=verdict.policy,
        mode=verdict.mode,
        findings=verdict.findings,
        detail=verdict.detail,
    )


def halted(request: Request, halt: Halt, revision: str) -> Decision:
    """The answer to every request of a session that has ended."""
    return Decision(
        effect="halt",
        reason=halt.reason,
        policy=halt.policy,
        rule=halt.rule or "halted",
        revision=revision,
        span=request.span,
        session=request.subject.session,
    )


def refused(request: Request, reason: str, rule: str, revision: str = "") -> Decision:
    """A denial by Jackline itself: something that a permission needs could not be done."""
    return Decision(
        effect="deny",
        reason=reason,
        policy="jackline",
        rule=rule,
        revision=revision,
        span=request.span,
        session=request.subject.session,
    )


class Claims:
    """All claims of one decision: reserved in one step, whatever policies they come from."""

    __slots__ = ("_metering", "_mode", "claims", "observing", "output", "shrink")

    def __init__(self, decision: Decision) -> None:
        metering = [verdict for verdict in decision.verdicts if verdict.claims or verdict.output is not None]
        first = metering[0]
        self._metering, self._mode = metering, decision.mode
        self.claims: Sequence[Claim] = first.claims
        """As the ledger is asked: what only observes has no cap."""
        self.output = first.output
        self.shrink = first.shrink and first.output is not None
        self.observing = False
        """Whether some of the claims are put only to see what would be refused."""
        if len(metering) > 1 or first.mode == "observe" or decision.mode == "observe":
            self._join()

    def _join(self) -> None:
        """Put the claims of several policies, or of those that only observe, as one question."""
        bounded = [verdict for verdict in self._metering if verdict.output is not None]
        self.observing = any(map(self._observes, self._metering))
        self.claims = [
            replace(claim, cap=_UNBOUNDED) if self._observes(verdict) else claim for claim, verdict in self._put()
        ]
        self.output = min([verdict.output for verdict in bounded if verdict.output is not None], default=None)
        self.shrink = bool(bounded) and all(verdict.shrink and not self._observes(verdict) for verdict in bounded)

    def _observes(self, verdict: Verdict) -> bool:
        return verdict.mode == "observe" or self._mode == "observe"

    def _put(self) -> list[tuple[Claim, Verdict]]:
        """The claims as policies put them, each with the verdict that it is of."""
        return [(claim, verdict) for verdict in self._metering for claim in verdict.claims]

    def refusal(self, answer: Refusal) -> Verdict:
        """The verdict that a ledger's no amounts to."""
        place = next((n for n, claim in enumerate(self.claims) if claim == answer.claim), 0)
        owner = self._put()[place][1]
        return exceeded(answer.claim, owner, answer.spent, answer.outstanding, answer.wanted, answer.raised)

    def observed(self, reservation: Reservation) -> list[Verdict]:
        """What the policies that only observe would have refused."""
        return [
            exceeded(claim, owner, hold.spent, hold.outstanding, hold.held)
            for (claim, owner), hold in zip(self._put(), reservation.holds, strict=False)
            if hold.cap == _UNBOUNDED and hold.spent + hold.outstanding + hold.held > claim.cap
        ]


def exceeded(claim: Claim, owner: Verdict, spent: int, outstanding: int, wanted: int, raised: int = 0) -> Verdict:
    """The verdict of a metering policy whose ledger said no."""
    unit = claim.unit
    bound = claim.label or f"{amount(claim.cap, unit)} in {claim.scope}"
    if raised:
        bound += f" and {amount(raised, unit)} more by top-ups"
    cap = claim.cap + raised
    held = f", {amount(outstanding, unit)} held" if outstanding else ""
    return Verdict(
        effect=claim.on_exceed if claim.on_exceed in REFUSALS else "deny",
        policy=owner.policy,
        mode=owner.mode,
        rule=owner.rule or "limit",
        reason=f"{bound}: {amount(spent, unit)} spent{held}, this could take {amount(wanted, unit)} more",
        detail={
            "scope": claim.scope,
            "spent": spent,
            "outstanding": outstanding,
            "wanted": wanted,
            "cap": cap,
        },
    )


def amount(value: int, unit: Unit) -> str:
    """How a person reads an amount: `0.47 USD`, `1200 tokens`, `3 calls`."""
    return f"{value / 1_000_000:.6f}".rstrip("0").rstrip(".") + " USD" if unit == "usd" else f"{value} {unit}"


def booked(
    reservation: Reservation | None, cost: Cost | None, usage: Usage | None
) -> tuple[dict[Unit, int], Cost | None]:
    """What to settle, by unit, and the cost on record. What is not known is settled as the whole hold."""
    if reservation is None:
        return {}, cost
    actual: dict[Unit, int] = {"calls": 1}
    if usage is not None:
        actual["tokens"] = usage.input + usage.output
    if cost is None:
        held = [hold.held for hold in reservation.holds if hold.unit == "usd"]
        if held:
            cost = Cost(micro_usd=max(held), source="reservation")
    if cost is not None:
        actual["usd"] = cost.micro_usd
    return actual, cost


def configured(decision: Decision, usage: Usage) -> Cost | None:
    """The cost by the price that a budget gives for models that nobody prices; by the dearest of several."""
    given = [verdict.detail.get("price") for verdict in decision.verdicts]
    pico = [usage.input * price["input"] + usage.output * price["output"] for price in given if isinstance(price, dict)]
    return Cost(micro_usd=-(-max(pico) // 1_000_000), source="configured default") if pico else None


def settled(reservation: Reservation | None, actual: dict[Unit, int]) -> dict[str, int]:
    """What the ledger books, by scope."""
    if reservation is None:
        return {}
    return {hold.scope: actual.get(hold.unit, hold.held) for hold in reservation.holds if not hold.once}


def more_severe(decision: Decision, verdicts: list[Verdict]) -> Verdict | None:
    """The most severe of `verdicts` that outranks the decision and what it would have been."""
    if not verdicts:
        return None
    worst = max(verdicts, key=lambda verdict: SEVERITY[verdict.effect])
    least = SEVERITY[decision.would or decision.effect]
    return worst if SEVERITY[worst.effect] > least else None


def named(decision: Decision, would: Verdict) -> dict[str, str]:
    """Whom a decision names: who would have refused, unless a policy that is enforced changed something."""
    told = would if decision.effect == "allow" else decision
    return {"reason": told.reason, "policy": told.policy, "rule": told.rule}

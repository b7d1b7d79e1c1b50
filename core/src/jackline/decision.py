"""One policy's answer and the combined one."""

from __future__ import annotations

from typing import Any, Literal, get_args

import msgspec

Effect = Literal["allow", "modify", "escalate", "deny", "halt"]
EFFECTS: tuple[Effect, ...] = get_args(Effect)
SEVERITY: dict[str, int] = {effect: rank for rank, effect in enumerate(EFFECTS)}
PERMITTING: frozenset[Effect] = frozenset({"allow", "modify"})
"""The effects with which an act may go on."""

Mode = Literal["enforce", "observe"]
Unit = Literal["usd", "tokens", "calls"]


class Finding(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a detector saw: never the value itself."""

    kind: str
    place: str = ""
    """A path such as `args.to` or `session`."""
    confidence: float = 1.0
    note: str = ""


class Claim(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a metering policy wants held in one scope of the ledger before the act.

    Units: micro-dollars for `usd`, tokens, calls. The worst case of an act is
    `fixed + ceil(output * per_output / 1_000_000)` where `output` is the number of output tokens granted.
    """

    scope: str
    """The ledger's key, unique to policy, scope and window: `session-ceiling/session/4f…/usd`."""
    unit: Unit
    cap: int
    fixed: int
    per_output: int = 0
    """Millionths of a unit for each output token (pico-dollars for `usd`)."""
    on_exceed: Effect = "deny"
    label: str = ""
    """How a person reads the scope: `0.50 USD per session`."""
    once: bool = False
    """The cap is for this act alone: nothing that others spend counts, and nothing is kept in the ledger."""
    turn: int = 0
    """In a rolling window, which part of it is now, counted from 1970; 0 where the scope is none."""
    beside: tuple[str, ...] = ()
    """In a rolling window, the scopes of its other parts, which are used again in turn: what they have counts too."""


class Verdict(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One policy's answer. A policy that does not apply answers None instead."""

    effect: Effect
    reason: str = ""
    rule: str = ""
    """Which line of the policy's data answered."""
    policy: str = ""
    """The policy's name in the bundle; the engine fills it in."""
    mode: Mode = "enforce"
    findings: tuple[Finding, ...] = ()
    args: dict[str, Any] | None = None
    """With `modify`: the arguments to use instead. In memory only: the journal never holds them."""
    claims: tuple[Claim, ...] = ()
    output: int | None = None
    """With claims that have a `per_output`: the most output tokens the call may want."""
    shrink: bool = False
    """The ledger may grant fewer output tokens than `output`."""
    detail: dict[str, Any] = {}
    """What else the answer rests on (approvers, expiry, matched price), as plain data."""


class Hold(msgspec.Struct, frozen=True, omit_defaults=True):
    """One scope's part of a reservation, with the balance that the ledger answered."""

    scope: str
    unit: Unit
    held: int
    spent: int
    """Settled in the scope before this reservation."""
    outstanding: int
    """Held by others in the scope before this reservation."""
    cap: int
    """With what people added by top-ups."""
    once: bool = False
    """The cap was for this act alone."""


class Reservation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Money, tokens or calls held before the act and settled after it."""

    id: str
    """16 hex digits."""
    holds: tuple[Hold, ...]
    output: int | None = None
    """The output tokens granted; None where no claim depends on them."""


class Refusal(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The ledger's no: the scope that cannot hold the worst case."""

    claim: Claim
    spent: int
    outstanding: int
    wanted: int
    raised: int = 0
    """What people added to the claim's cap by top-ups."""


class Decision(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """The combined answer to one request: the most severe effect wins."""

    effect: Effect
    reason: str = ""
    policy: str = ""
    rule: str = ""
    revision: str = ""
    """The bundle revision that decided, hex."""
    mode: Mode = "enforce"
    """`observe`: the whole bundle only watches; `effect` is then `allow` and `would` says what it had been."""
    would: Effect | None = None
    """What would have been decided had the policies in observe mode been enforced; None where it is the same."""
    verdicts: tuple[Verdict, ...] = ()
    evaluated: tuple[str, ...] = ()
    """The names of all policies that were asked, those that answered None among them."""
    args: dict[str, Any] | None = None
    """The arguments to use instead of the request's; None where no policy changed them. In memory only."""
    limits: dict[str, int] = {}
    """Declared limits to pass on, tightened by a meter: `max_tokens`."""
    reservation: Reservation | None = None
    span: str = ""
    """The span that was judged."""
    session: str = ""
    approvals: tuple[str, ...] = ()
    """The ids of the approvals that it waits for, or that permitted or refused it."""

    @property
    def permitted(self) -> bool:
        """True where the act may go on (`allow` or `modify`)."""
        return self.effect in PERMITTING

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Every finding of every verdict, in the order of evaluation."""
        return tuple(finding for verdict in self.verdicts for finding in verdict.findings)

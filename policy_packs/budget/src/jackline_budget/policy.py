"""The policy `budget`: it asks the ledger to hold the worst case of an act before the act starts."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, Self

from msgspec.structs import replace

from jackline.decision import Claim, Effect, Verdict
from jackline.policy import Phase, Reach, State
from jackline_budget.amounts import shown
from jackline_budget.bound import Output, default_price, input_tokens, output_tokens, tightened
from jackline_budget.memory import Memory
from jackline_budget.options import BudgetOptions
from jackline_budget.scopes import Balance, Scope
from jackline_budget.widening import widened

if TYPE_CHECKING:
    from jackline.build_context import BuildContext
    from jackline.decision import Unit
    from jackline.events import Event
    from jackline.prices import Price, Prices
    from jackline.request import Action, Request

_ASKING: tuple[Action, ...] = ("model.call", "embedding")
"""The actions that take tokens."""

_KEPT = 4096
"""Answers that are kept, one for each balance whose claims are always the same."""

_RAISED = " (a person may raise it: jackline budget top-up)"


class Budget:
    """Ceilings that hold before the act. The policy only claims; the guard reserves, in all scopes at once."""

    phase: ClassVar[Phase] = "meter"
    Options: ClassVar[type[BudgetOptions]] = BudgetOptions

    def __init__(self, name: str, options: BudgetOptions, context: BuildContext) -> None:
        self.name = name
        self.options = options
        self._mode = context.mode
        self._prices = context.prices
        self._table: Prices | None = None
        self._scope = Scope(name, options.per, options.timezone, options.window)
        self._caps: dict[Unit, int] = {amount.unit: amount.value for amount in options.amounts}
        self._only_calls = self._caps.keys() == {"calls"}
        self._labels: dict[Unit, str] = {
            amount.unit: f"{shown(amount)} {self._scope.label}" for amount in options.amounts
        }
        self._refusal: Effect = "halt" if options.on_exceed == "halt" else "deny"
        self._escalates = options.on_exceed == "escalate"
        unknown = options.unknown_price
        self._default = None if unknown is None else default_price(unknown.input, unknown.output)
        self._memory = Memory(name, self._scope.prefix, tuple(options.warn_at), tight=options.bound == "tight")
        self._fixed: dict[tuple[str, int], Verdict] = {}
        """Answers to acts that only calls are claimed for, by whose spending is counted together."""
        self.observes = self._memory.used
        self.priced = "usd" in self._caps
        """Whether it needs the price table before the first act."""
        self._acts = frozenset(self._actions())
        self.reach = Reach(actions=self._acts)

    @classmethod
    def build(cls, name: str, options: BudgetOptions, context: BuildContext) -> Self:
        """Make the policy of a bundle entry."""
        for path, message, hint in options.mistakes():
            context.problem(message, path=path, hint=hint)
        return cls(name, options, context)

    def evaluate(self, request: Request, state: State) -> Verdict | None:
        """Allow with claims, or deny what cannot be bounded; None for an act that costs nothing here."""
        action = request.action
        if action not in self._acts:
            return None
        key = self._scope.balance(request)
        if self._only_calls:
            return self._counted(key, state)
        claims: list[Claim] = []
        detail: dict[str, Any] = {}
        output: Output | None = None
        if action in _ASKING and ("usd" in self._caps or "tokens" in self._caps):
            if action == "model.call":
                output = output_tokens(request.model, self.options.assume_output)
            refused = self._tokens_and_money(request, state, key, output, claims, detail)
            if refused is not None:
                return refused
        elif action == "tool.call" and "usd" in self._caps:
            price = self.options.tool_prices.get(request.resource if request.tool is None else request.tool.name)
            if price is not None:
                claims.append(self._claim("usd", key, price))
        if "calls" in self._caps and action in self.options.count:
            claims.append(self._claim("calls", key, 1))
        return self._verdict(claims, state, detail, output) if claims else None

    def observe(self, event: Event, state: State) -> None:
        """Remember what was spent, which warnings were given, and how many tokens the inputs were."""
        self._memory.observe(event, state.memory)

    def widens(self, previous: Budget) -> tuple[str, ...]:
        """How these options permit more than `previous` did, a sentence each; empty where they do not."""
        return widened(self.options, previous.options)

    def _actions(self) -> set[Action]:
        actions: set[Action] = set()
        if "usd" in self._caps or "tokens" in self._caps:
            actions.update(_ASKING)
        if self.options.tool_prices:
            actions.add("tool.call")
        if "calls" in self._caps:
            actions.update(self.options.count)
        return actions

    def _counted(self, key: Balance, state: State) -> Verdict:
        """The answer where nothing but calls is counted: the same each time, but for warnings."""
        verdict = self._fixed.get(key[:2])
        if verdict is None:
            verdict = self._verdict([self._claim("calls", key, 1)], State(), {}, None)
            if len(self._fixed) >= _KEPT:
                self._fixed.clear()
            self._fixed[key[:2]] = verdict
        if not self._memory.used:
            return verdict
        warned: dict[str, Any] = {}
        findings = self._memory.warnings(verdict.claims, self._labels, state.memory, warned)
        return replace(verdict, findings=findings, detail={**verdict.detail, **warned}) if findings else verdict

    def _tokens_and_money(
        self,
        request: Request,
        state: State,
        key: Balance,
        output: Output | None,
        claims: list[Claim],
        detail: dict[str, Any],
    ) -> Verdict | None:
        """Add the worst case of a call to `claims` and what it rests on to `detail`; or deny."""
        model = request.model
        most = input_tokens(request)
        opaque = model is not None and model.opaque_input
        if opaque:
            if self.options.opaque_input_tokens is None:
                return self._deny(
                    "opaque_input_tokens",
                    "the call sends images, audio or files, whose tokens cannot be bounded before it: "
                    f"give opaque_input_tokens in policy '{self.name}', or send text",
                )
            most += self.options.opaque_input_tokens
        elif self._memory.tight:
            detail["input_bound"] = most
            most = tightened(most, self._memory.ratio(request.resource, state.memory))
        detail["input_tokens"] = most
        choices = 0 if output is None else output.choices
        if "tokens" in self._caps:
            claims.append(self._claim("tokens", key, most, choices * 1_000_000))
        if "usd" not in self._caps:
            return None
        price = self._price(request, detail)
        if price is None:
            return self._deny("unknown_price", self._unpriced(request))
        worst = price.worst(most)
        claims.append(self._claim("usd", key, worst.fixed, choices * worst.per_output))
        return None

    def _price(self, request: Request, detail: dict[str, Any]) -> Price | None:
        model = request.model
        name, provider = (request.resource, "") if model is None else (model.name, model.provider)
        if self._table is None:
            self._table = self._prices()
        found = None if self._table is None else self._table.price(name, provider, request.at)
        if found is not None:
            detail["price"] = found.matched
            return found
        if self.options.unknown_price is not None and self._default is not None:
            detail["price"] = {"source": self._default.source, **self.options.unknown_price.model_dump()}
        return self._default

    def _claim(self, unit: Unit, key: Balance, fixed: int, per_output: int = 0) -> Claim:
        label = self._labels[unit]
        return Claim(
            scope=key.key + unit,
            unit=unit,
            cap=self._caps[unit],
            fixed=fixed,
            per_output=per_output,
            on_exceed=self._refusal,
            label=label + _RAISED if self._escalates else label,
            once=self._scope.once,
            turn=key.turn,
            beside=tuple([other + unit for other in key.beside]) if key.beside else (),
        )

    def _verdict(self, claims: list[Claim], state: State, detail: dict[str, Any], output: Output | None) -> Verdict:
        if self._escalates:
            detail["on_exceed"] = "escalate"
        findings = self._memory.warnings(claims, self._labels, state.memory, detail)
        return Verdict(
            effect="allow",
            policy=self.name,
            mode=self._mode,
            rule="limit",
            findings=findings,
            claims=tuple(claims),
            output=None if output is None else output.tokens,
            shrink=output is not None and output.shrink,
            detail=detail,
        )

    def _deny(self, rule: str, reason: str) -> Verdict:
        return Verdict(effect="deny", policy=self.name, mode=self._mode, rule=rule, reason=reason)

    def _unpriced(self, request: Request) -> str:
        model = request.model
        provider = f" of provider {model.provider!r}" if model is not None and model.provider else ""
        return (
            f"no price is known of model {request.resource!r}{provider}, so its cost cannot be held below "
            f"{self._labels['usd']}: add the model to the price file, or give unknown_price in policy '{self.name}'"
        )

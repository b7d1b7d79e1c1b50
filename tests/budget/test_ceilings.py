"""Ceilings hold: the policy's claims against the real ledger, as the guard joins them."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Any

import pytest
from msgspec.structs import replace

from jackline.bundle import load_bundle
from jackline.decision import Refusal, Reservation
from jackline.events import Cost, Usage
from jackline.ledger import Ledger
from jackline.outcome import Claims, booked
from jackline.request import Agent, Model, Request, Subject
from jackline.testing.policies import request
from jackline_budget.bound import default_price

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.engine import Engine
    from jackline.prices import Price

AT = 1_780_000_000.0


PRICE = replace(default_price(2_000_000, 10_000_000), matched="the test's model")


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price:
        return PRICE


def engine(*options: str) -> Engine:
    entries = "".join(f"  - name: budget-{n}\n    use: budget\n    with: {text}\n" for n, text in enumerate(options))
    return load_bundle(f"jackline: 1\npolicies:\n{entries}", prices=Prices).engine()


def hold(subject: Engine, ledger: Ledger, asked: Request) -> Reservation | str:
    """Decide and reserve; the reason where the ledger refuses."""
    decision = subject.decide(asked, {})
    claims = Claims(decision)
    answer = ledger.reserve(claims.claims, output=claims.output, shrink=claims.shrink, at=asked.at)
    if isinstance(answer, Refusal):
        verdict = claims.refusal(answer)
        return f"{verdict.effect}: {verdict.reason}"
    return answer


def settle(
    ledger: Ledger, held: Reservation | str, *, micro_usd: int | None = None, usage: Usage | None = None
) -> None:
    assert isinstance(held, Reservation)
    cost = None if micro_usd is None else Cost(micro_usd=micro_usd)
    actual, _ = booked(held, cost, usage)
    ledger.settle(held, actual, AT)


def call(output: int = 1000, **changes: Any) -> Request:
    model = Model(name="gpt-5", input_bytes=1000, max_tokens=output)
    return request("model.call", **{"model": model, **changes})


@pytest.fixture
def ledger(tmp_path: Path) -> Any:
    opened = Ledger.open(tmp_path / "ledger")
    yield opened
    opened.close()


def test_p24_a_hundred_parallel_calls_do_not_pass_the_ceiling(ledger: Ledger) -> None:
    """P24: reserve before, settle after; the overshoot is 0."""
    subject = engine("{limit: 0.10 USD, per: session, on_exceed: halt}")
    start = threading.Barrier(20)
    spent: list[int] = []

    def work(number: int) -> None:
        start.wait()
        for _ in range(5):
            held = hold(subject, ledger, call())
            if isinstance(held, Reservation):
                cost = held.holds[0].held - number * 7
                settle(ledger, held, micro_usd=cost)
                spent.append(cost)

    with ThreadPoolExecutor(20) as pool:
        list(pool.map(work, range(20)))
    balance = ledger.balance("budget-0/session/" + "5e" * 16 + "/usd")
    assert balance.held == 0
    assert balance.spent == sum(spent) <= 100_000
    assert sum(spent) > 80_000


def test_p40_parallel_tool_calls_are_counted_before_they_run(ledger: Ledger) -> None:
    """P40: of five parallel calls two run, where two are the most."""
    subject = engine("{limit: 2 calls, count: tool.call}")
    start = threading.Barrier(5)

    def work(_: int) -> Reservation | str:
        start.wait()
        return hold(subject, ledger, request("tool.call"))

    with ThreadPoolExecutor(5) as pool:
        answers = list(pool.map(work, range(5)))
    assert sum(isinstance(answer, Reservation) for answer in answers) == 2
    refused = [answer for answer in answers if isinstance(answer, str)]
    assert set(refused) == {"deny: 2 calls per session: 0 calls spent, 2 calls held, this could take 1 calls more"}


def test_p41_the_tokens_that_a_model_reports_count(ledger: Ledger) -> None:
    """P41: usage is settled, and the next call that does not fit is refused."""
    subject = engine("{limit: 5000 tokens}")
    settle(ledger, hold(subject, ledger, call()), usage=Usage(input=200, output=3800))
    assert ledger.balance("budget-0/session/" + "5e" * 16 + "/tokens").spent == 4000
    assert hold(subject, ledger, call()) == (
        "deny: 5000 tokens per session: 4000 tokens spent, this could take 2048 tokens more"
    )


def test_p42_a_budget_is_the_sessions_and_outlives_the_process(tmp_path: Path) -> None:
    """P42: another instance of policy and ledger goes on where the first ended; another session has its own."""
    first = Ledger.open(tmp_path / "ledger")
    settle(first, hold(engine("{limit: 1 call}"), first, call()))
    first.close()
    second = Ledger.open(tmp_path / "ledger")
    subject = engine("{limit: 1 call}")
    assert hold(subject, second, call()) == "deny: 1 call per session: 1 calls spent, this could take 1 calls more"
    assert isinstance(hold(subject, second, call(subject=Subject(session="77" * 16))), Reservation)
    second.close()


def test_p57_sub_agents_spend_from_their_parents_session(ledger: Ledger) -> None:
    """P57: limits cover the whole session tree."""
    subject = engine("{limit: 3 calls}")
    parent, child = Agent(name="manager", status="active"), Agent(name="worker", status="active")
    assert isinstance(hold(subject, ledger, call(agent=parent)), Reservation)
    for _ in range(2):
        assert isinstance(hold(subject, ledger, call(agent=child, ancestors=(parent,), depth=1)), Reservation)
    assert isinstance(hold(subject, ledger, call(agent=child, ancestors=(parent,), depth=1)), str)
    assert isinstance(hold(subject, ledger, call(agent=parent)), str)


def test_max_tokens_shrinks_to_what_is_affordable(ledger: Ledger) -> None:
    subject = engine("{limit: 0.01 USD, on_exceed: halt}")
    model = Model(name="gpt-5", input_bytes=952, max_tokens=4000, can_limit=True)
    held = hold(subject, ledger, call(model=model))
    assert isinstance(held, Reservation)
    assert (held.output, held.holds[0].held) == (800, 10_000)
    assert hold(subject, ledger, call(model=model)) == (
        "halt: 0.01 USD per session: 0 USD spent, 0.01 USD held, this could take 0.00201 USD more"
    )


def test_all_scopes_hold_or_none(ledger: Ledger) -> None:
    subject = engine("{limit: 9 calls, per: session}", "{limit: 1 call, per: [agent, day]}")
    assert isinstance(hold(subject, ledger, call()), Reservation)
    refused = hold(subject, ledger, call())
    assert refused == "deny: 1 call per agent and day: 0 calls spent, 1 calls held, this could take 1 calls more"
    assert ledger.balance("budget-0/session/" + "5e" * 16 + "/calls").held == 1


def test_a_new_day_is_a_new_budget(ledger: Ledger) -> None:
    subject = engine("{limit: 1 call, per: day, timezone: Europe/Berlin}")
    midnight = 1_774_738_800.0
    assert isinstance(hold(subject, ledger, call(at=midnight - 1)), Reservation)
    assert isinstance(hold(subject, ledger, call(at=midnight - 0.5)), str)
    assert isinstance(hold(subject, ledger, call(at=midnight)), Reservation)


def test_escalate_is_a_denial_that_says_how_a_person_answers(ledger: Ledger) -> None:
    subject = engine("{limit: 1 call, on_exceed: escalate}")
    hold(subject, ledger, call())
    assert hold(subject, ledger, call()) == (
        "deny: 1 call per session (a person may raise it: jackline budget top-up): "
        "0 calls spent, 1 calls held, this could take 1 calls more"
    )


def test_a_tool_with_a_price_is_booked_at_it(ledger: Ledger) -> None:
    subject = engine("{limit: 0.02 USD, tool_prices: {search: 0.01 USD}}")
    settle(ledger, hold(subject, ledger, request("tool.call")))
    assert ledger.balance("budget-0/session/" + "5e" * 16 + "/usd").spent == 10_000

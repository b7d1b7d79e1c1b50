"""Whose spending is counted together, and for how long: calls, selections, days, months and rolling windows."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from jackline.bundle import load_bundle
from jackline.decision import Refusal, Reservation
from jackline.errors import BundleError
from jackline.events import Completed, Decided
from jackline.ledger import Ledger
from jackline.outcome import Claims
from jackline.policy import State
from jackline.request import Agent, Model, Subject
from jackline.testing.policies import Context, request
from jackline_budget import Budget
from jackline_budget.bound import default_price
from jackline_budget.periods import PARTS, RING, Calendar, Rolling, month, span, zone
from jackline_budget.scopes import Scope

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.prices import Price

AT = 1_780_000_000.0
PRICE = replace(default_price(2_000_000, 10_000_000), matched="the test's model")
ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "America/Santiago", "Asia/Kathmandu"]


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price:
        return PRICE


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    opened = Ledger.open(tmp_path / "ledger")
    yield opened
    opened.close()


class Asking:
    """One budget on a real ledger."""

    def __init__(self, ledger: Ledger, options: str) -> None:
        text = f"jackline: 1\npolicies:\n  - name: cap\n    use: budget\n    with: {options}\n"
        self.engine = load_bundle(text, prices=Prices).engine()
        self.ledger = ledger

    def __call__(self, at: float = AT, action: Any = "tool.call", **changes: Any) -> Reservation | str:
        decision = self.engine.decide(request(action, at=at, **changes), {})
        claims = Claims(decision)
        answer = self.ledger.reserve(claims.claims, output=claims.output, shrink=claims.shrink, at=at)
        return claims.refusal(answer).reason if isinstance(answer, Refusal) else answer

    def fits(self, at: float = AT, **changes: Any) -> bool:
        return isinstance(self(at, **changes), Reservation)


def model_call(**changes: Any) -> Model:
    return Model(name="gpt-5", **{"input_bytes": 952, "max_tokens": 1000, "can_limit": True, **changes})


def test_each_call_has_the_limit_for_itself(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 0.01 USD, per: call, on_exceed: halt}")
    for number in range(5):
        made = asking(action="model.call", model=model_call(max_tokens=4000), span=f"{number:016x}")
        assert isinstance(made, Reservation)
        assert made.output == 800, "shrunk to what one call may cost"
        assert (made.holds[0].spent, made.holds[0].outstanding, made.holds[0].cap) == (0, 0, 10_000)
        assert ledger.settle(made, {"usd": 9_000}, AT) == {}
    assert ledger.balances() == [], "nothing is kept of it"
    assert asking(action="model.call", model=model_call(max_tokens=4000, can_limit=False)) == (
        "0.01 USD per call: 0 USD spent, this could take 0.042 USD more"
    )


def test_a_cap_on_each_call_joins_a_cap_on_the_session(ledger: Ledger) -> None:
    text = """\
jackline: 1
policies:
  - {name: each, use: budget, with: {limit: 0.01 USD, per: call}}
  - {name: job, use: budget, with: {limit: 0.015 USD, per: session}}
"""
    engine = load_bundle(text, prices=Prices).engine()
    granted = []
    for _ in range(2):
        claims = Claims(engine.decide(request("model.call", model=model_call(max_tokens=4000), at=AT), {}))
        made = ledger.reserve(claims.claims, output=claims.output, shrink=claims.shrink, at=AT)
        assert isinstance(made, Reservation)
        granted.append(made.output)
        assert ledger.settle(made, {"usd": 10_000}, AT) == {"job/session/" + "5e" * 16 + "/usd": 10_000}
    assert granted == [800, 300]


def test_a_user_is_known_within_a_namespace(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 1 call, per: user}")
    users = [("", "u"), ("t1", "u"), ("t2", "u"), ("t1", "t2:u"), ("t1:t2", "u"), ("", "t1:u")]
    for expected in (True, False):
        for space, user in users:
            subject = Subject(session="5e" * 16, namespace=space, user=user)
            assert asking.fits(subject=subject) is expected, (space, user)


def test_all_that_a_query_selects_is_one_balance(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 2 calls, per: all}")
    assert asking.fits(agent=Agent(name="a", status="active"), subject=Subject(session="01" * 16))
    assert asking.fits(agent=Agent(name="b", status="active"), subject=Subject(session="02" * 16))
    refused = asking(AT + 10**8, agent=Agent(name="c", status="active"), subject=Subject(session="03" * 16))
    assert refused == "2 calls in all: 0 calls spent, 2 calls held, this could take 1 calls more"


@given(st.integers(1_704_067_200, 1_893_456_000), st.sampled_from(ZONES))
def test_a_month_is_the_calendars(at: int, name: str) -> None:
    found = zone(name)
    assert found is not None
    months = Calendar(found, month)
    for seconds in (0, 1, 86_400, 31 * 86_400, -1, 86_400 * 365):
        assert months.of(at + seconds) == f"{dt.datetime.fromtimestamp(at + seconds, found):%Y-%m}"


@pytest.mark.parametrize("name", ZONES)
def test_a_month_ends_on_the_second(name: str) -> None:
    """Leap years, months of 28 to 31 days, and the nights on which clocks change."""
    found = zone(name)
    assert found is not None
    months = Calendar(found, month)
    for number in range(60):
        first = dt.datetime(2024 + number // 12, number % 12 + 1, 1, tzinfo=found)
        for around in (-1, 0, 1):
            at = first.timestamp() + around
            assert months.of(at) == f"{dt.datetime.fromtimestamp(at, found):%Y-%m}"


def test_a_new_month_is_a_new_budget(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 1 call, per: month, timezone: Europe/Berlin}")
    first = dt.datetime(2026, 4, 1, tzinfo=zone("Europe/Berlin")).timestamp()
    assert asking.fits(first - 1)
    assert asking(first - 0.5) == "1 call per month: 0 calls spent, 1 calls held, this could take 1 calls more"
    assert asking.fits(first)
    assert {entry.scope for entry in ledger.balances()} == {"cap/month/2026-03/calls", "cap/month/2026-04/calls"}


def test_a_rolling_window_rolls(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 3 calls, per: user, window: 24h}")
    hour, start = 3600.0, 1_780_012_800.0 // 7200 * 7200
    assert asking.fits(start)
    assert asking.fits(start + 10 * hour)
    assert asking.fits(start + 20 * hour)
    assert asking(start + 24 * hour - 1) == (
        "3 calls per user in 1d: 0 calls spent, 3 calls held, this could take 1 calls more"
    )
    assert not asking.fits(start + 25.9 * hour), "what was spent counts for up to a twelfth more"
    assert asking.fits(start + 26 * hour)
    assert not asking.fits(start + 35.9 * hour)
    assert asking.fits(start + 36 * hour)


def test_a_window_has_so_many_balances_however_long_it_rolls(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 2 calls, per: all, window: 1m}")
    for number in range(1000):
        asking(AT + 7 * number)
    assert len(ledger.balances()) == RING
    assert ledger.audit() == []


@settings(max_examples=60, deadline=None)
@given(data=st.data())
def test_no_span_of_a_windows_length_has_more_than_the_cap(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Calls and money, in time's order but for threads that are late by less than a part."""
    ledger = Ledger.open(tmp_path_factory.mktemp("ledger"))
    try:
        unit = data.draw(st.sampled_from(["calls", "usd"]))
        limit = (
            "{limit: 4 calls, " if unit == "calls" else "{limit: 0.000004 USD, tool_prices: {search: 0.000001 USD}, "
        )
        asking = Asking(ledger, limit + "per: all, window: 2m}")
        admitted: list[float] = []
        at = AT
        for step in data.draw(st.lists(st.floats(0, 70), max_size=60)):
            at += step
            late = data.draw(st.floats(0, 9.9))
            made = asking(at - late)
            if isinstance(made, Reservation):
                admitted.append(at - late)
                if data.draw(st.booleans()):
                    ledger.settle(made, {}, at)
        for end in admitted:
            assert sum(end - 120 < each <= end for each in admitted) <= 4
        assert ledger.audit() == []
    finally:
        ledger.close()


def test_what_is_held_counts_until_it_ends_however_long_that_takes(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 0.02 USD, per: all, window: 1m, tool_prices: {search: 0.01 USD}}")
    slow = asking(AT)
    assert asking.fits(AT)
    assert asking(AT + 3600) == "0.02 USD in all in 1m: 0 USD spent, 0.02 USD held, this could take 0.01 USD more"
    assert isinstance(slow, Reservation)
    ledger.settle(slow, {}, AT + 3600)
    assert asking.fits(AT + 3600), "it was spent an hour ago"


def test_a_clock_that_goes_back_frees_nothing(ledger: Ledger) -> None:
    asking = Asking(ledger, "{limit: 1 call, per: all, window: 1h}")
    assert asking.fits(AT)
    for back in (1, 600, 3600, 86_400):
        assert not asking.fits(AT - back)


def test_a_window_of_another_length_is_another_balance() -> None:
    keys = {Scope("p", ["user"], "UTC", window).balance(request("tool.call")).key for window in (None, 60.0, 3600.0)}
    assert len(keys) == 3


@given(st.floats(0, 4e9), st.integers(12, 10**6))
def test_the_parts_of_a_window_are_a_ring(at: float, seconds: int) -> None:
    rolling = Rolling(float(seconds))
    turn, now, others = rolling.at(at)
    assert rolling.at(at) == (turn, now, others)
    assert len({now, *others}) == RING
    assert turn - 1 == int(at * PARTS // seconds)
    following = Rolling(float(seconds)).at(at + seconds / PARTS * 1.000001 + 1e-3)[1]
    assert following != now


@pytest.mark.parametrize(
    ("seconds", "text"), [(12.0, "12s"), (5400.0, "90m"), (86_400.0, "1d"), (1_209_600.0, "2w"), (12.5, "12.5s")]
)
def test_a_span_reads_as_a_person_writes_it(seconds: float, text: str) -> None:
    assert span(seconds) == text


def test_a_threshold_of_a_window_is_told_when_it_is_passed() -> None:
    options = Budget.Options.model_validate({"limit": "4 calls", "per": "all", "window": "12h", "warn_at": [0.5]})
    policy, state, told = Budget.build("cap", options, Context()), State(), []
    for number in range(4):
        asked = request("tool.call", at=AT + number)
        verdict = policy.evaluate(asked, state)
        assert verdict is not None
        told.append([finding.note for finding in verdict.findings])
        scope = verdict.claims[0].scope
        where: dict[str, Any] = {"at": asked.at, "session": "s", "run": "r", "span": f"{number}", "action": "tool.call"}
        event = Decided(
            **where, agent="a", resource="search", effect="allow", verdicts=(replace(verdict, policy="cap"),)
        )
        policy.observe(event, state)
        policy.observe(Completed(**where, resource="search", duration_ms=1.0, settled={scope: 1}), state)
    assert told == [[], [], ["50 % of 4 calls in all in 12h"], []]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{limit: 1 USD, per: [day, month]}", "bundle:5:31: a day lies within a month; to limit both, write two policies"),
        (
            "{limit: 1 USD, per: day, window: 2h}",
            "bundle:5:44: a window rolls on, and a day begins at midnight; leave one of them out",
        ),
        (
            "{limit: 1 USD, per: [all, agent]}",
            "bundle:5:31: `all` is all that the policy selects, so agent beside it says nothing; name one",
        ),
        (
            "{limit: 1 USD, per: [call, day]}",
            "bundle:5:31: `call` is each call for itself, so day beside it says nothing; name one",
        ),
        (
            "{limit: 1 USD, per: call, window: 1h}",
            "bundle:5:45: `window` has no effect here; with per: call each call has the limit for itself",
        ),
        (
            "{limit: 1 USD, per: call, warn_at: [0.5]}",
            "bundle:5:46: `warn_at` has no effect here; with per: call each call has the limit for itself",
        ),
        (
            "{limit: 5 calls, per: call}",
            "bundle:5:33: a call is one call, so a limit in calls says nothing of it; limit USD or tokens",
        ),
        ("{limit: 1 USD, window: 3}", "bundle:5:34: `window`: 3 is not a duration; write a number with ms, s, m, h, d or w: 30m"),
        (
            "{limit: 1 USD, window: 3s}",
            "bundle:5:34: `window`: a window of 3s has parts of less than a second; write 12s or more",
        ),
    ],
)  # fmt: skip
def test_what_a_bundle_may_not_say(options: str, message: str) -> None:
    with pytest.raises(BundleError) as raised:
        load_bundle(f"jackline: 1\npolicies:\n  - name: p\n    use: budget\n    with: {options}\n")
    assert str(raised.value) == message


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"window": "1d"}, {"window": "24h"}, ()),
        ({"window": "1d"}, {"window": "12h"}, ("window: was 1d, so earlier spending does not count",)),
        ({"window": "1d"}, {}, ("window: was 1d, so earlier spending does not count",)),
        ({}, {"window": "12h"}, ("window: was none, so earlier spending does not count",)),
        (
            {"per": "month"},
            {"per": "month", "timezone": "Asia/Tokyo"},
            ("timezone: was UTC, so a month begins at another time",),
        ),
        ({"per": "month"}, {"per": "day"}, ("per: was month, so earlier spending does not count",)),
    ],
)
def test_says_how_a_reload_permits_more(old: dict[str, Any], new: dict[str, Any], said: tuple[str, ...]) -> None:
    before, after = (
        Budget.build("cap", Budget.Options.model_validate({"limit": "1 USD", **each}), Context()) for each in (old, new)
    )
    assert after.widens(before) == said

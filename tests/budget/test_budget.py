from __future__ import annotations

import datetime as dt
from typing import Any

import jsonschema
import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

import jackline_budget
from jackline.bundle import load_bundle
from jackline.decision import Hold, Reservation, Verdict
from jackline.errors import BundleError
from jackline.events import Completed, Decided, Failed, SessionStarted, Usage
from jackline.plugins import installed_plugins
from jackline.policy import State
from jackline.prices import Price, Rates
from jackline.prices import Prices as PriceTable
from jackline.request import Agent, Model, Subject, Tool
from jackline.testing.policies import Context, request
from jackline_budget import Budget
from jackline_budget.amounts import shown
from jackline_budget.bound import default_price, input_tokens, output_tokens, tightened
from jackline_budget.periods import Calendar, day, zone
from jackline_budget.scopes import Scope

SESSION = "ceiling/session/" + "5e" * 16 + "/usd"
AT = 1_780_000_000.0


KNOWN = replace(default_price(3_000_000, 15_000_000), matched="gpt-5-mini")


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price | None:
        return KNOWN if model.startswith("gpt") else None


class Fixed:
    """A table of one price."""

    def __init__(self, known: Price) -> None:
        self.known = known

    def price(self, model: str, provider: str, at: float) -> Price:
        return self.known


def budget(prices: Any = Prices(), **options: Any) -> Budget:  # noqa: B008 - it has no state
    return Budget.build("ceiling", Budget.Options.model_validate(options), Context(prices))


def answer(policy: Budget, state: State | None = None, **changes: Any) -> Verdict:
    verdict = policy.evaluate(request("model.call", **changes), state or State())
    assert verdict is not None
    return verdict


def decided(
    verdict: Verdict, *, spent: int = 0, span: str = "3b" * 8, scope: str = SESSION, held: bool = True
) -> Decided:
    hold = Hold(scope, "usd", 1000, spent, 0, 500_000)
    return Decided(
        at=AT, session="s", run="r", span=span, agent="support", action="model.call", resource="gpt-5-mini", effect="allow",
        verdicts=(Verdict(effect="allow", policy="other", detail={"warned": {SESSION: 1.0}}), verdict),
        reservation=Reservation(id="1", holds=(hold, Hold("other/x/usd", "usd", 1, 499_999, 0, 5))) if held else None,
    )  # fmt: skip


def completed(spent: int = 0, *, span: str = "3b" * 8, usage: Usage | None = None, kind: Any = Completed) -> Any:
    more: dict[str, Any] = {"duration_ms": 1.0} if kind is Completed else {"error": "x"}
    return kind(
        at=AT, session="s", run="r", span=span, action="model.call", resource="gpt-5-mini", usage=usage,
        settled={SESSION: spent, "other/x/usd": 10**9}, **more,
    )  # fmt: skip


def notes(verdict: Verdict) -> list[tuple[str, str, str]]:
    return [(finding.kind, finding.place, finding.note) for finding in verdict.findings]


def test_is_found_by_its_name() -> None:
    target = installed_plugins().registrations.target("policy", "budget")
    assert target.distribution.startswith("jackline-budget")
    with pytest.raises(AttributeError, match="module 'jackline_budget' has no attribute 'Nothing'"):
        _ = jackline_budget.Nothing


def test_a_price_table_that_is_not_there_prices_nothing() -> None:
    verdict = answer(budget(prices=None, limit="0.50 USD"), resource="gpt-5-mini")
    assert (verdict.effect, verdict.rule) == ("deny", "unknown_price")
    assert verdict.reason == (
        "no price is known of model 'gpt-5-mini' of provider 'openai', so its cost cannot be held below 0.50 USD per "
        "session: add the model to the price file, or give unknown_price in policy 'ceiling'"
    )


def test_a_model_of_which_only_the_name_is_known_has_no_provider_to_name() -> None:
    verdict = answer(budget(limit="0.50 USD"), resource="o9", model=None)
    assert verdict.reason.startswith("no price is known of model 'o9', so its cost")


def test_what_the_claim_rests_on_is_on_record() -> None:
    assert answer(budget(limit="0.50 USD")).detail == {"input_tokens": 168, "price": "gpt-5-mini"}
    default = budget(prices=None, limit="1 USD", unknown_price={"input": "3 USD/M", "output": "15 USD/M"})
    assert answer(default).detail["price"] == {"source": "configured default", "input": 3_000_000, "output": 15_000_000}
    assert answer(budget(limit="9 calls", on_exceed="escalate")).detail == {"on_exceed": "escalate"}


def test_a_threshold_is_a_finding_once() -> None:
    policy, state = budget(limit="0.50 USD", warn_at=[0.8, 0.5]), State()
    first = answer(policy, state)
    assert first.findings == ()
    policy.observe(decided(first), state)
    policy.observe(completed(200_000), state)
    assert answer(policy, state).findings == ()
    policy.observe(completed(55_000), state)
    warned = answer(policy, state)
    assert notes(warned) == [("budget", SESSION, "51 % of 0.50 USD per session")]
    assert notes(answer(policy, state)) == notes(warned), "a finding that is not on record is given again"
    policy.observe(decided(warned, spent=255_000), state)
    assert answer(policy, state).findings == ()
    policy.observe(completed(150_000, kind=Failed), state)
    assert notes(answer(policy, state)) == [("budget", SESSION, "81 % of 0.50 USD per session")]


def test_thresholds_passed_together_are_one_finding() -> None:
    policy, state = budget(limit="0.50 USD", warn_at=[0.5, 0.8, 1.0]), State()
    policy.observe(decided(answer(policy), spent=450_000), state)
    warned = answer(policy, state)
    assert notes(warned) == [("budget", SESSION, "90 % of 0.50 USD per session")]
    policy.observe(decided(warned, held=False), state)
    assert answer(policy, state).findings == ()


def test_spending_by_others_is_seen_when_the_ledger_tells_of_it() -> None:
    policy, state = budget(limit="0.50 USD", warn_at=[0.5]), State()
    policy.observe(decided(answer(policy), spent=300_000), state)
    policy.observe(decided(answer(policy), spent=10), state)
    assert notes(answer(policy, state)) == [("budget", SESSION, "60 % of 0.50 USD per session")]


def test_memory_is_bounded() -> None:
    policy, state = budget(limit="0.50 USD", warn_at=[0.5], bound="tight"), State()
    for number in range(500):
        verdict = answer(policy, state)
        policy.observe(decided(verdict, span=f"{number:016x}", scope=f"ceiling/day/{number}/usd"), state)
    assert {part: len(entries) for part, entries in state.memory.items()} == {"spent": 64, "asked": 64}


def test_without_thresholds_nothing_is_remembered() -> None:
    policy, state = budget(limit="0.50 USD"), State()
    assert not policy.observes
    policy.observe(decided(answer(policy)), state)
    policy.observe(completed(5), state)
    assert state.memory == {}


def test_other_events_are_no_concern() -> None:
    policy, state = budget(limit="0.50 USD", warn_at=[0.5]), State()
    policy.observe(SessionStarted(at=AT, session="s"), state)
    assert state.memory == {}


def test_tight_learns_from_what_inputs_turned_out_to_be() -> None:
    policy, state = budget(limit="0.50 USD", bound="tight"), State()
    model = Model(name="gpt-5-mini", input_bytes=10_000, max_tokens=10)

    def asked(span: str) -> Verdict:
        verdict = answer(policy, state, model=model, span=span)
        policy.observe(decided(verdict, span=span), state)
        return verdict

    assert asked("a").claims[0].fixed == 3 * 10_048
    policy.observe(completed(span="a", usage=Usage(input=2512, output=1)), state)
    assert asked("b").claims[0].fixed == 3 * 2889
    policy.observe(completed(span="b", usage=Usage(input=2000, output=1)), state)
    assert asked("c").claims[0].fixed == 3 * 2889, "the largest share counts, not the last"
    for usage in (None, Usage(input=9000, output=1, estimated=True), Usage()):
        policy.observe(completed(span="c", usage=usage), state)
        policy.observe(decided(answer(policy, state, model=model, span="c"), span="c"), state)
    assert asked("d").claims[0].fixed == 3 * 2889, "an estimate teaches nothing"
    policy.observe(completed(span="d", usage=Usage(input=50_000, output=1)), state)
    assert asked("e").claims[0].fixed == 3 * 10_048, "never above the strict bound"


def test_tight_keeps_models_and_images_apart() -> None:
    policy, state = budget(limit="0.50 USD", bound="tight", opaque_input_tokens=1000), State()
    policy.observe(decided(answer(policy, state)), state)
    policy.observe(completed(usage=Usage(input=20, output=1)), state)
    plain = answer(policy, state).claims[0].fixed
    assert plain == 3 * 23
    other = answer(policy, state, resource="gpt-6", model=Model(name="gpt-6", input_bytes=120)).claims[0].fixed
    image = Model(name="gpt-5-mini", input_bytes=120, opaque_input=True)
    assert answer(policy, state, model=image).claims[0].fixed == 3 * 1168
    assert other == 3 * 168


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, (500, False, 1)),
        (Model(name="m"), (500, False, 1)),
        (Model(name="m", max_tokens=0, can_limit=True), (500, True, 1)),
        (Model(name="m", max_tokens=20, choices=3), (20, False, 3)),
        (Model(name="m", max_tokens=20_000, choices=0), (20_000, False, 1)),
    ],
)
def test_the_output_that_a_call_may_want(model: Model | None, expected: tuple[int, bool, int]) -> None:
    assert output_tokens(model, 500) == expected


def test_the_input_bound_counts_what_is_put_around_it() -> None:
    tools = (Tool(name="a"), Tool(name="b"))
    model = Model(name="m", input_bytes=1000, tools=tools)
    three = {"messages": [{}, {}, {}]}
    assert input_tokens(request("model.call", model=model, args=three)) == 1000 + 32 + 3 * 16 + 600 + 2 * 16
    assert input_tokens(request("model.call", model=Model(name="m"), args={"prompt": "ü"})) == 15 + 32
    assert input_tokens(request("model.call", model=None, args={})) == 32
    assert (
        input_tokens(request("model.call", model=Model(name="m", input_bytes=9), args={"messages": "hi"}))
        == 9 + 32 + 16
    )


def test_tightened_never_exceeds_the_bound() -> None:
    assert tightened(1000, None) == 1000
    assert tightened(1000, 0.2) == 230
    assert tightened(1000, 5.0) == 1000


def rates(above: int) -> st.SearchStrategy[Rates]:
    """Rates as a table could have them: the dearest is at least every other."""
    return st.lists(st.integers(0, 10**9), min_size=7, max_size=7).map(
        lambda n: Rates(
            above=above, input=n[0], cache_read=n[1], cache_write=n[2], dearest_input=max(n[:3]),
            output=n[3], reasoning=n[4], dearest_output=max(n[3:5]), per_call=n[5],
        )
    )  # fmt: skip


PRICES = st.tuples(rates(0), rates(1000), rates(200_000)).map(lambda tiers: Price(tiers=tiers))
REAL = ("gpt-5", "gpt-5-mini", "claude-sonnet-4-5", "claude-opus-4-1", "gemini-2.5-pro", "gpt-4o")


@pytest.fixture(scope="module")
def table() -> PriceTable:
    return PriceTable.load()


@given(data=st.data(), price=PRICES)
def test_no_call_within_its_bounds_costs_more_than_was_held(data: st.DataObject, price: Price) -> None:
    never_dearer(data, price)


@pytest.mark.parametrize("model", REAL)
@given(data=st.data())
def test_no_real_call_within_its_bounds_costs_more_than_was_held(
    table: PriceTable, model: str, data: st.DataObject
) -> None:
    price = table.price(model, "", AT)
    assert price is not None
    never_dearer(data, price)


def never_dearer(data: st.DataObject, price: Price) -> None:
    """Whatever the call turns out to use, within its bounds, is paid from what was held."""
    size, granted, choices = (data.draw(st.integers(*span)) for span in ((0, 400_000), (1, 50_000), (1, 4)))
    model = Model(name="gpt-5", input_bytes=size, max_tokens=granted, choices=choices)
    policy = budget(Fixed(price), limit="1000000 USD")
    claim = answer(policy, model=model).claims[0]
    held = claim.fixed + -(-granted * claim.per_output // 1_000_000)
    tokens = data.draw(st.integers(0, input_tokens(request("model.call", model=model))))
    read = data.draw(st.integers(0, tokens))
    written = data.draw(st.integers(0, tokens - read))
    output = data.draw(st.integers(0, granted * choices))
    reasoning = data.draw(st.integers(0, output))
    usage = Usage(input=tokens, cache_read=read, cache_write=written, output=output, reasoning=reasoning)
    assert price.cost(usage) <= held


@given(st.text(max_size=20), st.text(max_size=20), st.text(max_size=20), st.text(max_size=20))
def test_no_two_scopes_share_a_key(first: str, second: str, third: str, fourth: str) -> None:
    def key(agent: str, user: str) -> str:
        scope = Scope("p", ["agent", "user"], "UTC")
        return scope.key(request("tool.call", agent=Agent(name=agent), subject=Subject(session="s", user=user)))

    assert (key(first, second) == key(third, fourth)) == ((first, second) == (third, fourth))


def test_a_policy_name_cannot_reach_into_anothers_scopes() -> None:
    assert Scope("a/session", ["day"], "UTC").prefix == "a%2Fsession/"


ZONES = ["UTC", "Europe/Berlin", "America/St_Johns", "Pacific/Apia", "America/Santiago", "Atlantic/Azores"]


@given(st.integers(1_704_067_200, 1_893_456_000), st.sampled_from(ZONES))
def test_a_day_is_the_calendars(at: int, name: str) -> None:
    """Days of 23 and 25 hours, and zones whose day begins at one o'clock once a year."""
    found = zone(name)
    assert found is not None
    days = Calendar(found, day)
    for seconds in (0, 1, 3600, 86_399, 86_400, -1):
        assert days.of(at + seconds) == dt.datetime.fromtimestamp(at + seconds, found).date().isoformat()


@pytest.mark.parametrize("name", ZONES)
def test_a_day_ends_on_the_second(name: str) -> None:
    found = zone(name)
    assert found is not None
    days = Calendar(found, day)
    for number in range(366):
        for around in (-1, 0, 1):
            at = dt.datetime.combine(dt.date(2026, 1, 1) + dt.timedelta(number), dt.time(), found).timestamp() + around
            assert days.of(at) == dt.datetime.fromtimestamp(at, found).date().isoformat()


def test_an_amount_reads_as_a_person_writes_it() -> None:
    for text in ("0.50 USD", "20.00 USD", "0.0005 USD", "20000 tokens", "1 call", "2 calls"):
        assert shown(Budget.Options.model_validate({"limit": text}).amounts[0]) == text


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{}", "bundle:5:11: a budget needs a limit; write limit: 0.50 USD, or limits: with a list"),
        (
            "{limit: 0.5}",
            "bundle:5:19: `limit`: 0.5 is not an amount; write it with its unit: 0.50 USD, 200k tokens or 40 calls",
        ),
        (
            "{limit: '100'}",
            "bundle:5:19: `limit`: '100' is not an amount; write it with its unit: 0.50 USD, 200k tokens or 40 calls",
        ),
        (
            "{limit: '1,000 tokens'}",
            "bundle:5:19: `limit`: '1,000 tokens' is not an amount; write it with its unit: 0.50 USD, 200k tokens or 40 calls",
        ),
        (
            "{limit: 0 USD}",
            "bundle:5:19: `limit`: a limit of nothing permits nothing; give an amount, or deny the action with tool_access",
        ),
        (
            "{limit: 1 USD, limits: [1 calls]}",
            "bundle:5:34: limit and limits are both given; put every amount under limits",
        ),
        ("{limits: [1 USD, 2 USD]}", "bundle:5:28: a second limit in usd; the lower one decides: leave the other out"),
        (
            "{limit: 1 USD, per: year}",
            "bundle:5:31: `per` is 'year'; known: agent, all, call, day, month, session, team, user",
        ),
        ("{limit: 1 USD, per: []}", "bundle:5:31: `per`: the list is empty; name at least one, or leave the key out"),
        ("{limit: 1 USD, per: [day, day]}", "bundle:5:31: `per`: the list names something twice; name each once"),
        (
            "{limit: 1 USD, timezone: Europe/Berlin}",
            "bundle:5:36: `timezone` has no effect here; it says when a day or a month begins: add day or month to per",
        ),
        (
            "{limit: 1 USD, per: day, timezone: ../etc}",
            "bundle:5:46: `timezone`: '../etc' is not a time zone that this machine knows; write a name such as Europe/Berlin; where the system has no zones, pip install tzdata",
        ),
        ("{limit: 1 USD, on_exceed: hlt}", "bundle:5:37: `on_exceed` is 'hlt'; did you mean 'halt'?"),
        ("{limit: 1 USD, warn_at: [80]}", "bundle:5:36: `warn_at[0]` is 80: it should be less than or equal to 1"),
        (
            "{limit: 1 USD, unknown_price: free}",
            "bundle:5:41: `unknown_price`: 'free' is no price; write deny, or {input: 3 USD/M, output: 15 USD/M}",
        ),
        (
            "{limit: 1 USD, unknown_price: {input: 3 USD, output: 1 USD/M}}",
            "bundle:5:49: `unknown_price.input`: '3 USD' is not a price of tokens; write dollars for a million tokens: 3 USD/M",
        ),
        (
            "{limit: 1 USD, unknown_price: {input: 3 USD/M, output: 0 USD/M}}",
            "bundle:5:66: `unknown_price.output`: '0 USD/M' is no price that can be counted; more than 0 USD/M, with at most six decimals",
        ),
        (
            "{limit: 1 calls, unknown_price: deny}",
            "bundle:5:43: `unknown_price` has no effect here; it is for limits in usd",
        ),
        ("{limit: 1 USD, count: [tool.call]}", "bundle:5:33: `count` has no effect here; it is for limits in calls"),
        (
            "{limit: 1 calls, count: [tool.return]}",
            "bundle:5:36: `count[0]` is 'tool.return'; known: agent.spawn, embedding, http.request, model.call, retrieval, tool.call",
        ),
        (
            "{limit: 1 USD, tool_prices: {x: 1}}",
            "bundle:5:43: `tool_prices.x`: 1 is not an amount of money; write 1 USD",
        ),
        (
            "{limit: 1 calls, assume_output: 5}",
            "bundle:5:43: `assume_output` has no effect here; it is for limits in tokens and usd",
        ),
        ("{limit: 1 USD, bound: loose}", "bundle:5:33: `bound` is 'loose'; known: strict, tight"),
    ],
)
def test_what_a_bundle_may_not_say(options: str, message: str) -> None:
    """P11 and P34: wrong types, unknown keys and settings without effect are refused when the policy is loaded."""
    with pytest.raises(BundleError) as raised:
        load_bundle(f"jackline: 1\npolicies:\n  - name: p\n    use: budget\n    with: {options}\n")
    assert str(raised.value) == message


def test_the_schema_for_editors_takes_both_forms() -> None:
    schema = Budget.Options.model_json_schema()
    jsonschema.validate({"limit": "1 USD", "per": "session", "unknown_price": "deny"}, schema)
    price = {"input": "3 USD/M", "output": "15 USD/M"}
    jsonschema.validate({"limits": ["1 USD", "20k tokens"], "per": ["agent", "day"], "unknown_price": price}, schema)
    for wrong in ({"limit": 5}, {"limit": "1 USD", "per": "year"}, {"limit": "1 USD", "unknown_price": "free"}):
        with pytest.raises(jsonschema.ValidationError):
            jsonschema.validate(wrong, schema)


PRICE = {"input": "3 USD/M", "output": "15 USD/M"}


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"limit": "1 USD"}, {"limit": "2 USD"}, ("limit: raised from 1.00 USD to 2.00 USD",)),
        ({"limit": "1 USD"}, {"limits": ["1 USD", "5 calls"]}, ()),
        ({"limits": ["1 USD", "5 calls"]}, {"limit": "0.50 USD"}, ("limit: 5 calls was taken away",)),
        ({"limit": "1 USD"}, {"limit": "1 USD", "per": "agent"}, ("per: was session, so earlier spending does not count",)),
        ({"limit": "1 USD", "per": ["day", "agent"]}, {"limit": "1 USD", "per": ["agent", "day"]}, ()),
        ({"limit": "1 USD", "per": "day"}, {"limit": "1 USD", "per": "day", "timezone": "Asia/Tokyo"}, ("timezone: was UTC, so a day begins at another time",)),
        ({"limit": "1 USD", "on_exceed": "halt"}, {"limit": "1 USD"}, ("on_exceed: was halt",)),
        ({"limit": "1 USD"}, {"limit": "1 USD", "on_exceed": "halt"}, ()),
        ({"limit": "9 calls"}, {"limit": "9 calls", "count": "model.call"}, ("count: tool.call is not counted any more",)),
        ({"limit": "1 USD", "tool_prices": {"a": "1 USD", "b": "1 USD"}}, {"limit": "1 USD", "tool_prices": {"a": "0.5 USD", "b": "2 USD"}}, ("tool_prices: a costs less",)),
        ({"limit": "1 USD"}, {"limit": "1 USD", "unknown_price": PRICE}, ("unknown_price: was deny",)),
        ({"limit": "1 USD", "unknown_price": PRICE}, {"limit": "1 USD", "unknown_price": {**PRICE, "output": "1 USD/M"}}, ("unknown_price: lower",)),
        ({"limit": "1 USD", "unknown_price": PRICE}, {"limit": "1 USD", "unknown_price": {**PRICE, "output": "20 USD/M"}}, ()),
        ({"limit": "1 USD"}, {"limit": "1 USD", "assume_output": 100}, ("assume_output: was 4096",)),
        ({"limit": "1 USD"}, {"limit": "1 USD", "bound": "tight"}, ("bound: was strict",)),
        ({"limit": "1 USD"}, {"limit": "1 USD", "opaque_input_tokens": 5}, ("opaque_input_tokens: was not given, so such calls were denied",)),
        ({"limit": "1 USD", "opaque_input_tokens": 5}, {"limit": "1 USD", "opaque_input_tokens": 4}, ("opaque_input_tokens: was 5",)),
        ({"limit": "1 USD", "opaque_input_tokens": 5}, {"limit": "1 USD"}, ()),
    ],
)  # fmt: skip
def test_says_how_a_reload_permits_more(old: dict[str, Any], new: dict[str, Any], said: tuple[str, ...]) -> None:
    assert budget(**new).widens(budget(**old)) == said

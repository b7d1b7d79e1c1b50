"""What adds to a risk, from where on people are asked, and what a bundle may not say."""

from __future__ import annotations

import datetime as dt

import pytest

from jackline import ApprovalPending, Guard
from jackline.bundle import load_bundle
from jackline.errors import BundleError
from jackline.request import Tool

TUESDAY_NOON = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC).timestamp()


def text(parts, gates="[{at: 50}]", more=""):
    return f"jackline: 1\n{more}policies:\n  - name: risk\n    use: escalation\n    with: {{{parts}, gates: {gates}}}\n"


class Judge:
    """A guard under one escalation policy, with a clock that the test sets."""

    def __init__(self, home):
        self.home, self.now, self.guards = home, TUESDAY_NOON, []

    def under(self, parts, gates="[{at: 50}]"):
        guard = Guard(load_bundle(text(parts, gates)), home=self.home, application="app", clock=lambda: self.now)
        self.guards.append(guard)

        def judge(args=None, *, labels=None, action="tool.call", name="pay", status="known"):
            tool = Tool(name=name, fingerprint="f" * 16, labels=labels or {}) if action == "tool.call" else None
            request = guard.request(action, name, args or {}, tool=tool)
            if tool is not None and status != "known":
                request.tool = Tool(name=name, status=status)
            return guard.check(request)

        return judge


@pytest.fixture
def judge(tmp_path):
    made = Judge(tmp_path / "home")
    yield made
    for guard in made.guards:
        guard.close()


def test_parts_add_up_and_the_highest_gate_that_is_reached_asks(judge):
    ask = judge.under(
        "amount: {of: amount, steps: [{above: 100, add: 20}, {above: 1000, add: 50}]}, declared: {add: {high: 40}}",
        "[{at: 90, to: board, approvals: 2}, {at: 50, to: finance, expires: 30m}]",
    )
    assert ask({"amount": 100}).effect == "allow"
    assert ask({"amount": 2000}).reason == "risk 50: amount is above 1000 +50"
    found = ask({"amount": 101}, labels={"risk": "high"}, name="wire")
    assert (found.effect, found.rule) == ("escalate", "risk 50")
    assert found.reason == "risk 60: the tool declares risk high +40, amount is above 100 +20"
    assert found.verdicts[0].detail == {"to": ["finance"], "expires": 1800.0, "risk": 60}
    found = ask({"amount": 1001}, labels={"risk": "high"}, name="wire")
    assert (found.rule, found.verdicts[0].detail) == ("risk 90", {"to": ["board"], "approvals": 2, "risk": 90})


@pytest.mark.parametrize(
    ("args", "told"),
    [
        ({"amount": "5"}, "amount is no number +60"),
        ({"amount": True}, "amount is no number +60"),
        ({"amount": -2000}, "amount is above 1000 +60"),
        ({"customer": {"limit": 1001.5}}, "customer.limit is above 1000 +60"),
        ({"amount": 5, "customer": {"limit": [1]}}, "customer.limit is no number +60"),
        ({"customer": [{"limit": 5}, {"limit": 1001}]}, "customer.limit is above 1000 +60"),
        ({"customer": '{"limit": 5000}'}, "customer.limit is no number +60"),
        ({"customer": 5000}, "customer.limit is above 1000 +60"),
        ({"customer": [{"limit": 5}, {}, None]}, None),
        ({}, None),
        ({"amount": None}, None),
        ({"amount": 1000}, None),
    ],
)
def test_an_amount(judge, args, told):
    found = judge.under("amount: {of: [amount, customer.limit], steps: [{above: 1000, add: 60}]}")(args)
    assert found.reason == (f"risk 60: {told}" if told else "")


@pytest.mark.parametrize(
    ("labels", "told"),
    [
        ({"risk": "high"}, "the tool declares risk high +60"),
        ({"risk": "enormous"}, "the tool declares risk enormous +60"),
        ({"risk": "low"}, None),
        ({}, "the tool declares no risk +50"),
    ],
)
def test_what_a_tool_declares(judge, labels, told):
    found = judge.under("declared: {add: {low: 0, high: 60}, undeclared: 50}")({}, labels=labels)
    assert found.effect == ("escalate" if told else "allow")
    assert found.reason == (f"risk {told[-2:]}: {told}" if told else "")


def test_a_destination_is_new_until_a_permitted_act_went_there(judge):
    ask = judge.under(
        "new_destination: {of: [to], add: 30, known: ['*@example.com']}, rules: [{when: args.amount > 5, add: 20}]"
    )
    mail = {"to": "Eve@Evil.test", "amount": 9}
    assert ask(mail).reason == "risk 50: args.amount > 5 +20, a new destination in to +30"
    assert ask(mail).effect == "escalate"
    assert ask({"to": "eve@evil.test ", "amount": 1}).effect == "allow"
    assert ask(mail).effect == "allow"
    assert ask({"to": ["eve@evil.test", "ann@example.com"], "amount": 9}).effect == "allow"
    assert ask({"to": ["eve@evil.test", {"x": 1}], "amount": 9}).effect == "escalate"


@pytest.mark.parametrize(
    "to",
    [
        "eve@evil.test,ann@example.com",
        "eve@evil.test; ann@example.com",
        "eve@evil.test ann@example.com",
        "eve@evil.test\nann@example.com",
        "ann@example.com.evil.test",
        "x1@other.example",
    ],
)
def test_a_known_destination_does_not_hide_another(judge, to):
    ask = judge.under("new_destination: {of: [to], add: 50, known: ['*@Example.com', 'x[0-9]@other.example']}")
    assert ask({"to": "ann@example.com "}).effect == "allow"
    assert ask({"to": to}).reason == "risk 50: a new destination in to +50"


@pytest.mark.parametrize("args", [{"to": [{"iban": "X1"}]}, {"to": '{"iban": "X1"}'}, {"to": {"iban": ["X1"]}}])
def test_a_destination_is_found_in_lists_and_in_what_is_no_map(judge, args):
    ask = judge.under("new_destination: {of: [to.iban], add: 50}")
    assert ask(args).reason == "risk 50: a new destination in to.iban +50"


def test_a_host_is_a_destination(judge):
    ask = judge.under("new_destination: {of: [to], add: 50}")
    assert ask({}, action="http.request", name="evil.test").reason == "risk 50: a new destination in host +50"


@pytest.mark.parametrize("status", ["new", "changed"])
def test_a_new_tool(judge, status):
    ask = judge.under("new_tool: 50")
    assert ask().effect == "allow"
    assert ask(status=status).reason == f"risk 50: the tool is {status} +50"


@pytest.mark.parametrize(
    ("hours", "asked"),
    [(0, False), (-4, False), (-5, True), (5, False), (6, True), (24 * 4, True), (24 * 6, False)],
)
def test_off_hours(judge, hours, asked):
    """Berlin is an hour ahead: 08:00-18:00 there is 07:00-17:00 here; the 28th is a Saturday."""
    ask = judge.under("off_hours: {add: 50, timezone: Europe/Berlin}")
    judge.now += hours * 3600 - (60 if hours == 5 else 0) - (60 if hours == -5 else 0)
    assert ask().reason == ("risk 50: off hours +50" if asked else "")


@pytest.mark.parametrize(("second", "asked"), [(-1, True), (0, False), (36_000 - 1, False), (36_000, True)])
def test_hours_begin_and_end_to_the_minute(judge, second, asked):
    """From 08:00 on, until 18:00 is there."""
    ask = judge.under("off_hours: {add: 50}")
    judge.now += -4 * 3600 + second
    assert ask().effect == ("escalate" if asked else "allow")


def test_what_is_remembered_of_destinations_is_bounded(judge, monkeypatch):
    monkeypatch.setattr("jackline_escalation.policy._SEEN", 2)
    ask = judge.under("new_destination: {of: [to], add: 30}, rules: [{when: args.ask, add: 20}]")
    for to in ("a", "b", "c"):
        assert ask({"to": to, "ask": False}).effect == "allow"
    assert [ask({"to": to, "ask": True}).effect for to in ("c", "b", "a")] == ["allow", "allow", "escalate"]


def test_a_condition_that_cannot_be_evaluated_adds(judge):
    found = judge.under("rules: [{when: args.amount > 5, add: 50, why: large}]")({"amount": "much"})
    assert found.reason.startswith("risk 50: large (counted as true, since it cannot be evaluated: ")


def test_it_asks_and_goes_on_end_to_end(tmp_path):
    """The gate's people are asked about this exact act."""
    key = "ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="
    bundle = load_bundle(
        text(
            "new_tool: 5, rules: [{when: 'true', add: 50}]",
            "[{at: 50, to: ana}]",
            f"approvers: {{ana: {{key: '{key}'}}}}\n",
        )
    )
    with Guard(bundle, home=tmp_path / "home", application="app") as guard:

        @guard.tool
        def pay(amount: int) -> None:
            raise AssertionError("it ran")

        with pytest.raises(ApprovalPending, match=r"Approval needed by policy 'risk': risk 50: true \+50 \(approval"):
            pay(5)
        (asked,) = guard.approvals.all()
        assert (asked.question.to, asked.question.rule, asked.question.args) == (("ana",), "risk 50", {"amount": 5})


APPROVERS = "approvers: {ana: {key: 'ed25519:11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo='}}\n"


@pytest.mark.parametrize(
    ("parts", "gates", "told"),
    [
        ("new_tool: 5", "[{at: 50}]", "no risk reaches 50: all that adds to it is 5; lower the threshold, or add more"),
        ("new_tool: 50", "[{at: 5}, {at: 5}]", "two gates stand at 5; give each a threshold of its own"),
        ("new_tool: 50", "[{at: 5, to: bob}]", "'bob' is no approver and no group; known: ana"),
        (
            "new_tool: 50",
            "[{at: 5, approvals: 2}]",
            "2 approvals are needed, and 1 approver may answer: ana; ask for fewer, or name more in `to`",
        ),
        (
            "off_hours: {add: 50, hours: 9-5}",
            "[{at: 5}]",
            "'9-5' are no hours of a day; write from and to: 08:00-18:00",
        ),
        (
            "off_hours: {add: 50, timezone: Mars}",
            "[{at: 5}]",
            "'Mars' is no time zone; write its name as in Europe/Berlin",
        ),
        (
            "amount: {of: a..b, steps: [{above: 1, add: 9}]}",
            "[{at: 5}]",
            "'a..b' names no argument; write an argument's",
        ),
        ("rules: [{when: args.x >, add: 9}]", "[{at: 5}]", "bundle:6:35: the condition ends too early"),
    ],
)
def test_what_is_wrong_is_said(parts, gates, told):
    with pytest.raises(BundleError) as raised:
        load_bundle(text(parts, gates, APPROVERS))
    assert told in str(raised.value)


def widening(old, new):
    was, now = (load_bundle(text(*each)).entries[0].policy for each in (old, new))
    return now.widens(was)


def test_asking_less_is_told():
    base = ("new_tool: 60, off_hours: {add: 20}", "[{at: 50, to: ana, approvals: 2}]")
    assert widening(base, base) == ()
    assert widening(base, (base[0], "[{at: 60, to: ana}]")) == (
        "nobody is asked at risk 50: the lowest gate stands at 60",
    )
    assert widening(base, (base[0], "[{at: 40, to: [ana, ben]}]")) == (
        "at risk 50: also answered by ben",
        "at risk 50: 1 approvals instead of 2",
    )
    assert widening(base, ("new_tool: 55", base[1])) == (
        "`off_hours` is another",
        "a new tool adds 55 instead of 60",
    )

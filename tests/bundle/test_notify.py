"""`notify:`: who is told, with every mistake at its place."""

from __future__ import annotations

import pytest

from jackline.bundle import load_bundle
from jackline.errors import BundleError

TEXT = "jackline: 1\nnotify:\n  ops: {said}\npolicies: []\n"
HOOK = "webhook: 'https://ops.example.com/x', secret: env:SECRET"


def problems(said):
    with pytest.raises(BundleError) as raised:
        load_bundle(TEXT.format(said=f"{{{said}}}"))
    return str(raised.value)


def test_targets_are_as_they_are_named():
    more = f"  chat: {{apprise: env:CHAT, on: used, attempts: 3}}\n  near: {{{HOOK.replace('https://ops.example.com', 'http://127.0.0.1:9')}}}\n"
    bundle = load_bundle(TEXT.format(said=f"{{{HOOK}}}").replace("policies", more + "policies", 1))
    ops, chat, near = bundle.notify
    assert (ops.name, ops.webhook, ops.secret, ops.apprise) == ("ops", "https://ops.example.com/x", "env:SECRET", "")
    assert (ops.on, ops.attempts) == ({"asked", "answered", "expired", "fired", "resolved"}, 12)
    assert (chat.apprise, chat.on, chat.attempts) == ("env:CHAT", {"used"}, 3)
    assert near.webhook == "http://127.0.0.1:9/x"
    assert load_bundle("jackline: 1\npolicies: []\n").notify == ()


@pytest.mark.parametrize(
    ("said", "told"),
    [
        (
            HOOK.replace("env:SECRET", "whsec_abc"),
            "3:55: `notify.ops.secret`: a secret does not stand in a bundle; write env:NAME, and set NAME",
        ),
        (
            "apprise: 'slack://token'",
            "3:18: `notify.ops.apprise`: a secret does not stand in a bundle; write env:NAME, and set NAME where not",
        ),
        (
            HOOK.replace("https", "http"),
            "3:18: `notify.ops.webhook`: notices would go over the network in clear; write https://",
        ),
        (
            HOOK.replace("//ops", "//u:p@ops"),
            "3:18: `notify.ops.webhook`: this is no webhook's address; write https://..., without a p",
        ),
        (
            HOOK.replace("https://", "ftp://"),
            "3:18: `notify.ops.webhook`: this is no webhook's address; write https://..., without a",
        ),
        ("webhook: env:HOOK", "3:8: what 'ops' gets would not be signed; write `secret: env:NAME`"),
        ("", "3:8: 'ops' is told by one of three ways; write either `webhook` and `secret`, or `apprise`"),
        (
            f"{HOOK}, apprise: env:X",
            "3:8: 'ops' is told by one of three ways; write either `webhook` and `secret`, or `ap",
        ),
        ("apprise: env:X, secret: env:Y", "3:33: apprise signs nothing; leave it out: it belongs to `webhook`"),
        (
            "alertmanager: 'http://am.example.com'",
            "3:23: `notify.ops.alertmanager`: notices would go over the network in",
        ),
        (
            "alertmanager: 'https://am.example.com', on: fired",
            "3:53: an Alertmanager is told of alerts, whole; leave it",
        ),
        ("alertmanager: env:AM, apprise: env:X", "3:8: 'ops' is told by one of three ways"),
        ("alertmanager: env:AM, secret: token", "a secret does not stand in a bundle"),
        (f"{HOOK}, on: [asked, answer]", "did you mean 'answered'"),
        (f"{HOOK}, on: []", "the list is empty"),
        (f"{HOOK}, attempts: 0", "attempts"),
        (f"{HOOK}, retries: 3", "`retries`"),
    ],
)
def test_a_mistake_has_its_place(said, told):
    assert told in problems(said)


def test_an_alertmanager_is_told_of_alerts_only():
    (one,) = load_bundle(TEXT.format(said="{alertmanager: 'http://127.0.0.1:9093', secret: env:TOKEN}")).notify
    assert (one.way, one.alertmanager, one.secret) == ("alertmanager", "http://127.0.0.1:9093", "env:TOKEN")
    assert one.on == {"fired", "resolved"}
    assert one.resolved({"TOKEN": "t"}).secret == "t"

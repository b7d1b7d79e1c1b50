"""The approvers and groups of a bundle: what is wrong with them, where, and what would be right."""

from __future__ import annotations

import base64

import pytest

from jackline.bundle import load_bundle
from jackline.errors import BundleError
from jackline.widening import widened

KEY = "ed25519: and the base64 of 32 bytes; make one with: jackline approvals key NAME"


def key(number):
    return "ed25519:" + base64.b64encode(bytes([number]) * 32).decode()


def bundle(people="", groups="", with_="{}"):
    people = people or f"  ana: {{key: '{key(1)}'}}\n  ben: {{key: '{key(2)}', user: u-2}}\n"
    groups = groups or "  finance: [ana, ben]\n  on-call: ben\n"
    return (
        f"jackline: 1\napprovers:\n{people}groups:\n{groups}policies:\n"
        f"  - name: ask\n    use: rule\n    effect: escalate\n    with: {with_}\n"
    )


def problems(text):
    with pytest.raises(BundleError) as raised:
        load_bundle(text)
    return str(raised.value)


def test_approvers_and_groups_are_pinned():
    found = load_bundle(bundle()).approvers
    assert list(found.named(())) == ["ana", "ben"]
    assert list(found.named(("on-call",))) == ["ben"]
    assert list(found.named(("finance",), user="u-2")) == ["ana"]
    assert list(found.named(("finance",), user="ana")) == ["ben"]
    assert found.people["ben"].key == key(2)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            bundle(people="  ana: {key: 'ed25519:AAAA'}\n"),
            f"bundle:3:14: `approvers.ana.key`: 'ed25519:AAAA' is no public key: expected {KEY}",
        ),
        (bundle(people="  ana: {}\n"), "bundle:3:8: `key` is missing; add `key:`"),
        (
            bundle(people=f"  ana: {{key: '{key(1)}'}}\n  ben: {{key: '{key(1)}'}}\n"),
            "bundle:4:14: 'ben' has the key of 'ana': one person would count as two; each approver has a key of their own",
        ),
        (bundle(groups="  finance: [ana, bob]\n"), "bundle:6:12: 'bob' is no approver; known: ana, ben"),
        (bundle(groups="  ana: [ben]\n"), "bundle:6:3: 'ana' is an approver already; call the group something else"),
        (
            bundle(with_="{to: [finance, fiance]}"),
            "bundle:12:26: 'fiance' is no approver and no group; did you mean 'finance'?",
        ),
        (
            bundle(with_="{to: bob}"),
            "bundle:12:16: 'bob' is no approver and no group; known: ana, ben, finance, on-call",
        ),
        (
            bundle(with_="{to: on-call, approvals: 2}"),
            "bundle:12:36: 2 approvals are needed, and 1 approver may answer: ben; ask for fewer, or name more in `to`",
        ),
        (bundle(with_="{wait: hope}"), "bundle:12:18: `wait` is 'hope'; known: block, pause, tell"),
        (bundle(with_="{approvals: 0}"), "bundle:12:23: `approvals` is 0: it should be greater than or equal to 1"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(text, expected):
    assert problems(text) == expected


def test_a_gate_belongs_to_escalate():
    text = bundle(with_="{wait: tell}").replace("escalate", "deny")
    assert problems(text) == "bundle:12:18: `wait` belongs to `effect: escalate`; leave it out"


def test_fewer_approvals_and_other_people_are_wider():
    old, new = (load_bundle(bundle(with_=text)) for text in ("{to: ana}", "{to: finance}"))
    assert new.entries[0].policy.widens(old.entries[0].policy) == ("also answered by finance",)
    old, new = (load_bundle(bundle(with_=text)) for text in ("{approvals: 2}", "{}"))
    assert new.entries[0].policy.widens(old.entries[0].policy) == ("1 approvals instead of 2",)


def test_who_may_answer_that_could_not_before_is_told():
    old = load_bundle(bundle(groups="  finance: [ana]\n"))
    cat = f"  ana: {{key: '{key(1)}', user: u-1}}\n  ben: {{key: '{key(4)}', user: u-2}}\n  cat: {{key: '{key(3)}'}}\n"
    new = load_bundle(bundle(people=cat, groups="  finance: [ana, cat]\n  board: [cat]\n"))
    assert widened(old, new) == (
        "approver 'ana' is another user",
        "approver 'ben' has another key",
        "approver 'cat' is new",
        "group 'finance' has cat as well",
    )
    assert widened(old, old) == ()

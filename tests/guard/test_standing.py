"""What registry and bundle say against an agent before any policy is asked."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jackline.guard import Guard

if TYPE_CHECKING:
    from pathlib import Path


def made(folder: Path, text: str) -> Guard:
    bundle = folder / "jackline.yaml"
    bundle.write_text(f"jackline: 1\npolicies: []\n{text}\n", encoding="utf-8")
    return Guard.load(bundle, home=folder / "home")


@pytest.mark.parametrize(
    ("text", "managed", "rule"),
    [
        ("", False, "unregistered"),
        ("", True, ""),
        ("unregistered: deny", True, "unregistered"),
        ("unregistered: allow", False, ""),
        ("mode: observe", False, ""),
    ],
)
def test_an_agent_that_nobody_registered_stands_as_the_bundle_says(
    tmp_path: Path, text: str, managed: bool, rule: str
) -> None:
    with made(tmp_path, text) as guard:
        agent = guard.agent("vendor", managed=managed)
        denied = guard.standing(agent)

    assert (denied.rule if denied is not None else "") == rule


def test_what_a_person_says_meanwhile_in_another_process_counts(tmp_path: Path) -> None:
    with made(tmp_path, "") as guard, made(tmp_path, "") as other:
        agent = guard.agent("vendor", managed=False)
        assert guard.standing(agent) is not None
        other.registry.amend("vendor", "ana", {"status": "active"}, "known")
        assert guard.standing(agent) is None
        other.registry.amend("vendor", "ana", {"status": "suspended"}, "seen at night")
        denied = guard.standing(agent)

    assert denied is not None
    assert (denied.effect, denied.rule) == ("deny", "suspended")

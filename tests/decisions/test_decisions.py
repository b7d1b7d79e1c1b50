"""Decisions as data: each case is a policy as a bundle has it, a request, and the answer of the whole engine."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
import yaml
from msgspec.structs import replace

from jackline.bundle import load_bundle
from jackline.request import Agent, Model, Subject, Tool
from jackline.testing.policies import request
from jackline_budget.bound import default_price

if TYPE_CHECKING:
    from jackline.prices import Price

FILES = sorted(Path(__file__).parent.glob("*.yaml"))
CASES = [
    pytest.param(case, id=f"{path.stem}: {case['case']}")
    for path in FILES
    for case in yaml.safe_load(path.read_text("utf-8"))
]
PARTS = {"tool": Tool, "model": Model, "agent": Agent, "subject": Subject, "ancestors": tuple[Agent, ...]}


PRICE = replace(default_price(3_000_000, 15_000_000), matched="the test's model")


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price | None:
        return None if model == "unheard-of" else PRICE


def asked(given: dict[str, Any]) -> Any:
    fields = {
        name: msgspec.convert(value, PARTS[name]) if name in PARTS and value is not None else value
        for name, value in given.items()
    }
    return request(**fields)


@pytest.mark.parametrize("case", CASES)
def test_decision(case: dict[str, Any]) -> None:
    policies = case.get("policies") or [{"name": "p", "use": case["use"], "with": case["with"]}]
    text = yaml.safe_dump({"jackline": 1, "policies": policies}, allow_unicode=True)
    engine = load_bundle(text, prices=Prices).engine()
    expected = case["expect"]
    decision = engine.decide(asked(case["request"]), {})
    assert (decision.effect, decision.reason) == (expected["effect"], expected.get("reason", decision.reason))
    assert decision.rule == expected.get("rule", decision.rule)
    if decision.effect != "allow":
        assert expected.get("reason"), f"a case that is not allowed states the reason, here: {decision.reason}"
    if "findings" in expected:
        assert [f"{finding.kind}: {finding.note}" for finding in decision.findings] == expected["findings"]
    if "claims" in expected:
        fields = ("scope", "cap", "fixed", "per_output", "on_exceed", "label")
        claims = [claim for verdict in decision.verdicts for claim in verdict.claims]
        wanted = expected["claims"]
        found = [
            {name: getattr(claim, name) for name in fields if name in want}
            for claim, want in zip(claims, wanted, strict=True)
        ]
        assert found == wanted
    if "output" in expected:
        assert [(verdict.output, verdict.shrink) for verdict in decision.verdicts] == [tuple(expected["output"])]

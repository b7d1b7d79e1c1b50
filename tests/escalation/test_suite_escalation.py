from __future__ import annotations

from jackline.testing.policies import PolicySuite
from jackline_escalation import Escalation

PARTS = {
    "declared": {"add": {"medium": 20, "high": 60}, "undeclared": 5},
    "amount": {"of": "amount", "steps": [{"above": 100, "add": 20}, {"above": 1000, "add": 50}]},
    "new_destination": {"of": ["to", "customer.iban"], "add": 30, "known": ["*@example.com"]},
    "new_tool": 20,
    "off_hours": {"add": 20, "timezone": "Europe/Berlin"},
}


class TestEscalation(PolicySuite):
    use = Escalation
    options = (
        {**PARTS, "gates": [{"at": 50, "to": ["finance"], "expires": "30m"}, {"at": 90, "approvals": 2}]},
        {"rules": [{"when": "args.amount > 5", "add": 10, "why": "large"}], "gates": [{"at": 10, "wait": "block"}]},
    )

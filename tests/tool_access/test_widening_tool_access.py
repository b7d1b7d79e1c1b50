from __future__ import annotations

from typing import Any

import pytest

from jackline.testing.policies import Context
from jackline_tool_access import ToolAccess

PIN = "00aa11bb22cc33dd"


def policy(options: dict[str, Any]) -> ToolAccess:
    return ToolAccess.build("p", ToolAccess.Options.model_validate(options), Context())


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ({"allow": ["a"]}, {"allow": ["a", "b"]}, ("allow: gained b",)),
        ({"allow": ["a", "b"]}, {"allow": ["b", "a"]}, ()),
        ({"allow": ["a", "b"]}, {"allow": ["a"]}, ()),
        ({"allow": [{"tool": "a", "reason": "x"}]}, {"allow": [{"tool": "a", "reason": "y"}]}, ()),
        (
            {"allow": [{"tool": "a", "when": "args.n < 5"}]},
            {"allow": [{"tool": "a", "when": "args.n < 9"}]},
            ("allow: gained a when args.n < 9",),
        ),
        (
            {"allow": ["a"]},
            {"allow": [{"tool": "a", "fingerprint": PIN}]},
            (f"allow: gained a with fingerprint {PIN}",),
        ),
        ({"allow": ["a"], "deny": ["b", "c"]}, {"allow": ["a"], "deny": ["c"]}, ("deny: lost b",)),
        ({"allow": ["a"], "deny": ["b"]}, {"allow": ["a"]}, ("deny: lost b",)),
        ({"allow": ["a"], "read_only": True}, {"allow": ["a"]}, ("read_only: was true",)),
        ({"allow": ["a"]}, {"allow": ["a"], "new_tools": "allow"}, ("new_tools: was deny",)),
        ({"allow": ["a"]}, {"allow": ["a"], "changed_tools": "allow"}, ("changed_tools: was deny",)),
        ({"allow": ["a"], "new_tools": "allow"}, {"allow": ["a"]}, ()),
        ({"allow": ["a"], "delegate": []}, {"allow": ["a"]}, ("delegate: gained a",)),
        ({"allow": ["a"]}, {"allow": ["a"], "delegate": ["a", "b"]}, ("delegate: gained b",)),
        ({"allow": ["a"]}, {"allow": ["a"], "provider_tools": ["web"]}, ("provider_tools: gained web",)),
        ({"provider_tools": []}, {"models": ["m"]}, ("provider_tools: not governed any more",)),
        ({"models": ["m"]}, {"models": ["m", "n"]}, ("models: gained n",)),
        ({"models": ["m"], "spawn": True}, {"spawn": True}, ("models: not governed any more",)),
        ({"models": ["m"]}, {"models": ["m"], "spawn": True}, ()),
        ({"spawn": False}, {"spawn": ["x"]}, ("spawn: gained x",)),
        ({"spawn": ["x"]}, {"spawn": True}, ("spawn: gained *",)),
        (
            {"allow": ["a"], "spawn": True},
            {"spawn": True},
            ("tools: no list governs them any more", "provider_tools: not governed any more"),
        ),
        ({"spawn": True}, {"spawn": True, "allow": ["a"]}, ()),
        ({"egress": {}}, {"spawn": True}, ("egress: not governed any more",)),
        ({"spawn": True}, {"spawn": True, "egress": {}}, ()),
        ({"egress": {"allow": ["a"]}}, {"egress": {"allow": ["b", "a"]}}, ("egress.allow: gained b",)),
        (
            {"egress": {"allow": [{"host": "a", "methods": ["GET"]}]}},
            {"egress": {"allow": [{"host": "a", "methods": ["PUT", "get"]}]}},
            ("egress.allow: gained a for GET, PUT",),
        ),
        ({"egress": {"deny": ["a"]}}, {"egress": {}}, ("egress.deny: lost a",)),
        ({"egress": {"methods": ["GET"]}}, {"egress": {"methods": ["GET", "PUT"]}}, ("egress.methods: gained PUT",)),
        ({"egress": {"methods": ["GET"]}}, {"egress": {}}, ("egress.methods: not governed any more",)),
        ({"egress": {"schemes": ["https"]}}, {"egress": {}}, ("egress.schemes: not governed any more",)),
        ({"egress": {"others": "deny"}}, {"egress": {}}, ("egress.others: was deny",)),
        ({"egress": {"model_hosts": "listed"}}, {"egress": {}}, ("egress.model_hosts: was listed",)),
        ({"egress": {}}, {"egress": {"others": "deny", "model_hosts": "listed"}}, ()),
    ],
)
def test_says_how_a_reload_permits_more(old: dict[str, Any], new: dict[str, Any], said: tuple[str, ...]) -> None:
    assert policy(new).widens(policy(old)) == said

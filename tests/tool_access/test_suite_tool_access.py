from __future__ import annotations

from jackline.request import Model, Request, Tool
from jackline.testing.policies import PolicySuite, request
from jackline_tool_access import ToolAccess


class TestToolAccess(PolicySuite):
    use = ToolAccess
    options = (
        {"allow": ["crm.get_*", "search", {"tool": "refund", "fingerprint": "00aa11bb22cc33dd"}], "deny": ["db.*"]},
        {"deny": ["*"]},
        {"allow": ["*"], "read_only": True, "new_tools": "allow", "changed_tools": "allow"},
        {"models": ["gpt-*"], "provider_tools": ["web_*"], "spawn": ["research*"]},
        {"spawn": True},
        {"spawn": False},
        {"allow": [], "delegate": ["search"]},
    )

    def requests(self) -> list[Request]:
        names = ["crm.get_customer", "search", "refund", "db.drop", "ѕearch", "search\u200b", "DB.drop"]
        tools = [
            Tool(name=name, fingerprint="00aa11bb22cc33dd", status=status, read_only=only)
            for name in names
            for status in ("known", "new", "changed")
            for only in (True, False, None)
        ]
        asked = [request("tool.call", tool.name, tool=tool) for tool in tools]
        offers = [request("model.call", model=Model(name="gpt-5", tools=(tool,))) for tool in tools]
        return [*super().requests(), *asked, *offers]

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
        {"egress": {"allow": ["*.internal:8443", {"host": "10.0.0.0/8", "methods": ["GET"]}], "deny": ["10.1.0.0/16"]}},
        {"egress": {"allow": ["tcp://mail.internal:25"], "others": "deny", "model_hosts": "listed"}},
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
        places = [
            {"host": host, "method": method, "scheme": scheme, "path": "/", "port": port}
            for host in ("api.internal", "10.1.2.3", "10.2.3.4", "evil.example", "mail.internal")
            for scheme, port, method in (("https", 8443, "POST"), ("http", 80, "GET"), ("tcp", 25, "CONNECT"))
        ]
        sent = [request("http.request", place["host"], facts={"http": place}) for place in places]
        return [*super().requests(), *asked, *offers, *sent]

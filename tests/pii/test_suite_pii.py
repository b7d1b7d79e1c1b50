from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from jackline.testing.policies import PolicySuite, request
from jackline_pii import Pii

if TYPE_CHECKING:
    from jackline.request import Request

MAIL = "anna.schmidt@example.org"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PII_KEY", "a secret of the tests")


class TestPii(PolicySuite):
    use = Pii
    options = (
        {},
        {"entities": ["EMAIL", "PHONE"], "action": "mask"},
        {"action": "hash", "key_env": "PII_KEY"},
        {"action": "deny"},
        {"entities": ["SECRET"], "action": "escalate"},
        {"action": "record", "allow": ["*@example.com"]},
        {"custom": [{"name": "BADGE", "pattern": "B-[0-9]{6}", "words": ["badge"]}]},
    )

    def requests(self) -> list[Request]:
        args = {"to": MAIL, "keys": {MAIL: 1}, "list": ["4111 1111", " 1111 1111", 4111111111111111, None, 2.5]}
        messages = [{"role": "user", "content": f"I am {MAIL}"}, {"role": "user", "content": "call +1 650-253-0000"}]
        return [
            *super().requests(),
            request("tool.call", args=args),
            request("model.call", args={"messages": messages}),
            request("tool.return", args={"result": f"badge B-123456 of {MAIL}"}),
            request(
                "http.request",
                "api.internal",
                args={"url": f"https://api.internal/?q={MAIL}", "headers": {"X-Note": MAIL}},
            ),
        ]

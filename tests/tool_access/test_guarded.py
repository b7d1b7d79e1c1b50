"""The policy in a guard: plain Python functions, called as their users call them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from jackline import Denied, Guard

if TYPE_CHECKING:
    from pathlib import Path

BUNDLE = """\
jackline: 1
policies:
  - name: lists
    use: tool_access
    with:
      allow: [{tool: refund, when: args.amount <= 500}, "crm.*"]
      deny: [crm.delete]
"""


@pytest.fixture
def guard(tmp_path: Path) -> Any:
    path = tmp_path / "jackline.yaml"
    path.write_text(BUNDLE)
    opened = Guard.load(path, home=tmp_path / "home", application="shop")
    yield opened
    opened.close()


def test_p13_positional_and_keyword_arguments_are_the_same_action(guard: Guard) -> None:
    """P13: `refund(5000)` is denied as `refund(amount=5000)` is, and the valid call goes through either way."""
    paid: list[float] = []

    @guard.tool
    def refund(order: str, amount: float = 900) -> None:
        paid.append(amount)

    refund("7", 5)
    refund("7", amount=6)
    for call in (lambda: refund("7", 5000), lambda: refund(order="7", amount=5000), lambda: refund("7")):
        with pytest.raises(Denied, match=r"no policy permits tool.call 'refund' for agent 'shop'"):
            call()
    assert paid == [5, 6]


def test_p21_the_body_of_a_tool_on_the_deny_list_never_runs(guard: Guard) -> None:
    ran: list[str] = []

    @guard.tool(name="crm.delete")
    def delete() -> None:
        ran.append("delete")

    @guard.tool(name="crm.get")
    def get() -> None:
        ran.append("get")

    get()
    with pytest.raises(Denied, match=r"Not permitted by policy 'lists': tool 'crm.delete' is on the deny list"):
        delete()
    assert ran == ["get"]

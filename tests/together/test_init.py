"""One line governs every framework of the process, agents that were built before it included."""

from __future__ import annotations

from typing import Any

import pytest
from mixed import run

import jackline

BUNDLE = """\
jackline: 1
policies:
  - {name: nothing-is-paid, use: rule, on: tool.call, when: tool.name == 'pay', effect: deny, reason: ask us}
"""


@pytest.mark.parametrize("chain", [("langchain", "crewai"), ("crewai", "llamaindex"), ("llamaindex", "langchain")])
def test_init_governs_all_of_them(world: Any, tmp_path: Any, monkeypatch: Any, chain: tuple[str, ...]) -> None:
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home"))
    bundle = tmp_path / "jackline.yaml"
    bundle.write_text(BUNDLE)
    agent = world.chain(*chain)
    jackline.init(bundle)
    try:
        assert run(agent) == "I was told: I was told: Not permitted by policy 'nothing-is-paid': ask us"
        assert world.counts.ran["pay"] == 0
    finally:
        jackline.close()
    assert run(agent) == "I was told: I was told: pay is done"

"""P5 on real agents: one that calls the same tool for ever, call after call and many at once, in every way of being called."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from fakes import Bodies, Scripted, ai
from harness import CALLS, TWICE, assert_accounted

from jackline import Halted
from jackline.testing.policies import Context
from jackline_circuit_breaker import CircuitBreaker

if TYPE_CHECKING:
    from harness import Governed, Guards

SAME = {"query": "shoes"}
ONE_BY_ONE = [ai("", ("search", SAME, f"call-{number}")) for number in range(10)]
AT_ONCE = [ai("", *[("search", SAME, f"call-{number}") for number in range(10)])]


WAYS = ["invoke", "ainvoke", "stream", "astream_tokens", "batch"]


def tools(bodies: Bodies, way: str) -> list[Any]:
    return [bodies.asearch() if way.startswith("a") else bodies.search()]


def breaker(**options: Any) -> CircuitBreaker:
    return CircuitBreaker.build("p0", CircuitBreaker.Options.model_validate(options), Context())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("loop", [ONE_BY_ONE, AT_ONCE], ids=["one by one", "at once"])
def test_p5_a_loop_stops_at_exactly_the_bound(governed: Governed, guards: Guards, way: str, loop: Any) -> None:
    """P5: ten identical calls, of which LangChain's own counter with a cap of three lets ten run: here three run."""
    bodies, model = Bodies(), Scripted(*loop, ai("done"))
    guard = guards(breaker(halt_after=None))  # type: ignore[arg-type]
    agent = governed.agent(guard, model, tools(bodies, way))
    result = CALLS[way](agent)
    assert bodies.ran == {"search": 3 * (1 + (way in TWICE))}
    assert "gave nothing new" in str(model.seen[-1])
    assert "done" in str(result)
    assert_accounted(guard)


@pytest.mark.parametrize("way", WAYS[:-1])
def test_an_agent_that_goes_on_is_ended(governed: Governed, guards: Guards, way: str) -> None:
    bodies, model = Bodies(), Scripted(*ONE_BY_ONE, ai("done"))
    guard = guards(breaker(halt_after=2))  # type: ignore[arg-type]
    agent = governed.agent(guard, model, tools(bodies, way))
    with pytest.raises(Halted, match="2 calls in a row were blocked and the agent goes on"):
        CALLS[way](agent)
    assert bodies.ran == {"search": 3}
    assert model.calls == 6
    assert_accounted(guard)

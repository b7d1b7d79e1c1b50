"""Each library, at each entrance: a refused request never arrives, a permitted one is on record as it was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from http_harness import NO, about, as_tool, decided, keep, outcomes, refuse_port
from http_ways import WAYS, Way

from jackline.decision import Verdict
from jackline.errors import ApprovalPending, Denied, Halted
from jackline.events import Completed
from jackline.testing.records import assert_accounted, unrecordable
from jackline.testing.scripted import failing, on_record, replacing

if TYPE_CHECKING:
    from collections.abc import Callable

    from http_server import Server

    from jackline.guard import Guard

    Governing = Callable[..., Guard]

every_way = pytest.mark.parametrize("way", WAYS, ids=repr)


@every_way
def test_a_request_is_a_child_of_the_tool_that_sends_it(way: Way, good: Server, governing: Governing) -> None:
    asked: list[Any] = []
    guard = governing(keep(asked))
    assert as_tool(guard, lambda: way.send(f"{good.url}/ok/42?q=x", "POST", content=b"body")) == (200, "hello body")
    assert [(each.method, each.path, each.body) for each in good.got] == [("POST", "/ok/42?q=x", b"body")]
    (event,), (outcome,) = decided(guard), outcomes(guard)
    (tool,) = [each for each in on_record(guard, "decided") if each.action == "tool.call"]
    assert (event.parent, event.agent, event.resource) == (tool.span, "researcher", "127.0.0.1")
    assert (event.http.method, event.http.scheme, event.http.port) == ("POST", "http", good.port)
    assert isinstance(outcome, Completed)
    assert (outcome.http.status, outcome.http.sent, outcome.http.received) == (200, 4, 10)
    assert outcome.duration_ms > 0
    (request,) = asked
    assert request.facts["http"] == {
        "host": "127.0.0.1",
        "method": "POST",
        "scheme": "http",
        "path": "/ok/42",
        "port": good.port,
        "proxy": "",
        "inside": "tool.call",
    }
    assert request.args["url"] == f"{good.url}/ok/42?q=x"
    assert (request.args["method"], request.args["body"]) == ("POST", "body")
    guard.close()
    assert_accounted(guard)


@every_way
@pytest.mark.parametrize(("effect", "kind"), [("deny", Denied), ("halt", Halted), ("escalate", ApprovalPending)])
def test_a_refused_request_never_arrives(way: Way, effect: Any, kind: Any, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port, effect))
    caught: list[Exception] = []

    def tool() -> None:
        try:
            way.send(f"{bad.url}/ok", "POST", content=b"body")
        except way.error as error:
            caught.append(error)

    if effect == "halt":
        as_tool(guard, tool)
        with pytest.raises(Halted), guard.session("job", agent="researcher"):
            guard.require(guard.request("tool.call", "another", {}))
    else:
        as_tool(guard, tool)
    assert (bad.got, bad.connections) == ([], 0)
    (error,) = caught
    assert isinstance(error, kind)
    assert NO in str(error)
    assert error.decision.policy == "p0"
    assert outcomes(guard) == []
    guard.close()
    assert_accounted(guard)


@every_way
def test_each_hop_of_a_redirect_is_a_request(way: Way, good: Server, bad: Server, governing: Governing) -> None:
    guard = governing(refuse_port(bad.port))
    with pytest.raises(way.error, match=NO):
        as_tool(guard, lambda: way.send(f"{good.url}/redirect?to={bad.url}/ok"))
    assert len(good.got) == 1
    assert (bad.got, bad.connections) == ([], 0)
    assert as_tool(guard, lambda: way.send(f"{good.url}/redirect?to={good.url}/ok")) == (200, "hello ")
    found = decided(guard)
    assert [(each.effect, each.http.port) for each in found] == [
        ("allow", good.port),
        ("deny", bad.port),
        ("allow", good.port),
        ("allow", good.port),
    ]
    assert found[0].parent == found[1].parent
    assert found[2].parent == found[3].parent
    assert [each.http.status for each in outcomes(guard)] == [302, 302, 200]
    guard.close()
    assert_accounted(guard)


@every_way
def test_what_a_policy_changes_is_what_arrives(way: Way, good: Server, governing: Governing) -> None:
    guard = governing(replacing("http.request", "plum", "****"))
    headers = {"x-card": "plum", "authorization": "Bearer abc"}
    answer = as_tool(
        guard, lambda: way.send(f"{good.url}/ok?card=plum", "POST", content=b"card plum!", headers=headers)
    )
    assert answer == (200, "hello card ****!")
    (arrival,) = good.got
    assert arrival.path in ("/ok?card=****", "/ok?card=%2A%2A%2A%2A")
    assert (arrival.headers["x-card"], arrival.headers["authorization"]) == ("****", "Bearer abc")
    assert arrival.headers["content-length"] == "10"
    assert headers == {"x-card": "plum", "authorization": "Bearer abc"}
    assert [each.effect for each in decided(guard)] == ["modify"]


@every_way
@pytest.mark.parametrize("what", ["method", "place", "more", "header"])
def test_a_change_that_cannot_be_sent_is_a_denial(way: Way, what: str, good: Server, governing: Governing) -> None:
    changes: dict[str, Any] = {
        "method": {"method": "PUT"},
        "place": {"url": "http://elsewhere.example/ok"},
        "more": {"more": 1},
        "header": {"headers": {"x": 1}},
    }
    guard = governing(about(lambda request: Verdict(effect="modify", args=request.args | changes[what]), "modify"))
    with pytest.raises(way.error, match="the request cannot be changed as policy asks") as caught:
        as_tool(guard, lambda: way.send(f"{good.url}/ok"))
    assert isinstance(caught.value, Denied)
    assert good.got == []
    assert [each.error for each in outcomes(guard)] == ["abandoned"]
    guard.close()
    assert_accounted(guard)


@every_way
def test_credentials_are_shown_to_nobody(way: Way, good: Server, governing: Governing) -> None:
    asked: list[Any] = []
    guard = governing(keep(asked))
    headers = {"Authorization": "Bearer abc", "Cookie": "s=1", "X-Api-Key": "k", "X-Other": "seen"}
    as_tool(guard, lambda: way.send(f"{good.url}/ok", headers=headers))
    assert {"authorization", "cookie", "x-api-key"} <= good.got[0].headers.keys()
    shown = asked[0].args["headers"]
    assert shown["x-other"] == "seen"
    assert not {"authorization", "cookie", "x-api-key"} & shown.keys()


@every_way
def test_a_failing_policy_denies(way: Way, good: Server, governing: Governing) -> None:
    guard = governing(failing("http.request", agent=""))
    with pytest.raises(way.error, match="raised ZeroDivisionError"):
        as_tool(guard, lambda: way.send(f"{good.url}/ok"))
    assert good.connections == 0


@every_way
def test_what_cannot_be_recorded_is_not_sent(way: Way, good: Server, governing: Governing) -> None:
    guard = governing()
    with guard.session("job", agent="researcher"), unrecordable(guard), pytest.raises(way.error, match="recorded"):
        way.send(f"{good.url}/ok")
    assert good.connections == 0


@every_way
def test_in_observe_mode_nothing_changes(way: Way, bad: Server, governing: Governing) -> None:
    guard = governing(replacing("http.request", "body", "BODY"), refuse_port(bad.port), mode="observe")
    assert as_tool(guard, lambda: way.send(f"{bad.url}/ok", "POST", content=b"body")) == (200, "hello body")
    assert [(each.effect, each.would) for each in decided(guard)] == [("allow", "deny")]


@every_way
def test_an_answer_that_is_no_success_is_one_all_the_same(way: Way, good: Server, governing: Governing) -> None:
    guard = governing()
    assert as_tool(guard, lambda: way.send(f"{good.url}/missing"))[0] == 404
    assert [each.http.status for each in outcomes(guard)] == [404]


@every_way
@pytest.mark.parametrize("path", ["broken", "gone"])
def test_a_broken_connection_ends_the_act(way: Way, path: str, good: Server, governing: Governing) -> None:
    guard = governing()
    with pytest.raises(Exception) as caught:
        as_tool(guard, lambda: way.send(f"{good.url}/{path}", "POST", content=b"body"))
    assert not isinstance(caught.value, Denied)
    guard.close()
    found = outcomes(guard)
    assert {each.__struct_config__.tag for each in found} == {"failed"}
    assert found[0].http.sent == 4
    if path == "broken":
        assert (found[0].http.status, found[0].http.received) == (200, 4)
    assert_accounted(guard)


@every_way
def test_a_server_that_is_not_there_ends_the_act(way: Way, good: Server, governing: Governing) -> None:
    good.stop()
    guard = governing()
    with pytest.raises(Exception, match=r".*"):
        as_tool(guard, lambda: way.send(f"{good.url}/ok", "POST"))
    guard.close()
    assert {each.__struct_config__.tag for each in outcomes(guard)} == {"failed"}
    assert_accounted(guard)


@every_way
@pytest.mark.parametrize(("path", "size"), [("large", 200_000), ("chunks", 50)])
def test_bytes_are_counted_as_they_arrive(way: Way, path: str, size: int, good: Server, governing: Governing) -> None:
    guard = governing()
    assert len(as_tool(guard, lambda: way.send(f"{good.url}/{path}"))[1]) == size
    assert [each.http.received for each in outcomes(guard)] == [size]


@every_way
def test_outside_of_tools_the_program_itself_asks(way: Way, good: Server, bad: Server, governing: Governing) -> None:
    asked: list[Any] = []
    governing(keep(asked), refuse_port(bad.port))
    assert way.send(f"{good.url}/ok") == (200, "hello ")
    with pytest.raises(way.error, match=NO):
        way.send(f"{bad.url}/ok")
    assert [(each.agent.name, each.parent, each.facts["http"]["inside"]) for each in asked] == [("suite", "", "")] * 2
    assert bad.connections == 0


@every_way
def test_two_guards_are_both_asked(way: Way, good: Server, bad: Server, governing: Governing) -> None:
    first, second = governing(), governing(refuse_port(bad.port))
    assert as_tool(first, lambda: way.send(f"{good.url}/ok")) == (200, "hello ")
    with pytest.raises(way.error, match=NO):
        as_tool(first, lambda: way.send(f"{bad.url}/ok"))
    assert bad.connections == 0
    assert [each.effect for each in decided(first)] == ["allow", "allow"]
    assert [each.effect for each in decided(second)] == ["allow", "deny"]
    assert [(each.__struct_config__.tag, getattr(each, "error", "")) for each in outcomes(first)] == [
        ("completed", ""),
        ("failed", "abandoned"),
    ]
    assert [each.agent for each in decided(second)] == ["suite", "suite"]
    for guard in (first, second):
        guard.close()
        assert_accounted(guard)

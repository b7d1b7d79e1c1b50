"""The server as a whole: killed, ended, mounted, described."""

from __future__ import annotations

import json

import httpx
import pytest
import schemathesis
from decision_harness import POLICIES, check, events, token
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from starlette.applications import Starlette
from starlette.routing import Mount

import jackline
from jackline.home import Home
from jackline.request import ACTIONS
from jackline_console.decisions.application import DecisionAPI
from jackline_console.decisions.openapi import document
from jackline_console.settings import Settings

ACTS = set(ACTIONS) - {"tool.return", "model.return"}
NOT_OF_ACTS = {"parent", "decision", "result"}
CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]


def test_a_halt_outlives_its_server(serve):
    server = serve()
    client = server.client("billing")
    assert [check(client)["effect"] for _ in range(6)][-1] == "halt"
    client.close()
    server.kill()
    assert check(serve().client("billing"))["effect"] == "halt"


def test_what_stops_a_session_reaches_it(client, home):
    told = check(client)
    jackline.control.Control(home / "control").stop(told["session"], "ana", "enough")
    assert check(client)["effect"] == "halt"


@pytest.mark.asyncio
async def test_mounted_beneath_another_application(tmp_path):
    home = tmp_path / "home"
    path = tmp_path / "jackline.yaml"
    path.write_text(POLICIES, encoding="utf-8")
    with jackline.Guard.load(path, home=home) as guard:
        api = DecisionAPI(guard, Settings(home=Home(home)))
        outer = Starlette(routes=[Mount("/jackline", api)])
        headers = {"Authorization": f"Bearer {token(home, 'billing')}"}
        transport = httpx.ASGITransport(outer)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", headers=headers) as client:
            asked = {"action": "tool.call", "resource": "find", "session": "job-1"}
            told = (await client.post("/jackline/v1/check", json=asked)).json()
            assert told["permitted"]
            done = await client.post("/jackline/v1/record", json={"decision": told["decision"], "outcome": "completed"})
            assert done.status_code == 200
        await api.close()


def asked(server, headers, change=lambda case, count: case):
    """Send requests made from the schema, right and wrong ones; what was answered, and what the schema has not."""
    loaded = schemathesis.openapi.from_dict(json.loads(json.dumps(document())))
    failed, answered = [], []
    chosen = settings(
        max_examples=60,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )

    def ask(case):
        change(case, len(answered))
        answer = case.call(base_url=server.base, headers=headers, timeout=30)
        answered.append((case.path, answer.status_code))
        try:
            case.validate_response(answer, checks=CHECKS)
        except schemathesis.errors.FailureGroup as error:
            failed.append((case.path, answer.status_code, str(error.exceptions)[:1000]))

    for result in loaded.get_all_operations():
        chosen(given(result.ok().as_strategy())(ask))()
    assert failed == []
    assert {path for path, _ in answered} == {"/v1/check", "/v1/record"}
    return answered


def often_decided(case, count):
    """Every second one that could be decided is made so that no field alone is wrong."""
    if isinstance(case.body, dict) and case.body.get("action") in ACTS and count % 2:
        case.body = {name: value for name, value in case.body.items() if name not in NOT_OF_ACTS}
        case.body |= {"resource": case.body.get("resource") or "find", "session": "job-1", "user": ""}


def test_no_request_makes_the_server_fail(client, server):
    """Every answer is one that the schema has, none is a 5xx."""
    answered = asked(server, dict(client.headers), often_decided)
    assert ("/v1/check", 200) in answered
    assert ("/v1/record", 404) in answered


@pytest.mark.parametrize(
    "headers",
    [{}, {"Authorization": "Bearer jkl_wrong"}, {"Authorization": "Basic eDp5"}],
    ids=["none", "wrong", "basic"],
)
def test_no_request_of_a_stranger_is_anything_but_refused(server, home, headers):
    answered = asked(server, headers, often_decided)
    assert {status for _, status in answered} == {401}
    assert events(home, "decided") == []
    assert 1 <= len(events(home, "login_failed")) <= 60


def test_the_schema_is_served_to_whoever_asks(server):
    told = httpx.get(f"{server.base}/v1/openapi.json", trust_env=False).json()
    assert told["components"]["schemas"]["Check"]["additionalProperties"] is False
    assert set(told["paths"]) == {"/v1/check", "/v1/record"}

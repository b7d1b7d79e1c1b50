"""What the API answers is what its schema says, whatever is asked and whatever agents are called."""

from __future__ import annotations

import contextlib
import hashlib
import json
from urllib.parse import quote

import pytest
import schemathesis
from console_harness import until
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from typer.testing import CliRunner

import jackline
from jackline.approvals import Approvals
from jackline.cli import application as cli
from jackline.cli import keys
from jackline.events import RunStarted, SessionStarted
from jackline.home import Home
from jackline.journal import Journal
from jackline.request import Agent, Tool
from jackline_console.app import create_app
from jackline_console.models import agents, approvals, costs, policies, sessions
from jackline_console.models import status as statuses
from jackline_console.settings import Settings

CHECKS = [
    schemathesis.checks.not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_schema_conformance,
]
XSS = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "javascript:alert(1)",
    "</title><svg/onload=alert(1)>",
    "{{constructor.constructor('alert(1)')()}}",
    "data: \u2028\u2029\r\nevent: epoch\r\ndata: {}",
    "\x00\x1b[31m\U0001f600",
]


@pytest.fixture(scope="module")
def schema(tmp_path_factory):
    return create_app(Settings(home=Home(tmp_path_factory.mktemp("home")))).openapi()


def spoiled(home, bundle):
    """A home in which every name is markup."""
    with jackline.Guard.load(bundle, home=home, application=XSS[0]) as guard:
        for text in XSS:
            agent = Agent(name=f"agent {text}", team=text, labels={"l": text}, framework="python")
            with guard.session(id=f"job {text}", user=text, labels={"x": text}), guard.run(agent):
                tool = Tool(name=f"tool {text}", fingerprint="a" * 16)
                request = guard.request("tool.call", tool.name, {"text": text}, tool=tool)
                decision = guard.check(request)
                guard.fail(request, decision, ValueError(text))


def test_markup_comes_back_as_data(console, client, home, folder, stream):
    """In every page's answer, as JSON that no browser takes for anything else; on the stream in one message."""
    cursor = client.get("/live").json()["cursor"]
    spoiled(home, folder / "jackline.yaml")
    rows = until(lambda: whole(client.get("/sessions").json()["items"], len(XSS)), "the sessions")
    assert {row["external_id"] for row in rows} >= {f"job {text}" for text in XSS[:5]}
    names = {item["name"] for item in client.get("/agents").json()["items"]}
    assert {f"agent {text}" for text in XSS[:5]} <= names
    for row in rows:
        for path in ("", "/spans", "/events", "/graph"):
            answer = client.get(f"/sessions/{row['session']}{path}")
            assert answer.status_code == 200
            assert answer.headers["content-type"] == "application/json"
            assert answer.headers["x-content-type-options"] == "nosniff"
            json.loads(answer.text)
    reader = stream(client, after=cursor)
    seen = []
    while len({one["session"] for one in seen if one["kind"] == "session_ended"}) < len(XSS):
        seen += reader.next("events")["items"]
    assert [one["position"] for one in seen] == list(range(seen[0]["position"], seen[0]["position"] + len(seen)))
    metrics = client.get(f"{console.base}/metrics")
    assert metrics.headers["content-type"].startswith("text/plain")
    missing = client.get(f"/sessions/{XSS[0]}")
    assert (missing.status_code, missing.headers["content-type"]) == (404, "application/problem+json")
    page = client.get(f"{console.base}/{XSS[0]}")
    assert XSS[0] not in page.text


def whole(rows, count):
    return rows if len(rows) >= count and all(row["state"] == "ended" for row in rows) else None


def test_an_agent_with_any_name_is_found_and_suspended(client, home, folder):
    spoiled(home, folder / "jackline.yaml")
    until(lambda: whole(client.get("/sessions").json()["items"], len(XSS)), "the sessions")
    for text in XSS[:5]:
        path = quote(f"agent {text}", safe="")
        assert client.get(f"/agents/{path}").json()["name"] == f"agent {text}"
        done = client.post(f"/agents/{path}/tools/{quote(f'tool {text}', safe='')}/suspend", json={"why": text})
        assert (done.json()["agent"], done.json()["why"]) == (f"agent {text}", text.strip())


def test_a_line_that_is_no_json_breaks_no_stream(client, home, stream):
    """Journals are written by others: a body is told only where it can stand in a message."""
    cursor = client.get("/live").json()["cursor"]
    journal = Journal.open(home / "journals", writer="guard")
    journal.append(SessionStarted(at=1.0, session="a" * 32, external_id="x" * 40_000))
    journal.append(RunStarted(at=2.0, session="a" * 32, run="b" * 32, span="c" * 16, agent="desk"))
    journal.close()
    reader = stream(client, after=cursor, session="a" * 32)
    found = reader.next("events")["items"]
    while len(found) < 2:
        found += reader.next("events")["items"]
    assert found[0]["event"] is None, "too long for a stream"
    assert found[1]["event"]["agent"] == "desk"
    assert client.get(f"/events/{found[0]['position']}").json()["event"]["external_id"] == "x" * 40_000
    assert client.get("/events/999999").json()["type"].endswith(":unknown-event")


@pytest.mark.parametrize(
    "where",
    [
        "agent.team == 'crm'",
        "'tier' in agent.labels && agent.status == 'active'",
        "agent.labels['tier'] == '1'",
        "'customer-data' in agent.labels && agent.status == 'active'",
        "true",
    ],
)
def test_the_query_box_gives_what_the_command_line_gives(where, client, home, folder, monkeypatch):
    with jackline.Guard.load(folder / "jackline.yaml", home=home) as guard:
        data = {"customer-data": "eu"}
        labelled = (
            ("support", "crm", {}),
            ("billing", "money", {"tier": "1", **data}),
            ("bare", "", {}),
            ("new", "", data),
        )
        for name, team, labels in labelled:
            with guard.session(), guard.run(Agent(name=name, version="1", team=team, labels=labels)):
                guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    until(lambda: len(client.get("/agents").json()["items"]) >= 4, "the agents")
    client.patch("/agents/billing", json={"status": "active", "why": "known"})
    monkeypatch.chdir(folder)
    typed = CliRunner().invoke(cli.application(), ["--home", str(home), "agents", "list", "--where", where, "--json"])
    answer = client.get("/agents", params={"where": where}).json()
    listed = json.loads(typed.stdout)["agents"]
    assert sorted(item["name"] for item in answer["items"]) == sorted(agent["name"] for agent in listed)
    assert listed, "the set is not empty"
    statuses_ = [item["status"] for item in answer["items"]]
    assert statuses_ == sorted(statuses_, key=lambda status: status != "seen"), "unregistered ones first"


def test_answers_that_are_made_as_bytes_have_the_shape_that_is_promised(client, agent):
    one = agent("job-1", "spend")
    one.told("now")
    until(lambda: client.get(f"/sessions/{one.id}").status_code == 200, "the session")
    for path, model in (
        ("/live", sessions.LiveSessions),
        (f"/sessions/{one.id}", sessions.SessionWhole),
        (f"/sessions/{one.id}/spans", sessions.Spans),
        (f"/sessions/{one.id}/graph", sessions.Graph),
        ("/agents", agents.AgentList),
        ("/approvals", approvals.ApprovalList),
        ("/bundle", policies.BundleView),
        ("/policies/usage", policies.RuleUsageList),
        ("/costs", costs.Costs),
        ("/distributions?what=model_duration&by=model", costs.Distributions),
        ("/status", statuses.Status),
        ("/summary", statuses.Summary),
    ):
        answer = client.get(path)
        assert answer.status_code == 200, answer.text
        loaded = model.model_validate(answer.json())
        assert not set(answer.json()) - {field.alias or name for name, field in type(loaded).model_fields.items()}


def test_lists_go_on_where_they_ended(client, agent):
    ids = [made.id for made in (agent(f"job-{n}") for n in range(5))]
    until(lambda: len(client.get("/sessions").json()["items"]) == 5, "five sessions")
    seen, cursor = [], ""
    while cursor is not None:
        page = client.get("/sessions", params={"limit": 2, "cursor": cursor}).json()
        seen += [row["session"] for row in page["items"]]
        cursor = page["next"]
    assert sorted(seen) == sorted(ids)
    spans = client.get(f"/sessions/{ids[0]}/spans", params={"limit": 1}).json()
    following = client.get(f"/sessions/{ids[0]}/spans", params={"limit": 1, "cursor": spans["next"]}).json()
    assert following["items"][0]["span"] != spans["items"][0]["span"]
    wrong = client.get("/sessions", params={"cursor": spans["next"]})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "urn:jackline:problem:cursor")


def test_a_draft_is_checked_and_completed(client):
    text = "jackline: 1\npolicies:\n  - name: a\n    use: rule\n    on: tool.call\n    when: tool.nam == 'x'\n    effect: deny\n"
    checked = client.post("/bundle/validate", json={"text": text}).json()
    assert checked["ok"] is False
    assert [(one["line"], one["column"]) for one in checked["problems"]] == [(6, 16)]

    def offered(line, column):
        found = client.post("/bundle/complete", json={"text": text, "line": line, "column": column}).json()
        return [item["label"] for item in found["items"]], found["from"]

    assert offered(6, 19) == (["tool.name"], 11)
    assert offered(4, 10)[0][:2] == ["budget", "circuit_breaker"]
    assert offered(7, 13)[0] == ["allow", "deny", "escalate", "halt"] or "deny" in offered(7, 13)[0]
    text += "    "
    assert "with" in offered(8, 5)[0]
    assert "name" not in offered(8, 5)[0], "it is there already"
    text = "jackline: 1\nm"
    assert offered(2, 2) == (["mode"], 1)


@pytest.fixture
def busy(home, folder, config, monkeypatch):
    """A home in which there is something of everything; gives names with which routes find it."""
    monkeypatch.setenv("JACKLINE_CONFIG", str(config))
    bundle = folder / "jackline.yaml"
    pinned = keys.pinned("ana", keys.made("ana")[1])
    bundle.write_text(f"{bundle.read_text()}capture: full\napprovers:\n{pinned}\n", encoding="utf-8")
    spoiled(home, bundle)
    with jackline.Guard.load(bundle, home=home) as guard:

        @guard.tool
        def refund(order: str, amount: float) -> str:
            return order + str(amount)

        with guard.session() as session, contextlib.suppress(jackline.ApprovalPending):
            refund(order="A-1", amount=1.0)
            refund(order="A-1", amount=600.0)
    asked = next(iter(Approvals(home / "approvals").all())).question
    told = {"session": session.id, "name": asked.agent.partition("@")[0], "tool": "refund", "approval": asked.id}
    return told | {"span": asked.span, "position": 1, "revision": hashlib.sha256(bundle.read_bytes()).hexdigest()}


@pytest.mark.parametrize(("role", "examples"), [("viewer", 3), ("approver", 2), ("operator", 3), ("admin", 6)])
def test_no_request_makes_the_server_fail(role, examples, busy, console, schema):
    """Requests made from the schema, right and wrong ones: every answer is one that the schema has, none is a 5xx."""
    script = console.token(role)
    until(lambda: script.get(f"/sessions/{busy['session']}").status_code == 200, "the session")
    loaded = schemathesis.openapi.from_dict(json.loads(json.dumps(schema)))
    failed, answered = [], set()
    chosen = settings(
        max_examples=examples,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    for result in loaded.get_all_operations():
        operation = result.ok()
        if operation.path != "/api/v1/stream":  # it has no end; its own tests ask for it
            ask = asking(console.base, dict(script.headers), busy, failed, answered)
            chosen(given(operation.as_strategy())(ask))()
    assert failed == []
    assert len(answered) >= {"viewer": 25, "approver": 25, "operator": 28, "admin": 30}[role], answered


def asking(base, headers, known, failed, answered):
    """Send a case, first with names that are there; note what must not be answered, and what was."""
    first = []

    def ask(case):
        if not first:
            case.path_parameters = {name: known.get(name, value) for name, value in case.path_parameters.items()}
            first.append(case)
        answer = case.call(base_url=base, headers=headers, timeout=30)
        if answer.status_code < 300:
            answered.add((case.method, case.path))
        try:
            case.validate_response(answer, checks=CHECKS)
        except schemathesis.errors.FailureGroup as error:
            failed.append((case.method, case.path, answer.status_code, str(error.exceptions)[:1000]))

    return ask


def test_a_wrong_answer_would_be_found(schema, console):
    """The checks of the test above, on an answer whose schema says something else."""
    changed = json.loads(json.dumps(schema))
    changed["components"]["schemas"]["Access"]["properties"]["version"] = {"type": "integer"}
    operation = schemathesis.openapi.from_dict(changed)["/api/v1/access"]["GET"]
    answer = operation.Case().call(base_url=console.base, timeout=30)
    with pytest.raises(schemathesis.errors.FailureGroup):
        operation.Case().validate_response(answer, checks=CHECKS)


def test_payloads_come_on_demand(client, agent, folder):
    """P69: lists have digests only; what was kept is asked for, and found by the step's journal."""
    bundle = folder / "jackline.yaml"
    bundle.write_text(bundle.read_text() + "capture: full\n", encoding="utf-8")
    one = agent("job-1")
    one.told("now")
    spans = until(lambda: steps(client, one.id), "a step")
    for params in ({"journal": spans[0]["journal"]}, {}, {"journal": "another"}, {"journal": "../../etc/passwd"}):
        found = client.get(f"/payloads/{spans[0]['args']}", params=params).json()
        assert (found["value"], found["capture"], found["cut"]) == ({"number": 0}, "full", False)
    missing = client.get(f"/payloads/{'0' * 32}")
    assert (missing.status_code, missing.json()["type"]) == (404, "urn:jackline:problem:unknown-payload")
    whole = client.get(f"/sessions/{one.id}/spans/{spans[0]['span']}").json()
    assert [event["kind"] for event in whole["events"]] == ["decided", "completed"]
    assert whole["revision"] == client.get("/bundle").json()["revision"]


def steps(client, session):
    answer = client.get(f"/sessions/{session}/spans")
    items = answer.json()["items"] if answer.status_code == 200 else []
    return [item for item in items if item["kind"] == "tool.call" and item["outcome"] == "completed"]


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/bundle/validate", b'{"text": "\\ud800"}'),
        ("POST", "/bundle/validate", b'{"\\ud800": 1}'),
        ("POST", "/bundle/validate", b"\xff\xfe"),
        ("POST", "/bundle/validate", b"[" * 100_000),
        ("POST", f"/approvals/{'a' * 64}/edit", b'{"args": {"a": NaN}}'),
        ("POST", f"/approvals/{'a' * 64}/edit", b'{"args": {"a": "\\ud800"}}'),
        ("POST", f"/approvals/{'a' * 64}/edit", b'{"args": {"a": 123456789012345678901234567890}}'),
        ("GET", "/sessions/%00", b""),
        ("GET", "/payloads/%ff", b""),
        ("GET", "/agents?where=%ed%a0%80", b""),
        ("GET", "/sessions?cursor=W10", b""),
    ],
)
def test_what_is_no_text_is_refused_and_breaks_nothing(method, path, body, console, client):
    answer = client.request(method, path, content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert client.get(f"{console.base}/%00/%2e%2e/%2e%2e/etc/passwd").status_code == 200, "the page, and nothing else"

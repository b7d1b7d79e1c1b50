"""What is wrong is refused, each with an event, and harms nobody else."""

from __future__ import annotations

import gzip
import json
import socket
import time

import httpx
import pytest
from decision_harness import check, events, record, token, until

from jackline_console.access.users import Users
from jackline_console.headers import MOST_BYTES

ASKED = {"action": "tool.call", "resource": "find", "session": "job-1"}


@pytest.mark.parametrize(
    ("body", "detail"),
    [
        ({**ASKED, "agent": "root"}, "Object contains unknown field `agent`"),
        ({**ASKED, "tool": {"name": "x"}}, "Object contains unknown field `name` - at `$.tool`"),
        ({**ASKED, "action": "tool.run"}, "Invalid enum value 'tool.run' - at `$.action`"),
        ({"action": "tool.call", "session": "job-1"}, "`tool.call` needs a `resource`"),
        ({"action": "tool.call", "resource": "find"}, "one of `session` and `parent` is needed, and not both"),
        ({**ASKED, "parent": "0" * 32}, "one of `session` and `parent` is needed, and not both"),
        ({"action": "tool.return", "result": 1}, "`tool.return` needs the `decision` whose result it is"),
        ({**ASKED, "result": 1}, "`decision` and `result` are of a return, and `tool.call` is none"),
        ([ASKED, {**ASKED, "resource": ""}], "[1]: `tool.call` needs a `resource`"),
    ],
)
def test_fields_that_are_unknown_or_wrong(body, detail, client, home):
    answer = client.post("/v1/check", json=body)
    assert (answer.status_code, answer.json()["detail"]) == (422, detail)
    (refused,) = events(home, "caller_refused")
    assert (refused.what, refused.detail, refused.agent) == ("invalid", detail.replace(" 'tool.run'", ""), "billing")
    assert events(home, "decided") == []


@pytest.mark.parametrize(
    ("path", "body", "status"),
    [
        ("/v1/check", b"{", 400),
        ("/v1/check", b"\xff\xfe", 400),
        ("/v1/check", b"[" * 100_000, 422),
        ("/v1/check", b'{"args":' + b'{"a":' * 100_000, 400),
        ("/v1/check", b"[]", 422),
        ("/v1/check", b"null", 422),
        ("/v1/record", json.dumps([{"decision": "0" * 32, "outcome": "completed"}] * 101).encode(), 422),
        ("/v1/record", b'{"decision":"x","outcome":"completed"}', 422),
        ("/v1/record", b'{"decision":"%s","outcome":"completed","usage":{"input":-1}}' % (b"0" * 32), 422),
    ],
)
def test_bodies_that_are_none(path, body, status, client, home):
    answer = client.post(path, content=body)
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    assert len(events(home, "caller_refused")) == 1
    assert check(client)["permitted"]


@pytest.mark.parametrize(
    ("body", "status", "what"),
    [
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":NaN}}', 400, "no-json"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":-Infinity}}', 400, "no-json"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":1e999}}', 422, "invalid"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":"\xff"}}', 400, "no-json"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":"\\ud800"}}', 400, "no-json"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":1,"b":2,"a":3}}', 422, "unjudgeable"),
        (b'{"action":"tool.call","resource":"x","resource":"delete_all","session":"j"}', 422, "unjudgeable"),
        (b'[{"action":"tool.call","resource":"x","session":"j","args":{"a":[{"b":1,"b":1}]}}]', 422, "unjudgeable"),
        (b'{"action":"tool.call","resource":"x","session":"j"} {}', 400, "no-json"),
        (b'\xef\xbb\xbf{"action":"tool.call","resource":"x","session":"j"}', 400, "no-json"),
        (b'{"action":"tool.call","resource":"x","session":"j","args":{"a":' + b"9" * 5000 + b"}}", 422, "invalid"),
    ],
)
def test_what_readers_of_json_read_differently_is_not_judged(body, status, what, client, home):
    answer = client.post("/v1/check", content=body)
    assert (answer.status_code, answer.json()["type"]) == (status, f"urn:jackline:problem:{what}"), answer.text
    (refused,) = events(home, "caller_refused")
    assert refused.what == what
    assert events(home, "decided") == []
    assert check(client)["permitted"]


def test_a_key_that_is_there_twice_is_named(client):
    answer = client.post(
        "/v1/record", content=b'{"decision":"%s","outcome":"failed","outcome":"completed"}' % (b"0" * 32)
    )
    assert answer.status_code == 422
    assert answer.json()["detail"] == (
        "the body cannot be read in one way only: the key `outcome` is there twice in one object"
    )


def test_nothing_is_unpacked(client, home):
    """A bomb of gzip is not looked at, and neither is anything else that is packed."""
    bomb = gzip.compress(bytes(64 * 1024 * 1024))
    for name in ("gzip", "deflate", "br", "gzip, gzip"):
        answer = client.post("/v1/check", content=bomb, headers={"Content-Encoding": name})
        assert (answer.status_code, answer.json()["what"]) == (415, "Content-Encoding")
    assert client.post("/v1/check", json=ASKED, headers={"Content-Encoding": "identity"}).json()["permitted"]
    assert [one.what for one in events(home, "caller_refused")] == ["encoding"] * 4


def test_what_was_sent_is_in_no_record_of_its_refusal(client, home):
    """Somebody may send a secret in a wrong place: they are told, and the journal is not."""
    wrong = client.post("/v1/check", json={**ASKED, "action": "zqzq' - at `$.x`-zqzq"})
    assert "zqzq" in wrong.json()["detail"]
    client.post("/v1/check", json=ASKED, headers={"Authorization": "Bearer jkl_zqzq"})
    client.post("/v1/record", json={"decision": "zqzq", "outcome": "completed"})
    (refused, _) = events(home, "caller_refused")
    assert refused.detail == "Invalid enum value - at `$.action`"
    assert len(events(home, "login_failed")) == 1
    assert not any(b"zqzq" in path.read_bytes() for path in (home / "journals").iterdir())


def test_floods_of_strangers_fill_no_disk(server, home):
    with httpx.Client(base_url=server.base, trust_env=False) as stranger:
        for number in range(100):
            headers = {"Authorization": f"Bearer jkl_{number}"} if number % 2 else {}
            assert stranger.post("/v1/check", json=ASKED, headers=headers).status_code == 401
    assert len(events(home, "login_failed")) == 60


def test_records_that_are_replayed_or_of_nothing_are_refused_on_record(client, home):
    told = check(client)
    statuses = [record(client, decision).status_code for decision in (told["decision"], told["decision"], "0" * 32)]
    assert statuses == [200, 409, 404]
    assert [(one.what, one.agent) for one in events(home, "caller_refused")] == [
        ("recorded", "billing"),
        ("unknown-decision", "billing"),
    ]


def test_without_a_token_nothing_is_looked_at(server, home):
    for headers in ({}, {"Authorization": "Bearer jkl_wrong"}, {"Authorization": "Basic eDp5"}):
        answer = httpx.post(f"{server.base}/v1/check", json=ASKED, headers=headers, trust_env=False)
        assert (answer.status_code, answer.headers["www-authenticate"]) == (401, "Bearer")
    assert [one.reason for one in events(home, "login_failed")] == [
        "there was none",
        "unknown, expired or revoked",
        "unknown, expired or revoked",
    ]
    assert events(home, "decided") == []


def test_a_token_ends_when_it_expires_or_is_revoked(server, home):
    client = server.client("billing")
    assert check(client)["permitted"]
    Users(home / "console").revoke_agent("id-billing")
    assert client.post("/v1/check", json=ASKED).status_code == 401
    late = token(home, "late", expires=time.time() - 1)
    answer = client.post("/v1/check", json=ASKED, headers={"Authorization": f"Bearer {late}"})
    assert answer.status_code == 401


def test_a_console_token_is_no_agents_and_an_agents_none_of_the_consoles(server, home):
    users = Users(home / "console")
    _, text = users.issue("script", "admin", time.time(), None)
    answer = httpx.post(
        f"{server.base}/v1/check", json=ASKED, headers={"Authorization": f"Bearer {text}"}, trust_env=False
    )
    assert answer.status_code == 401
    assert users.token(token(home, "billing"), time.time()) is None


def test_what_is_too_large_is_cut(client, home):
    answer = client.post("/v1/check", content=b" " * (MOST_BYTES + 1))
    assert (answer.status_code, answer.json()["detail"]) == (413, "the body is too large")

    def endless():
        for _ in range(40):
            yield b" " * 65536

    with pytest.raises((httpx.HTTPError, AssertionError)):
        assert client.post("/v1/check", content=endless()).status_code == 200
    assert {one.what for one in events(home, "caller_refused")} == {"too-large"}
    assert check(client)["permitted"]


def test_a_foreign_host_is_refused(client, home):
    answer = client.post("/v1/check", json=ASKED, headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["what"]) == (400, "Host")
    assert [one.what for one in events(home, "caller_refused")] == ["host"]


def test_a_slow_body_is_cut_and_others_are_served(serve, home):
    server = serve("--body-seconds", "1")
    client = server.client("billing")
    host, port = server.base.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=20) as slow:
        head = f"POST /v1/check HTTP/1.1\r\nHost: {host}:{port}\r\nContent-Length: 100\r\n"
        slow.sendall(f"{head}Authorization: {client.headers['authorization']}\r\n\r\n{{".encode())
        assert check(client)["permitted"]
        answer = b""
        while b"\r\n\r\n" not in answer:
            answer += slow.recv(65536)
    assert answer.startswith(b"HTTP/1.1 408 ")
    (refused,) = until(lambda: events(home, "caller_refused"))
    assert (refused.what, refused.detail) == ("too-slow", "the body did not come in time")


def test_a_flood_of_refusals_is_counted(client, home):
    for _ in range(70):
        client.post("/v1/check", json={})
    assert len(events(home, "caller_refused")) == 60


@pytest.mark.parametrize(("path", "status"), [("/", 404), ("/v1/check/", 404), ("/v1/other", 404), ("/v1/check", 405)])
def test_routes_that_are_none(path, status, client):
    answer = client.get(path)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json")

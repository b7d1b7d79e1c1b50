"""Bombs, floods, and what is no request: the console answers shortly, says what is wrong, and serves everybody else."""

from __future__ import annotations

import base64
import json
import socket
import threading
import time

import pytest
import uvicorn
from console_harness import HERE, until
from starlette.testclient import TestClient

import jackline
from jackline.home import Home
from jackline.request import Agent, Tool
from jackline_console.app import create_app
from jackline_console.completion import complete
from jackline_console.connections import Connection
from jackline_console.headers import MOST_BYTES
from jackline_console.revisions import difference
from jackline_console.routes import alerts, page
from jackline_console.settings import Settings

API = "/api/v1"
ALWAYS = {
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}
JSON = {"Content-Type": "application/json"}


@pytest.fixture
def app(home, folder):
    made = create_app(Settings(home=Home(home), bundle=folder / "jackline.yaml"))
    made.state.console.secret = "the owner's"
    with (
        jackline.Guard.load(folder / "jackline.yaml", home=home) as guard,
        guard.session(),
        guard.run(Agent(name="desk")),
    ):
        guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    return made


@pytest.fixture
def owner(app):
    headers = {"Authorization": "Bearer the owner's"}
    with TestClient(app, base_url="http://localhost", raise_server_exceptions=False, headers=headers) as client:
        until(lambda: client.get(f"{API}/agents/desk").status_code == 200, "the agent")
        until(lambda: client.get(f"{API}/sessions").json()["items"], "the session")
        yield client


def guarded(answer):
    """Whether an answer carries what every answer carries."""
    policy = {part.split()[0]: part.split()[1:] for part in answer.headers["content-security-policy"].split(";")}
    assert policy["default-src"] == ["'none'"]
    assert policy["frame-ancestors"] == policy["base-uri"] == ["'none'"]
    assert "'self'" in policy["script-src"]
    assert not any(word in answer.headers["content-security-policy"] for word in ("unsafe", "eval", "http:", "*"))
    assert {name: answer.headers[name] for name in ALWAYS} == ALWAYS


def marked(*parts):
    return base64.urlsafe_b64encode(json.dumps(parts).encode()).decode().rstrip("=")


def test_every_answer_carries_its_headers_whatever_went_wrong(app, owner, monkeypatch):
    """Pages, files, lists, and each kind of refusal; also what nobody foresaw, which says nothing of itself."""
    for method, path, headers, status in (
        ("GET", "/", {}, 200),
        ("GET", "/favicon.svg", {}, 200),
        ("GET", f"{API}/status", {}, 200),
        ("GET", "/metrics", {}, 200),
        ("GET", "/healthz", {}, 200),
        ("GET", f"{API}/status", {"Authorization": "Bearer x"}, 401),
        ("GET", f"{API}/status", {"Host": "evil.example"}, 400),
        ("GET", f"{API}/nothing", {}, 404),
        ("GET", "/assets/nothing.js", {}, 404),
        ("TRACE", f"{API}/status", {}, 405),
        ("OPTIONS", f"{API}/status", {"Origin": "http://evil.example"}, 405),
        ("POST", f"{API}/bundle/validate", {"Content-Length": str(MOST_BYTES + 1)}, 413),
        ("POST", f"{API}/bundle/validate", {}, 422),
    ):
        answer = owner.request(method, path, headers=headers)
        assert answer.status_code == status, (method, path, answer.text)
        guarded(answer)
        assert "access-control-allow-origin" not in answer.headers
        assert answer.headers.get("cache-control") == "no-store" or not path.startswith(API)
    monkeypatch.setattr(app.state.console.store, "head", lambda: 1 / 0)
    answer = owner.get(f"{API}/status")
    assert (answer.status_code, answer.headers["content-type"]) == (500, "application/problem+json")
    assert answer.json()["detail"] == "this could not be answered"
    assert "division" not in answer.text
    guarded(answer)


def test_only_files_of_the_page_are_files_of_the_page(owner, tmp_path, monkeypatch):
    static = tmp_path / "static"
    (static / "assets").mkdir(parents=True)
    (static / "index.html").write_text("the page")
    (static / "assets" / "a.js").write_text("its script")
    (tmp_path / "secret").write_text("a secret")
    (static / "link").symlink_to(tmp_path / "secret")
    monkeypatch.setattr(page, "STATIC", static)
    assert owner.get("/assets/a.js").text == "its script"
    for path in (
        "secret",
        "../secret",
        "%2e%2e/secret",
        "..%2fsecret",
        "..%5csecret",
        "/etc/passwd",
        "%2fetc%2fpasswd",
    ):
        assert owner.get(f"/{path}").text == "the page"
    for path in ("link", "a%00b", "%00", "a" * 300, "a/" * 3000, "%ed%a0%80", "%ff", "con", "assets"):
        assert owner.get(f"/{path}").text == "the page", path
    assert owner.get("/assets/..%2f..%2fsecret").status_code == 404
    assert owner.put("/assets/a.js").status_code == 405


@pytest.mark.parametrize(
    ("path", "status"),
    [
        (f"sessions?cursor={marked(1e11, 'x' * 100)}", 200),
        (f"sessions?cursor={marked(1e300, 'x')}", 400),
        (f"sessions?cursor={marked(True, 'x')}", 400),
        (f"sessions?cursor={marked('1', 'x')}", 400),
        (f"sessions?cursor={marked(1.0, chr(0))}", 200),
        (f"sessions?cursor={marked(1.0)}", 400),
        (f"sessions?cursor={base64.urlsafe_b64encode(b'[1.0,1e999]').decode()}", 400),
        ("sessions?cursor=%ff", 400),
        ("sessions?cursor=" + "A" * 401, 422),
        (f"approvals?cursor={marked(-1e11, '')}", 200),
        (f"sessions/SESSION/events?cursor={marked(2**53 - 1)}", 200),
        (f"sessions/SESSION/events?cursor={marked(2**63)}", 400),
        (f"sessions/SESSION/events?cursor={marked(-5)}", 200),
        (f"sessions/SESSION/spans?cursor={marked(10**30)}", 400),
        ("events/9007199254740993", 404),
        ("events/" + "9" * 4000, 404),
        ("events/" + "9" * 6000, 422),
        ("events/-1", 404),
        ("sessions?limit=" + "9" * 30, 422),
        ("sessions?since=nan", 422),
        ("costs?since=inf", 422),
        ("costs?until=-1", 422),
        ("costs/series?since=0&until=1e11&step=day", 422),
        ("costs?by=agent,agent,agent", 422),
        ("agents?days=1e3", 422),
        ("stream?after=" + "9" * 80, 400),
        ("stream?after=" + "9" * 81, 422),
        ("sessions?user=%00&agent=%ed%a0%80", 200),
        ("approvals/*", 404),
        ("approvals/..%2f..%2f", 404),
        ("bundle/revisions/..%2f..%2fjackline.yaml", 404),
        ("payloads/..%2f..%2fkey", 404),
    ],
)
def test_whatever_a_parameter_holds_the_answer_is_short_and_none_of_the_servers_faults(path, status, owner):
    session = owner.get(f"{API}/sessions").json()["items"][0]["session"]
    answer = owner.get(f"{API}/{path.replace('SESSION', session)}")
    assert answer.status_code == status, answer.text
    assert answer.elapsed.total_seconds() < 2
    assert len(answer.content) < 10_000


LIST = "[" + ",".join("1" * 1900) + "]"


@pytest.mark.parametrize(
    ("where", "status"),
    [
        ("(" * 1900 + "true" + ")" * 1900, 400),
        ("!" * 3900 + "true", 400),
        ("(" + "+".join(["agent.name"] * 300) + ").size() > 3", 400),
        (f"{LIST}.all(x, {LIST[:79]}].all(y, x == y))".replace("1]]", "1]"), None),
        ("agent.name.matches('((((a{1,100}){1,100}){1,100}){1,100})')", 400),
        ("agent.name.matches('" + "(a*)*" * 700 + "b')", 200),
        ("9" * 3000 + " > 1", 400),
        ("true" + " " * 4000, 422),
    ],
)
def test_a_condition_that_is_a_bomb_ends_at_its_budget(where, status, owner):
    """The query box takes what anybody with a login writes: depth, elements and patterns have budgets."""
    begun = time.monotonic()
    answer = owner.get(f"{API}/agents", params={"where": where})
    assert time.monotonic() - begun < 3
    assert status is None or answer.status_code == status, answer.text[:500]
    assert answer.status_code in (200, 400, 422)
    if status is None:
        assert "macros may look at" in answer.json()["unclear"][0], answer.text


RULE = "jackline: 1\npolicies:\n- {name: a, use: rule, on: tool.call, effect: deny, when: "


@pytest.mark.parametrize(
    "text",
    [
        "jackline: 1\na: &a [x,x]\n" + "\n".join(f"b{n}: &b{n} [*a,*a]" for n in range(20_000)),
        "[" * 500_000,
        "a: {" * 100_000,
        "jackline: 1\npolicies:\n" + "- {name: p}\n" * 20_000,
        "a: 1\n" * 50_000,
        RULE + '"' + "tool.name == 'x' || " * 40_000 + 'true"}\n',
        RULE + '"' + "(" * 200_000 + "true" + ")" * 200_000 + '"}\n',
        RULE + "\"tool.name.matches('" + "(a|b)*" * 50_000 + "')\"}\n",
        "\ufffe",
    ],
)
@pytest.mark.parametrize("verb", ["validate", "activate"])
def test_a_bundle_that_is_a_bomb_is_wrong_and_nothing_else(verb, text, owner, folder):
    before = (folder / "jackline.yaml").read_bytes()
    begun = time.monotonic()
    given = {"text": text} if verb == "validate" else {"text": text, "previous": "", "why": "x"}
    answer = owner.post(f"{API}/bundle/{verb}", json=given)
    assert time.monotonic() - begun < 15, "however slow the machine"
    assert answer.status_code == (200 if verb == "validate" else 422), answer.text[:300]
    problems = answer.json()["problems" if verb == "validate" else "errors"]
    assert 1 <= len(problems) <= 500
    assert len(answer.content) < 200_000 or verb == "activate"
    assert (folder / "jackline.yaml").read_bytes() == before


def test_too_much_is_not_taken(owner):
    for content in (b'{"text":"' + b"a" * 10_000_000 + b'"}', iter([b"a" * 1_000_000] * 10)):
        answer = owner.post(f"{API}/bundle/validate", content=content, headers=JSON)
        assert (answer.status_code, answer.json()["type"]) == (413, "urn:jackline:problem:too-large")
    text = "a" * (1024 * 1024 + 1)
    assert owner.post(f"{API}/bundle/validate", json={"text": text}).status_code == 422
    for depth in (900, 100_000):
        content = b'{"text":' + b"[" * depth + b"]" * depth + b"}"
        assert owner.post(f"{API}/bundle/validate", content=content, headers=JSON).status_code in (400, 422)
    labels = {f"k{n}": "v" for n in range(101)}
    assert owner.patch(f"{API}/agents/desk", json={"labels": labels, "why": "x"}).status_code == 422


@pytest.mark.parametrize(
    "text", ["k: " + "a" * 100_000 + "- ", "a" * 100_000 + "-", "- " * 50_000, " " * 100_000 + "x"]
)
def test_what_is_completed_grows_with_what_is_written_and_not_with_its_square(text):
    begun = time.process_time()
    complete(text, 1, len(text) + 1, {})
    assert time.process_time() - begun < 2


def test_a_difference_of_large_bundles_is_made_in_a_bounded_time():
    """Thousands of lines that are alike are a worst case of looking for what is alike."""
    old = b"begin\n" + b"a\nb\n" * 3000 + b"end\n"
    new = b"begin\n" + b"b\nc\na\n" * 2000 + b"end\n"
    begun = time.process_time()
    found = difference(("1", old, None), ("2", new, None)).lines
    assert time.process_time() - begun < 5
    assert [one.text for one in found if one.op != "add"] == old.decode().splitlines()
    assert [one.text for one in found if one.op != "remove"] == new.decode().splitlines()
    assert [(one.op, one.from_, one.to) for one in (found[0], found[-1])] == [("same", 1, 1), ("same", 6002, 6002)]


@pytest.mark.parametrize(
    ("old", "new", "ops"),
    [
        (b"a\nb\nc\n", b"a\nx\nc\n", ["same", "remove", "add", "same"]),
        (b"a\n", b"a\na\n", ["same", "add"]),
        (b"a\na\n", b"a\n", ["same", "remove"]),
        (b"", b"a\n", ["add"]),
        (b"a\n", b"a\n", ["same"]),
        (b"a\nb\n", b"b\na\n", ["add", "same", "remove"]),
    ],
)
def test_a_difference(old, new, ops):
    found = difference(("1", old, None), ("2", new, None)).lines
    assert [one.op for one in found] == ops
    assert [one.from_ for one in found if one.from_ is not None] == list(range(1, old.count(b"\n") + 1))
    assert [one.to for one in found if one.to is not None] == list(range(1, new.count(b"\n") + 1))


@pytest.mark.parametrize("kind", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
def test_what_a_form_of_another_site_can_send_is_no_request(kind, console, client):
    """Without a preflight a page can send these; with the cookie alone they do nothing."""
    path = f"/sessions/{'0' * 32}/stop"
    del client.headers["X-Jackline-CSRF"]
    answer = client.post(path, content=b'{"why":"x"}', headers={"Content-Type": kind})
    assert answer.json()["type"] in ("urn:jackline:problem:csrf", "urn:jackline:problem:invalid")
    assert answer.status_code in (403, 422)
    for override in ("X-HTTP-Method-Override", "X-Method-Override", "X-HTTP-Method"):
        assert client.get(path, headers={override: "POST"}).status_code in (404, 405)
        assert client.get("/logout", params={"_method": "POST"}, headers={override: "POST"}).status_code in (404, 405)
    assert client.get("/me").status_code == 200


@pytest.fixture
def impatient(home, folder):
    """A console that waits for three tenths of a second, on a port of its own."""
    settings = Settings(home=Home(home), bundle=folder / "jackline.yaml", body_s=0.3)
    app = create_app(settings)
    app.state.console.secret = "the owner's"
    listening = socket.create_server(("127.0.0.1", 0))
    quick = type("Quick", (Connection,), {"head_s": 0.3})
    server = uvicorn.Server(uvicorn.Config(app, log_level="error", http=quick, ws="none"))
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    until(lambda: server.started, "the server")
    yield listening.getsockname()
    server.should_exit = True
    thread.join(30)
    listening.close()


def sent(address, *parts):
    """Send parts, and read until the console closes."""
    with socket.create_connection(address, timeout=20) as connection:
        for part in parts:
            connection.sendall(part)
        found = b""
        while data := connection.recv(65536):
            found += data
        return found


def sent_on(connection):
    """Read until the console closes."""
    while connection.recv(65536):
        pass


HEAD = b"Host: localhost\r\nAuthorization: Bearer the owner's\r\nContent-Type: application/json\r\n"


class TestSlowness:
    """Slowloris: a connection that waits is closed, whatever little comes; one that is served is not."""

    @pytest.mark.parametrize(
        "parts",
        [
            (),
            (b"GET / HTTP/1.1\r\nHost: local",),
            (b"GET / HTTP/1.1\r\n", b"X: y\r\n"),
        ],
    )
    def test_a_head_that_does_not_end(self, parts, impatient):
        begun = time.monotonic()
        assert sent(impatient, *parts) == b""
        assert time.monotonic() - begun < 10

    def test_a_head_after_an_answer(self, impatient):
        found = sent(impatient, b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n", b"GET /hea")
        assert found.count(b"HTTP/1.1 200") == 1

    def test_a_body_that_does_not_come(self, impatient):
        post = b"POST /api/v1/bundle/validate HTTP/1.1\r\n" + HEAD + b"Content-Length: 100\r\n\r\n{"
        found = sent(impatient, post)
        assert found.startswith(b"HTTP/1.1 408 ")
        assert b"urn:jackline:problem:too-slow" in found
        assert b"content-security-policy" in found

    def test_a_stream_goes_on_for_longer(self, impatient):
        with socket.create_connection(impatient, timeout=20) as connection:
            connection.sendall(b"GET /api/v1/stream HTTP/1.1\r\n" + HEAD + b"\r\n")
            found = b""
            while b"event: hello" not in found:
                found += connection.recv(65536)
            assert found.startswith(b"HTTP/1.1 200 ")
            connection.settimeout(1.5)
            with pytest.raises(TimeoutError):
                sent_on(connection)


def test_rules_that_are_tried_leave_threads_for_everything_else(owner):
    given = {"rule": {"kind": "session_cost"}, "name": "x", "since": 1.0, "until": 2.0}
    taken = [alerts._turn.acquire() for _ in range(2)]
    try:
        answer = owner.post(f"{API}/alerts/rules/preview", json=given)
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "5"), answer.text
    finally:
        for _ in taken:
            alerts._turn.release()
    for _ in range(3):
        assert owner.post(f"{API}/alerts/rules/preview", json=given).status_code == 200


def test_streams_are_few_for_each_and_for_all(app, owner):
    """Whoever opens one after the other does not take them from everybody else."""
    console = app.state.console
    login = console.token_login("the owner's", "127.0.0.1")

    class Open:
        def __init__(self, name):
            self.login = type(login)(name=name, role="viewer", how="token")

    console.streams = {Open(login.name) for _ in range(50)}
    answer = owner.get(f"{API}/stream")
    assert (answer.status_code, answer.headers["retry-after"]) == (429, "10")
    assert answer.json()["detail"] == f"50 streams are open, 50 of them for '{login.name}'"
    console.streams = {Open(f"n{number}") for number in range(200)}
    assert owner.get(f"{API}/stream").status_code == 429
    console.streams = set()


def test_a_home_that_is_a_link_is_served(tmp_path, folder):
    real, link = tmp_path / "real", tmp_path / "link"
    real.mkdir()
    link.symlink_to(real)
    app = create_app(Settings(home=Home(link), bundle=folder / "jackline.yaml"))
    app.state.console.secret = "x"
    with TestClient(app, base_url="http://localhost", headers={"Authorization": "Bearer x"}) as client:
        assert client.post(f"{API}/sessions/{'1' * 32}/stop", json={"why": "odd"}).status_code == 200
    assert list((real / "control" / "stops").iterdir())
    assert HERE.exists()


def test_nothing_secret_is_told_in_answers_or_kept(shared, home):
    """Not what was typed as a password, nor a token: not in an answer, in no file, and nothing is printed."""
    client = shared.plain()
    typed = "hunter2 is my password"
    answers = [
        client.post("/login", json={"name": "ana", "password": typed}),
        client.post("/login", json={"name": typed, "password": 1}),
        client.post("/login", json={"name": "ana", "password": typed, "more": 1}),
        client.post("/login", content=json.dumps({"name": "ana", "password": typed})[:-1].encode(), headers=JSON),
        client.get("/me", headers={"Authorization": f"Bearer jkl_{typed}"}),
        client.get("/me", headers={"Authorization": f"Basic {typed}"}),
        client.get(f"{shared.base}/login", params={"token": typed}),
    ]
    assert {answer.status_code for answer in answers} == {401, 422}
    assert not [answer.text for answer in answers if typed in answer.text]
    shared.end()
    kept = "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())
    assert "hunter2" not in kept
    assert "hunter2" not in shared.process.errors

"""What must hold whoever asks and whatever breaks: nothing unrecorded is done, and a change of rights holds at once."""

from __future__ import annotations

import threading
import time

import pytest
from console_harness import PASSWORD, POLICIES, login, until
from starlette.testclient import TestClient

import jackline
from jackline.errors import JournalError
from jackline.events import AgentAmended, LoggedIn
from jackline.home import Home
from jackline.journal import read
from jackline.request import Agent, Tool
from jackline_console.access import passwords
from jackline_console.access.passwords import hashed
from jackline_console.access.users import AccessError, User, Users
from jackline_console.app import create_app
from jackline_console.settings import Settings


@pytest.fixture
def inside(home, folder, users):
    """A console for other machines in this process, whose parts can be broken."""
    app = create_app(Settings(home=Home(home), host="0.0.0.0", secure=True, bundle=folder / "jackline.yaml"))
    with TestClient(app, base_url="https://localhost/api/v1", raise_server_exceptions=False) as client:
        client.console = app.state.console
        yield client


def let_in(client, name):
    """Log in; the client keeps the cookie."""
    answer = client.post("login", json={"name": name, "password": PASSWORD})
    assert answer.status_code == 200, answer.text
    client.headers["X-Jackline-CSRF"] = answer.json()["csrf"]
    return client


def said(home, kind):
    return [
        line.event for path in sorted((home / "journals").iterdir()) for line in read(path) if type(line.event) is kind
    ]


def full(_event):
    raise JournalError("the journal cannot be written: No space left on device")


def kept(home):
    """Everything that holds: users, tokens, control, registry, answers, bundle."""
    names = ("console/access.json", "registry.jsonl")
    files = [home / name for name in names] + sorted(
        path for part in ("control", "approvals") for path in (home / part).rglob("*") if path.is_file()
    )
    files.append(home.parent / "jackline.yaml")
    return {str(path): path.read_bytes() for path in files if path.exists() and path.name not in ("epoch", "lock")}


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "users", {"name": "eve", "role": "admin", "password": PASSWORD, "why": "x"}),
        ("PATCH", "users/vera", {"role": "admin", "why": "x"}),
        ("PATCH", "users/vera", {"password": "another password", "why": "x"}),
        ("POST", "tokens", {"name": "ci", "role": "admin", "why": "x"}),
        ("POST", "tokens/{token}/revoke", {"why": "x"}),
        ("POST", "sessions/{session}/stop", {"why": "x"}),
        ("POST", "sessions/{session}/pause", {"why": "x"}),
        ("POST", "sessions/{stopped}/reopen", {"why": "x"}),
        ("POST", "agents/desk/suspend", {"why": "x"}),
        ("POST", "agents/desk/tools/look/suspend", {"why": "x"}),
        ("PATCH", "agents/desk", {"team": "crm", "why": "x"}),
        ("POST", "bundle/activate", {"text": POLICIES + "mode: observe\n", "previous": "{revision}", "why": "x"}),
    ],
)
def test_what_cannot_be_recorded_is_not_done(method, path, body, inside, home, users, monkeypatch):
    """A journal that cannot be written means that nothing is done, by whoever and whatever; then it is said why."""
    with (
        jackline.Guard.load(home.parent / "jackline.yaml", home=home) as guard,
        guard.session(),
        guard.run(Agent(name="desk")),
    ):
        guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    let_in(inside, "ada")
    names = {"token": users.issue("old", "viewer", 1.0, None)[0].id, "session": "1" * 32, "stopped": "2" * 32}
    assert inside.post(f"sessions/{names['stopped']}/stop", json={"why": "x"}).status_code == 200
    until(lambda: inside.get("agents/desk").status_code == 200, "the agent")
    revision = inside.get("bundle").json()["revision"]
    body = {key: value.format(revision=revision) if key == "previous" else value for key, value in body.items()}
    before = kept(home)
    monkeypatch.setattr(inside.console.journal, "append", full)
    answer = inside.request(method, path.format(**names), json=body)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:jackline:problem:journal"), answer.text
    assert kept(home) == before
    monkeypatch.undo()
    assert inside.request(method, path.format(**names), json=body).status_code < 300
    assert kept(home) != before


def test_nobody_comes_in_unrecorded(inside, home, monkeypatch):
    monkeypatch.setattr(inside.console.journal, "append", full)
    answer = inside.post("login", json={"name": "ada", "password": PASSWORD})
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:jackline:problem:journal")
    assert "set-cookie" not in answer.headers
    assert inside.console.logins._sessions == {}
    monkeypatch.undo()
    let_in(inside, "ada")
    monkeypatch.setattr(inside.console.journal, "append", full)
    assert inside.post("logout").status_code == 503
    assert inside.get("me").status_code == 401, "whoever goes is gone all the same"


@pytest.mark.parametrize(
    "change",
    [
        lambda user: setattr(user, "role", "viewer"),
        lambda user: setattr(user, "disabled", True),
        lambda user: setattr(user, "hash", hashed("another password")),
    ],
)
def test_a_change_on_the_command_line_ends_the_sessions_of_a_console_that_runs(change, inside, users):
    let_in(inside, "otto")
    assert inside.get("me").json()["role"] == "operator"
    users.change("otto", change)
    assert inside.get("me").status_code == 401
    users.change("otto", lambda user: setattr(user, "disabled", False))
    assert inside.get("me").status_code == 401, "it does not come back"


def test_whoever_is_disabled_while_the_password_is_looked_at_is_out(inside, users, monkeypatch):
    right = passwords.matches

    def slow(known, given):
        users.change("otto", lambda user: setattr(user, "disabled", True))
        return right(known, given)

    monkeypatch.setattr(passwords, "matches", slow)
    inside.post("login", json={"name": "otto", "password": PASSWORD})
    assert inside.get("me").status_code == 401


def test_a_cookie_that_was_there_before_is_not_taken_over(inside):
    """Session fixation: the session is another one after the login, and the one before it is over."""
    name = inside.console.settings.cookie
    assert name == "__Host-jackline", "no other host and no plain http can set it"
    inside.cookies.set(name, "chosen-by-somebody")
    let_in(inside, "vera")
    first = next(
        cookie.value for cookie in inside.cookies.jar if cookie.name == name and cookie.value != "chosen-by-somebody"
    )
    inside.cookies.clear()
    inside.cookies.set(name, first)
    let_in(inside, "ada")
    inside.cookies.clear()
    assert inside.get("me", headers={"Cookie": f"{name}={first}"}).status_code == 401
    assert inside.get("me", headers={"Cookie": f"{name}=chosen-by-somebody"}).status_code == 401


def test_a_flood_of_logins_leaves_threads_for_everybody_else(inside, monkeypatch):
    let_in(inside, "vera")
    begun, go = threading.Semaphore(0), threading.Event()

    def held(*_):
        begun.release()
        assert go.wait(30)
        return True

    monkeypatch.setattr(passwords, "_hasher", type("Held", (), {"verify": held, "hash": lambda *_: "x"})())
    plain = [
        threading.Thread(target=inside.post, args=("login",), kwargs={"json": {"name": f"n{number}", "password": "x"}})
        for number in range(4)
    ]
    try:
        for thread in plain:
            thread.start()
        begun.acquire(timeout=30)
        begun.acquire(timeout=30)
        until(lambda: passwords._waiting._value == 0, "four who wait")
        answer = inside.post("login", json={"name": "ana", "password": PASSWORD}, headers={"Cookie": ""})
        assert (answer.status_code, answer.headers["retry-after"]) == (429, "2")
        assert answer.json()["detail"] == "too many are logging in just now"
        assert inside.get("me").status_code == 200
    finally:
        go.set()
        for thread in plain:
            thread.join(30)
    monkeypatch.undo()
    for _ in range(5):
        answer = inside.post("login", json={"name": "ana", "password": "wrong"}, headers={"Cookie": ""})
        assert answer.status_code == 401, "what was not looked at counts for nothing"


def test_two_admins_who_add_the_same_user_at_once_add_one(inside, home):
    let_in(inside, "ada")
    answers = []

    def add(number):
        given = {"name": "eve", "role": "viewer", "password": f"the password {number}", "why": "x"}
        answers.append(inside.post("users", json=given))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert sorted(answer.status_code for answer in answers) == [201, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["detail"] == "there is a user 'eve' already"


def test_a_users_file_that_others_can_write_lets_nobody_in(inside, home, users):
    let_in(inside, "ada")
    path = home / "console" / "access.json"
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.parent.stat().st_mode & 0o777 == 0o700
    path.chmod(0o620)
    answer = inside.get("me")
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:jackline:problem:access")
    assert f"others can write {path}, and so log in as anybody: chmod 600 {path}" in answer.json()["detail"]
    with pytest.raises(AccessError, match="others can write"):
        users.put(User(name="eve", role="admin", created=1.0))
    path.chmod(0o600)
    assert inside.get("me").status_code == 200


def test_a_script_is_on_record_as_a_token_and_seen_to_be_used(inside, home, users):
    """A token may have a user's name: what it does is never that user's doing."""
    _, text = users.issue("ada", "operator", time.time(), None)
    script = {"Authorization": f"Bearer {text}", "Cookie": ""}
    assert inside.get("me", headers=script).json()["name"] == "token ada"
    with (
        jackline.Guard.load(home.parent / "jackline.yaml", home=home) as guard,
        guard.session(),
        guard.run(Agent(name="desk")),
    ):
        guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    until(lambda: inside.get("agents/desk", headers=script).status_code == 200, "the agent")
    assert inside.post("agents/desk/suspend", json={"why": "odd"}, headers=script).json()["who"] == "token ada"
    assert [event.who for event in said(home, AgentAmended)] == ["token ada"]
    let_in(inside, "ada")
    (token,) = inside.get("tokens").json()["items"]
    assert token["last_used"] >= token["created"]
    assert [event.who for event in said(home, LoggedIn)] == ["ada"]


class TestStreams:
    """A stream is open for hours: whoever may not read any more is told nothing more."""

    def test_a_token_that_is_revoked(self, shared, stream):
        admin = login(shared, "ada")
        made = admin.post("/tokens", json={"name": "ci", "role": "viewer", "why": "x"}).json()
        reader = stream(shared.plain(headers={"Authorization": f"Bearer {made['token']}"}))
        reader.next("hello")
        admin.post(f"/tokens/{made['id']}/revoke", json={"why": "x"})
        assert reader.next("closed", 3.0) == {"why": "the login has ended"}
        assert reader.messages.get(timeout=10) is None

    def test_a_token_that_expires(self, shared, stream, users):
        _, text = users.issue("ci", "viewer", time.time(), time.time() + 1.0)
        reader = stream(shared.plain(headers={"Authorization": f"Bearer {text}"}))
        assert reader.next("closed", 15.0) == {"why": "the login has ended"}

    def test_a_role_that_is_changed_here_or_on_the_command_line(self, shared, stream, users):
        admin = login(shared, "ada")
        readers = {name: stream(login(shared, name)) for name in ("vera", "otto", "ana")}
        for reader in readers.values():
            reader.next("hello")
        admin.patch("/users/vera", json={"role": "operator", "why": "x"})
        assert readers["vera"].next("closed", 3.0) == {"why": "the login has ended"}
        Users(Home(shared.home).path / "console").change("otto", lambda user: setattr(user, "role", "viewer"))
        assert readers["otto"].next("closed", 15.0) == {"why": "the login has ended"}
        assert "closed" not in [name for name, _, _ in list(readers["ana"].messages.queue)], "nobody else's"

    def test_a_logout_ends_it_also_while_events_come(self, console, client, agent, stream):
        other = console.client(client.post("/link").json()["link"])
        agent("job-1", "fast")
        reader = stream(other)
        reader.next("events")
        other.post("/logout")
        assert reader.next("closed", 3.0) == {"why": "the login has ended"}

"""Who comes in, how, and what each role may: every route that the application lists is tried."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from console_harness import PASSWORD, Process, login, program
from fastapi.routing import APIRoute, APIRouter
from starlette.staticfiles import StaticFiles
from starlette.testclient import TestClient

from jackline.events import AccessAmended, LoggedIn, LoggedOut, LoginFailed
from jackline.home import Home
from jackline.journal import read, verify
from jackline.journal.refusals import Refusals
from jackline_console.access.attempts import Attempts, network
from jackline_console.access.gate import NEEDS
from jackline_console.access.logins import Logins
from jackline_console.access.passwords import hashed, matches
from jackline_console.access.roles import ROLES
from jackline_console.access.users import AccessError, User, Users
from jackline_console.app import create_app
from jackline_console.settings import OIDC, Settings

API = "/api/v1"
OPEN = {
    ("GET", f"{API}/access"),
    ("POST", f"{API}/login"),
    ("GET", f"{API}/oidc/login"),
    ("GET", f"{API}/oidc/callback"),
    ("GET", "/login"),
    ("GET", "/healthz"),
    ("GET", "/{path:path}"),
}
"""What anyone may ask for."""


def routes(app):
    """Every route of an application: method, path, and the role that it needs; empty where it needs none."""
    found = {}
    for route in flat(app.routes):
        for method in route.methods:
            assert (method, route.path) not in found, "of two routes one is never asked"
            found[method, route.path] = role_of(route.dependant)
    return found


def flat(listed):
    """The routes of routers, and of those in them; what is no route of FastAPI has no role and may not be there."""
    for route in listed:
        if isinstance(route, APIRoute):
            yield route
        elif hasattr(route, "effective_route_contexts"):
            yield from route.effective_route_contexts()
        elif isinstance(route, APIRouter):
            yield from flat(route.routes)
        else:
            raise AssertionError(f"{type(route).__name__} {getattr(route, 'path', '')}: nobody asks it for a role")


def role_of(dependant):
    """The role that a route's dependencies ask for; empty where they ask for none."""
    for each in dependant.dependencies:
        found = getattr(each.call, NEEDS, "") or role_of(each)
        if found:
            return found
    return ""


@pytest.fixture(scope="module")
def application(tmp_path_factory):
    """With everything that can be configured; the provider answers nothing."""
    folder = tmp_path_factory.mktemp("roles")
    oidc = OIDC(issuer="http://127.0.0.1:1", client="console")
    return create_app(Settings(home=Home(folder / "home"), bundle=folder / "jackline.yaml", oidc=oidc))


@pytest.fixture(scope="module")
def anybody(application):
    """Ask as a role, or as nobody (``): `anybody(role, method, path)`."""
    users = Users(application.state.console.home.path / "console")
    tokens = {role: users.issue(role, role, 1.0, None)[1] for role in ROLES}
    with TestClient(application, base_url="http://localhost", raise_server_exceptions=False) as client:

        def ask(role, method, path):
            # A cursor that is none: a stream that may be opened ends at once.
            url = re.sub(r"\{[^}]*\}", "x", path) + ("?after=x" if path.endswith("/stream") else "")
            headers = {"Authorization": f"Bearer {tokens[role]}"} if role else {}
            return client.request(method, url, json={} if method != "GET" else None, headers=headers)

        yield ask


def test_only_what_is_listed_here_needs_no_login(application):
    found = routes(application)
    assert {key for key, role in found.items() if not role} == OPEN
    assert len(found) > 60
    assert {("GET", "/metrics"), ("GET", f"{API}/openapi.json"), ("GET", f"{API}/stream")} <= set(found)
    listed = {(method.upper(), path) for path, one in application.openapi()["paths"].items() for method in one}
    assert listed <= {(method, re.sub(r":\w+}", "}", path)) for method, path in found}


ASKING = ("/bundle/validate", "/bundle/complete", "/alerts/rules/preview")
"""What is asked with a body, and changes nothing of anybody else's."""


def meant(method, path):
    """The role that a route should ask for, by what it is about: whatever changes something is an operator's at least."""
    if path.startswith("/v1/"):
        return "reporter"
    path = path.removeprefix(API)
    if path in ("/me", "/logout"):
        return "reporter"  # of oneself: the page says to a reporter that there is nothing to see, and lets it go
    if path.startswith(("/users", "/tokens", "/link")):
        return "admin"
    if method == "GET" or path in ASKING:
        return "viewer"
    return "approver" if path.startswith("/approvals/") else "operator"


def test_every_route_asks_for_the_role_that_it_should(application):
    """docs/console-api.md says who may what; a route that asks for less, or a new one that asks for too little, is found."""
    found = {key: role for key, role in routes(application).items() if key not in OPEN}
    assert found == {key: meant(*key) for key in found}
    assert set(found.values()) == set(ROLES)


@pytest.mark.parametrize("role", ["", *ROLES])
def test_every_route_answers_those_who_may_and_refuses_everybody_else(role, application, anybody):
    """Each role at each route that the application lists: nobody is asked to log in, who may too little is told so."""
    seen = {"refused": 0, "answered": 0}
    for (method, path), needed in routes(application).items():
        answer = anybody(role, method, path)
        told = answer.json() if answer.headers["content-type"] == "application/problem+json" else {}
        kind = told.get("type", "").rpartition(":")[2]
        where = (method, path, answer.status_code, answer.text[:200])
        if needed and not role:
            assert (answer.status_code, kind) == (401, "not-logged-in"), where
            assert answer.headers["www-authenticate"] == "Bearer"
        elif needed and ROLES.index(role) < ROLES.index(needed):
            assert (answer.status_code, kind, told["value"], told["expected"]) == (403, "role", role, needed), where
        else:
            assert kind not in ("not-logged-in", "role"), where
            assert answer.status_code < 500, where
            seen["answered"] += 1
            continue
        seen["refused"] += 1
    assert seen["answered"] >= len(OPEN)
    assert seen["refused"] > 0 or role == "admin"


@pytest.mark.parametrize("method", ["HEAD", "OPTIONS", "PUT", "DELETE", "PATCH", "TRACE"])
def test_no_other_method_gets_past_a_route(method, application, anybody):
    for path in {path for _, path in routes(application)} - {
        path for name, path in routes(application) if name == method
    }:
        assert anybody("", method, path).status_code in (401, 404, 405), path


def test_a_new_route_is_found_and_so_is_what_is_no_route(tmp_path):
    """What keeps the two tests above honest: they see whatever is added."""
    app = create_app(Settings(home=Home(tmp_path)))
    more = APIRouter(prefix="/more")
    more.add_api_route("/naked", lambda: "x")
    app.include_router(more, prefix=API)
    app.add_api_route("/bare", lambda: "x")
    found = {key for key, role in routes(app).items() if not role}
    assert found - OPEN == {("GET", f"{API}/more/naked"), ("GET", "/bare")}
    app.mount("/files", StaticFiles(directory=tmp_path))
    with pytest.raises(AssertionError, match="Mount /files: nobody asks it for a role"):
        routes(app)


def test_the_link_works_once(console):
    browser = console.client()
    me = browser.get("/me").json()
    assert (me["role"], me["how"], me["mode"]) == ("admin", "link", "loopback")
    answer = console.plain().get(console.link)
    assert answer.status_code == 401
    assert answer.json()["detail"] == "this link was used, has expired, or is of a console that has ended"
    cookie = next(iter(browser.cookies.jar))
    assert cookie.has_nonstandard_attr("HttpOnly")
    assert cookie.get_nonstandard_attr("SameSite").lower() == "strict"
    assert not cookie.secure


def test_another_link_is_had_from_the_console_that_runs(console, home, folder):
    console.client()
    asked = Process(program(), "console", "--link", home=home, folder=folder)
    link = asked.line().strip()
    asked.end()
    assert console.client(link).get("/me").json()["role"] == "admin"


def test_unsafe_requests_of_a_cookie_need_its_csrf_token_and_this_origin(console, client):
    path = f"/sessions/{'0' * 32}/stop"
    assert client.post(path, json={"why": "x"}).status_code == 200
    for headers, kind in (
        ({"X-Jackline-CSRF": "wrong"}, "csrf"),
        ({"Origin": "http://evil.example"}, "origin"),
        ({"Origin": "null"}, "origin"),
        ({"Sec-Fetch-Site": "cross-site"}, "origin"),
    ):
        answer = client.post(path, json={"why": "x"}, headers=headers)
        assert (answer.status_code, answer.json()["type"].rpartition(":")[2]) == (403, kind), headers
    assert client.post(path, json={"why": "x"}, headers={"Origin": console.base}).status_code == 200
    del client.headers["X-Jackline-CSRF"]
    assert client.post(path, json={"why": "x"}).json()["type"].endswith(":csrf")


def test_another_name_for_this_address_is_refused(console, client):
    """DNS rebinding: a page whose name was pointed at 127.0.0.1 gets nothing."""
    for path in ("/me", "/access"):
        answer = client.get(path, headers={"Host": "evil.example"})
        assert (answer.status_code, answer.json()["type"]) == (400, "urn:jackline:problem:host")
    assert client.get("/me", headers={"Host": "localhost:1"}).status_code == 200


def test_every_answer_carries_what_browsers_must_know(console, client):
    for url in (f"{console.base}/", f"{console.base}/api/v1/me", f"{console.base}/api/v1/nothing", "/openapi.json"):
        headers = client.get(url).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self';" in policy
        assert "unsafe" not in policy


def test_logging_out_ends_the_session(console, client):
    assert client.post("/logout").json()["done"] == "logged out"
    assert client.get("/me").status_code == 401


def test_users_log_in_by_password(shared):
    browser = login(shared, "ana")
    me = browser.get("/me").json()
    assert (me["name"], me["role"], me["how"], me["mode"]) == ("ana", "approver", "password", "users")
    answer = shared.plain().post("/login", json={"name": "ana", "password": PASSWORD})
    told = answer.headers["set-cookie"].lower()
    assert all(word in told for word in ("httponly", "samesite=strict", "secure"))
    assert answer.headers["strict-transport-security"]
    assert shared.plain().get(f"{shared.base}/login?token=x").status_code == 401, "links are for loopback"
    foreign = shared.plain().post(
        "/login", json={"name": "ana", "password": PASSWORD}, headers={"Origin": "https://evil.example"}
    )
    assert foreign.status_code == 403, "nobody is logged in by another site"


def test_wrong_passwords_are_slowed_down_and_on_record(shared, home):
    stranger = shared.plain()
    refused = [stranger.post("/login", json={"name": "ana", "password": f"wrong {n}"}) for n in range(5)]
    assert {answer.status_code for answer in refused} == {401}
    assert {answer.json()["detail"] for answer in refused} == {"wrong name or password"}
    slowed = stranger.post("/login", json={"name": "ana", "password": PASSWORD})
    assert slowed.status_code == 429
    assert int(slowed.headers["retry-after"]) >= 1
    assert "wrong 0" not in slowed.text
    unknown = stranger.post("/login", json={"name": "my secret password", "password": "x"})
    assert unknown.json()["detail"] == "wrong name or password"
    failed = said(home, LoginFailed)
    assert [event.name for event in failed] == ["ana"] * 5 + [""], "what nobody is called is not written"
    assert all(event.address == "127.0.0.1" for event in failed)
    assert "my secret" not in written(home)


def test_admins_change_users_and_tokens_and_everything_is_on_record(shared, home):
    admin, viewer = login(shared, "ada"), login(shared, "vera")
    made = admin.post("/users", json={"name": "eve", "role": "viewer", "password": "a long password", "why": "new"})
    assert (made.status_code, made.json()["role"]) == (201, "viewer")
    again = admin.post("/users", json={"name": "eve", "role": "admin", "password": "a long password", "why": "new"})
    assert again.status_code == 409
    changed = admin.patch("/users/vera", json={"role": "operator", "why": "promoted"})
    assert changed.json()["role"] == "operator"
    assert viewer.get("/me").status_code == 401, "their sessions end"
    last = admin.patch("/users/ada", json={"role": "viewer", "why": "tired"})
    assert (last.status_code, last.json()["detail"]) == (
        409,
        "'ada' is the last admin: nobody could change users any more",
    )
    token = admin.post("/tokens", json={"name": "ci", "role": "viewer", "why": "pipeline"}).json()
    script = shared.plain(headers={"Authorization": f"Bearer {token['token']}"})
    assert script.get("/me").json()["how"] == "token"
    assert "token" not in admin.get("/tokens").json()["items"][0]
    admin.post(f"/tokens/{token['id']}/revoke", json={"why": "done"})
    assert script.get("/me").status_code == 401
    amended = said(home, AccessAmended)
    assert [(event.subject, event.who, event.why) for event in amended] == [
        ("eve", "ada", "new"),
        ("vera", "ada", "promoted"),
        ("token ci", "ada", "pipeline"),
        ("token ci", "ada", "done"),
    ]
    assert {event.who for event in said(home, LoggedIn)} == {"ada", "vera"}
    admin.post("/logout")
    assert [event.who for event in said(home, LoggedOut)] == ["ada"]
    kept = written(home)
    assert "a long password" not in kept
    assert token["token"] not in kept
    shared.end()
    assert all(report.ok and report.closed for report in verify(home / "journals"))


def test_disabled_users_stay_out(shared):
    admin, other = login(shared, "ada"), login(shared, "otto")
    admin.patch("/users/otto", json={"disabled": True, "why": "left"})
    assert other.get("/me").status_code == 401
    answer = shared.plain().post("/login", json={"name": "otto", "password": PASSWORD})
    assert answer.json()["detail"] == "wrong name or password", "nobody is told who exists"


def test_a_flood_of_wrong_tokens_stops_no_right_one_and_fills_no_journal(console, home):
    stranger = console.plain(headers={"Authorization": "Bearer jkl_wrong"})
    assert {stranger.get("/me").status_code for _ in range(40)} == {401}
    assert console.token("viewer").get("/me").status_code == 200
    assert len(said(home, LoginFailed)) <= 21


def said(home, kind):
    """The console's own events of a kind, in their order."""
    return [
        line.event for path in sorted((home / "journals").iterdir()) for line in read(path) if type(line.event) is kind
    ]


def written(home):
    """Every byte under a home that is not a hash."""
    return "".join(path.read_text(errors="replace") for path in home.rglob("*") if path.is_file())


class TestWithoutAServer:
    """The parts by themselves, with times that are passed in."""

    def test_sessions_end_idle_and_by_age(self):
        logins = Logins(100.0, 40.0)
        text, login = logins.begin("ana", "viewer", "password", 1000.0)
        assert logins.find(text, 1039.0) is login
        assert logins.find(text, 1078.0) is login, "used since"
        assert logins.find(text, 1101.0) is None, "too old"
        text, _ = logins.begin("ana", "viewer", "password", 2000.0)
        assert logins.find(text, 2041.0) is None, "idle"
        text, login = logins.begin("ben", "viewer", "password", 3000.0)
        logins.end_all("ben")
        assert logins.find(text, 3001.0) is None

    def test_a_link_lapses(self):
        logins = Logins(100.0, 40.0)
        text = logins.link("ana", "admin", 1000.0)
        assert logins.follow(text, 1901.0) is None
        text = logins.link("ana", "admin", 1000.0)
        assert logins.follow("other", 1001.0) is None
        assert logins.follow(text, 1001.0) == ("ana", "admin")
        assert logins.follow(text, 1001.0) is None

    def test_failures_wait_longer_each_time_and_are_forgotten(self):
        attempts = Attempts()
        assert [attempts.attempt("Ana", "10.0.0.1", 0.0) for _ in range(5)] == [0.0] * 5
        now, waits = 0.0, []
        for _ in range(12):
            waits.append(attempts.attempt("ANA", f"10.0.0.{len(waits) + 2}", now))
            assert attempts.attempt("ana", "10.0.0.99", now) == waits[-1], "whoever waits is not counted"
            now += waits[-1]
            assert attempts.attempt("ana", "10.0.0.98", now) == 0
        assert waits == [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 128.0, 256.0, 512.0, 900.0, 900.0], "wherever from"
        assert attempts.attempt("ben", "10.0.0.97", 0.0) == 0
        for number in range(20):
            assert attempts.attempt(f"user {number}", "10.0.1.4", 0.0) == 0
        assert attempts.attempt("ben", "10.0.1.4", 0.0) == 1.0, "whatever the account"
        assert attempts.attempt("ben", "10.0.1.4", 4000.0) == 0, "an hour later it begins anew"

    def test_parallel_guesses_are_all_counted(self):
        attempts = Attempts()
        gate = threading.Barrier(16)

        def guess(_):
            gate.wait()
            return attempts.attempt("ana", "10.0.0.1", 0.0)

        with ThreadPoolExecutor(16) as pool:
            assert sorted(pool.map(guess, range(16))) == [0.0] * 5 + [1.0] * 11

    def test_one_network_of_ipv6_is_one_place(self):
        attempts = Attempts()
        for number in range(20):
            assert attempts.attempt(f"user {number}", f"2001:db8::{number:x}", 0.0) == 0
        assert attempts.attempt("ana", "2001:db8::ffff:1", 0.0) == 1.0
        assert attempts.attempt("ana", "2001:db8:0:1::1", 0.0) == 0
        assert [network(one) for one in ("::ffff:10.0.0.1", "no address")] == ["10.0.0.1", "no address"]

    def test_a_flood_on_a_name_does_not_stop_whoever_was_let_in_before(self):
        attempts = Attempts()
        attempts.attempt("ana", "10.0.0.1", 0.0)
        attempts.succeeded("ana", "10.0.0.1")
        for _ in range(5):
            attempts.attempt("ana", "10.6.6.6", 0.0)
        assert attempts.attempt("ana", "10.6.6.6", 0.0) == 1.0
        assert attempts.attempt("ana", "10.0.0.1", 0.0) == 0

    def test_links_and_tokens_stop_no_password_and_a_name_of_ones_own_hides_no_guesses(self):
        attempts = Attempts()
        assert [attempts.attempt("", "10.0.0.5", 0.0) for _ in range(21)] == [0.0] * 20 + [1.0]
        assert attempts.attempt("ana", "10.0.0.5", 0.0) == 0
        for number in range(19):
            assert attempts.attempt(f"user {number}", "10.0.0.5", 0.0) == 0
            assert attempts.attempt("eve", "10.0.0.5", 0.0) in (0, 1.0)
            attempts.succeeded("eve", "10.0.0.5")
        attempts.attempt("one more", "10.0.0.5", 0.0)
        assert attempts.attempt("ben", "10.0.0.5", 0.0) > 0, "what eve may, makes no other guess undone"

    def test_what_is_remembered_is_bounded(self):
        attempts = Attempts()
        for number in range(11_000):
            attempts.attempt(f"user {number}", f"10.{number >> 8}.{number & 255}.1", 0.0)
            attempts.succeeded(f"user {number}", f"10.{number >> 8}.{number & 255}.1")
            attempts.attempt(f"user {number}", f"10.{number >> 8}.{number & 255}.2", 0.0)
        assert len(attempts._failed) <= 10_000
        assert len(attempts._known) <= 10_000
        logins = Logins(100.0, 40.0)
        links = [logins.link("ana", "admin", 0.0) for _ in range(150)]
        assert logins.follow(links[0], 1.0) is None
        assert logins.follow(links[-1], 1.0) == ("ana", "admin")

    def test_of_two_who_follow_a_link_at_once_one_comes_in(self):
        logins, gate = Logins(100.0, 40.0), threading.Barrier(16)
        text = logins.link("ana", "admin", 0.0)

        def follow(_):
            gate.wait()
            return logins.follow(text, 1.0)

        with ThreadPoolExecutor(16) as pool:
            assert sum(found is not None for found in pool.map(follow, range(16))) == 1

    def test_a_flood_of_refusals_is_counted_and_does_not_fill_the_journal(self):
        kept = []
        refusals = Refusals(kept.append)
        for number in range(1000):
            refusals.tell(LoginFailed(at=1000.0, name="", how="token", reason="x", address=f"10.0.{number}.1"))
        refusals.count()
        assert len(kept) == 60
        refusals.tell(LoginFailed(at=1060.0, name="ana", how="password", reason="x"))
        assert (kept[-1].name, kept[-1].unrecorded) == ("ana", 941)
        refusals.tell(LoginFailed(at=1061.0, name="ana", how="password", reason="x"))
        assert kept[-1].unrecorded == 0

    def test_passwords(self):
        known = hashed("a long password")
        assert known.startswith("$argon2id$")
        assert matches(known, "a long password")
        assert not matches(known, "a long passwort")
        assert not matches("", "nobody has this password")
        with pytest.raises(AccessError, match="the password has 5 characters; 10 to 1024 were expected"):
            hashed("short")

    def test_the_file_is_its_owners_and_says_what_is_wrong_with_it(self, tmp_path):
        users = Users(tmp_path / "console")
        users.put(User(name="ada", role="admin", created=1.0, hash="x"))
        path = tmp_path / "console" / "access.json"
        assert path.stat().st_mode & 0o777 == 0o600
        assert Users(tmp_path / "console").users()["ada"].role == "admin"
        with pytest.raises(AccessError, match="'a b' is no user's name: up to 64 letters"):
            users.put(User(name="a b", role="viewer", created=1.0))
        with pytest.raises(AccessError, match="there is no user 'eve'; see: jackline console users list"):
            users.change("eve", lambda user: None)
        path.write_text("{")
        with pytest.raises(AccessError, match=r"cannot be read: .*; nobody can log in until it is mended"):
            Users(tmp_path / "console").users()

    def test_a_token_expires(self, tmp_path):
        users = Users(tmp_path)
        token, text = users.issue("ci", "viewer", 1.0, 100.0)
        assert users.token(text, 99.0) == token
        assert users.token(text, 100.0) is None
        assert users.token("jkl_other", 1.0) is None
        assert text not in (tmp_path / "access.json").read_text()


@pytest.mark.parametrize(
    ("words", "admin", "told"),
    [
        ([], False, "there is no admin who could log in; add one: jackline console users add NAME --role admin"),
        ([], True, "passwords would cross the network in the clear: give --tls-cert and --tls-key, or --behind-https"),
    ],
)
def test_for_other_machines_it_starts_only_with_users_and_https(words, admin, told, home, folder, config):
    if admin:
        Users(Home(home).path / "console").put(User(name="ada", role="admin", created=1.0, hash=hashed(PASSWORD)))
    process = Process(program(), "console", "--host", "0.0.0.0", "--no-open", *words, home=home, folder=folder)
    process.end()
    assert process.child.returncode == 1
    assert told in " ".join(process.errors.split())

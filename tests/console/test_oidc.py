"""Logging in at a provider on loopback: code flow with PKCE, tokens that are held to what was asked."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from console_harness import Running
from joserfc import jwt
from joserfc.jwk import RSAKey
from starlette.testclient import TestClient

from jackline.events import LoggedIn, LoginFailed
from jackline.home import Home
from jackline.journal import read
from jackline_console.access.oidc import OIDCError
from jackline_console.access.oidc import Provider as OIDCProvider
from jackline_console.access.users import User, Users
from jackline_console.app import create_app
from jackline_console.settings import OIDC, Settings


class Provider:
    """Answers as an OpenID provider does; `claims` and `key` are what its next token has."""

    def __init__(self):
        self.key = self.signing = RSAKey.generate_key(2048, {"kid": "one"})
        self.changes = {}
        self.told = {}
        self.asked = {}
        self.answered = {}
        self.forged = ""
        self.gets = 0
        self.codes = {"c0de"}
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.gets += 1
                keys = {"keys": [provider.key.as_dict(private=False)]}
                self.say(keys if self.path == "/keys" else provider.facts())

            def do_POST(self):
                body = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                provider.asked = {name: values[0] for name, values in body.items()}
                provider.asked["authorization"] = self.headers["authorization"]
                if provider.asked["code"] not in provider.codes:
                    self.say({"error": "invalid_grant", "error_description": "the code was used"}, 400)
                    return
                provider.codes.discard(provider.asked["code"])
                token = provider.forged or provider.token()
                self.say({"access_token": "x", "token_type": "Bearer", "id_token": token, **provider.answered})

            def say(self, told, status=200):
                data = json.dumps(told).encode()
                self.send_response(status)
                self.send_header("content-type", "application/json")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def facts(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            **self.told,
        }

    def claims(self):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "console", "sub": "1", "exp": now + 60, "nonce": self.nonce}
        claims |= {"email": "ana@example.org", **self.changes}
        return {k: v for k, v in claims.items() if v is not None}

    def token(self):
        return jwt.encode({"alg": "RS256", "kid": self.signing.kid}, self.claims(), self.signing)


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


class Inside:
    """A console in this process, which asks the provider over real HTTP."""

    def __init__(self, app):
        self.app = app

    def plain(self):
        """A browser that nobody knows."""
        return TestClient(self.app, base_url="https://127.0.0.1/api/v1", follow_redirects=False)


@pytest.fixture
def people(home):
    users = Users(Home(home).path / "console")
    users.put(User(name="ana@example.org", role="approver", created=1.0))
    users.put(User(name="ada@example.org", role="admin", created=1.0))
    users.put(User(name="out@example.org", role="admin", created=1.0, disabled=True))


@pytest.fixture
def console(provider, home, folder, people):
    oidc = OIDC(issuer=provider.issuer, client="console", secret="s3cret")
    app = create_app(Settings(home=Home(home), host="0.0.0.0", secure=True, oidc=oidc, bundle=folder / "jackline.yaml"))
    with TestClient(app):
        yield Inside(app)


@pytest.fixture
def real(provider, home, folder, config, people, monkeypatch):
    """A console in a process of its own, as it is started."""
    monkeypatch.setenv("JACKLINE_OIDC_SECRET", "s3cret")
    words = ["--host", "0.0.0.0", "--behind-https", "--oidc-issuer", provider.issuer, "--oidc-client", "console"]
    running = Running(home, folder, *words, config=config)
    yield running
    running.end()


def begin(console, provider):
    """Go to the provider: the browser, and the parameters with which it arrives there."""
    browser = console.plain()
    answer = browser.get("/oidc/login")
    assert answer.status_code == 303
    asked = {name: values[0] for name, values in parse_qs(urlsplit(answer.headers["location"]).query).items()}
    provider.nonce, provider.challenge = asked["nonce"], asked["code_challenge"]
    browser.headers["Cookie"] = answer.headers["set-cookie"].partition(";")[0]
    return browser, asked


def said(home, kind):
    return [
        line.event for path in sorted((home / "journals").iterdir()) for line in read(path) if type(line.event) is kind
    ]


def test_a_user_logs_in_at_the_provider(real, provider, home):
    console = real
    assert console.plain().get("/access").json()["oidc"] == "/api/v1/oidc/login"
    told = console.plain().get("/oidc/login").headers["set-cookie"].lower()
    assert told.startswith("__host-jackline_oidc=")
    assert all(word in told for word in ("httponly", "samesite=lax", "secure", "path=/;"))
    assert "domain" not in told
    browser, asked = begin(console, provider)
    assert (asked["client_id"], asked["response_type"], asked["code_challenge_method"]) == ("console", "code", "S256")
    assert asked["redirect_uri"].startswith("https://127.0.0.1:")
    answer = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert (answer.status_code, answer.headers["location"]) == (303, "/"), answer.text
    verifier = provider.asked["code_verifier"].encode()
    challenge = base64.urlsafe_b64encode(hashlib.sha256(verifier).digest()).rstrip(b"=").decode()
    assert challenge == provider.challenge
    assert provider.asked["authorization"].startswith("Basic ")
    browser.headers["Cookie"] = answer.headers.get_list("set-cookie")[0].partition(";")[0]
    me = browser.get("/me").json()
    assert (me["name"], me["role"], me["how"]) == ("ana@example.org", "approver", "oidc")
    assert [(event.who, event.how) for event in said(home, LoggedIn)] == [("ana@example.org", "oidc")]
    again = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert again.status_code == 401, "a state works once"


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"nonce": "other"}, "does not count"),
        ({"aud": "somebody else"}, "does not count"),
        ({"iss": "http://evil.example"}, "does not count"),
        ({"exp": 1000}, "does not count"),
        ({"exp": None}, "does not count"),
        ({"nonce": None}, "does not count"),
        ({"iat": 99_999_999_999}, "does not count"),
        ({"nbf": 99_999_999_999}, "does not count"),
        ({"aud": ["somebody else"]}, "does not count"),
        ({"aud": ["console", "other"]}, "does not say for which it was made"),
        ({"aud": ["console", "other"], "azp": "other"}, "does not count"),
        ({"azp": "other"}, "does not count"),
        ({"email_verified": "false"}, "has not verified that address"),
        ({"email_verified": 0}, "has not verified that address"),
        ({"email": ["ana@example.org"]}, "has no claim 'email'"),
        ({"email": "ANA@example.org"}, "no such user"),
        ({"email": "out@example.org"}, "disabled"),
        ({"email": None}, "has no claim 'email'"),
        ({"email_verified": False}, "has not verified that address"),
        ({"email": "eve@example.org"}, "no such user"),
    ],
)
def test_a_token_that_is_not_what_was_asked_for_is_refused(changes, told, console, provider, home):
    browser, asked = begin(console, provider)
    provider.changes = changes
    answer = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:jackline:problem:login-refused")
    assert told in answer.json()["detail"]
    assert "set-cookie" not in answer.headers
    assert said(home, LoginFailed)[0].how == "oidc"


def test_a_token_of_another_key_is_refused(console, provider):
    browser, asked = begin(console, provider)
    provider.signing = RSAKey.generate_key(2048, {"kid": "one"})
    answer = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert answer.status_code == 401


def part(value):
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@pytest.mark.parametrize("forge", ["none", "NONE", "HS256", "unsigned", "junk", "missing"])
def test_a_token_that_nobody_signed_is_refused(forge, console, provider, home):
    """`alg: none`, the public key taken for a shared secret, and what is no token at all."""
    browser, asked = begin(console, provider)
    claims = provider.claims()
    if forge == "HS256":
        body = f"{part({'alg': 'HS256', 'kid': 'one'})}.{part(claims)}"
        secret = provider.key.as_pem(private=False)
        mark = hmac.new(secret, body.encode(), hashlib.sha256).digest()
        provider.forged = f"{body}.{base64.urlsafe_b64encode(mark).rstrip(b'=').decode()}"
    elif forge == "unsigned":
        provider.forged = f"{part({'alg': 'RS256', 'kid': 'one'})}.{part(claims)}."
    elif forge in ("none", "NONE"):
        provider.forged = f"{part({'alg': forge})}.{part(claims)}."
    else:
        provider.answered = {"id_token": "a.b.c" if forge == "junk" else None}
    answer = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert (answer.status_code, answer.json()["type"]) == (401, "urn:jackline:problem:login-refused")
    assert "the provider's answer does not count" in answer.json()["detail"]
    assert said(home, LoggedIn) == []


def test_a_code_that_was_used_is_refused_by_the_provider(console, provider):
    for number in range(2):
        browser, asked = begin(console, provider)
        answer = browser.get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
        assert answer.status_code == (303, 401)[number]
    assert "invalid_grant" in answer.json()["detail"]


def test_a_key_that_is_new_is_asked_for_and_not_at_every_token(provider):
    """Providers change their keys: what is known of them is an hour old at most, and renewed where it does not do."""
    made = OIDCProvider(OIDC(issuer=provider.issuer, client="console"))

    def come(now):
        _, state = made.begin("https://localhost/x", now, "10.0.0.1")
        provider.nonce, provider.codes = made._begun[state].nonce, {"c0de"}
        return made.finish("https://localhost/x", state, "c0de", now)

    now = time.time()
    assert come(now) == "ana@example.org"
    provider.key = provider.signing = RSAKey.generate_key(2048, {"kid": "two"})
    with pytest.raises(OIDCError, match="does not count"):
        come(now + 59)
    before = provider.gets
    assert come(now + 61) == "ana@example.org"
    assert provider.gets == before + 2
    provider.signing = RSAKey.generate_key(2048, {"kid": "two"})
    for _ in range(5):
        with pytest.raises(OIDCError, match="does not count"):
            come(now + 62)
    assert provider.gets == before + 2, "a flood of tokens is no flood of questions"


@pytest.mark.parametrize(
    ("told", "why"),
    [
        ({"issuer": "http://evil.example"}, "says that it is 'http://evil.example'"),
        ({"token_endpoint": "http://evil.example/token"}, "is asked at http://evil.example/token: https was expected"),
        ({"jwks_uri": "file:///etc/passwd"}, "is asked at file:///etc/passwd: https was expected"),
        ({"authorization_endpoint": "javascript:alert(1)"}, "https was expected"),
        ({"token_endpoint": None}, "is asked at None: https was expected"),
        ({"jwks_uri": 7}, "cannot be asked"),
    ],
)
def test_a_description_that_leads_elsewhere_is_refused_and_not_asked_for_at_once_again(told, why, provider):
    provider.told = told
    made = OIDCProvider(OIDC(issuer=provider.issuer, client="console"))
    for _ in range(3):
        with pytest.raises(OIDCError, match=re.escape(why)):
            made.begin("https://localhost/x", 1000.0, "10.0.0.1")
    assert provider.gets == 1
    provider.told = {}
    made.begin("https://localhost/x", 1006.0, "10.0.0.1")


def test_a_provider_in_the_clear_is_none():
    with pytest.raises(OIDCError, match=r"the provider http://idp\.example is asked at .*: https was expected"):
        OIDCProvider(OIDC(issuer="http://idp.example", client="console"))
    OIDCProvider(OIDC(issuer="https://idp.example", client="console"))


def test_a_flood_of_begun_logins_takes_nobody_elses(provider):
    made = OIDCProvider(OIDC(issuer=provider.issuer, client="console"))
    now = time.time()
    _, state = made.begin("https://localhost/x", now, "10.0.0.1")
    provider.nonce = made._begun[state].nonce
    for _ in range(1100):
        made.begin("https://localhost/x", now, "10.6.6.6")
    assert len(made._begun) == 21
    assert made.finish("https://localhost/x", state, "c0de", now) == "ana@example.org"
    _, state = made.begin("https://localhost/x", now, "10.0.0.1")
    with pytest.raises(OIDCError, match="too long ago: begin it again"):
        made.finish("https://localhost/x", state, "c0de", now + 600)
    for _ in range(3):
        made._turn.acquire()
    with pytest.raises(OIDCError, match="too many are logging in just now"):
        made.begin("https://localhost/x", now, "10.0.0.1")


def test_another_browser_cannot_end_the_login(console, provider):
    """Login CSRF: who did not begin it has no cookie of that state."""
    _, asked = begin(console, provider)
    answer = console.plain().get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert (answer.status_code, "this browser did not begin that login" in answer.text) == (401, True)
    refused = console.plain().get("/oidc/callback", params={"error": "access_denied"})
    assert "the provider refused (access_denied)" in refused.json()["detail"]

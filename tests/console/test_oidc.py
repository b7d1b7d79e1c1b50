"""Logging in at a provider on loopback: code flow with PKCE, tokens that are held to what was asked."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import pytest
from console_harness import Running
from joserfc import jwt
from joserfc.jwk import RSAKey

from jackline.events import LoggedIn, LoginFailed
from jackline.home import Home
from jackline.journal import read
from jackline_console.access.users import User, Users


class Provider:
    """Answers as an OpenID provider does; `claims` and `key` are what its next token has."""

    def __init__(self):
        self.key = self.signing = RSAKey.generate_key(2048, {"kid": "one"})
        self.changes = {}
        self.asked = {}
        provider = self

        class Answers(BaseHTTPRequestHandler):
            def do_GET(self):
                keys = {"keys": [provider.key.as_dict(private=False)]}
                self.say(keys if self.path == "/keys" else provider.facts())

            def do_POST(self):
                body = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
                provider.asked = {name: values[0] for name, values in body.items()}
                provider.asked["authorization"] = self.headers["authorization"]
                self.say({"access_token": "x", "token_type": "Bearer", "id_token": provider.token()})

            def say(self, told):
                data = json.dumps(told).encode()
                self.send_response(200)
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
        }

    def token(self):
        now = int(time.time())
        claims = {"iss": self.issuer, "aud": "console", "sub": "1", "exp": now + 60, "nonce": self.nonce}
        claims |= {"email": "ana@example.org", **self.changes}
        header = {"alg": "RS256", "kid": "one"}
        return jwt.encode(header, {k: v for k, v in claims.items() if v is not None}, self.signing)


@pytest.fixture
def provider():
    made = Provider()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def console(provider, home, folder, config, monkeypatch):
    monkeypatch.setenv("JACKLINE_OIDC_SECRET", "s3cret")
    users = Users(Home(home).path / "console")
    users.put(User(name="ana@example.org", role="approver", created=1.0))
    users.put(User(name="ada@example.org", role="admin", created=1.0))
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


def test_a_user_logs_in_at_the_provider(console, provider, home):
    assert console.plain().get("/access").json()["oidc"] == "/api/v1/oidc/login"
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


def test_another_browser_cannot_end_the_login(console, provider):
    """Login CSRF: who did not begin it has no cookie of that state."""
    _, asked = begin(console, provider)
    answer = console.plain().get("/oidc/callback", params={"state": asked["state"], "code": "c0de"})
    assert (answer.status_code, "this browser did not begin that login" in answer.text) == (401, True)
    refused = console.plain().get("/oidc/callback", params={"error": "access_denied"})
    assert "the provider refused (access_denied)" in refused.json()["detail"]

"""Callers by OAuth: tokens of a real authorization server on loopback, and every way in which one can be wrong."""

from __future__ import annotations

import asyncio
import base64
import hmac
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from gateway_harness import INITIALIZE, Gateway, call
from joserfc import jws
from joserfc.jwk import RSAKey
from mcp import Client
from mcp.client.auth.extensions.client_credentials import ClientCredentialsOAuthProvider
from mcp.client.streamable_http import streamable_http_client
from mcp_harness import ERAS
from oauth_server import CLIENTS, AuthorizationServer

from jackline.errors import BundleError, JacklineError
from jackline.guard import Guard
from jackline_mcp.callers import OAuthClient, RefusedError, oauth_name
from jackline_mcp.certificates import Certificate
from jackline_mcp.config import load
from jackline_mcp.identity_config import OAuthEntry
from jackline_mcp.issuer_keys import IssuerKeys
from jackline_mcp.oauth import AccessTokens

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mcp.shared.auth import OAuthClientInformationFull, OAuthToken

CLOSED = "jackline: 1\npolicies:\n  - {name: ours, use: tool_access, agents: \"agent.name == 'builder'\", with: {allow: ['*']}}\n"
"""What nobody registered may do nothing; of those who are, `builder` may do everything."""
RESOURCE = "http://gateway.test/mcp/accounts"


class Kept:
    """Where the SDK's client keeps its token."""

    def __init__(self) -> None:
        self.tokens: OAuthToken | None = None

    async def get_tokens(self) -> OAuthToken | None:
        return self.tokens

    async def set_tokens(self, tokens: OAuthToken) -> None:
        self.tokens = tokens

    async def get_client_info(self) -> OAuthClientInformationFull | None:
        return None

    async def set_client_info(self, client_info: OAuthClientInformationFull) -> None:
        """Keep nothing: it is known beforehand."""


class Site:
    """A gateway, and the authorization server that it trusts."""

    def __init__(self, folder: Path, server: AuthorizationServer, options: str = "") -> None:
        self.server = server
        self.gateway = Gateway(folder)
        self.gateway.policies(CLOSED)
        self.gateway.callers = {"builder": "oauth_client: build-bot, user: u-build, labels: {team: build}"}
        self.gateway.more = (
            f"oauth: {{issuer: '{server.issuer}', jwks: '{server.issuer}/keys', audience: [the-gateway]{options}}}\n"
        )

    def provider(self, client: str) -> ClientCredentialsOAuthProvider:
        return ClientCredentialsOAuthProvider(
            self.gateway.url, Kept(), client, CLIENTS[client], issuer=self.server.issuer
        )

    async def call(self, token: str, query: str) -> Any:
        """Call a tool in one request; gives the answer."""
        meta = {"io.modelcontextprotocol/protocolVersion": "2026-07-28"}
        meta |= {"io.modelcontextprotocol/clientInfo": {"name": "c", "version": "1"}}
        meta |= {"io.modelcontextprotocol/clientCapabilities": {}}
        body = call("find", query=query)
        body["params"]["_meta"] = meta
        headers = {"Mcp-Protocol-Version": "2026-07-28", "Mcp-Method": "tools/call", "Mcp-Name": "find"}
        async with self.gateway.http(token) as http:
            return await http.post(self.gateway.url, json=body, headers=headers)


@pytest.fixture(scope="module")
def server() -> Iterator[AuthorizationServer]:
    with AuthorizationServer().running() as server:
        yield server


@pytest.fixture(scope="module")
def site(server: AuthorizationServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("oauth"), server)
    with site.gateway.running():
        yield site


@ERAS
async def test_the_sdks_client_finds_its_way_to_a_token_and_is_the_registered_caller(site: Site, mode: Any) -> None:
    gateway = site.gateway
    if "builder" not in {event.agent.name for event in gateway.on_record("agent_seen")}:
        async with gateway.http(site.server.token("the-gateway")) as http:
            await http.post(gateway.url, json=INITIALIZE)
        gateway.cli("agents", "set", "builder", "--status", "active")
    async with (
        httpx2.AsyncClient(auth=site.provider("build-bot"), timeout=60) as http,
        Client(streamable_http_client(gateway.url, http_client=http), mode=mode) as client,
    ):
        assert not (await client.call_tool("find", {"query": f"mine-{mode}"})).is_error

    assert f"find mine-{mode}" in gateway.ran
    assert site.server.asked[-1]["resource"] == [gateway.url]  # what the token was made for
    decided = [event for event in gateway.on_record("decided") if event.action == "tool.call"][-1]
    assert (decided.agent, decided.effect) == ("builder", "allow")
    started = [event for event in gateway.on_record("session_started") if event.user == "u-build"]
    assert started


async def test_who_has_no_token_is_told_where_to_get_one(site: Site) -> None:
    async with site.gateway.http() as http:
        none = await http.post(site.gateway.url, json=INITIALIZE)
        root = site.gateway.url.removesuffix("/mcp/accounts")
        where = f"{root}/.well-known/oauth-protected-resource/mcp/accounts"
        told = await http.get(where)
        other = await http.get(where.replace("accounts", "no-such-server"))
        foreign = await http.get(where, headers={"Host": "evil.example"})

    assert none.status_code == 401
    assert none.headers["WWW-Authenticate"] == f'Bearer resource_metadata="{where}"'
    assert told.json() == {
        "resource": site.gateway.url,
        "authorization_servers": [site.server.issuer],
        "bearer_methods_supported": ["header"],
    }
    assert other.status_code == 200  # which servers there are is not told
    assert foreign.status_code == 421


def _forged(site: Site, algorithm: str) -> str:
    """A token that is "signed" with the issuer's public key, as if it were a secret."""
    public = site.server.key.as_pem(private=False)
    _, claims, _ = site.server.token(site.gateway.url).split(".")
    signed = f"{_part(json.dumps({'alg': algorithm, 'kid': 'first'}).encode())}.{claims}"
    return f"{signed}.{_part(hmac.digest(public, signed.encode(), algorithm.replace('HS', 'sha')))}"


def _part(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).decode().rstrip("=")


def _unsigned(site: Site) -> str:
    _, claims, _ = site.server.token(site.gateway.url).split(".")
    return f"{_part(json.dumps({'alg': 'none', 'kid': 'first'}).encode())}.{claims}."


def _tampered(site: Site) -> str:
    head, _, signature = site.server.token(site.gateway.url).split(".")
    _, claims, _ = site.server.token(site.gateway.url, client_id="admin").split(".")
    return f"{head}.{claims}.{signature}"


def _own_key(site: Site) -> str:
    """Signed by a key that the token brings along."""
    made = RSAKey.generate_key(2048, {"kid": "first"})
    return _headed(site, {"jwk": made.as_dict(private=False)}, made)


def _headed(site: Site, header: dict[str, Any], key: RSAKey | None = None) -> str:
    """A token with more in its header; signed by the issuer's key unless said."""
    _, claims, _ = site.server.token(site.gateway.url).split(".")
    signed = f"{_part(json.dumps({'alg': 'RS256', 'kid': 'first', **header}).encode())}.{claims}"
    private = (key or site.server.key).private_key
    return f"{signed}.{_part(private.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256()))}"


WRONG = {
    "for another audience": (lambda s: s.server.token("https://other.example/mcp"), "was not made for"),
    "for another server": (lambda s: s.server.token(s.gateway.url + "2"), "was not made for"),
    "for nobody": (lambda s: s.server.token(None), "does not say for whom"),
    "for numbers": (lambda s: s.server.token([1]), "does not say for whom"),
    "of another issuer": (lambda s: s.server.token(s.gateway.url, iss="https://evil.example"), "was not issued by"),
    "of no issuer": (lambda s: s.server.token(s.gateway.url, iss=None), "was not issued by"),
    "expired": (lambda s: s.server.token(s.gateway.url, exp=int(time.time()) - 1), "has expired"),
    "never expiring": (lambda s: s.server.token(s.gateway.url, exp=None), "does not say when it expires"),
    "expiring at no number": (lambda s: s.server.token(s.gateway.url, exp="9999999999"), "`exp` is no time"),
    "expiring at NaN": (lambda s: s.server.token(s.gateway.url, exp=float("nan")), "`exp` is no time"),
    "expiring beyond time": (lambda s: s.server.token(s.gateway.url, exp=10**400), "`exp` is no time"),
    "not yet": (lambda s: s.server.token(s.gateway.url, nbf=int(time.time()) + 600), "is not valid yet"),
    "of no client": (lambda s: s.server.token(s.gateway.url, client_id=None, sub="build-bot"), "names no client"),
    "of two clients": (lambda s: s.server.token(s.gateway.url, azp="other"), "names two clients"),
    "of no text": (lambda s: s.server.token(s.gateway.url, client_id=["build-bot"]), "names no client"),
    "of half a character": (lambda s: s.server.token(s.gateway.url, client_id="\ud800"), "names no client"),
    "bound to a key": (lambda s: s.server.token(s.gateway.url, cnf={"jkt": "x"}), "is bound to a key"),
    "bound to a certificate": (lambda s: s.server.token(s.gateway.url, cnf={"x5t#S256": "AA"}), "was not shown"),
    "signed by another": (
        lambda s: s.server.token(s.gateway.url, key=RSAKey.generate_key(2048, {"kid": "first"})),
        "signature is not the issuer's",
    ),
    "signed by an unknown key": (
        lambda s: s.server.token(s.gateway.url, key=RSAKey.generate_key(2048, {"kid": "unheard-of"})),
        "has not published",
    ),
    "signed by its own key": (_own_key, "signature is not the issuer's"),
    "with a header that must be understood": (
        lambda s: _headed(s, {"crit": ["urn:x"], "urn:x": 1}),
        "signature is not the issuer's",
    ),
    "tampered with": (_tampered, "signature is not the issuer's"),
    "unsigned": (_unsigned, "is not signed by one of"),
    "HS256 by the public key": (lambda s: _forged(s, "HS256"), "is not signed by one of"),
    "HS512 by the public key": (lambda s: _forged(s, "HS512"), "is not signed by one of"),
    "of an algorithm not listed": (
        lambda s: s.server.token(s.gateway.url, header={"alg": "RS512"}),
        "is not signed by",
    ),
    "no JSON": (lambda _: "a.b.c", "cannot be read"),
    "no token at all": (lambda _: "a-token-of-nobody", "is nobody's"),
    "too long": (lambda _: f"{'a' * 20_000}.b.c", "is nobody's"),
}


@pytest.mark.parametrize("which", WRONG)
async def test_a_wrong_token_does_nothing(site: Site, which: str) -> None:
    made, told = WRONG[which]
    ran = site.gateway.ran
    token = made(site)
    answer = await site.call(token, "wrong")

    assert answer.status_code == 401, answer.text
    assert told in answer.json()["error"]["message"]
    assert 'error="invalid_token"' in answer.headers["WWW-Authenticate"]
    assert "resource_metadata=" in answer.headers["WWW-Authenticate"]
    assert site.gateway.ran == ran
    assert token not in "".join(path.read_text() for path in (site.gateway.home / "journals").glob("*.jsonl"))


async def test_a_header_that_need_not_be_understood_is_passed_over(site: Site) -> None:
    answer = await site.call(_headed(site, {"nonce": "x", "ver": 2, "x5t": "a"}), "headed")
    assert answer.status_code == 200


async def test_a_client_that_nobody_is_named_by_is_unmanaged_and_may_do_nothing(site: Site) -> None:
    gateway, ran = site.gateway, site.gateway.ran
    name = f"oauth:{site.server.issuer}#stranger"
    answer = await site.call(site.server.token(gateway.url, client_id="stranger"), "strange")

    assert answer.status_code == 403
    assert f"jackline agents set {name} --status active" in answer.json()["error"]["message"]
    assert gateway.ran == ran
    assert gateway.discovered(name) == ["gateway"]
    assert name in gateway.cli("agents", "list", "--json")
    seen = next(event.agent for event in gateway.on_record("agent_seen") if event.agent.name == name)
    assert (seen.managed, seen.labels) == (False, {"oauth_client": "stranger", "oauth_issuer": site.server.issuer})


async def test_a_client_cannot_take_the_name_of_another_agent(tmp_path: Path, server: AuthorizationServer) -> None:
    site = Site(tmp_path, server)
    taken = f"oauth:{server.issuer}#stranger"
    site.gateway.policies("jackline: 1\npolicies: []\nunregistered: allow\n")
    site.gateway.more += "limits: {unknown: 1}\n"
    with Guard.load(site.gateway.bundle, home=site.gateway.home) as guard:
        guard.agent(taken)
    with site.gateway.running():
        refused = await site.call(server.token(site.gateway.url, client_id="stranger"), "a")
        many = await site.call(server.token(site.gateway.url, client_id="a-second-one"), "b")
        named = await site.call(server.token(site.gateway.url), "c")

    assert (refused.status_code, refused.json()["error"]["message"]) == (403, f"'{taken}' is the name of another agent")
    assert many.status_code == 403
    assert many.json()["error"]["message"] == "1 callers are registered that no entry names, and no more may be"
    assert named.status_code == 200
    assert site.gateway.ran == ["find c"]


async def test_what_the_bundle_gives_unmanaged_agents_an_unknown_client_gets(
    tmp_path: Path, server: AuthorizationServer
) -> None:
    site = Site(tmp_path, server, ", scopes: [tools], client: azp")
    site.gateway.policies(
        "jackline: 1\nunregistered: allow\npolicies:\n"
        "  - {name: little, use: tool_access, agents: '!agent.managed', with: {allow: [accounts.find]}}\n"
    )
    with site.gateway.running():
        url = site.gateway.url
        may = await site.call(server.token(url, client_id=None, azp="new", scope="x tools"), "little")
        poor = await site.call(server.token(url, client_id=None, azp="new", scope="x"), "poor")
        async with site.gateway.speaking(server.token(url, client_id=None, azp="new", scp=["tools"])) as client:
            refused = await client.call_tool("delete", {"account": "1"})

    assert may.status_code == 200
    assert refused.is_error
    assert poor.status_code == 403
    assert poor.headers["WWW-Authenticate"].endswith(
        'scope="tools", error="insufficient_scope", error_description="this token does not permit tools"'
    )
    assert site.gateway.ran == ["find little"]


async def test_a_new_key_is_found_in_the_background_and_a_flood_of_unknown_ones_fetches_nothing_more(
    tmp_path: Path,
) -> None:
    said: list[str] = []
    with AuthorizationServer().running() as server:
        keys = IssuerKeys(f"{server.issuer}/keys", tmp_path, said.append, refresh=1000, pause=0.05)
        tokens = AccessTokens(OAuthEntry(issuer=server.issuer, jwks=keys.source), keys)
        with pytest.raises(RefusedError, match="could not be had yet") as early:
            tokens.client(server.token(RESOURCE), RESOURCE, None)
        assert early.value.status == 503
        await keys.look()
        assert tokens.client(server.token(RESOURCE), RESOURCE, None).id == "build-bot"
        keeping = asyncio.create_task(keys.keep())
        fresh = server.rotate()
        token = server.token(RESOURCE, key=fresh, header={"alg": "ES256"})
        async with asyncio.timeout(20):
            while True:
                try:
                    assert tokens.client(token, RESOURCE, None).id == "build-bot"
                    break
                except RefusedError as error:
                    assert "has not published, or not yet" in error.text  # noqa: PT017
                    await asyncio.sleep(0.01)
        began, before = time.monotonic(), server.fetched
        made = RSAKey.generate_key(2048, {"kid": "of-nobody"})
        for number in range(200):
            with pytest.raises(RefusedError):
                tokens.client(server.token(RESOURCE, key=made, header={"kid": f"k{number}"}), RESOURCE, None)
            await asyncio.sleep(0)
        fetches = server.fetched - before
        assert fetches <= (time.monotonic() - began) / 0.05 + 2
        server.broken = True
        async with asyncio.timeout(20):
            while not said:
                keys.find("not-there", "RS256")
                await asyncio.sleep(0.01)
        keeping.cancel()
        await asyncio.gather(keeping, return_exceptions=True)
        assert tokens.client(token, RESOURCE, None).id == "build-bot"
    assert said == [
        f"the keys of {keys.source} cannot be had: ValueError: the answer was 500; the last ones stay in force"
    ]


async def test_keys_in_a_file_and_what_of_it_is_not_used(tmp_path: Path) -> None:
    server = AuthorizationServer()
    server.issuer = "https://login.example"
    secret = {"kty": "oct", "k": "c2VjcmV0", "kid": "shared"}
    sealing = {**server.key.as_dict(private=False), "use": "enc", "kid": "sealing"}
    private = {**server.key.as_dict(private=True), "alg": "RS256"}
    file = tmp_path / "keys.json"
    file.write_text(json.dumps({"keys": [secret, sealing, {"kty": "RSA"}, "x", private]}), encoding="utf-8")
    keys = IssuerKeys("keys.json", tmp_path, print, refresh=1000)
    await keys.load()

    assert keys.find("shared", "HS256") is None
    assert keys.find("sealing", "RS256") is None
    assert keys.find("first", "PS256") is None  # it is for RS256
    assert keys.find("first", "ES256") is None
    only = keys.find(None, "RS256")
    assert only is keys.find("first", "RS256")
    assert only is not None
    assert not only.is_private
    for text, told in (("[]", "TypeError"), ('{"keys": []}', "there is none in it"), ("{", "JSONDecodeError")):
        file.write_text(text, encoding="utf-8")
        with pytest.raises(JacklineError, match=f"the keys of keys.json cannot be had: .*{told}"):
            await keys.load()
    file.unlink()
    with pytest.raises(JacklineError, match=r"the keys of keys\.json cannot be had: FileNotFoundError"):
        await keys.load()
    assert keys.find("first", "RS256") is only


async def test_a_token_bound_to_a_certificate_counts_with_that_one_only(tmp_path: Path) -> None:
    server = AuthorizationServer()
    server.issuer = "https://login.example"
    (tmp_path / "keys").write_text(json.dumps({"keys": server.keys}), encoding="utf-8")
    keys = IssuerKeys("keys", tmp_path, print, refresh=1000)
    await keys.load()
    now = [time.time()]
    tokens = AccessTokens(OAuthEntry(issuer=server.issuer, jwks="keys"), keys, lambda: now[0])
    digest = bytes(range(32))
    shown = Certificate(digest.hex(), "CN=a", "CN=b", (), 0.0, 9e12)
    bound = server.token(RESOURCE, cnf={"x5t#S256": _part(digest)})

    for _ in range(2):  # from what is kept too
        assert tokens.client(bound, RESOURCE, shown).id == "build-bot"
        with pytest.raises(RefusedError, match="bound to a certificate that was not shown"):
            tokens.client(bound, RESOURCE, None)
        with pytest.raises(RefusedError, match="bound to a certificate that was not shown"):
            tokens.client(bound, RESOURCE, shown._replace(fingerprint="00"))
        with pytest.raises(RefusedError, match="was not made for"):
            tokens.client(bound, RESOURCE + "2", shown)
    now[0] += 700
    with pytest.raises(RefusedError, match="has expired"):
        tokens.client(bound, RESOURCE, shown)
    detached = jws.serialize_compact({"alg": "RS256", "kid": "first"}, b"[1]", server.key)
    with pytest.raises(RefusedError):
        tokens.client(detached, RESOURCE, None)


def test_no_two_unknown_clients_have_one_name() -> None:
    issuer = "https://login.example/t1"
    ids = ["a", "a@b", "a#b", "a b", "%61", "A", "a" * 161, "a" * 162, f"{'a' * 100}...", "https://app.example/c.json"]
    names = [oauth_name(OAuthClient(each, issuer, 0)) for each in ids]
    assert len(set(names)) == len(ids)
    assert names[0] == "oauth:login.example/t1#a"
    assert names[-1] == "oauth:login.example/t1#https://app.example/c.json"
    assert oauth_name(OAuthClient("a", "http://login.example/t1", 0)) not in names
    assert all(len(name) < 200 and name.isprintable() and " " not in name for name in names)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("issuer: 'http://login.example', jwks: k", "'http://login.example' is not https"),
        ("issuer: 'https://l.example', jwks: 'http://l.example/k'", "'http://l.example/k' is not https"),
        ("issuer: login, jwks: k", "'login' is no https address"),
        ("issuer: 'https://l.example', jwks: k, url: 'https://g.example/mcp'", "has a path"),
        ("issuer: 'https://l.example', jwks: k, algorithms: [HS256]", "algorithms"),
        ("issuer: 'https://l.example', jwks: k, algorithms: [none]", "algorithms"),
        ("issuer: 'https://l.example', jwks: k}\nhost: 0.0.0.0\nlimits: {", "add `url: https://...` to it"),
    ],
)
def test_an_issuer_that_cannot_be_trusted_is_refused(tmp_path: Path, entry: str, told: str) -> None:
    gateway = Gateway(tmp_path)
    gateway.more = f"oauth: {{{entry}}}\n"
    gateway.write()
    with pytest.raises(BundleError) as raised:
        load(gateway.file)
    assert told in str(raised.value)


def test_the_documented_settings_are_sound(tmp_path: Path) -> None:
    page = (Path(__file__).parents[2] / "docs" / "mcp.md").read_text(encoding="utf-8")
    gateway = Gateway(tmp_path)
    gateway.callers = {"triage": "oauth_client: triage-bot"}
    for block in ("tls:", "oauth:"):
        _, _, rest = page.partition("```text\n" + block)
        gateway.more += block + rest.partition("```")[0]
    gateway.write()
    found = load(gateway.file)
    assert found.tls is not None
    assert found.oauth is not None
    told = OAuthEntry(issuer=found.oauth.issuer, jwks=found.oauth.jwks)
    more = {"url": "https://gateway.example", "audience": ("api://jackline",)}
    assert found.oauth == told.model_copy(update=more)

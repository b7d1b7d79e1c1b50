"""Callers by certificate: on a real TLS socket, with certificates that an authority signed, or another one, or nobody."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Any

import httpx2
import pytest
from gateway_harness import INITIALIZE, Authority, Gateway, call, sha256
from mcp_harness import ERAS

from jackline.cli import state
from jackline.errors import BundleError, JacklineError
from jackline.home import Home
from jackline_mcp.callers import Callers, RefusedError, Shown
from jackline_mcp.certificates import certificate_in, tls_context
from jackline_mcp.config import load
from jackline_mcp.identity_config import TlsEntry

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterator
    from pathlib import Path

SPIFFE = "URI:spiffe://example.org/ns/prod/sa/sales"
CLOSED = "jackline: 1\npolicies: []\n"
"""What nobody registered may do nothing."""


class Site:
    """A gateway with TLS, an authority, and certificates."""

    def __init__(self, folder: Path) -> None:
        self.gateway = Gateway(folder)
        self.ca = Authority(folder)
        self.foreign = Authority(folder, "foreign")
        self.server = self.ca.issue("gateway", "DNS:localhost", "IP:127.0.0.1", server=True)
        self.support = self.ca.issue("support")
        self.sales = self.ca.issue("sales", SPIFFE, "DNS:sales.example")
        self.ops = self.ca.issue("ops", subject="night shift", organization="Example")
        mark = certificate_in(self.support).marks[0]
        self.gateway.callers = {
            "support": f"certificate: '{mark}', token_sha256: {sha256('of-support')}, user: u-support",
            "sales": f"certificate: ['{SPIFFE}', 'DNS:Other.example']",
            "ops": "certificate: ['subject:CN=night shift,O=Example']",
            "desk": f"token_sha256: {sha256('of-desk')}",
        }
        self.tls("optional")

    def tls(self, certificate: str) -> None:
        files = f"certificate: {self.server.name}, client_ca: {self.ca.path.name}"
        self.gateway.more = f"tls: {{{files}, client_certificate: {certificate}}}\n"

    def shown(self, path: Path | None) -> ssl.SSLContext:
        return self.ca.trusting(path)


@pytest.fixture
def site(tmp_path: Path) -> Site:
    return Site(tmp_path)


@pytest.fixture(scope="module")
def open_site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    site = Site(tmp_path_factory.mktemp("tls"))
    with site.gateway.running():
        yield site


@ERAS
async def test_a_caller_is_who_its_certificate_says(open_site: Site, mode: Any) -> None:
    gateway = open_site.gateway
    for path, query in ((open_site.support, "a"), (open_site.sales, "b"), (open_site.ops, "c")):
        async with gateway.speaking(verify=open_site.shown(path), mode=mode) as client:
            assert not (await client.call_tool("find", {"query": f"{mode}-{query}"})).is_error

    assert gateway.url.startswith("https://")
    ran = [line for line in gateway.ran if mode in line]
    assert ran == [f"find {mode}-a", f"find {mode}-b", f"find {mode}-c"]
    decided = [event for event in gateway.on_record("decided") if event.action == "tool.call"]
    assert [event.agent for event in decided][-3:] == ["support", "sales", "ops"]


async def test_a_token_over_tls_is_as_good_and_with_a_certificate_must_be_of_the_same_caller(open_site: Site) -> None:
    gateway = open_site.gateway
    nameless = open_site.ca.issue("mesh")
    answers = []
    for path, token in (
        (None, "of-desk"),
        (open_site.support, "of-support"),
        (nameless, "of-desk"),
        (open_site.sales, "of-desk"),
        (open_site.support, "of-nobody"),
        (None, ""),
    ):
        async with gateway.http(token, open_site.shown(path)) as http:
            answers.append(await http.post(gateway.url, json=INITIALIZE))

    assert [answer.status_code for answer in answers] == [200, 200, 200, 401, 401, 401]
    assert answers[3].json()["error"]["message"] == "the certificate is one caller's and the token another's"
    assert answers[4].json()["error"]["message"] == "this token is nobody's"
    assert answers[5].headers["WWW-Authenticate"] == "Bearer"
    assert {event.what for event in gateway.refusals()} >= {"two-callers", "unknown-token", "no-credentials"}


@pytest.mark.parametrize("which", ["foreign", "expired", "future", "server", "namesake"])
async def test_a_certificate_that_is_not_the_authoritys_gets_no_connection(
    open_site: Site, tmp_path: Path, which: str
) -> None:
    gateway, ca = open_site.gateway, open_site.ca
    made = {
        "foreign": lambda: open_site.foreign.issue("sales-f", SPIFFE),
        "expired": lambda: ca.issue("sales-e", SPIFFE, days=(-9, -1)),
        "future": lambda: ca.issue("sales-n", SPIFFE, days=(1, 2)),
        "server": lambda: ca.issue("sales-s", SPIFFE, server=True),
        "namesake": lambda: Authority(tmp_path).issue("sales-x", SPIFFE),  # another's, of the same name
    }[which]()
    before, ran = len(gateway.refusals()), gateway.ran
    async with gateway.http(verify=open_site.shown(made)) as http:
        with pytest.raises((httpx2.ReadError, httpx2.ConnectError, httpx2.RemoteProtocolError)):
            await http.post(gateway.url, json=call("find", query="never"))

    await gateway.told("certificate")
    told = [event for event in gateway.refusals()[before:] if event.what == "certificate"]
    assert told[0].by == "mcp-gateway"
    assert told[0].detail.startswith("the client's certificate was not accepted: ")
    assert gateway.ran == ran


async def test_where_a_certificate_is_required_nobody_is_let_in_without_one(site: Site) -> None:
    site.tls("required")
    with site.gateway.running():
        async with site.gateway.http("of-desk", site.shown(None)) as http:
            with pytest.raises((httpx2.ReadError, httpx2.ConnectError, httpx2.RemoteProtocolError)):
                await http.post(site.gateway.url, json=INITIALIZE)
        refused = await site.gateway.told("certificate")
        async with site.gateway.speaking(verify=site.shown(site.sales)) as client:
            assert not (await client.call_tool("find", {"query": "x"})).is_error
        with socket.create_connection(site.gateway.address) as plain:  # somebody who speaks no TLS
            plain.sendall(b"GET / HTTP/1.1\r\n\r\n")
            plain.recv(1000)
        spoken = await site.gateway.told("tls")

    assert refused.detail == "the client has shown no certificate, and one is required"
    assert spoken.detail.startswith("TLS could not be agreed on: ")
    assert site.gateway.ran == ["find x"]
    assert "Traceback" not in site.gateway.said


async def test_a_certificate_that_nobody_is_named_by_is_an_unmanaged_agent_that_may_do_nothing(site: Site) -> None:
    gateway = site.gateway
    gateway.policies(CLOSED)
    stranger = site.ca.issue("stranger", "DNS:build.example", subject="build", organization="Vendor")
    again = site.ca.issue("stranger-renewed", "DNS:build.example", subject="build", organization="Vendor")
    name = f"certificate:{certificate_in(stranger).identity}"
    with gateway.running():
        for path in (stranger, again):
            async with gateway.http(verify=site.shown(path)) as http:
                refused = await http.post(gateway.url, json=INITIALIZE)
                assert refused.status_code == 403
        text = refused.json()["error"]["message"]
        assert text.startswith("no entry of `callers:` is this one, and what is not registered may do nothing here: ")
        assert f"jackline agents set {name} --status active" in text
        assert (await gateway.told("unknown-caller")).agent == name
        assert gateway.discovered(name) == ["gateway"]
        gateway.cli("agents", "set", name, "--status", "active", "--why", "known")
        async with gateway.speaking(verify=site.shown(again)) as client:
            assert not (await client.call_tool("find", {"query": "permitted"})).is_error

    entry = state.registry(Home(gateway.home)).entries[name]
    facts = entry.facts("")
    assert (facts.framework, facts.managed) == ("mcp", False)
    assert facts.labels["certificate_subject"] == "CN=build,O=Vendor"
    assert facts.labels["certificate_names"] == "DNS:build.example"
    assert gateway.ran == ["find permitted"]


def test_the_holder_of_two_callers_names_is_neither(site: Site, tmp_path: Path) -> None:
    both = certificate_in(
        site.ca.issue("both", SPIFFE, "DNS:other.example", subject="night shift", organization="Example")
    )
    site.gateway.write()
    callers = Callers(load(site.gateway.file))

    with pytest.raises(RefusedError, match=r"the certificate's names are those of 'ops' and 'sales'"):
        callers.of(Shown(certificate=both))
    sales = certificate_in(site.sales)
    assert callers.of(Shown(certificate=sales)).name == "sales"
    for late in (sales._replace(ends=1.0), sales._replace(begins=9e12)):
        with pytest.raises(RefusedError, match="this certificate has expired, or is not valid yet"):
            callers.of(Shown(certificate=late))


def test_the_fingerprint_counts_before_names(site: Site) -> None:
    site.gateway.callers["exact"] = f"certificate: '{certificate_in(site.sales).marks[0]}'"
    site.gateway.write()
    assert Callers(load(site.gateway.file)).of(Shown(certificate=certificate_in(site.sales))).name == "exact"


def test_a_certificate_is_shown_as_callers_name_it(site: Site) -> None:
    lines = site.gateway.cli("mcp", "certificate", str(site.sales)).splitlines()
    assert lines[0] == f'certificate: "sha256:{certificate_in(site.sales).fingerprint}"'
    assert lines[1:] == [
        f'certificate: "{SPIFFE}"',
        'certificate: "DNS:sales.example"',
        'certificate: "subject:CN=sales"',
    ]

    junk = site.gateway.folder / "junk.pem"
    junk.write_text("nothing", encoding="utf-8")
    with pytest.raises(JacklineError, match=r"junk\.pem holds no certificate"):
        certificate_in(junk)
    with pytest.raises(JacklineError, match=r"gone\.pem cannot be read: No such file"):
        certificate_in(junk.with_name("gone.pem"))


def test_files_that_are_no_certificates_are_named(site: Site) -> None:
    junk = site.gateway.folder / "junk.pem"
    junk.write_text("nothing", encoding="utf-8")
    with pytest.raises(JacklineError, match=r"TLS cannot be had from .*junk\.pem"):
        tls_context(TlsEntry(certificate="junk.pem"), junk.parent, print)
    with pytest.raises(JacklineError, match=r"TLS cannot be had from .*gone\.pem: No such file"):
        tls_context(TlsEntry(certificate=site.server.name, client_ca="gone.pem"), junk.parent, print)


@pytest.mark.parametrize(
    ("entry", "told"),
    [
        ("certificate: 'CN=x'", "a certificate is named by one of sha256:, subject:, DNS:"),
        ("certificate: 'sha256:12'", "expected 64 hex digits"),
        ("user: u", "a caller has `token_sha256`, `certificate` or `oauth_client`"),
        (f"certificate: '{SPIFFE}'", f"'sales' and 'more' have the same `certificate`: {SPIFFE}"),
        ("oauth_client: x", "caller 'more' is an OAuth client, and no issuer is known; add `oauth:`"),
    ],
)
def test_what_a_caller_is_known_by_must_be_sound(site: Site, entry: str, told: str) -> None:
    site.gateway.callers["more"] = entry
    site.gateway.write()
    with pytest.raises(BundleError) as raised:
        load(site.gateway.file)
    assert told in str(raised.value)


def test_certificates_of_callers_need_an_authority_and_names_of_unknown_ones_are_nobodys(site: Site) -> None:
    site.gateway.more = f"tls: {{certificate: {site.server.name}}}\nanonymous: 'oauth:x'\n"
    site.gateway.callers["certificate:x"] = f"token_sha256: {sha256('x')}"
    site.gateway.write()
    with pytest.raises(BundleError) as raised:
        load(site.gateway.file)
    assert "caller 'sales' has a certificate, and none is asked for; add `client_ca`" in str(raised.value)
    assert "caller 'certificate:x' is named as callers are that nobody names" in str(raised.value)
    assert "`anonymous` is named as callers are that nobody names" in str(raised.value)

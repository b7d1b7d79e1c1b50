"""Where requests may go: by host, port, scheme and method, however the host is written."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest

from jackline import Guard
from jackline.bundle import load_bundle
from jackline.errors import BundleError
from jackline.facts import PORTS, host, origin
from jackline.journal import read
from jackline.policy import State
from jackline.testing.policies import Context, request
from jackline_tool_access import ToolAccess
from jackline_tool_access.places import flaw

if TYPE_CHECKING:
    from pathlib import Path

    from jackline.decision import Verdict


def policy(egress: dict[str, Any]) -> ToolAccess:
    return ToolAccess.build("p", ToolAccess.Options.model_validate({"egress": egress}), Context())


def asked(url: str, method: str = "GET", **more: Any) -> Any:
    parts = urlsplit(url)
    http = {
        "host": host(parts.hostname or ""),
        "method": method,
        "scheme": parts.scheme,
        "path": parts.path or "/",
        "port": parts.port or PORTS.get(parts.scheme, 0),
        "proxy": "",
        "inside": "tool.call",
        **more,
    }
    return request("http.request", http["host"], facts={"http": http})


def judged(egress: dict[str, Any], url: str, method: str = "GET", **more: Any) -> Verdict | None:
    return policy(egress).evaluate(asked(url, method, **more), State())


def effect(egress: dict[str, Any], url: str, method: str = "GET", **more: Any) -> str | None:
    verdict = judged(egress, url, method, **more)
    return None if verdict is None else verdict.effect


@pytest.mark.parametrize(
    ("place", "reached", "not_reached"),
    [
        (
            "api.example.com",
            [
                "https://api.example.com",
                "http://API.example.com.",
                "https://api.example.com:443",
                "wss://api.example.com",
            ],
            [
                "https://example.com",
                "https://api.example.com:8443",
                "https://api.example.com.evil.test",
                "tcp://api.example.com:443",
            ],
        ),
        (
            "api.example.com:8443",
            ["https://api.example.com:8443", "http://api.example.com:8443"],
            ["https://api.example.com"],
        ),
        ("api.example.com:*", ["https://api.example.com:1", "http://api.example.com"], ["tcp://api.example.com:443"]),
        ("https://api.example.com", ["https://api.example.com", "wss://api.example.com"], ["http://api.example.com"]),
        ("http://api.example.com", ["http://api.example.com", "ws://api.example.com"], ["https://api.example.com"]),
        ("wss://api.example.com", ["wss://api.example.com"], ["ws://api.example.com"]),
        (
            "*.example.com",
            ["https://a.example.com", "https://a.b.example.com"],
            ["https://example.com", "https://aexample.com", "https://a.example.com.evil.test"],
        ),
        ("*", ["https://anything.test", "https://1.2.3.4", "https://[::1]"], ["https://anything.test:81"]),
        ("*:*", ["https://anything.test:81"], ["tcp://anything.test:81"]),
        ("API.Example.COM", ["https://api.example.com"], []),
        ("münchen.example", ["https://xn--mnchen-3ya.example", "https://MÜNCHEN.example"], ["https://munchen.example"]),
        ("*.münchen.example", ["https://a.xn--mnchen-3ya.example"], ["https://a.munchen.example"]),
        (
            "127.0.0.1",
            [
                "http://127.0.0.1",
                "http://2130706433",
                "http://0x7f.1",
                "http://0177.0.0.1",
                "http://[::ffff:127.0.0.1]",
            ],
            ["http://127.0.0.2"],
        ),
        (
            "10.0.0.0/8",
            ["http://10.1.2.3", "http://[::ffff:10.1.2.3]", "http://167838211"],
            ["http://11.0.0.1", "http://ten.example"],
        ),
        ("10.0.0.0/8:8080", ["http://10.1.2.3:8080"], ["http://10.1.2.3"]),
        ("[::1]", ["http://[::1]", "http://[0:0:0:0:0:0:0:1]"], ["http://[::2]", "http://[::1]:81"]),
        ("::1", ["http://[::1]"], ["http://[::1]:81"]),
        ("[fd00::]/8", ["http://[fd12::1]"], ["http://[fe80::1]"]),
        ("[::1]:8080", ["http://[::1]:8080"], ["http://[::1]"]),
        (
            "tcp://mail.example.com:25",
            ["tcp://mail.example.com:25"],
            ["tcp://mail.example.com:26", "http://mail.example.com:25"],
        ),
        ("udp://*:53", ["udp://1.1.1.1:53"], ["tcp://1.1.1.1:53"]),
        ("a_b.internal", ["http://a_b.internal"], []),
    ],
)
def test_a_place_is_reached_exactly(place: str, reached: list[str], not_reached: list[str]) -> None:
    allowed = {"allow": [place], "others": "deny"}
    assert [url for url in reached if effect(allowed, url) != "allow"] == []
    assert [url for url in not_reached if effect(allowed, url) == "allow"] == []


@pytest.mark.parametrize(
    "url",
    [
        "http://good.example@evil.test/",
        "http://good.example:80@evil.test/",
        "http://evil.test#good.example",
        "http://evil.test?good.example",
        "http://good.example.evil.test",
        "http://good.examp1e",
        "http://goоd.example",
    ],
)
def test_a_host_that_looks_like_a_listed_one_is_another(url: str) -> None:
    assert effect({"allow": ["good.example"]}, url) is None


@pytest.mark.parametrize(
    "written",
    [
        "169.254.169.254",
        "2852039166",
        "0xa9fea9fe",
        "0xa9.254.169.254",
        "0251.0376.0251.0376",
        "169.254.43518",
        "[::ffff:169.254.169.254]",
    ],
)
def test_a_denied_address_is_denied_however_it_is_written(written: str) -> None:
    verdict = judged({"allow": ["*"], "deny": ["169.254.0.0/16"]}, f"http://{written}/latest/meta-data")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("deny", "egress.deny[0]: 169.254.0.0/16")
    assert verdict.reason == "http://169.254.169.254 is on the deny list"


@pytest.mark.parametrize(
    ("written", "spelt"),
    [
        ("Example.COM.", "example.com"),
        ("[::1%eth0]", "::1"),
        ("0", "0.0.0.0"),
        ("256.1.1.1", "256.1.1.1"),
        ("99999999999", "99999999999"),
        ("0x", "0x"),
        ("1.2.3.4.5", "1.2.3.4.5"),
        (":::", ":::"),
        ("unix:/Var/Run", "unix:/Var/Run"),
        ("exa\u3002mple", "exa.mple"),
        ("\ud800.example", "\ud800.example"),
    ],
)
def test_a_host_has_one_spelling(written: str, spelt: str) -> None:
    assert host(written) == spelt


def test_an_origin_leaves_out_what_goes_without_saying() -> None:
    assert origin("https", "a.test", 443) == "https://a.test"
    assert origin("https", "::1", 8443) == "https://[::1]:8443"
    assert origin("http", "unix:/run/x.sock", 80) == "http://unix:/run/x.sock"


def test_methods_and_schemes() -> None:
    egress = {
        "allow": ["a.test", {"host": "b.test", "methods": ["get", "POST"], "reason": "orders"}, "http://c.test"],
        "methods": ["GET"],
        "schemes": ["https"],
    }
    assert effect(egress, "https://a.test") == "allow"
    assert effect(egress, "wss://a.test") == "allow"
    assert effect(egress, "https://a.test", "POST") is None
    assert effect(egress, "http://a.test") is None
    verdict = judged(egress, "https://b.test", "POST")
    assert verdict is not None
    assert (verdict.rule, verdict.reason) == ("egress.allow[1]: b.test", "orders")
    assert effect(egress, "https://b.test", "PUT") is None
    assert effect(egress, "http://c.test") == "allow"


def test_deny_wins_on_any_port_by_any_scheme() -> None:
    egress = {
        "allow": ["*:*", "tcp://*:*"],
        "deny": ["bad.test", "https://worse.test", {"host": "slow.test", "methods": ["PUT"]}],
    }
    assert [effect(egress, url) for url in ("https://bad.test:99", "tcp://bad.test:1", "ws://bad.test")] == ["deny"] * 3
    assert [effect(egress, url) for url in ("https://worse.test", "http://worse.test")] == ["deny", "allow"]
    assert [effect(egress, "https://slow.test", method) for method in ("PUT", "GET")] == ["deny", "allow"]


def test_connections_past_the_libraries() -> None:
    verdict = judged({"allow": ["a.test"]}, "tcp://a.test:443", "CONNECT")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("allow", "egress.others: record")
    verdict = judged({"allow": ["a.test:443"], "others": "deny"}, "tcp://a.test:443", "CONNECT")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("deny", "egress.others: deny")
    assert verdict.reason == (
        "tcp://a.test:443 is connected to by no library that is governed: "
        "list it under egress.allow, or use such a library"
    )
    assert (
        effect({"allow": ["tcp://a.test:443"], "others": "deny", "methods": ["GET"]}, "tcp://a.test:443", "CONNECT")
        == "allow"
    )


@pytest.mark.parametrize("inside", ["model.call", "embedding"])
def test_what_a_models_client_sends(inside: str) -> None:
    verdict = judged({"allow": []}, "https://api.provider.test", "POST", inside=inside)
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("allow", "egress.model_hosts: allow")
    assert effect({"allow": [], "model_hosts": "listed"}, "https://api.provider.test", inside=inside) is None
    assert effect({"deny": ["*.provider.test"]}, "https://api.provider.test", inside=inside) == "deny"
    assert effect({"allow": []}, "https://api.provider.test", inside="tool.call") is None


def test_a_proxy_gets_the_request_and_must_be_listed() -> None:
    verdict = judged({"allow": ["a.test"]}, "https://a.test", proxy="evil.test:3128")
    assert verdict is not None
    assert (verdict.effect, verdict.rule) == ("deny", "egress.proxy")
    assert verdict.reason == (
        "it would go through the proxy evil.test:3128, which policy 'p' does not list: add it to egress.allow"
    )
    assert effect({"allow": ["a.test", "proxy.test:3128"]}, "https://a.test", proxy="proxy.test:3128") == "allow"
    assert effect({"allow": ["a.test", "proxy.test:3128"]}, "https://a.test", proxy="proxy.test:3129") == "deny"
    assert effect({"allow": ["a.test", "proxy.test"]}, "https://a.test", proxy="proxy.test:3128") == "allow"
    assert effect({"allow": ["*:*"], "deny": ["evil.test"]}, "https://a.test", proxy="evil.test:1") == "deny"


def test_a_socket_file_is_a_host_of_its_own() -> None:
    there = {"host": "unix:/run/docker.sock"}
    assert effect({"allow": ["*:*"]}, "http://docker", **there) is None
    assert effect({"allow": ["unix:/run/docker.sock"]}, "http://docker", **there) == "allow"
    assert effect({"allow": ["docker"]}, "http://docker", **there) is None


def test_a_request_of_which_nothing_is_known_is_not_listed() -> None:
    assert policy({"allow": ["*:*"]}).evaluate(request("http.request", "a.test"), State()) is None


def test_hosts_that_an_agent_invents_do_not_fill_the_memory() -> None:
    made = policy({"allow": ["a.test"]})
    for number in range(5000):
        made.evaluate(asked(f"https://h{number}.test"), State())
    made.evaluate(asked(f"https://{'h' * 300}.test"), State())
    assert len(made._egress._known) <= 4096


@pytest.mark.parametrize(
    ("place", "message", "hint"),
    [
        ("", "'' is no host: it is empty, or has space around it", "write the host alone"),
        (" a.test", "' a.test' is no host: it is empty, or has space around it", "write the host alone"),
        ("ftp://a.test", "'ftp://a.test' has the scheme 'ftp'", "write one of http, https, ws, wss, tcp, udp, or none"),
        ("https://u:p@a.test", "'https://u:p@a.test' has a user name or a password", "write the host alone"),
        ("a.test/path", "'a.test/path' has a path", "write the host alone; a rule may ask for http.path"),
        ("a.test?q", "'a.test?q' has a path", "write the host alone; a rule may ask for http.path"),
        ("a.test:99999", "'a.test:99999' has the port '99999'", "write a number up to 65535, or * for any"),
        ("a.test:0", "'a.test:0' has the port '0'", "write a number up to 65535, or * for any"),
        ("a.test:http", "'a.test:http' has the port 'http'", "write a number up to 65535, or * for any"),
        ("tcp://a.test", "'tcp://a.test' has no port", "write tcp://a.test:PORT, or tcp://a.test:* for any"),
        ("a:b:c", "'a:b:c' has more than one port", "write host:port; an IPv6 address in brackets"),
        ("[a.test]", "'[a.test]' has no address in its brackets", "write [::1] or [::1]:443"),
        ("[::1", "'[::1' has no address in its brackets", "write [::1] or [::1]:443"),
        ("[::1]443", "'[::1]443' has no address in its brackets", "write [::1] or [::1]:443"),
        ("a..test", "'a..test' is no host", "write a name such as api.example.com, *.example.com or 10.0.0.0/8"),
        ("a b", "'a b' is no host", "write a name such as api.example.com, *.example.com or 10.0.0.0/8"),
        (
            "a{1,2}.test",
            "'a{1,2}.test' is no host",
            "write a name such as api.example.com, *.example.com or 10.0.0.0/8",
        ),
        ("10.0.0.1/8", "'10.0.0.1/8' is no network: 10.0.0.1/8 has host bits set", "write 10.0.0.0/8"),
        (
            "10.0.0.0/99",
            "'10.0.0.0/99' is no network: '10.0.0.0/99' does not appear to be an IPv4 or IPv6 network",
            "write 10.0.0.0/8",
        ),
    ],
)
def test_what_is_no_place_is_said_with_what_would_be(place: str, message: str, hint: str) -> None:
    assert flaw(place) == (message, hint)


BUNDLE = """jackline: 1
policies:
  - name: out
    use: tool_access
    with:
      egress:
        {lines}
"""


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        ("allow: [a.test/path]", "7:17: `egress.allow[0]`: 'a.test/path' has a path; write the host alone"),
        ("allow: [7]", "7:17: `egress.allow[0]`: 7 is no place; write host:port, or a map with host: and methods:"),
        ("methods: [G-T]", "7:19: `egress.methods[0]`: 'G-T' is no method; write GET, POST, ..."),
        ("alow: [a.test]", "did you mean 'allow'?"),
        ("others: refuse", "7:17: `egress.others` is 'refuse'; known: deny, record"),
        (
            "allow: [{host: 'tcp://a.test:1', methods: [GET]}]",
            "'tcp://a.test:1' is a connection, which has no method; leave it out",
        ),
    ],
)
def test_mistakes_are_named_where_they_stand(lines: str, said: str) -> None:
    with pytest.raises(BundleError) as caught:
        load_bundle(BUNDLE.replace("{lines}", lines).encode())
    assert said in str(caught.value)


def test_without_egress_a_policy_says_nothing_of_requests() -> None:
    made = ToolAccess.build("p", ToolAccess.Options.model_validate({"allow": ["*"]}), Context())
    assert made.evaluate(asked("https://a.test"), State()) is None
    assert "http.request" not in (made.reach.actions or ())
    assert "http.request" not in made.governs


TWO = """jackline: 1
policies:
  - name: manager
    use: tool_access
    agents: agent.name == 'manager'
    with: {egress: {allow: [a.test, c.test]}}
  - name: worker
    use: tool_access
    agents: agent.name == 'worker'
    with: {egress: {allow: [a.test, b.test]}}
  - name: more
    use: tool_access
    agents: agent.name == 'worker'
    with: {egress: {allow: [d.test]}}
"""


def test_a_child_may_go_where_it_and_every_agent_above_it_may(tmp_path: Path) -> None:
    with Guard(load_bundle(TWO.encode()), home=tmp_path, application="app") as guard:

        def go(name: str) -> tuple[str, str]:
            http = {"host": name, "method": "GET", "scheme": "https", "path": "/", "port": 443}
            decision = guard.check(guard.request("http.request", name, {}, facts={"http": http}))
            return decision.effect, decision.reason

        with guard.session("s", agent="worker"):
            assert [go(f"{name}.test")[0] for name in "abcd"] == ["allow", "allow", "deny", "allow"]
            assert go("c.test")[1] == "no policy permits http.request 'GET https://c.test' for agent 'worker'"
        with guard.session("t", agent="manager"), guard.run(guard.agent("worker")):
            assert [go(f"{name}.test")[0] for name in "abcd"] == ["allow", "deny", "deny", "deny"]
            assert go("b.test")[1] == "agent 'manager' may not hand on http.request 'GET https://b.test' to 'worker'"
        with guard.session("u", agent="somebody"):
            assert go("z.test")[0] == "allow"
    (path,) = (tmp_path / "journals").glob("*.jsonl")
    decided = [line.event for line in read(path) if line.kind == "decided"]
    assert decided[0].http.method == "GET"
    assert decided[0].http.port == 443

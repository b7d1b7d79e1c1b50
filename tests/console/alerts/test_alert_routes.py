"""The routes of alerts, and what other pages show of them, of a real console's application."""

from __future__ import annotations

import threading
import time

import pytest
from alerting import BUNDLE
from console_harness import until
from starlette.testclient import TestClient

import jackline
from jackline.home import Home
from jackline_console.access.users import Users
from jackline_console.app import create_app
from jackline_console.settings import Settings


class Site:
    """An application on loopback, clients of each role, and a guard beside it."""

    def __init__(self, folder, *, alerts=True):
        (folder / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
        self.home = Home(folder / "home").make()
        settings = Settings(home=self.home, alerts=alerts, port=1, bundle=folder / "jackline.yaml")
        self.app = create_app(settings)
        self.guard = jackline.Guard.load(str(folder / "jackline.yaml"), home=self.home.path, application="desk")
        self.users = Users(self.home.path / "console")

    def client(self, role):
        made = TestClient(self.app, base_url="http://127.0.0.1:1/api/v1/")
        _, text = self.users.issue(f"{role}-script", role, time.time(), None)
        made.headers["Authorization"] = f"Bearer {text}"
        return made

    def tool(self, name):
        def body(value=None):
            return value

        body.__name__ = name
        return self.guard.tool(body)


@pytest.fixture
def site(tmp_path):
    """A console that runs alerts."""
    made = Site(tmp_path)
    with TestClient(made.app):
        until(lambda: made.app.state.console.alerts.running, "the alerter")
        yield made
    made.guard.close()


@pytest.fixture
def looping(site):
    """A running session that goes round in circles."""
    with site.guard.session(id="s") as session:
        tool = site.tool("search")
        for _ in range(3):
            tool(1)
        site.loop = until(lambda: loop_of(site.client("viewer")), "the alert")
        yield session


def loop_of(client, **params):
    found = client.get("alerts", params=params).json()["items"]
    return next((one for one in found if one["rule"] == "loop"), None)


def test_what_fires_is_shown_here_on_live_and_above_every_page(site, looping):
    viewer = site.client("viewer")
    loop = site.loop
    assert set(loop) == {
        "alert", "rule", "severity", "state", "group", "value", "threshold", "unit", "message", "since", "last",
        "resolved", "silenced_until", "sent", "reported",
    }  # fmt: skip
    assert (loop["state"], loop["severity"], loop["group"]) == ("firing", "critical", {"session": looping.id})
    assert (loop["resolved"], loop["silenced_until"], loop["sent"]) == (None, None, [])
    answer = viewer.get("alerts").json()
    assert (answer["running"], answer["problem"]) == (True, "")
    assert viewer.get("summary").json()["firing_alerts"] == len(answer["items"])
    (row,) = viewer.get("live").json()["items"]
    told = {name: loop[name] for name in ("alert", "rule", "severity", "state")}
    assert row["alerts"] == [told]
    rules = {rule["rule"]: rule for rule in viewer.get("alerts/rules").json()["items"]}
    assert rules["loop"] == {
        "rule": "loop", "kind": "loop", "severity": "critical", "when": {"repeats": 3, "cycles": 3}, "for_s": 0.0,
        "group": "session", "cooldown_s": 600.0, "channels": [], "firing": 1,
    }  # fmt: skip
    assert rules["silent-session"]["firing"] == 0
    assert rules["lost-events"]["group"] == ""


def test_alerts_that_are_over_are_among_all_page_by_page(site):
    viewer = site.client("viewer")
    for number in range(3):
        with site.guard.session(id=f"s{number}"):
            for _ in range(3):
                site.tool("search")(1)
            until(lambda: loop_of(viewer), "the alert")
        until(lambda: loop_of(viewer) is None, "its end")
    seen, cursor = [], ""
    while cursor is not None:
        answer = viewer.get("alerts", params={"state": "all", "limit": 1, "cursor": cursor}).json()
        seen += answer["items"]
        cursor = answer["next"]
    assert [one["rule"] for one in seen] == ["loop", "loop", "loop", "unregistered-agent"]
    assert [one["state"] for one in seen] == ["resolved"] * 3 + ["firing"]
    assert all(one["resolved"] >= one["since"] for one in seen[:3])
    wrong = viewer.get("alerts", params={"cursor": "zzz"})
    assert (wrong.status_code, wrong.json()["type"]) == (400, "urn:jackline:problem:cursor")


def test_silences_are_acts_of_people_on_record(site, looping):
    operator, viewer = site.client("operator"), site.client("viewer")
    before = time.time()
    made = operator.post("alerts/silences", json={"rule": "loop", "for_s": 600, "why": "known"}).json()
    assert (made["done"], made["why"], made["rule"], made["group"]) == ("silenced", "known", "loop", {})
    assert made["who"].endswith("operator-script")
    assert before + 599 < made["until"] < time.time() + 601
    held = viewer.get("alerts/silences").json()["items"]
    assert held == [{name: made[name] for name in held[0]}]
    assert loop_of(viewer)["silenced_until"] == made["until"]
    lifted = operator.post(f"alerts/silences/{made['silence']}/lift", json={"why": "mended"}).json()
    assert (lifted["done"], lifted["why"]) == ("lifted", "mended")
    assert viewer.get("alerts/silences").json()["items"] == []
    assert loop_of(viewer)["silenced_until"] is None
    again = operator.post(f"alerts/silences/{made['silence']}/lift", json={"why": "mended"})
    assert (again.status_code, again.json()["type"]) == (404, "urn:jackline:problem:unknown-silence")
    store = site.app.state.console.store
    on_record = until(
        lambda: len(found := store.audits(["alert_silenced", "alert_silence_lifted"])) == 2 and found, "it"
    )
    assert {(row.event.who, row.event.why) for row in on_record} == {(made["who"], "known"), (made["who"], "mended")}


@pytest.mark.parametrize(
    ("body", "status", "told"),
    [
        ({"rule": "lop", "for_s": 60, "why": "x"}, 404, "there is no rule 'lop'"),
        ({"for_s": 0, "why": "x"}, 422, "body.for_s"),
        ({"for_s": 60, "why": " "}, 422, "body.why"),
        ({"for_s": 60, "why": "x", "group": {"user": "u"}}, 422, "body.group"),
        ({"for_s": 60, "why": "x", "unknown": 1}, 422, "body.unknown"),
    ],
)
def test_a_silence_that_makes_no_sense_is_refused(site, body, status, told):
    answer = site.client("operator").post("alerts/silences", json=body)
    assert answer.status_code == status
    assert told in answer.text
    assert site.client("viewer").get("alerts/silences").json()["items"] == []


def test_viewers_read_and_operators_silence(site):
    viewer, approver = site.client("viewer"), site.client("approver")
    for one in (viewer, approver):
        for path in ("alerts/silences", "alerts/silences/x/lift"):
            refused = one.post(path, json={"for_s": 60, "why": "x"})
            assert (refused.status_code, refused.json()["expected"]) == (403, "operator")
    nobody = TestClient(site.app, base_url="http://127.0.0.1:1/api/v1/")
    for path in ("alerts", "alerts/rules", "alerts/silences"):
        assert nobody.get(path).status_code == 401
        assert viewer.get(path).status_code == 200
    assert nobody.post("alerts/rules/preview", json={}).status_code == 401
    assert nobody.post("alerts/silences", json={}).status_code == 401


def test_a_rule_is_tried_on_past_data(site, looping):
    viewer = site.client("viewer")
    now = time.time()
    asked = {"since": now - 60, "until": now + 1}
    found = viewer.post("alerts/rules/preview", json={"rule": {"kind": "loop"}, **asked}).json()
    assert [(one["rule"], one["state"], one["group"]) for one in found["fired"]] == [
        ("preview", "firing", {"session": looping.id})
    ]
    assert found["evaluated"] > 5
    none = viewer.post("alerts/rules/preview", json={"rule": {"kind": "loop", "when": {"repeats": 4}}, **asked}).json()
    assert (none["fired"], none["evaluated"]) == ([], found["evaluated"])
    wrong = viewer.post("alerts/rules/preview", json={"rule": {"kind": "lop"}, **asked})
    assert wrong.status_code == 422
    assert (wrong.json()["errors"][0]["message"], wrong.json()["errors"][0]["hint"]) == (
        "`kind` is 'lop'",
        "did you mean 'loop'?",
    )
    half = b'{"rule": {"kind": "\\ud800"}, "since": 1, "until": 2}'
    answer = viewer.post("alerts/rules/preview", content=half, headers={"content-type": "application/json"})
    assert (answer.status_code, answer.json()["errors"][0]["hint"]) == (422, "write the whole one")
    for since, until_ in ((now, now - 1), (now - 40 * 86400, now)):
        answer = viewer.post("alerts/rules/preview", json={"rule": {"kind": "loop"}, "since": since, "until": until_})
        assert (answer.status_code, answer.json()["what"]) == (422, "until")
    assert loop_of(viewer)["alert"] == site.loop["alert"], "nothing is put on record"


def test_a_console_that_runs_no_alerts_says_so(tmp_path):
    site = Site(tmp_path, alerts=False)
    with TestClient(site.app), site.guard.session(id="s"):
        for _ in range(3):
            site.tool("search")(1)
        viewer = site.client("viewer")
        until(lambda: viewer.get("live").json()["items"], "the session")
        assert viewer.get("alerts").json() == {"items": [], "next": None, "running": False, "problem": ""}
        assert viewer.get("summary").json()["firing_alerts"] == 0
        assert viewer.get("live").json()["items"][0]["alerts"] == []
        assert len(viewer.get("alerts/rules").json()["items"]) == 17
        assert not [path for path in site.home.journals.iterdir() if b'"writer":"alerter"' in path.read_bytes()]
    assert "jackline-tail" not in {thread.name for thread in threading.enumerate()}
    site.guard.close()

"""The channels of alerts as the page shows them: how each stands, a test button, and never where they lead."""

from __future__ import annotations

import json

import pytest
from console_harness import POLICIES, until
from mail import SHARED, Receiver

from jackline.home import Home
from jackline.ingest import ingest
from jackline.journal import read
from jackline.stores.sqlite import SQLiteStore

NOTIFY = """\
notify:
  ops: {webhook: "env:HOOK", secret: "env:SECRET"}
  lost: {webhook: "env:NOWHERE", secret: "env:SECRET", on: [fired]}
  am: {alertmanager: "env:AM"}
"""


@pytest.fixture
def receiver(monkeypatch):
    made = Receiver()
    monkeypatch.setenv("HOOK", made.url)
    monkeypatch.setenv("AM", made.url)
    monkeypatch.setenv("SECRET", SHARED)
    yield made
    made.close()


@pytest.fixture
def folder(folder, receiver):
    (folder / "jackline.yaml").write_text(POLICIES.replace("policies:", f"{NOTIFY}policies:"), encoding="utf-8")
    return folder


def test_a_channel_is_tried_on_record_and_says_what_came_of_it(client, receiver, home):
    answer = client.post("/alerts/channels/ops/test", json={"why": "new address"})
    assert answer.status_code == 200, answer.text
    said = answer.json()
    assert (said["channel"], said["done"], said["ok"], said["error"]) == ("ops", "tested", True, "")
    ((_, body),) = receiver.got
    assert (body["type"], body["rule"], body["severity"]) == ("alert.resolved", "channel-test", "info")
    assert "tries the channel 'ops' (new address): nothing fires" in body["message"]
    lost = client.post("/alerts/channels/lost/test", json={"why": "x"}).json()
    assert (lost["ok"], lost["error"].rpartition(", ")[2]) == (False, "and this process's environment has no NOWHERE")
    events = [line.event for path in (home / "journals").glob("*.jsonl") for line in read(path)]
    tried = [(one.channel, one.how, one.why) for one in events if type(one).__name__ == "AlertChannelTried"]
    assert tried == [("ops", "test", "new address"), ("lost", "test", "x")]


def test_channels_are_listed_with_how_they_stand_and_without_secrets(client, receiver, home):
    client.post("/alerts/channels/lost/test", json={"why": "x"})
    found = client.get("/alerts/channels")
    items = {item["channel"]: item for item in found.json()["items"]}
    assert {name: (item["kind"], item["on"]) for name, item in items.items()} == {
        "ops": ("webhook", ["answered", "asked", "expired", "fired", "resolved"]),
        "lost": ("webhook", ["fired"]),
        "am": ("alertmanager", ["fired", "resolved"]),
    }
    assert items["ops"]["last"] is None
    assert (items["lost"]["last"]["ok"], items["lost"]["waiting"], items["lost"]["dead"]) == (False, 0, 0)
    for secret in (receiver.url, SHARED, "127.0.0.1"):
        assert secret not in found.text
        assert secret not in json.dumps(client.get("/alerts").json())
    assert client.post("/alerts/channels/ops/again", json={"why": "x"}).json()["count"] == 0


def test_a_channel_that_is_not_there_is_not_tried(client, home):
    for verb in ("test", "again"):
        answer = client.post(f"/alerts/channels/nobody/{verb}", json={"why": "x"})
        assert (answer.status_code, answer.json()["type"]) == (404, "urn:jackline:problem:unknown-channel")
        assert answer.json()["hint"] == "GET /api/v1/alerts/channels lists them"
        assert client.post(f"/alerts/channels/ops/{verb}", json={"why": " "}).status_code == 422
    store = SQLiteStore(Home(home).index)
    ingest(home, store)
    assert store.audits(["alert_channel_tried"]) == []
    store.close()


def test_a_viewer_sees_and_does_not_try(console, receiver):
    viewer, operator = console.token("viewer"), console.token("operator")
    assert viewer.get("/alerts/channels").status_code == 200
    for verb in ("test", "again"):
        refused = viewer.post(f"/alerts/channels/ops/{verb}", json={"why": "x"})
        assert (refused.status_code, refused.json()["expected"]) == (403, "operator")
    assert receiver.got == []
    assert operator.post("/alerts/channels/ops/test", json={"why": "x"}).json()["ok"] is True


def test_while_the_bundle_is_broken_its_channels_stay(client, folder, receiver):
    path = folder / "jackline.yaml"
    text = path.read_text(encoding="utf-8")
    assert len(client.get("/alerts/channels").json()["items"]) == 3
    path.write_text(text + "\n  - nonsense", encoding="utf-8")
    until(lambda: client.get("/bundle").json()["problems"], "the fault")
    assert len(client.get("/alerts/channels").json()["items"]) == 3
    path.write_text(POLICIES, encoding="utf-8")
    until(lambda: client.get("/alerts/channels").json()["items"] == [], "that they are gone")

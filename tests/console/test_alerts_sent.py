"""From an agent's act to people's mail: a real `jackline up`, real agents, a real SMTP server, also over a kill."""

from __future__ import annotations

import time

import pytest
from console_harness import POLICIES, Running, until
from mail import SHARED, MailServer, Receiver

from jackline.errors import JacklineError
from jackline.events import AlertFired
from jackline.journal import read

BUNDLE = f"""\
{POLICIES.rstrip()}
  - {{name: never, use: rule, on: tool.call, when: "args.number % 2 == 0", effect: deny, reason: even}}
alerts:
  defaults: false
  rules:
    denials: {{kind: denial_burst, severity: critical, when: {{above: 5, window: 10m}}}}
notify:
  hook: {{webhook: "env:HOOK", secret: "env:SECRET"}}
  mail: {{apprise: "env:MAIL"}}
"""


@pytest.fixture
def receiver(monkeypatch):
    made = Receiver()
    monkeypatch.setenv("HOOK", made.url)
    monkeypatch.setenv("SECRET", SHARED)
    yield made
    made.close()


@pytest.fixture
def mails(monkeypatch):
    made = MailServer()
    monkeypatch.setenv("MAIL", made.url)
    yield made
    made.close()


@pytest.fixture
def up(home, folder, config, receiver, mails):
    """Start `jackline up` again and again."""
    (folder / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    started = []

    def start():
        started.append(Running(home, folder, config=config, verb="up"))
        return started[-1]

    yield start
    for one in started:
        one.end()


def edges(home):
    """The alerts that are on record."""
    found = []
    for path in (home / "journals").glob("*.jsonl"):
        try:
            found += [line.event for line in read(path) if isinstance(line.event, AlertFired)]
        except JacklineError:  # its last line is being written
            continue
    return found


def test_an_alert_is_in_the_mail_and_at_the_webhook_within_two_seconds(up, agent, receiver, mails, home):
    running = up()
    client = running.client()
    until(lambda: client.get("/alerts").json()["running"], "that alerts are looked for")
    agent("job-1").told("now")
    (fired,) = until(lambda: edges(home), "the alert")
    until(lambda: receiver.got and mails.got, "that people are told")
    assert time.time() - fired.at < 2
    ((name, body),) = receiver.got
    assert (body["type"], body["alert"], body["rule"]) == ("alert.fired", fired.alert, "denials")
    assert mails.subjects == [f"[critical] denials: {fired.message}"]
    (item,) = until(lambda: [one for one in client.get("/alerts").json()["items"] if len(one["sent"]) == 2], "its row")
    assert {one["channel"]: one["ok"] for one in item["sent"]} == {"hook": True, "mail": True}
    metrics = client.get(f"{running.base}/metrics").text
    assert 'jackline_alerts_firing{reported="no",rule="denials",severity="critical"} 1.0' in metrics
    assert 'jackline_alert_deliveries_waiting{channel="hook"} 0.0' in metrics
    assert (len(receiver.got), len(mails.got), name) == (1, 1, body["id"])


def test_a_kill_between_the_record_and_the_sending_loses_nothing(up, agent, receiver, mails, home):
    """The console is killed while the webhook's receiver answers; the next one tells it again, under the same id."""
    first = up()
    client = first.client()
    until(lambda: client.get("/alerts").json()["running"], "that alerts are looked for")
    receiver.before_answer = first.process.child.kill
    agent("job-1").told("now")
    first.process.child.wait(30)
    until(lambda: edges(home), "the alert")
    receiver.before_answer = lambda: None
    second = up()
    until(lambda: len(receiver.got) >= 2 and mails.got, "that people are told")
    third = up()
    follower = third.client()
    assert follower.get("/alerts").json()["running"] is False, "one at a time looks for alerts"
    second.process.child.kill()
    second.process.child.wait(30)
    until(lambda: follower.get("/alerts").json()["running"], "that it takes over")
    until(lambda: all(one["sent"] for one in follower.get("/alerts").json()["items"]), "the row")
    assert len(edges(home)) == 1, "one alert, however often the console was killed"
    assert [body["type"] for _, body in receiver.got] == ["alert.fired"] * 2, [
        body["message"] for _, body in receiver.got
    ]
    assert {name for name, _ in receiver.got} == {receiver.got[0][0]}
    assert (len(receiver.got), len(mails.got)) == (2, 1)

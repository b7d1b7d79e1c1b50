"""Each edge of an alert reaches each channel once, soon, and in order; what is wrong with one channel is its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from console_harness import HERE, until
from mail import SHARED, MailServer, Receiver

from jackline.home import Home
from jackline.notices.outbox import Outbox
from jackline.notices.target import EDGES, NoticeError, Target
from jackline_console.alerts import AlertEvent
from jackline_console.alerts.delivery_channels import Channels

pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")  # apprise's own import
NOW = 1_800_000_000.0
SECRETS = {"SECRET": SHARED}


def edge(kind="fired", alert="a" * 32, **more):
    facts = {"rule": "session-cost", "signal": "session_cost", "severity": "warning", "group": {"session": "f" * 32}}
    facts |= {"value": 0.41, "threshold": 0.4, "unit": "USD", "message": "0.41 of 0.50 USD are spent", "since": NOW}
    facts |= {"state": "firing" if kind == "fired" else "resolved", "at": NOW + (0 if kind == "fired" else 60)} | more
    return AlertEvent(alert=alert, edge=kind, **facts)


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def mails():
    made = MailServer()
    yield made
    made.close()


@pytest.fixture
def channels(tmp_path, receiver, mails):
    """Make the channels of a home, `hook` and `mail` unless others are given; they are ended."""
    made = []

    def make(*targets, start=True, environ=None, **more):
        if not targets:
            targets = (hook(), Target("mail", frozenset(EDGES), apprise="env:MAIL"))
        known = {"HOOK": receiver.url, "MAIL": mails.url, **SECRETS} if environ is None else environ
        one = Channels(Home(tmp_path / "home"), lambda: targets, environ=known, **more)
        made.append(one)
        if start:
            one.start()
        return one

    yield make
    for one in made:
        one.stop()


def hook(name="hook", **more):
    return Target(name, frozenset(EDGES), **{"webhook": "env:HOOK", "secret": "env:SECRET"} | more)


def told(receiver):
    return [(body["type"], body["alert"][0]) for _, body in receiver.got]


def test_a_webhook_and_a_mail_get_each_edge_once_within_two_seconds(channels, receiver, mails):
    made = channels()
    until(lambda: len(made._threads) == 2, "the threads")
    assert all(thread.ready.wait(30) for thread in made._threads.values())
    for kind in ("fired", "resolved"):
        handed = time.monotonic()
        made.deliver(edge(kind), ())
        made.deliver(edge(kind), ())
        number = 1 if kind == "fired" else 2
        until(lambda n=number: len(receiver.got) == len(mails.got) == n, kind)
        assert time.monotonic() - handed < 2
    made.deliver(edge(), ())
    made.deliver(edge(alert="b" * 32), ("hook",))
    until(lambda: len(receiver.got) == 3, "the other alert")
    assert told(receiver) == [("alert.fired", "a"), ("alert.resolved", "a"), ("alert.fired", "b")]
    assert receiver.refused == []
    text = "0.41 of 0.50 USD are spent"
    assert mails.subjects == [f"[warning] session-cost: {text}", f"[resolved] session-cost: {text}"]
    assert "session: " + "f" * 32 in mails.got[0].get_content()
    (body,) = [body for name, body in receiver.got if name == edge().id]
    assert (body["id"], body["group"], body["severity"], body["value"]) == (edge().id, edge().group, "warning", 0.41)
    sent = {one.channel: (one.ok, one.error) for one in made.sent("a" * 32)}
    assert sent == {"hook": (True, ""), "mail": (True, "")}


def test_a_restart_neither_loses_nor_repeats(channels, receiver, mails):
    first = channels(start=False)
    first.deliver(edge(), ())
    assert receiver.got == []
    second = channels()
    until(lambda: len(receiver.got) == len(mails.got) == 1, "what the first had kept")
    second.stop()
    third = channels()
    third.deliver(edge(), ())
    third.deliver(edge("resolved"), ())
    until(lambda: len(receiver.got) == len(mails.got) == 2, "what is new")
    assert told(receiver) == [("alert.fired", "a"), ("alert.resolved", "a")]


KILLED = """
    import os, signal, sys
    from jackline.home import Home
    from jackline.notices.target import EDGES, Target
    from jackline_console.alerts.delivery_channels import Channels
    sys.path.insert(0, {folder!r})
    from test_alert_delivery import edge

    target = Target("hook", frozenset(EDGES), webhook={url!r}, secret={secret!r})
    made = Channels(Home({home!r}), lambda: (target,), environ={{}})
    made.deliver(edge(), ())
    if {sends}:
        made.start()
        sys.stdin.read()
    os.kill(os.getpid(), signal.SIGKILL)
"""


@pytest.mark.parametrize("sends", [False, True], ids=["before it is sent", "while the receiver answers"])
def test_a_kill_loses_nothing_and_repeats_under_the_same_id(channels, receiver, tmp_path, sends):
    """A receiver that took it and could not say so gets it again: it knows the id."""
    code = KILLED.format(folder=str(HERE), url=receiver.url, secret=SHARED, home=str(tmp_path / "home"), sends=sends)
    child = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )
    if sends:
        receiver.before_answer = child.kill
        until(lambda: len(receiver.got) == 1, "the first try")
    assert child.wait(30) == -signal.SIGKILL, child.stderr.read().decode()
    child.stderr.close()
    child.stdin.close()
    receiver.before_answer = lambda: None
    channels(hook())
    until(lambda: len(receiver.got) == 1 + sends, "what was kept")
    assert {name for name, _ in receiver.got} == {edge().id}


def test_no_channel_waits_for_another_and_nobody_for_a_channel(channels, receiver, mails):
    """The webhook's receiver takes its time; handing over takes none."""
    going = threading.Event()
    receiver.before_answer = lambda: going.wait(30)
    made = channels()
    began = time.monotonic()
    for digit in "abcdef":
        made.deliver(edge(alert=digit * 32), ())
    assert time.monotonic() - began < 1
    until(lambda: len(mails.got) == 6, "the mails", patience=15)
    assert len(receiver.got) == 1
    going.set()
    until(lambda: len(receiver.got) == 6, "the webhook")


def test_what_a_channel_does_not_take_is_tried_again_given_up_and_shown(channels, receiver):
    now = [NOW]
    made = channels(hook(attempts=3), start=False, clock=lambda: now[0], chance=lambda: 1.0)
    made.deliver(edge(), ())
    made.deliver(edge("resolved"), ())
    receiver.answers = [503] * 3

    def drain():
        return made._courier.drain(made.outbox, hook(attempts=3))

    assert (drain(), drain()) == ((0, 1), (0, 0)), "not again at once, and the end not before the beginning"
    (one,) = made.sent("a" * 32)
    assert (one.channel, one.ok, one.error, one.at) == ("hook", False, "it answered 503", NOW)
    now[0] += 5
    assert drain() == (0, 1)
    now[0] += 10
    assert drain() == (0, 1)
    assert drain() == (1, 0), "given up: what came later is told"
    (channel,) = made.listed()
    assert (channel.counts.waiting, channel.counts.dead) == (0, 1)
    assert (made.again("hook"), made.again("nobody")) == (1, None)
    assert drain() == (1, 0)
    assert [kind for kind, _ in told(receiver)] == ["alert.fired"] * 3 + ["alert.resolved", "alert.fired"]
    assert made.listed()[0].counts.dead == 0


def test_a_missing_secret_is_one_channels_error(channels, receiver):
    broken = Target("broken", frozenset(EDGES), webhook="env:NOWHERE", secret="env:SECRET")
    unfit = hook("unfit", secret="whsec_c2hvcnQ=")
    made = channels(broken, unfit, hook())
    made.deliver(edge(), ())
    until(lambda: len(made.sent("a" * 32)) == 3, "all were tried")
    errors = {one.channel: one.error for one in made.sent("a" * 32)}
    assert errors["broken"] == (
        "notify 'broken': webhook is env:NOWHERE, and this process's environment has no NOWHERE"
    )
    assert errors["unfit"].startswith("notify 'unfit': a webhook's secret is not what it must be")
    assert (errors["hook"], len(receiver.got)) == ("", 1)


def test_channels_that_are_named_are_told_and_no_others(channels, receiver):
    quiet = Target("quiet", frozenset({"asked"}), webhook="env:HOOK", secret="env:SECRET")
    ends = Target("ends", frozenset({"resolved"}), webhook="env:HOOK", secret="env:SECRET")
    made = channels(quiet, ends, hook())
    made.deliver(edge(), ())
    made.deliver(edge(alert="b" * 32), ("quiet", "gone"))
    made.deliver(edge("resolved", alert="c" * 32), ())
    until(lambda: len(receiver.got) == 4, "three alerts")
    assert sorted((one.channel, digit) for digit in "abc" for one in made.sent(digit * 32)) == [
        ("ends", "c"),
        ("hook", "a"),
        ("hook", "c"),
        ("quiet", "b"),
    ]


def test_one_process_sends(channels, receiver):
    first, second = channels(hook()), channels(hook())
    for number in range(20):
        (first, second)[number % 2].deliver(edge(alert=f"{number:032x}"), ())
    until(lambda: len(receiver.got) == 20, "all of them")
    first.stop()
    second.deliver(edge(), ())
    until(lambda: len(receiver.got) == 21, "the other goes on")
    assert len({name for name, _ in receiver.got}) == 21


NASTY = (
    "tool\r\nBcc: eve@evil.com\r\n\r\n\x00\x1b[31m <!channel> @everyone <http://evil.com|pay> \u202e\u2028" + "x" * 9000
)


def test_names_that_agents_choose_reach_people_as_one_line(channels, receiver, mails):
    made = channels()
    made.deliver(edge(message=f"{NASTY} fails", group={"tool": NASTY, "agent": "ünï"}), ())
    until(lambda: len(receiver.got) == len(mails.got) == 1, "both")
    (mail,) = mails.got
    assert mail["bcc"] is None
    assert mail["to"] == "ops@example.com"
    assert len(mails.subjects[0]) <= 160
    assert not [line for line in mail.as_string().splitlines() if line.startswith("Bcc")]
    assert "\ntool: tool Bcc: eve@evil.com [31m ‹!channel› ＠everyone ‹http://evil.com|pay›" in mail.get_content()
    assert "\u202e" not in mail.get_content()
    assert receiver.got[0][1]["group"]["tool"] == NASTY, "programs get it as it is"


def test_an_outbox_that_was_broken_is_made_anew(channels, receiver, tmp_path, caplog):
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "alerts-outbox.db").write_text("no database at all, and long enough for a header " * 40)
    made = channels(hook())
    made.deliver(edge(), ())
    until(lambda: len(receiver.got) == 1, "it is told")
    assert len(list((tmp_path / "home").glob("alerts-outbox.db.broken-*"))) == 1
    assert "alerts-outbox.db cannot be used" in caplog.text


def test_what_is_old_is_forgotten_and_what_went_on_is_not(channels, receiver):
    made = channels(hook(), start=False, clock=lambda: NOW)
    for alert in (edge(alert="a" * 32), edge(alert="b" * 32), edge("resolved", alert="b" * 32)):
        made.deliver(alert, ())
    made._courier.drain(made.outbox, hook())
    made.outbox.forget_before(NOW + 30)
    assert [len(made.sent(alert * 32)) for alert in "ab"] == [0, 1]
    made.deliver(edge(alert="b" * 32), ())
    assert made._courier.drain(made.outbox, hook()) == (0, 0), "it is known still"


class Alertmanagers(Receiver):
    """Takes posts as an Alertmanager does."""

    def take(self, headers, body):
        self.got.append((headers.get("authorization"), json.loads(body)))


def test_an_alertmanager_is_told_in_its_own_shape_and_again_while_it_fires(channels, monkeypatch):
    monkeypatch.setattr("jackline_console.alerts.delivery_channels.REPEAT_S", 0.2)
    taker = Alertmanagers()
    target = Target("am", frozenset(EDGES), alertmanager="env:AM", secret="env:TOKEN")
    now = [NOW]
    try:
        made = channels(target, environ={"AM": taker.url, "TOKEN": "t-1"}, clock=lambda: now[0])
        made.deliver(edge(), ())
        until(lambda: len(taker.got) >= 3, "repetitions")
        made.deliver(edge("resolved", value=None, threshold=None), ())
        until(lambda: ended(taker), "its end")
        count = len(taker.got)
        threading.Event().wait(0.7)
        assert len(taker.got) == count, "what is over is not repeated"
    finally:
        taker.close()
    assert {token for token, _ in taker.got} == {"Bearer t-1"}
    first, last = taker.got[0][1][0], taker.got[-1][1][0]
    who = {"alertname": "session-cost", "severity": "warning", "job": "jackline", "session": "f" * 32}
    assert first["labels"] == last["labels"] == who
    assert first["annotations"]["summary"] == "0.41 of 0.50 USD are spent"
    assert (first["annotations"]["value"], first["annotations"]["threshold"]) == ("0.41 USD", "0.4 USD")
    assert (first["startsAt"], last["startsAt"]) == ("2027-01-15T08:00:00.000+00:00",) * 2
    assert (first["endsAt"], last["endsAt"]) == ("2027-01-15T08:15:00.000+00:00", "2027-01-15T08:01:00.000+00:00")


def ended(taker):
    return any(one["annotations"]["state"] == "resolved" for _, posted in taker.got for one in posted)


def test_an_outbox_is_opened_by_several_at_once(tmp_path):
    """Two consoles that start together make it together."""
    for number in range(20):
        barrier, failed = threading.Barrier(3), []

        def opened(path=tmp_path / f"{number}.db", barrier=barrier, failed=failed):
            barrier.wait()
            try:
                Outbox(path, NOW, durable=False).close()
            except NoticeError as error:
                failed.append(str(error))

        threads = [threading.Thread(target=opened) for _ in range(3)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(30)
        assert failed == []

"""People are told at least once, of what they may see, and only once where all goes well."""

from __future__ import annotations

import base64
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import textwrap

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from receiver import SHARED, Receiver

from jackline.answers import Approvers
from jackline.approvals import prune
from jackline.home import Home
from jackline.notices import chat, webhook
from jackline.notices.notice import KINDS, told_of
from jackline.notices.outbox import Outbox
from jackline.notices.sender import Round, Sender
from jackline.notices.target import NoticeError, Target

NOW = 1_800_000_000.0


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


class Worker:
    """A sender whose clock and chance are set by the test."""

    def __init__(self, folder, approvers, url):
        self.home, self.now, self.approvers, self.url = Home(folder), NOW, approvers, url
        self.kinds, self.attempts = frozenset(KINDS), 4

    def sender(self, **more):
        target = {"webhook": "env:HOOK", "secret": "env:SECRET", "attempts": self.attempts, **more}
        environ = {"HOOK": self.url, "SECRET": SHARED, "URL": "json://x"}
        targets = [Target("ops", self.kinds, **target)]
        return Sender(self.home, targets, self.approvers, environ=environ, clock=lambda: self.now, chance=lambda: 1.0)

    def round(self):
        return self.sender().round()


@pytest.fixture
def worker(tmp_path, people, receiver):
    return Worker(tmp_path, Approvers(people.approvers("ana", "ben")), receiver.url)


def told(receiver):
    return [(body["type"], body.get("say", "")) for _, body in receiver.got]


def test_a_question_its_answers_and_its_end_are_told_once_each(worker, receiver, ask, people):
    asked, _ = ask()
    assert worker.round() == Round(new=1, sent=1)
    assert worker.round() == Round()
    asked.answer(people.says("ana", "approve", asked, why="known"), "approve", NOW)
    assert worker.round() == Round(new=1, sent=1)
    asked.close("consumed", NOW + 2)
    worker.round()
    assert told(receiver) == [("approval.asked", ""), ("approval.answered", "approve"), ("approval.used", "")]
    assert len({name for name, _ in receiver.got}) == 3
    assert receiver.refused == []


def test_what_is_sent_names_the_act_and_not_what_is_in_it(worker, receiver, ask, refund):
    asked, _ = ask(refund(args={"to": "ann@example.com", "card": {"number": "plum"}, "amount": 900}), reason="over 500")
    worker.round()
    ((name, body),) = receiver.got
    assert (name, body["id"], body["approval"]) == (body["id"], name, asked.question.id)
    assert (body["agent"], body["action"], body["resource"], body["reason"]) == (
        "support",
        "tool.call",
        "refund",
        "over 500",
    )
    assert body["args"] == {"to": "[15 chars]", "card": {"number": "[4 chars]"}, "amount": 900}
    assert (body["to"], body["needed"], body["expires"]) == (["ana", "ben"], 1, NOW + 1800)
    short = asked.question.id[:12]
    assert body["command"] == f"jackline approvals show {short}; jackline approvals approve {short}"
    for secret in (b"ann@example.com", b"plum", b"A-1", b"u-9"):
        assert secret not in receiver.bodies[0]


def test_where_nothing_is_captured_no_arguments_are_told(ask, people):
    (notice,) = told_of(ask()[0], Approvers(people.approvers()), NOW, capture="none")
    assert notice.args is None
    assert "arguments" not in notice.text


@pytest.mark.parametrize("say", ["deny", "respond", "edit"])
def test_an_answer_is_told_without_what_it_holds(worker, receiver, ask, people, say):
    asked, _ = ask()
    more = {"args": {"order": "S-1"}} if say == "edit" else {}
    asked.answer(people.says("ben", say, asked, why="S-2", **more), say, NOW)
    worker.round()
    assert told(receiver) == [("approval.asked", ""), ("approval.answered", say)]
    assert b"S-1" not in receiver.bodies[1]
    assert (b"S-2" in receiver.bodies[1]) == (say != "respond")


def test_an_answer_that_does_not_count_is_told_as_such(worker, receiver, ask, people):
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked, key="eve"), "approve", NOW)
    worker.round()
    body = receiver.got[1][1]
    assert body["refused"] == "its signature is not of the key that the bundle pins for 'ana'"
    assert "who" not in body


def test_nobody_is_told_again_that_time_is_over(worker, receiver, ask, approvals):
    ask()
    worker.round()
    worker.now = NOW + 1800
    assert worker.round().sent == 1
    assert len(prune(approvals, NOW + 1800).expired) == 1
    assert worker.round() == Round()
    assert [kind for kind, _ in told(receiver)] == ["approval.asked", "approval.expired"]


def test_what_was_over_before_anybody_was_to_be_told_is_not_told(worker, receiver, ask, refund):
    ask()[0].close("denied", NOW - 5)
    ask(refund("call-2"))
    worker.round()
    assert [body["approval"] for _, body in receiver.got] == [ask(refund("call-2"))[0].question.id]


def test_only_what_was_asked_for_is_told(worker, receiver, ask, people):
    worker.kinds = frozenset({"answered"})
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", NOW)
    worker.round()
    assert told(receiver) == [("approval.answered", "approve")]


def test_a_target_that_fails_is_tried_with_growing_pauses_and_given_up(worker, receiver, ask):
    receiver.answers = [500, 302, 404, 410, 200]
    ask(expires=NOW + 1e9)
    assert worker.round() == Round(new=1, failed=1, waiting=1)
    assert worker.round() == Round(waiting=1)
    worker.now += 5
    assert worker.round() == Round(failed=1, waiting=1)
    worker.now += 9
    assert worker.round() == Round(waiting=1)
    worker.now += 1
    assert worker.round() == Round(failed=1, waiting=1)
    worker.now += 20
    assert worker.round() == Round(failed=1, dead=1)
    worker.now += 1e6
    assert worker.round() == Round(dead=1)
    assert len({name for name, _ in receiver.got}) == 1
    outbox = Outbox(worker.home.outbox, NOW)
    assert outbox.errors() == [("ops", "it answered 410", 1)]
    assert outbox.again(worker.now) == 1
    outbox.close()
    assert worker.round() == Round(sent=1)


def test_chance_shortens_a_pause_by_half_at_most(worker, receiver, ask):
    receiver.answers = [500]
    ask()
    sender = worker.sender()
    sender._chance = lambda: 0.0
    sender.round()
    worker.now += 2.4
    assert worker.round().sent == 0
    worker.now += 0.1
    assert worker.round().sent == 1


def test_one_that_is_refused_does_not_keep_back_the_others(worker, receiver, ask, refund):
    receiver.answers = [400]
    ask()
    ask(refund("call-2"))
    assert worker.round() == Round(new=2, failed=1, waiting=2)
    assert worker.round() == Round(sent=1, waiting=1)


def test_nobody_listens(worker, ask, receiver):
    receiver.close()
    ask()
    worker.round()
    outbox = Outbox(worker.home.outbox, NOW)
    (error,) = outbox.errors()
    outbox.close()
    assert error == ("ops", "it cannot be reached: Connection refused", 1)


def test_a_kill_repeats_only_what_was_not_taken(worker, receiver, ask, refund, people, tmp_path):
    """SIGKILL while the third of five is being taken: that one comes twice, under its id, and no other."""
    for number in range(5):
        ask(refund(f"call-{number}"))
    key = people.approvers("ana")["ana"].key
    script = f"""
        import os
        from jackline.answers import Approver, Approvers
        from jackline.home import Home
        from jackline.notices.sender import Sender
        from jackline.notices.target import Target
        target = Target("ops", frozenset({{"asked"}}), webhook={receiver.url!r}, secret={SHARED!r})
        people = Approvers({{"ana": Approver(name="ana", key={key!r})}})
        print(os.getpid(), flush=True)
        Sender(Home({str(tmp_path)!r}), [target], people, environ={{}}, clock=lambda: {NOW}).round()
    """
    started = subprocess.Popen([sys.executable, "-c", textwrap.dedent(script)], stdout=subprocess.PIPE)

    def kill():
        if len(receiver.got) == 3:
            started.kill()
            started.wait(20)

    receiver.before_answer = kill
    assert started.wait(60) == -signal.SIGKILL
    started.stdout.close()
    worker.kinds = frozenset({"asked"})
    assert worker.round() == Round(sent=3)
    names = [name for name, _ in receiver.got]
    assert names[2] == names[3]
    assert (len(names), len(set(names))) == (6, 5)


def test_one_worker_at_a_time(worker, ask, receiver):
    ask()
    others = []
    receiver.before_answer = lambda: others.append(worker.round())
    assert worker.round() == Round(new=1, sent=1)
    assert others == [Round(busy=True)]


def test_the_outbox_forgets_what_is_gone(worker, receiver, ask, approvals):
    ask()
    worker.round()
    prune(approvals, NOW + 40 * 86400)
    worker.now = NOW + 40 * 86400
    worker.round()
    with sqlite3.connect(worker.home.outbox) as database:
        counts = [database.execute(f"SELECT COUNT(*) FROM {name}").fetchone() for name in ("notices", "deliveries")]
    database.close()
    assert counts == [(0,), (0,)]
    assert worker.home.outbox.stat().st_mode & 0o777 == 0o600


def test_what_is_not_sent_yet_outlives_its_approval(worker, receiver, ask, approvals):
    receiver.answers = [500]
    ask()
    worker.round()
    prune(approvals, NOW + 40 * 86400)
    worker.now = NOW + 40 * 86400
    assert worker.round() == Round(sent=1)


def test_a_target_that_is_no_more_is_told_nothing(worker, ask, receiver):
    receiver.answers = [500]
    ask()
    worker.round()
    environ = {"HOOK": receiver.url, "SECRET": SHARED}
    other = Target("else", frozenset(KINDS), webhook="env:HOOK", secret="env:SECRET")
    assert Sender(worker.home, [other], worker.approvers, environ=environ, clock=lambda: NOW).round() == Round()


def test_an_approval_that_cannot_be_read_keeps_nobody_from_being_told(worker, receiver, ask, refund):
    (ask()[0].folder / "question.json").write_text("?")
    ask(refund("call-2", args={"order": "A-2"}))
    assert worker.round() == Round(new=1, sent=1)


def test_an_outbox_that_cannot_be_used_says_so(worker, ask):
    worker.home.outbox.write_text("no database, and long enough to be taken for the header of one" * 20)
    with pytest.raises(NoticeError, match=r"the outbox .* cannot be used: file is not a database; what it still had"):
        worker.round()


def test_ed25519_is_verified_with_the_public_half(worker, ask):
    key = Ed25519PrivateKey.generate()
    text = webhook.PRIVATE + base64.b64encode(key.private_bytes_raw()).decode()
    receiver = Receiver(webhook.Secret(text).public)
    try:
        ask()
        environ = {"HOOK": receiver.url, "SECRET": text}
        target = Target("ops", frozenset(KINDS), webhook="env:HOOK", secret="env:SECRET")
        assert Sender(worker.home, [target], worker.approvers, environ=environ, clock=lambda: NOW).round().sent == 1
        assert len(receiver.got) == 1
    finally:
        receiver.close()
    assert webhook.Secret(SHARED).public == ""


def test_a_changed_body_or_time_is_another_signature():
    secret = webhook.Secret(SHARED)
    first = secret.signature("n", 1, b"{}")
    assert (
        len({first, secret.signature("n", 2, b"{}"), secret.signature("m", 1, b"{}"), secret.signature("n", 1, b"[]")})
        == 4
    )


def test_the_signature_is_that_of_the_published_example():
    """Standard Webhooks' own vector: secret, id, timestamp and payload of its specification's tests."""
    secret = webhook.Secret("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")
    signed = secret.signature("msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize("text", ["", "whsec_", "whsec_!!!", "whsec_c2hvcnQ=", "whsk_c2hvcnQ=", "password"])
def test_a_weak_or_misspelt_secret_is_refused_without_being_said(text):
    with pytest.raises(
        NoticeError, match="a webhook's secret is not what it must be: expected whsec_ and the base64"
    ) as e:
        webhook.Secret(text)
    assert not text or text not in str(e.value).replace("whsec_ and", "")


def test_a_secret_that_is_not_there_is_named(worker):
    target = Target("ops", frozenset(KINDS), webhook="env:HOOK", secret="env:SECRET")
    with pytest.raises(
        NoticeError, match="notify 'ops': webhook is env:HOOK, and this process's environment has no HOOK"
    ):
        Sender(worker.home, [target], worker.approvers, environ={})
    with pytest.raises(NoticeError, match="notify 'ops': a webhook's secret is not what it must be"):
        Sender(worker.home, [target], worker.approvers, environ={"HOOK": worker.url, "SECRET": "x"})


def test_people_read_a_line_and_how_to_answer(ask, people):
    asked, _ = ask(reason="over 500")
    asked.answer(people.says("ana", "approve", asked, why="known"), "approve", NOW)
    asked.answer(people.says("eve", "approve", asked), "approve", NOW)
    approvers = Approvers(people.approvers("ana"))
    notices = {notice.title: notice.text for notice in told_of(asked, approvers, NOW + 1800)}
    assert set(notices) == {
        "Approval needed: support wants tool.call refund",
        "ana says approve: tool.call refund of support",
        "Does not count: somebody says something: tool.call refund of support",
        "Not approved in time: tool.call refund of support",
    }
    text = notices["Approval needed: support wants tool.call refund"]
    assert text.splitlines()[1:4] == [
        "policy 'refunds' asks: over 500",
        'arguments: {"order":"[3 chars]","amount":900}',
        "1 of ana may approve it, until 2027-01-15 08:30:00 UTC",
    ]
    assert "reason: known" in notices["ana says approve: tool.call refund of support"]


class FakeApprise:
    """What apprise does where it is not installed: its interface, which the next test holds to the real one."""

    class NotifyFormat:
        TEXT = "text"

    def __init__(self, *, known=True, taken=True, error=None):
        self.known, self.taken, self.error, self.told = known, taken, error, []

    def Apprise(self):  # noqa: N802 - its name
        return self

    def add(self, url):
        return self.known

    def notify(self, **facts):
        if self.error:
            raise self.error
        self.told.append(facts)
        return self.taken


@pytest.mark.parametrize(
    ("fake", "why"),
    [
        ({"known": False}, "apprise does not know such a URL"),
        ({"taken": False}, "apprise could not deliver it"),
        ({"error": OSError("token-1")}, "apprise raised OSError"),
    ],
)
def test_what_apprise_does_not_take_is_said_without_its_url(monkeypatch, ask, people, fake, why):
    monkeypatch.setitem(sys.modules, "apprise", FakeApprise(**fake))
    (notice,) = told_of(ask()[0], Approvers(people.approvers()), NOW)
    with pytest.raises(NoticeError) as raised:
        chat.send("slack://token-1", notice, "chat")
    assert str(raised.value) == why


def test_a_service_of_apprises_is_told(monkeypatch, worker, ask):
    fake = FakeApprise()
    monkeypatch.setitem(sys.modules, "apprise", fake)
    ask()
    assert worker.sender(webhook="", secret="", apprise="env:URL").round() == Round(new=1, sent=1)
    assert fake.told[0]["title"] == "Approval needed: support wants tool.call refund"


def test_apprise_is_asked_for_where_it_is_missing(monkeypatch, worker):
    monkeypatch.setitem(sys.modules, "apprise", None)
    with pytest.raises(NoticeError, match=r"notify 'ops' needs apprise, .*: pip install jackline\[notify\]"):
        worker.sender(webhook="", secret="", apprise="env:URL")


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_the_real_apprise_posts_to_loopback(worker, ask, receiver):
    pytest.importorskip("apprise", reason="apprise is an extra: pip install jackline[notify]")
    ask()
    url = receiver.url.replace("http://", "json://")
    target = Target("chat", frozenset(KINDS), apprise="env:URL")
    sender = Sender(worker.home, [target], worker.approvers, environ={"URL": url}, clock=lambda: NOW)
    receiver.answers = [500]
    assert sender.round() == Round(new=1, failed=1, waiting=1)
    worker.now = NOW + 5
    sender._clock = lambda: NOW + 5
    assert sender.round() == Round(sent=1)
    body = json.loads(receiver.bodies[-1])
    assert body["title"] == "Approval needed: support wants tool.call refund"
    assert "jackline approvals approve" in body["message"]


def test_a_notice_is_read_back_as_it_was_kept(ask, people):
    (notice,) = told_of(ask()[0], Approvers(people.approvers()), NOW)
    assert msgspec.json.decode(msgspec.json.encode(notice), type=type(notice)) == notice


def test_what_came_later_waits_for_what_came_before(worker, receiver, ask, people):
    """An answer before its question would be of nothing that the receiver knows."""
    asked, _ = ask()
    receiver.answers = [500]
    worker.round()
    asked.answer(people.says("ana", "approve", asked, why="known"), "approve", NOW)
    assert worker.round() == Round(new=1, waiting=2)
    worker.now += 5
    assert worker.round() == Round(sent=2)
    assert told(receiver) == [("approval.asked", ""), ("approval.asked", ""), ("approval.answered", "approve")]


def test_an_outbox_of_an_older_version_is_used_on(worker, receiver, ask):
    ask()
    worker.round()
    with contextlib.closing(sqlite3.connect(worker.home.outbox)) as database:
        database.execute("ALTER TABLE deliveries DROP COLUMN tried")
        database.execute("DROP INDEX notices_about")
    assert worker.round() == Round()
    outbox = Outbox(worker.home.outbox, NOW)
    assert outbox.told_last() == {}, "nobody knows when"
    outbox.close()

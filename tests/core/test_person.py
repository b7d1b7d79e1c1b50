"""What a person does: on record first, then in force; a bundle is put in place whole or not at all."""

from __future__ import annotations

import hashlib
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from jackline import Guard
from jackline.answers import public_text
from jackline.approvals import Asked, Question, digest
from jackline.bundle import load_bundle
from jackline.errors import BundleError, JacklineError
from jackline.events import ApprovalAnswerRefused, BundleChanged, SessionStopped
from jackline.home import Home
from jackline.journal import read, verify
from jackline.opening import open_registry
from jackline.person import Person, StandingError, StrangerError, Under
from jackline.request import Agent, Tool

ONE = "jackline: 1\npolicies: []\n"
TWO = "jackline: 1\npolicies: []\nmode: observe\n"


@pytest.fixture
def record():
    return []


@pytest.fixture
def person(tmp_path, record):
    return Person(Home(tmp_path / "home"), "ana", record.append, lambda: 100.0)


def revision(text):
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_bundle_is_put_in_place(person, record, tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text(ONE)
    path.chmod(0o640)
    changed = person.activate(path, TWO.encode(), "a drill", previous=revision(ONE))
    assert path.read_text() == TWO
    assert path.stat().st_mode & 0o777 == 0o640
    assert (changed.previous, changed.widened) == (revision(ONE), ("the whole bundle only observes",))
    (event,) = record
    assert event == BundleChanged(
        at=100.0,
        revision=revision(TWO),
        source=str(path),
        who="ana",
        why="a drill",
        previous=revision(ONE),
        widened=changed.widened,
    )
    assert [each.name for each in tmp_path.iterdir() if each.name.startswith(".")] == []


def test_a_link_to_a_bundle_stays_one(person, tmp_path):
    target, link = tmp_path / "real.yaml", tmp_path / "jackline.yaml"
    target.write_text(ONE)
    link.symlink_to(target)
    person.activate(link, TWO.encode(), "x", previous=revision(ONE))
    assert link.is_symlink()
    assert target.read_text() == TWO


def test_the_first_bundle_has_none_before_it(person, record, tmp_path):
    person.activate(tmp_path / "jackline.yaml", ONE.encode(), "begin", previous="")
    assert record[0].previous == ""


def test_one_that_was_broken_is_replaced(person, tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text("{")
    changed = person.activate(path, ONE.encode(), "mend", previous=revision("{"))
    assert changed.widened == ("the bundle before could not be read: what it permitted is not known",)


def test_nothing_is_done_where_something_is_wrong(person, record, tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text(ONE)
    with pytest.raises(StandingError, match=r"was changed by somebody else: it is revision \w{12}, not missing"):
        person.activate(path, TWO.encode(), "x", previous="")
    with pytest.raises(BundleError):
        person.activate(path, b"jackline: 2", "x", previous=revision(ONE))
    with pytest.raises(JacklineError, match="say why: the reason stands in the record"):
        person.activate(path, TWO.encode(), " ", previous=revision(ONE))
    with pytest.raises(StandingError, match="it is gone"):
        person.activate(tmp_path / "other.yaml", TWO.encode(), "x", previous=revision(ONE))
    assert record == []
    assert path.read_text() == ONE


def test_what_cannot_be_written_changes_nothing(person, tmp_path):
    with pytest.raises(JacklineError, match=r"cannot be written: .*; nothing was changed"):
        person.activate(tmp_path / "nowhere" / "jackline.yaml", ONE.encode(), "x", previous="")
    with pytest.raises(JacklineError, match="cannot be read"):
        person.activate(tmp_path, ONE.encode(), "x", previous="")


def test_what_cannot_be_recorded_is_not_done(tmp_path):
    def full(_event):
        raise JacklineError("the disk is full")

    person = Person(Home(tmp_path / "home"), "ana", full)
    with pytest.raises(JacklineError, match="the disk is full"):
        person.stop("0" * 32, "x")
    assert list((tmp_path / "home" / "control" / "stops").iterdir()) == []


def test_sessions_are_stopped_and_reopened(person, record):
    person.stop("0" * 32, "odd", pause=True)
    assert record == [SessionStopped(at=100.0, session="0" * 32, who="ana", why="odd", pause=True)]
    person.reopen("0" * 32, "fine")
    with pytest.raises(StandingError, match="was not halted, stopped or paused: there is nothing to lift"):
        person.reopen("0" * 32, "fine")
    assert len(record) == 2


class TestAnswers:
    """One code answers for the command line and the console: who may not is refused, and that is on record."""

    @pytest.fixture
    def asked(self, tmp_path):
        told = {"asked": 1.0, "expires": 1000.0, "action": "tool.call", "resource": "refund", "args": {"amount": 600}}
        told |= {"agent": "support", "session": "5" * 32, "policy": "refunds", "nonce": "1", "to": ("ana",)}
        blank = Question(id="", **told)
        question = msgspec.structs.replace(blank, id=digest(blank.binding))
        found = Asked(Home(tmp_path / "home").approvals / "action" / question.id)
        found.folder.mkdir(parents=True)
        (found.folder / "question.json").write_bytes(msgspec.json.encode(question))
        return found

    @pytest.fixture
    def key(self):
        return Ed25519PrivateKey.generate()

    @pytest.fixture
    def under(self, key):
        text = f'approvers:\n  ana: {{key: "{public_text(key)}"}}\n'
        rule = "  - {name: refunds, use: rule, on: tool.call, when: tool.name == 'refund', effect: escalate}\n"
        return Under(load_bundle(f"jackline: 1\npolicies:\n{rule}{text}"), "jackline.yaml")

    def test_it_is_on_record_before_it_is_in_force(self, asked, key, under, tmp_path):
        seen = []
        person = Person(
            Home(tmp_path / "home"), "root", lambda event: seen.append((event, asked.claims())), lambda: 5.0
        )
        assert person.answer(asked, "approve", "known", ("ana", key), under) == (5.0, "")
        ((event, before),) = seen
        assert (event.who, event.why, before) == ("ana", "known", [])
        assert [said["who"] for said in asked.claims()] == ["ana"]

    @pytest.mark.parametrize("say", ["approve", "deny", "edit", "respond"])
    def test_what_cannot_be_recorded_is_not_signed(self, say, asked, key, under, tmp_path):
        def full(_event):
            raise JacklineError("the disk is full")

        person = Person(Home(tmp_path / "home"), "root", full, lambda: 5.0)
        with pytest.raises(JacklineError, match="the disk is full"):
            person.answer(asked, say, "x", ("ana", key), under, {"amount": 1} if say == "edit" else None)
        assert (asked.claims(), asked.ended()) == ([], None)

    @pytest.mark.parametrize("who", ["eve", "ana"])
    def test_a_stranger_signs_nothing_and_is_on_record(self, who, asked, person, record, under):
        with pytest.raises(StrangerError, match="these may answer: ana; nothing was signed, and the attempt is on rec"):
            person.answer(asked, "approve", "x", (who, Ed25519PrivateKey.generate()), under)
        (event,) = record
        assert isinstance(event, ApprovalAnswerRefused)
        assert (event.who, event.approval, event.session) == ("ana", asked.question.id, "5" * 32)
        assert f"'{who}'" in event.why
        assert asked.claims() == []

    def test_whoever_is_late_by_a_hair_is_told_and_that_is_on_record_too(self, asked, key, under, tmp_path):
        seen = []

        def faster(event):
            seen.append(event)
            asked.close("expired", 5.0)

        person = Person(Home(tmp_path / "home"), "root", faster, lambda: 5.0)
        with pytest.raises(StandingError, match="is expired: it is too late for an answer"):
            person.answer(asked, "approve", "x", ("ana", key), under)
        assert [type(event).__name__ for event in seen] == ["ApprovalApproved", "ApprovalAnswerRefused"]
        assert seen[1].why == "the answer of 'ana' came too late: it was expired already"

    def test_without_a_bundle_there_is_a_doubt(self, asked, key, person):
        found = person.answer(asked, "approve", "", ("ana", key), Under(None, "jackline.yaml"))
        assert found.doubt == "there is no jackline.yaml here"


def test_of_two_who_put_a_bundle_in_place_at_once_one_does(tmp_path):
    """The second sees what the first did: nobody's change is lost without a word."""
    path, record, gate = tmp_path / "jackline.yaml", [], threading.Barrier(4)
    path.write_text(ONE)
    texts = [f"{ONE}# {number}\n".encode() for number in range(4)]

    def activate(text):
        gate.wait()
        try:
            Person(Home(tmp_path / "home"), "ana", record.append).activate(path, text, "x", previous=revision(ONE))
        except StandingError as error:
            return str(error)
        return text

    with ThreadPoolExecutor(4) as pool:
        done = list(pool.map(activate, texts))
    (won,) = [each for each in done if isinstance(each, bytes)]
    assert path.read_bytes() == won
    assert [event.revision for event in record] == [hashlib.sha256(won).hexdigest()]
    assert sum("was changed by somebody else" in str(each) for each in done) == 3


KILLED = """
import os, pathlib, signal, sys
from jackline import person
from jackline.home import Home
from jackline.journal import Journal

point, folder = sys.argv[1], pathlib.Path(sys.argv[2])
home = Home(folder / "home").make()
journal = Journal.open(home.journals, writer="console")
die = lambda *_: os.kill(os.getpid(), signal.SIGKILL)
if point == "recorded":
    person._replace = die
elif point == "written":
    person.Path.replace = die
else:
    person.Control.reload = die
path = folder / "jackline.yaml"
person.Person(home, "ana", journal.append).activate(path, sys.argv[4].encode(), "x", previous=sys.argv[3])
"""


@pytest.mark.parametrize(("point", "left"), [("recorded", ONE), ("written", ONE), ("replaced", TWO)])
def test_a_kill_in_the_middle_leaves_a_whole_bundle_a_sound_journal_and_no_lock(point, left, tmp_path):
    path = tmp_path / "jackline.yaml"
    path.write_text(ONE)
    words = [sys.executable, "-c", KILLED, point, str(tmp_path), revision(ONE), TWO]
    assert subprocess.run(words, check=False, timeout=60).returncode == -signal.SIGKILL
    assert path.read_text() == left
    (journal,) = (tmp_path / "home" / "journals").iterdir()
    changed = [line.event for line in read(journal) if isinstance(line.event, BundleChanged)]
    assert [(event.who, event.revision) for event in changed] == [("ana", revision(TWO))], "on record before in force"
    assert all(report.ok for report in verify(tmp_path / "home" / "journals"))
    record = []
    Person(Home(tmp_path / "home"), "ben", record.append).activate(
        path, f"{TWO}# mended\n".encode(), "again", previous=revision(left)
    )
    assert [event.who for event in record] == ["ben"]


def test_the_last_word_on_record_is_what_holds(tmp_path):
    """Of several who suspend and resume at once, whoever comes last into the journal comes last into force."""
    home, record = Home(tmp_path / "home").make(), []
    with Guard(home=home.path) as guard, guard.session(), guard.run(Agent(name="desk")):
        guard.check(guard.request("tool.call", "look", {}, tool=Tool(name="look")))
    gate = threading.Barrier(8)

    def put(event):
        record.append(event)
        gone_on.wait(0.02)  # whoever is faster than the one before it would be found out

    def amend(number):
        gate.wait()
        status = ("suspended", "active")[number % 2]
        Person(home, f"n{number}", put).amend("desk", {"status": status, "team": f"team {number}"}, "x")

    gone_on = threading.Event()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(amend, range(8)))
    facts = open_registry(home).entries["desk"].facts("")
    assert (facts.status, facts.team) == (record[-1].changes["status"], record[-1].changes["team"])
    assert [event.at for event in record] == sorted(event.at for event in record)

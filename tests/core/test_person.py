"""What a person does: on record first, then in force; a bundle is put in place whole or not at all."""

from __future__ import annotations

import hashlib

import pytest

from jackline.errors import BundleError, JacklineError
from jackline.events import BundleChanged, SessionStopped
from jackline.home import Home
from jackline.person import Person, StandingError

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

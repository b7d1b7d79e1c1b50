"""What is over is taken away after its time, by whoever comes, while others ask and answer."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from jackline.approvals import KEEP_S, ApprovalError, Pruned, daily, files, prune, retention
from jackline.locks import only_one

NOW = 1_800_000_000.0
DAY = 86400.0


def test_what_has_lapsed_is_ended_and_later_removed(ask, approvals, refund):
    asked, _ = ask()
    other, _ = ask(refund("call-2"), expires=NOW + 40 * DAY)
    assert prune(approvals, NOW + 1799) == Pruned()
    assert prune(approvals, NOW + 1800) == Pruned(expired=(asked.question,))
    assert asked.ended() == "expired"
    assert prune(approvals, NOW + 1799 + KEEP_S) == Pruned()
    assert prune(approvals, NOW + 1801 + KEEP_S) == Pruned(removed=1)
    assert [one.question for one in approvals.all()] == [other.question]
    assert not asked.folder.exists()


def test_what_was_used_stays_as_long_as_a_replay_would_have_counted(ask, approvals):
    asked, _ = ask()
    old = asked.question
    asked.close("consumed", NOW + 1)
    prune(approvals, NOW + 1799 + DAY, keep=0)
    assert ask(now=NOW + DAY)[0].ended() == "consumed"
    assert prune(approvals, NOW + 1801 + DAY, keep=0).removed == 1
    again, first = ask(now=NOW + 2 * DAY)
    assert first
    assert again.question.id == old.id
    assert again.fingerprint != asked.fingerprint


def test_an_old_answer_fits_no_question_that_is_asked_again(ask, approvals, people):
    asked, _ = ask()
    answer = people.says("ana", "approve", asked)
    asked.close("consumed", NOW + 1)
    prune(approvals, NOW + 3 * DAY, keep=0)
    again, _ = ask(now=NOW + 3 * DAY, expires=NOW + 4 * DAY)
    again.answer(answer, "approve", NOW + 3 * DAY)
    found = again.standing(people.approvers(), 1, NOW + 3 * DAY)
    assert found.state == "pending"
    assert found.refused[0][1] == f"'ana' signed it for another question ({asked.question.id[:12]})"


def test_a_counted_question_never_comes_back(ask, approvals, refund):
    asked = [ask(refund(""))[0]]
    for _ in range(2):
        asked[-1].close("consumed", NOW)
        asked.append(ask(refund(""))[0])
    ids = {one.question.id for one in asked}
    assert [one.question.nonce for one in asked] == ["~20833.1", "~20833.2", "~20833.3"]
    prune(approvals, NOW + 1801 + DAY, keep=0)
    later, first = ask(refund(""), now=NOW + 2 * DAY)
    assert first
    assert later.question.id not in ids


def test_what_a_kill_left_is_swept(ask, approvals):
    asked, _ = ask()
    draft = asked.folder.parent / ("a" * 64)
    draft.mkdir()
    (draft / ".question.json.1-ff").write_text("{")
    young = asked.folder.parent / ("b" * 64)
    young.mkdir()
    gone = approvals.directory / ".gone-1"
    gone.mkdir()
    (approvals.directory / ("c" * 32)).mkdir()
    os.utime(draft, (1, 1))
    assert prune(approvals, NOW) == Pruned()
    assert sorted(path.name for path in approvals.directory.rglob("*") if path.is_dir()) == sorted(
        [asked.folder.parent.name, asked.folder.name, young.name]
    )


def test_what_cannot_be_read_stays(ask, approvals):
    asked, _ = ask()
    (asked.folder / "question.json").write_text("?")
    assert prune(approvals, NOW + 1e7) == Pruned(unreadable=1)
    assert asked.folder.exists()


def test_it_is_done_once_a_day_by_whoever_comes(ask, approvals):
    assert daily(approvals, NOW) == Pruned()
    asked, _ = ask()
    assert daily(approvals, NOW + 1900) == Pruned()
    assert daily(approvals, NOW + DAY) == Pruned(expired=(asked.question,))
    assert daily(approvals, NOW + DAY) == Pruned()


def test_nobody_is_disturbed(ask, approvals, people, refund):
    """Four threads ask, answer and use; another removes all that is over, as if a month had passed each time."""
    done, errors, acts = threading.Event(), [], []

    def act(thread):
        try:
            for turn in range(12):
                asked, _ = ask(refund(f"call-{thread}-{turn}"))
                asked.answer(people.says("ana", "approve", asked), "approve", NOW + 1)
                if (
                    asked.standing(people.approvers(), 1, NOW + 2).state == "approved"
                    and asked.close("consumed", 1) is None
                ):
                    acts.append((thread, turn))
        except Exception as error:
            errors.append(error)

    def tidy():
        while not done.is_set():
            approvals_now = prune(approvals, NOW, keep=0)
            assert approvals_now.unreadable == 0
            for one in approvals.all():
                one.ended()
            # Those that are over become as old as if their time had passed long ago.
            prune_far(approvals)

    def prune_far(approvals):
        for one in approvals.all():
            if one.ended() == "consumed":
                retention._remove(one.folder, approvals.directory)

    threads = [threading.Thread(target=act, args=(number,)) for number in range(4)]
    sweeper = threading.Thread(target=tidy)
    for thread in (*threads, sweeper):
        thread.start()
    for thread in threads:
        thread.join(60)
    done.set()
    sweeper.join(60)
    assert errors == []
    assert sorted(acts) == [(thread, turn) for thread in range(4) for turn in range(12)]


def test_one_process_prunes_at_a_time(ask, approvals, monkeypatch):
    asked, _ = ask()
    with only_one(approvals.directory) as alone:
        assert alone
        assert prune(approvals, NOW + 1e7) == Pruned(busy=True)
        assert daily(approvals, NOW + 1e7) == Pruned(busy=True)
    assert asked.ended() is None
    assert daily(approvals, NOW + 1e7).removed == 1


@pytest.mark.parametrize("where", ["question.json", "answers"])
def test_a_folder_that_is_taken_away_meanwhile_is_made_again(tmp_path, where, monkeypatch):
    real, left = os.open, [2]

    def open_(path, flags, *more):
        if left[0] and flags & os.O_CREAT:
            left[0] -= 1
            Path(path).parent.rmdir()
        return real(path, flags, *more)

    monkeypatch.setattr(os, "open", open_)
    assert files.put(tmp_path / "a" / where, b"x")
    left[0] = 100
    with pytest.raises(ApprovalError, match="its folder is taken away again and again"):
        files.put(tmp_path / "b" / where, b"x")

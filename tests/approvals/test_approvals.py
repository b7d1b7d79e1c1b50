"""One question for one exact action; answered by who may; used once, whoever races and whoever is killed."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading

import msgspec
import pytest

from jackline.answers import AnswerError, public_key, verified
from jackline.approvals import ApprovalError, Approvals, Standing

NOW = 1_800_000_000.0
FORK = multiprocessing.get_context("fork")


def standing(asked, people, *names, needed=1, now=NOW + 2):
    return asked.standing(people.approvers(*names), needed, now)


def test_a_question_is_asked_once_and_read_by_whoever_comes_later(ask, tmp_path):
    asked, first = ask()
    again, second = ask(now=NOW + 5)
    assert (first, second, again.question) == (True, False, asked.question)
    (listed,) = Approvals(tmp_path / "approvals").all()
    assert listed.question.args == {"order": "A-1", "amount": 900}
    assert len(listed.question.id) == 64
    assert (listed.folder / "question.json").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    "other",
    [
        {"call_id": "call-2"},
        {"args": {"order": "A-1", "amount": 901}},
        {"args": {"order": "A-1", "amount": 900.0}},
        {"agent": "intern"},
        {"session": "6" * 32},
        {"fingerprint": "0" * 16},
    ],
    ids=lambda other: next(iter(other)),
)
def test_anything_else_is_another_question(ask, other, refund):
    asked, _ = ask()
    another, first = ask(refund(**other))
    assert first
    assert another.question.id != asked.question.id


def test_another_asking_policy_is_another_question(ask):
    assert ask()[0].question.id != ask(policy="risk")[0].question.id


def test_an_approval_is_of_its_approver_until_it_is_used(ask, people):
    asked, _ = ask()
    assert standing(asked, people) == Standing(state="pending")
    assert asked.answer(people.says("ana", "approve", asked, why="known customer"), "approve", NOW + 1) is None
    assert standing(asked, people) == Standing(state="approved", by=("ana",), why="known customer")
    assert asked.close("consumed", NOW + 2) is None
    assert standing(asked, people) == Standing(state="consumed")
    assert asked.close("consumed", NOW + 3) == "consumed"
    assert asked.answer(people.says("ben", "deny", asked), "deny", NOW + 3) == "consumed"


def test_k_of_n_are_distinct_and_agree_on_the_same_arguments(ask, people):
    asked, _ = ask()
    for at in (1, 2):
        asked.answer(people.says("ana", "approve", asked, at=NOW + at), "approve", NOW)
    assert standing(asked, people, needed=2).state == "pending"
    asked.answer(people.says("ben", "edit", asked, args={"order": "A-1", "amount": 90}), "edit", NOW)
    assert standing(asked, people, needed=2).state == "pending"
    asked.answer(people.says("ana", "edit", asked, at=NOW + 3, args={"order": "A-1", "amount": 90}), "edit", NOW)
    found = standing(asked, people, needed=2)
    assert (found.state, found.by, found.args) == ("approved", ("ana", "ben"), {"order": "A-1", "amount": 90})


EDITED = {"order": "A-1", "amount": 90}


@pytest.mark.parametrize("order", ["approved first", "edited first"])
def test_of_those_who_agree_on_something_else_who_was_first_counts(ask, people, order):
    asked, _ = ask()
    first, second = ("ana", "ben") if order == "approved first" else ("ben", "ana")
    at = {first: NOW + 1, second: NOW + 2}
    says = [
        (people.says("ben", "edit", asked, at=at["ben"], args=EDITED), "edit"),
        (people.says("ana", "approve", asked, at=at["ana"]), "approve"),
        (people.says("eve", "edit", asked, at=NOW + 3, args=EDITED), "edit"),
    ]
    for data, say in says:
        asked.answer(data, say, NOW)
    found = standing(asked, people, "ana", "ben", "eve")
    assert (found.by, found.args) == ((("ana",), None) if first == "ana" else (("ben", "eve"), EDITED))


@pytest.mark.parametrize("names", [("ana", "ben"), ("ben", "ana")])
def test_answers_of_one_moment_are_taken_by_name_whatever_their_files_are_called(ask, people, names):
    found = set()
    for attempt in range(8):  # other reasons, other bytes, other names of the files
        asked, _ = ask(policy=f"refunds-{attempt}")
        asked.answer(people.says(names[0], "approve", asked, why=f"{attempt}"), "approve", NOW)
        asked.answer(people.says(names[1], "edit", asked, why=f"{attempt}", args=EDITED), "edit", NOW)
        found.add(standing(asked, people).by)
    assert found == {("ana",)}


def test_two_answers_of_one_person_at_one_moment_give_the_same_every_time(ask, people):
    found = []
    for attempt in range(8):
        asked, _ = ask(policy=f"refunds-{attempt}")
        asked.answer(people.says("ana", "approve", asked, why=f"{attempt}"), "approve", NOW)
        asked.answer(people.says("ana", "edit", asked, why=f"{attempt}", args=EDITED), "edit", NOW)
        found.append(standing(asked, people).args)
    assert found == [EDITED] * 8


@pytest.mark.parametrize("say", ["deny", "respond"])
def test_one_no_wins(ask, people, say):
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", NOW)
    assert asked.answer(people.says("ben", say, asked, why="not today"), say, NOW) is None
    assert standing(asked, people) == Standing(state="denied", by=("ben",), why="not today", say=say)
    assert asked.close("consumed", NOW + 2) == "denied"


def test_nobody_answering_is_a_no(ask, people):
    """P26: a silent approver denies; so does one whose yes comes too late."""
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", NOW)
    assert standing(asked, people, now=NOW + 1799.9).state == "approved"
    assert standing(asked, people, now=NOW + 1800).state == "expired"


def refusal(asked, people):
    (refused,) = standing(asked, people, "ana", "ben").refused
    return refused[1]


def test_a_forged_answer_does_not_count(ask, people):
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked, key="eve"), "approve", NOW)
    assert refusal(asked, people) == "its signature is not of the key that the bundle pins for 'ana'"
    assert standing(asked, people).state == "pending"


def test_an_answer_of_somebody_else_does_not_count(ask, people):
    asked, _ = ask()
    asked.answer(people.says("eve", "approve", asked), "approve", NOW)
    assert refusal(asked, people) == "'eve' may not answer this, expected ana, ben"


def test_an_answer_to_another_question_does_not_count(ask, people, refund):
    earlier, _ = ask()
    asked, _ = ask(refund("call-2"))
    asked.answer(people.says("ana", "approve", earlier), "approve", NOW)
    assert refusal(asked, people) == f"'ana' signed it for another question ({earlier.question.id[:12]})"


def test_a_question_changed_after_it_was_signed_is_another(ask, people, approvals):
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", NOW)
    longer = msgspec.structs.replace(asked.question, expires=NOW + 9e6)
    (asked.folder / "question.json").write_bytes(msgspec.json.encode(longer))
    (changed,) = approvals.all()
    assert standing(changed, people).state == "pending"
    other = msgspec.structs.replace(asked.question, args={"order": "A-1", "amount": 1})
    (asked.folder / "question.json").write_bytes(msgspec.json.encode(other))
    (changed,) = approvals.all()
    with pytest.raises(ApprovalError, match="was changed: it is not what its id is made of"):
        standing(changed, people)


@pytest.mark.parametrize("junk", [b"", b"{}", b'{"body": "{}", "signature": ""}', b"\xff"])
def test_junk_is_no_answer(ask, people, junk):
    asked, _ = ask()
    asked.answer(junk, "approve", NOW)
    assert refusal(asked, people).startswith("it is no answer: ")


def test_arguments_belong_to_edit(ask, people):
    asked, _ = ask()
    data = people.says("ana", "approve", asked, args={"amount": 1})
    with pytest.raises(AnswerError, match="arguments belong to `edit`, and to nothing else"):
        verified(data, approval=asked.question.id, question=asked.fingerprint, approvers=people.approvers())


def test_a_forged_no_only_refuses(ask, people):
    asked, _ = ask()
    asked.answer(people.says("ana", "deny", asked, key="eve"), "deny", NOW)
    found = standing(asked, people)
    assert (found.state, found.by) == ("denied", ())
    assert found.refused == (("closed.json", "its signature is not of the key that the bundle pins for 'ana'"),)


def test_how_it_ended_must_be_readable(ask, people):
    asked, _ = ask()
    (asked.folder / "closed.json").write_text("?")
    with pytest.raises(ApprovalError, match="ended cannot be read"):
        standing(asked, people)


def test_a_call_without_an_id_is_asked_anew_after_it_was_done(ask, refund):
    asked, _ = ask(refund(""))
    assert ask(refund(""))[0].question.id == asked.question.id
    asked.close("consumed", NOW)
    again, first = ask(refund(""))
    assert first
    assert again.question.id != asked.question.id
    assert ask(refund(""), following=frozenset({asked.question.id}))[0].question.id == again.question.id


def test_a_replayed_step_is_the_same_question_even_after_it_was_done(ask):
    asked, _ = ask()
    asked.close("consumed", NOW)
    again, first = ask()
    assert (again.question.id, first, again.ended()) == (asked.question.id, False, "consumed")


def test_who_was_told_comes_back_under_another_call_id(ask, refund):
    asked, _ = ask(told=True)
    assert ask(refund("call-2"), told=True)[0].question.id == asked.question.id
    asked.close("consumed", NOW)
    assert ask(refund("call-3"), told=True)[1]


def test_a_no_holds_until_the_question_would_have_lapsed(ask, refund):
    asked, _ = ask(refund(""))
    asked.close("denied", NOW)
    assert ask(refund(""), now=NOW + 1799.9)[0].question.id == asked.question.id
    assert ask(refund(""), now=NOW + 1800, expires=NOW + 3600)[1]


def test_who_waited_is_told_that_it_expired(ask, refund):
    asked, _ = ask(refund(""))
    asked.close("expired", NOW + 1801)
    assert ask(refund(""), following=frozenset({asked.question.id}))[0].ended() == "expired"


def test_an_approval_is_found_by_the_beginning_of_its_id(ask, approvals):
    asked, _ = ask()
    assert approvals.named(asked.question.id[:8]).question == asked.question
    with pytest.raises(ApprovalError, match="no approval has an id that begins with '0123456789'; see: jackline appr"):
        approvals.named("0123456789")
    with pytest.raises(ApprovalError, match="'refund' is no approval's id: 6 to 64 hex digits were expected"):
        approvals.named("refund")


def test_a_public_key_is_said_to_be_none(people):
    assert public_key(people.approvers()["ana"].key)
    with pytest.raises(ValueError, match="'ssh-ed25519 AAAA' is no public key: expected ed25519: and the base64 of 32"):
        public_key("ssh-ed25519 AAAA")


def test_a_folder_that_cannot_be_written_says_so(ask, tmp_path):
    (tmp_path / "approvals").write_text("a file")
    with pytest.raises(ApprovalError, match=r"cannot be written: .* Free space or mend its rights"):
        ask()


def race(racers, folder, barrier, results):
    """Each process does its deed at the same moment, and says which it won."""
    asked = next(Approvals(folder).all())
    deed, data = racers
    barrier.wait(20)
    if deed in ("consumed", "expired"):
        results.put((deed, asked.close(deed, NOW + 2)))
    else:
        results.put((deed, asked.answer(data, deed, NOW + 2)))


def raced(racers, folder):
    barrier, results = FORK.Barrier(len(racers)), FORK.Queue()
    started = [FORK.Process(target=race, args=(one, folder, barrier, results)) for one in racers]
    for process in started:
        process.start()
    found = [results.get(timeout=30) for _ in started]
    for process in started:
        process.join(30)
    return found


def test_eight_racers_use_an_approval_once(ask, people, tmp_path, refund):
    for turn in range(3):
        asked, _ = ask(refund(f"call-{turn}"), policy=f"p{turn}")
        asked.answer(people.says("ana", "approve", asked), "approve", NOW)
        found = raced([("consumed", b"")] * 8, asked.folder.parents[1])
        assert sorted(str(end) for _, end in found) == ["None", *["consumed"] * 7]
        asked.folder.parent.rename(tmp_path / f"done-{turn}")


def test_a_no_an_expiry_and_a_use_have_one_winner(ask, people, tmp_path, refund):
    for turn in range(3):
        asked, _ = ask(refund(f"call-{turn}"), policy=f"p{turn}")
        deeds = [("approve", people.says("ana", "approve", asked))] * 2
        deeds += [("deny", people.says("ben", "deny", asked))] * 2
        found = raced([*deeds, *[("consumed", b"")] * 2, *[("expired", b"")] * 2], asked.folder.parents[1])
        won = [deed for deed, end in found if end is None and deed != "approve"]
        state = standing(asked, people).state
        assert won == [{"denied": "deny"}.get(state, state)]
        told = {end for deed, end in found if deed != "approve" and end is not None}
        assert told == {state}
        asked.folder.parent.rename(tmp_path / f"done-{turn}")


def test_askers_at_once_ask_one_question(ask, approvals, refund):
    barrier, firsts = threading.Barrier(8), []

    def asker():
        barrier.wait(20)
        firsts.append(ask(refund(""))[1])

    threads = [threading.Thread(target=asker) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert sorted(firsts) == [False] * 7 + [True]
    assert len(list(approvals.all())) == 1


def test_a_kill_between_use_and_act_never_gives_two_acts(ask, people, approvals):
    asked, _ = ask()
    asked.answer(people.says("ana", "approve", asked), "approve", NOW)
    child = os.fork()
    if not child:
        asked.close("consumed", NOW + 1)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    again, first = ask()
    assert not first
    assert standing(again, people).state == "consumed"
    assert [one.ended() for one in approvals.all()] == ["consumed"]

"""`verify` and `ingest`: the record is what was written, or the first bad line is named."""

from __future__ import annotations

import json

import pytest


@pytest.fixture
def journal(story, jackline_home):
    """The one journal of the story, closed."""
    (path,) = (jackline_home / "journals").iterdir()
    return path


def lines(path):
    return path.read_bytes().splitlines(keepends=True)


def test_a_sound_record(journal, run, ask):
    answer = ask("verify")
    (report,) = answer["journals"]
    assert (answer["ok"], report["ok"], report["closed"], report["head"]["seq"]) == (True, True, True, report["lines"])
    shown = run("verify").stdout
    assert f"1 journal in {journal.parent}, {report['lines']} good lines: all as written" in shown
    assert "compared with nothing: a tail that was cut off does not show" in shown
    run("ingest")
    assert "compared with 1 head of the index" in run("verify").stdout


@pytest.mark.parametrize("how", ["changed", "deleted", "reordered"])
def test_the_first_bad_line_is_named(how, journal, run, ask):
    told = lines(journal)
    if how == "changed":
        told[4] = (
            told[4].replace(b"support", b"suppert", 1) if b"support" in told[4] else told[4][:-9] + b"x" + told[4][-8:]
        )
    elif how == "deleted":
        del told[4]
    else:
        told[4], told[5] = told[5], told[4]
    journal.write_bytes(b"".join(told))
    assert ask("verify", code=1)["journals"][0]["first_bad"] == 5
    shown = run("verify", code=1).stdout
    assert "bad at 5" in shown
    assert f"{journal.stem.removesuffix('.0001')}: first bad line 5: line 5 " in shown
    assert "1 not as written" in shown


def test_a_tail_cut_after_ingest_is_found(journal, run, ask):
    run("ingest")
    journal.write_bytes(b"".join(lines(journal)[:-3]))
    report = ask("verify", code=1)["journals"][0]
    assert report["first_bad"] == report["lines"] + 1
    assert "the store has seen lines up to" in report["problem"]


def test_heads_kept_elsewhere_find_what_the_index_was_made_to_forget(journal, run, ask, jackline_home, tmp_path):
    heads = tmp_path / "heads.json"
    run("verify", "--heads-out", heads)
    assert json.loads(heads.read_text())[journal.name.removesuffix(".0001.jsonl")]["seq"] == len(lines(journal))
    assert "compared with 1 head kept elsewhere" in run("verify", "--against", heads).stdout
    journal.write_bytes(b"".join(lines(journal)[:-2]))
    assert ask("verify")["ok"] is True, "a chain alone does not show that its end is gone"
    run("ingest")
    answer = ask("verify", "--against", heads, code=1)
    assert answer["compared"] == {"index": 1, "against": 1, "index_error": ""}
    assert answer["journals"][0]["ok"] is False
    journal.unlink()
    told = ask("verify", "--against", heads, code=1)["journals"][0]["problem"]
    assert "the journal's file is missing" in told


def test_both_comparisons_count_and_the_earlier_line_is_named(journal, run, ask, tmp_path):
    heads = tmp_path / "heads.json"
    run("ingest")
    run("verify", "--heads-out", heads)
    told = json.loads(heads.read_text())
    name = next(iter(told))
    told[name]["seq"] = 3
    heads.write_text(json.dumps(told))
    journal.write_bytes(b"".join(lines(journal)[:-2]))
    assert ask("verify", "--against", heads, code=1)["journals"][0]["first_bad"] == 3


def test_heads_are_kept_of_a_sound_record_only(journal, run, tmp_path):
    heads = tmp_path / "heads.json"
    journal.write_bytes(b"".join(lines(journal)[1:]))
    assert (
        f"{heads} was not written: heads are kept of a sound record only"
        in run("verify", "--heads-out", heads, code=1).stderr
    )
    assert not heads.exists()


def test_heads_that_are_none_or_cannot_be_written(journal, run, tmp_path):
    assert "holds no heads:" in run("verify", "--against", tmp_path / "none.json", code=1).stderr
    (tmp_path / "bad.json").write_text('{"a": {"seq": 1}}')
    assert "holds no heads:" in run("verify", "--against", tmp_path / "bad.json", code=1).stderr
    assert "cannot write" in run("verify", "--heads-out", tmp_path / "no" / "heads.json", code=1).stderr


def test_an_index_that_cannot_be_used_is_a_problem_not_a_silence(journal, run, ask, jackline_home):
    run("ingest")
    (jackline_home / "index.db").write_bytes(b"this is no database, and it is long enough to be seen as none" * 20)
    answer = ask("verify", code=1)
    assert (answer["ok"], answer["journals"][0]["ok"]) == (False, True)
    assert "cannot be used" in answer["compared"]["index_error"]
    assert "not compared with the index:" in run("verify", code=1).stdout


def test_a_journal_a_folder_and_a_home_can_be_named(journal, run, jackline_home):
    for path in (journal, journal.parent, jackline_home):
        assert "all as written" in run("verify", path).stdout
    assert run("verify", "nowhere", code=1).stderr == "there is no journal or folder nowhere\n"


def test_open_and_torn_ends_are_said(crashed, run):
    assert "  open" in run("verify").stdout
    (path,) = (crashed / "journals").iterdir()
    with path.open("ab") as file:
        file.write(b'{"v":1,"seq":')
    assert "torn last line, never acknowledged" in run("verify").stdout


def test_ingest_says_what_it_did(journal, run, ask):
    answer = ask("ingest")
    assert answer["events"] == len(lines(journal))
    assert answer["busy"] is False
    assert run("ingest").stdout == "0 events of 0 journals ingested\n"
    assert run("ingest", "--rebuild").stdout == f"{len(lines(journal))} events of 1 journal ingested\n"


def test_a_broken_journal_is_ingested_up_to_there(journal, run, ask):
    told = lines(journal)
    del told[6]
    journal.write_bytes(b"".join(told))
    result = run("ingest", code=1)
    assert "6 events of 1 journal ingested" in result.stdout
    assert "line 7 is missing: line 8 stands in its place; see: jackline verify" in result.stderr
    assert "bytes) behind: lines that are not complete or not sound" in result.stderr
    assert "see: jackline verify" in run("sessions").stderr
    assert ask("sessions")["problems"][0]["seq"] == 7


def test_reading_goes_on_while_another_process_ingests(journal, run, ask, jackline_home):
    import fcntl  # noqa: PLC0415

    with (jackline_home / "ingest.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert run("ingest").stdout == "another process is filling the index: nothing was done here\n"
        result = run("sessions")
        assert result.stdout == "no session matches\n"
        assert "behind: another process is filling it" in result.stderr
        assert ask("sessions")["behind"]["events"] == len(lines(journal))

"""How amounts, times and texts are shown."""

from __future__ import annotations

import io
import json

import pytest
from rich.console import Console

from jackline.cli import output


@pytest.mark.parametrize(
    ("micro", "shown"),
    [(0, "$0.00"), (470_000, "$0.47"), (13, "$0.000013"), (4_700_000, "$4.70"), (1_234_567, "$1.234567"), (None, "")],
)
def test_money_is_shown_to_the_last_digit(micro, shown):
    assert output.usd(micro) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (None, ""),
        (0.0, "0 ms"),
        (0.00042, "0.42 ms"),
        (0.0000912, "0.09 ms"),
        (0.0123, "12 ms"),
        (3.44, "3.4 s"),
        (302, "5m 02s"),
        (7500, "2h 05m"),
        (3 * 86400 + 4 * 3600, "3d 04h"),
    ],
)
def test_lengths_of_time(seconds, shown):
    assert output.span(seconds) == shown


def test_no_moment_is_empty():
    assert output.moment(None) == ""
    assert len(output.moment(1_800_000_000.5)) == len("2027-01-15 08:00:00")


def test_what_a_terminal_would_obey_is_shown_as_its_code():
    assert output.safe("a\x1b[31m\x07\u202eb\n\ud800") == "a\\u001b[31m\\u0007\\u202eb\\u000a\\ud800"
    assert output.safe("a\nb", lines=True) == "a\nb"
    assert output.text("x\x1b").plain == "x\\u001b"


def test_json_is_ascii(capsys):
    output.answer({"a": "\x1b\u202e\ud800é"})
    told = capsys.readouterr().out
    assert told.isascii()
    assert json.loads(told) == {"a": "\x1b\u202e\ud800é"}


@pytest.fixture
def screen(monkeypatch):
    """A terminal of 40 columns."""
    made = Console(file=io.StringIO(), force_terminal=True, width=40, color_system=None)
    monkeypatch.setattr(output, "terminal", lambda: made)
    return made


def test_a_pipe_has_no_width(capsys):
    output.show(output.table(("a", "b"), [("x" * 300, 1)], right=("b",)))
    assert capsys.readouterr().out.splitlines()[1] == f"{'x' * 300}  1"


def test_prose_takes_more_lines_on_a_terminal(screen):
    output.show(output.table(("level", "found"), [("ok", "word " * 30)], fold="found"))
    lines = screen.file.getvalue().splitlines()
    assert len(lines) > 4
    assert max(map(len, lines)) <= 40


def test_what_is_no_prose_is_never_cut(screen):
    """A table that is too wide is wrapped by the terminal: a name that is cut names something else."""
    output.show(output.table(("a", "b", "found"), [("x" * 30, "y" * 30, "word " * 10)], fold="found"))
    assert f"{'x' * 30}  {'y' * 30}" in screen.file.getvalue()


def test_columns_without_names_have_no_head(capsys):
    output.show(output.table(("", ""), [("a", "b")]))
    assert capsys.readouterr().out == "a  b\n"


def test_cells_that_are_texts_keep_their_style():
    assert output.table(("a",), [(output.text("denied", "red"),)]).row_count == 1


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["agents", "set", "support", "--status", "bogus"], "'bogus' is not one of"),
        (["pause", "job-1"], "--why"),
        (["sessions", "--since", "1y"], "--since '1y': write 30m, 24h, 7d"),
    ],
)
def test_a_wrong_value_is_told_as_json_where_json_was_asked_for(words, message, run, ask):
    assert message in ask(*words, code=2)["error"]
    told = run(*words, code=2)
    assert (told.stdout, "Usage: jackline" in told.stderr) == ("", True)

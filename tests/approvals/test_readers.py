"""Who can read what is asked, and whose answers are seen: what docs/approvals.md says of user ids."""

from __future__ import annotations

import json
import os
import stat

import pytest

from jackline.approvals import ApprovalError

OTHER = 60_001


def test_the_exact_arguments_are_there_for_their_owner_alone(ask, approvals):
    asked, _ = ask()
    path = asked.folder / "question.json"
    assert json.loads(path.read_bytes())["args"] == {"order": "A-1", "amount": 900}
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    for folder in (asked.folder, asked.folder.parent, approvals.directory):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="only root answers as another user id")
@pytest.mark.parametrize("say", ["approve", "deny"])
def test_of_another_user_id_a_yes_is_not_seen_and_a_no_ends_it_unreadable(ask, people, tmp_path, say):
    asked, _ = ask()
    for path in (tmp_path, *tmp_path.rglob("*")):
        os.chown(path, OTHER, -1)
    above = {path: path.stat().st_mode for path in tmp_path.parents if path.stat().st_mode & 0o011 != 0o011}
    for path, mode in above.items():
        path.chmod(mode | 0o011)
    asked.answer(people.says("ana", say, asked, why="so be it"), say, 1_800_000_001.0)
    os.seteuid(OTHER)
    try:
        if say == "approve":
            assert asked.standing(people.approvers(), 1, 1_800_000_002.0).state == "pending"
        else:
            with pytest.raises(ApprovalError, match="ended cannot be read"):
                asked.standing(people.approvers(), 1, 1_800_000_002.0)
    finally:
        os.seteuid(0)
        for path, mode in above.items():
            path.chmod(mode)

"""One program may serve the agents of several applications: each has sessions of its own."""

from __future__ import annotations

import jackline


def test_the_same_name_for_another_application_is_another_session(tmp_path):
    with jackline.Guard(home=tmp_path, application="server") as guard:
        own, theirs = guard.open_session("job-1"), guard.open_session("job-1", application="billing")
        again = guard.open_session("job-1", application="billing")
        assert own.id != theirs.id
        assert again is theirs
        assert (own.subject.application, theirs.subject.application) == ("server", "billing")


def test_a_program_is_an_agent_only_where_it_acts(tmp_path):
    """Else a gateway, and each program that names its agents, would itself be one that nobody registered."""
    with jackline.Guard(home=tmp_path, application="gateway") as guard:
        with guard.session(agent="vendor"):
            pass
        assert sorted(guard.registry.entries) == ["vendor"]
        with guard.session():
            pass
        assert sorted(guard.registry.entries) == ["gateway", "vendor"]

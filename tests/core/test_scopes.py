"""Where the caller is, for each guard: what happens inside of a scope, and several guards at once."""

from __future__ import annotations

import contextvars
import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from jackline import Guard
from jackline.act import Act
from jackline.session import CURRENT, Scope, Stay, entered, joined, scope_of


@pytest.fixture
def guards(tmp_path):
    made = [Guard(None, home=tmp_path / name, application=name) for name in ("one", "two", "three")]
    yield made
    for guard in made:
        guard.close()


def a_scope(guard: Guard, **facts) -> Scope:
    base = guard.scope()
    return Scope(guard=guard, session=base.session, run="r", span="s", agent=base.agent, **facts)


def test_nobody_is_anywhere(guards):
    assert scope_of(guards[0]) is None
    assert guards[0].scope() is guards[0].scope()


def test_one_guard_has_its_own_scope_as_it_is(guards):
    scope = a_scope(guards[0])
    assert joined((scope,)) is scope
    with entered(scope), entered(scope.within("t", "tool.call")):
        assert CURRENT.get() == scope.within("t", "tool.call")
        assert scope_of(guards[1]) is None
        assert guards[1].scope().run != "r"


def test_several_guards_each_find_their_own(guards):
    one, two, three = map(a_scope, guards)
    with entered(one), entered(two):
        assert guards[0].scope() == one
        assert scope_of(guards[1]).others == (one,)
        inner = one.within("inside")
        with entered(inner):
            assert CURRENT.get().guard is guards[0]
            assert guards[0].scope().span == "inside"
            assert guards[1].scope() == two
            token = CURRENT.set(joined((two.within("b"), three)))
            assert [scope_of(guard).span for guard in guards] == ["inside", "b", "s"]
            assert all(scope.others == () for scope in CURRENT.get().others)
            CURRENT.reset(token)
        assert guards[0].scope() == one
    assert CURRENT.get() is None


def test_a_scope_that_led_to_others_leads_to_those_that_are_here_now(guards):
    one, two, three = map(a_scope, guards)
    with entered(one), entered(two):
        kept = CURRENT.get()
    with entered(three):
        assert joined((kept,)).others == (three,)
    assert joined((kept,)).others == ()


def test_an_act_of_one_guard_leaves_the_others_where_they_are(guards):
    with guards[0].session(id="a"), guards[1].session(id="b"):
        above = guards[0].scope()
        act = Act(guards[1], guards[1].scope())
        act.check(act.built(lambda: guards[1].request("tool.call", "t", {})))
        with act:
            assert guards[0].scope() == above
            assert guards[1].scope().action == "tool.call"
        other = Act(guards[0], guards[0].scope())
        other.check(other.built(lambda: guards[0].request("tool.call", "t", {})))
        with other, act:
            assert {guard.scope().action for guard in guards[:2]} == {"tool.call"}
        assert guards[0].scope() == above


def test_a_plain_tool_of_one_guard_is_inside_of_the_others_too(guards):
    seen = []

    @guards[1].tool
    def look():
        seen.append((guards[0].scope().session.subject.external_id, guards[1].scope().action))

    with guards[0].session(id="a"), guards[1].session(id="b"):
        look()
    assert seen == [("a", "tool.call")]


def test_all_of_them_follow_into_threads(guards):
    found = []

    def look():
        found.append([scope_of(guard).session.subject.external_id for guard in guards[:2]])

    with guards[0].session(id="a"), guards[1].session(id="b"), ThreadPoolExecutor(1) as pool:
        pool.submit(look).result()
        thread = threading.Thread(target=look)
        thread.start()
        thread.join()
    assert found == [["a", "b"]] * 2


@pytest.mark.parametrize("agent", [None, "one", "other"])
def test_only_an_agent_spawns(guards, agent):
    """This program starts its agents without being asked; an agent is asked, also where it has the program's name."""
    guard = guards[0]
    assert not guard.spawns(None)
    assert not guard.spawns(guard.scope())
    with guard.session(agent=agent):
        scope = guard.scope()
        assert guard.spawns(scope) == (agent == "other")
        assert guard.spawns(scope.within("t", "tool.call")) == (agent == "other")
        with guard.run(guard.agent("one")):
            assert guard.spawns(guard.scope())
        assert guard.spawns(guard.begin_run(guard.agent("one"), scope, root=True))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))), ids=str)
def test_stays_end_in_any_order_and_leave_nothing(guards, order):
    outside = a_scope(guards[2]).within("outside")
    with entered(outside):
        stays = [Stay(a_scope(guard)) for guard in guards]
        open_ = set(range(3))
        for place in order:
            stays[place].end()
            open_.discard(place)
            assert {n for n in range(3) if (found := scope_of(guards[n])) and found.span == "s"} == open_
        assert CURRENT.get() == outside
    assert CURRENT.get() is None


def test_a_stay_that_ends_in_another_context_changes_nothing_there(guards):
    stay = Stay(a_scope(guards[0]))
    seen = contextvars.copy_context().run(lambda: (stay.end(), CURRENT.get())[1])
    assert seen is CURRENT.get() is not None
    stay.end()
    assert CURRENT.get() is None


def test_a_stay_that_was_left_with_all_others_stays_left(guards):
    stay = Stay(a_scope(guards[0]))
    two = a_scope(guards[1])
    CURRENT.set(two)
    stay.end()
    assert CURRENT.get() is None

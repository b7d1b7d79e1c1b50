"""Wraps: on every class, also later ones, once; and taken off without a trace."""

from __future__ import annotations

import abc
import functools
import threading
import types
from typing import Any

import pytest

from jackline.wrapping import Wraps, family

CALLS: list[str] = []


def noting(body):
    def call(*args, **kwargs):
        CALLS.append(body.__name__)
        return body(*args, **kwargs)

    return call


def other(function):
    """What another library puts on top."""

    @functools.wraps(function)
    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


def hiding(function):
    """As `other`, and it does not say what it wraps."""

    def call(*args, **kwargs):
        return function(*args, **kwargs)

    return call


@pytest.fixture(autouse=True)
def calls():
    CALLS.clear()
    return CALLS


@pytest.fixture
def base():
    """A framework's family of classes, new for each test."""

    class Tool(abc.ABC):
        def run(self, text="x"):
            """Run it."""
            return f"run {text}"

        @abc.abstractmethod
        def body(self):
            """What a tool does."""

        @staticmethod
        def fixed(text):
            return f"fixed {text}"

        @classmethod
        def named(cls):
            return cls.__name__

    return Tool


class Framework(Wraps):
    """An adapter's wraps."""

    NAMES = ("run", "body", "fixed", "named")

    def __init__(self, *bases):
        super().__init__()
        self.bases = bases
        self.told: list[type] = []
        self.put = 0

    def put_on(self):
        self.put += 1
        for base in self.bases:
            self.cover_family(base, self.each)

    def each(self, kind):
        self.told.append(kind)
        self.cover(kind, dict.fromkeys(self.NAMES, noting))


def state(*kinds):
    return [dict(kind.__dict__) for kind in kinds]


def test_without_wraps_of_its_own_there_is_nothing_to_put_on():
    with pytest.raises(NotImplementedError):
        Wraps().install()


def test_every_class_of_a_family_is_wrapped_and_put_back_exactly(base, calls):
    class Search(base):
        def body(self):
            return "found"

    before = state(base, Search)
    wraps = Framework(base)
    assert not wraps.on
    wraps.install()
    assert wraps.on
    assert wraps.told == [base, Search]
    tool = Search()
    assert (tool.run(), tool.body(), tool.fixed("a"), Search.fixed("b"), Search.named(), tool.named()) == (
        "run x",
        "found",
        "fixed a",
        "fixed b",
        "Search",
        "Search",
    )
    assert calls == ["run", "body", "fixed", "fixed", "named", "named"]
    assert isinstance(base.__dict__["fixed"], staticmethod)
    assert isinstance(base.__dict__["named"], classmethod)
    assert base.run.__doc__ == "Run it."
    wraps.remove()
    assert state(base, Search) == before
    assert list(base.__dict__) == list(before[0])
    assert not wraps.on
    calls.clear()
    assert (tool.run(), calls) == ("run x", [])


def test_what_is_abstract_is_left_to_the_classes_that_have_it(base):
    wraps = Framework(base)
    before = base.__dict__["body"]
    wraps.install()
    assert base.__dict__["body"] is before
    with pytest.raises(TypeError, match="abstract"):
        base()
    wraps.remove()


def test_classes_that_are_defined_later_are_wrapped_too_and_told_once(base, calls):
    wraps = Framework(base)
    wraps.install()

    class Late(base):
        def body(self):
            return "late"

    class Later(Late):
        def run(self, text="y"):
            return super().run(text)

    assert (Later().run(), Later().body(), calls) == ("run y", "late", ["run", "run", "body"])
    assert wraps.told == [base, Late, Later]
    wraps.remove()
    assert Later.__dict__["run"].__qualname__.endswith("Later.run")
    assert not hasattr(Late.__dict__["body"], "__wrapped__")

    class AfterAll(base):
        def body(self):
            return "free"

    calls.clear()
    assert (AfterAll().body(), Later().run(), calls) == ("free", "run y", [])


@pytest.mark.parametrize("own", [False, True])
def test_a_family_keeps_what_it_does_with_its_own_subclasses(own):
    made = []

    class Root:
        def __init_subclass__(cls, /, label="", **kwargs):
            super().__init_subclass__(**kwargs)
            made.append((cls.__name__, label))

    if own:

        class Base(Root):
            def __init_subclass__(cls, /, level=0, **kwargs):
                super().__init_subclass__(**kwargs)
                made.append(level)

    else:

        class Base(Root):
            pass

    made.clear()
    before = state(Base)
    wraps = Framework(Base)
    wraps.install()

    class Late(Base, label="a", **({"level": 2} if own else {})):
        pass

    assert made == [("Late", "a"), *([2] if own else [])]
    assert wraps.told == [Base, Late]
    wraps.remove()
    assert state(Base) == before


def test_a_class_that_keeps_its_subclasses_to_itself_hides_none(base, calls):
    """Its `__init_subclass__` does not call that of its base."""

    class Secretive(base):
        def __init_subclass__(cls, **kwargs):
            """Nothing, on purpose."""

        def body(self):
            return "secretive"

    before = state(Secretive)
    wraps = Framework(base)
    wraps.install()

    class Hidden(Secretive):
        def __init_subclass__(cls, **kwargs):
            super().__init_subclass__(**kwargs)

        def body(self):
            return "hidden"

    class Deeper(Hidden):
        def body(self):
            return "deeper"

    assert (Hidden().body(), Deeper().body(), calls) == ("hidden", "deeper", ["body", "body"])
    assert wraps.told == [base, Secretive, Hidden, Deeper]
    wraps.remove()
    assert state(Secretive) == before


def test_a_class_of_two_families_is_covered_for_both(calls):
    class Tool:
        def run(self):
            return "run"

    class Retriever:
        def search(self):
            return "search"

    class Both(Tool, Retriever):
        def run(self):
            return "both"

        def search(self):
            return "both"

    class Two(Framework):
        def put_on(self):
            self.cover_family(Tool, lambda kind: self.cover(kind, {"run": noting}))
            self.cover_family(Retriever, lambda kind: self.cover(kind, {"search": noting}))
            self.cover(Both, {"run": noting, "search": noting})

    wraps = Two()
    wraps.install()
    Both().run()
    Both().search()
    assert calls == ["run", "search"]
    wraps.remove()


@pytest.mark.parametrize("place", ["partial", "partialmethod", "property", "object", "builtin"])
def test_whatever_a_class_has_as_a_method_is_called_as_before(base, calls, place):
    def body(self, text="p"):
        return f"{type(self).__name__} {text}"

    class Callable:
        def __call__(self, text="o"):
            return f"object {text}"

    found: Any = {
        "partial": functools.partial(lambda text: f"partial {text}", "a"),
        "partialmethod": functools.partialmethod(body, "b"),
        "property": property(lambda self: functools.partial(body, self)),
        "object": Callable(),
        "builtin": dict,
    }[place]
    kind = type("Odd", (base,), {"body": lambda self: None, "run": found})
    expected = kind().run()
    wraps = Framework(base)
    wraps.install()
    assert kind().run() == expected
    assert len(calls) == 1
    wraps.remove()
    assert kind.__dict__["run"] is found


def test_a_module_has_no_instances():
    module: Any = types.ModuleType("somebody")
    module.connect = functools.partial(max, 3)
    module.count = len
    before = dict(module.__dict__)

    class Connecting(Framework):
        def put_on(self):
            for name in ("connect", "count"):
                self.wrap(module, name, lambda body: lambda *args: ("seen", body(*args)))

    wraps = Connecting()
    wraps.install()
    assert (module.connect(5), module.count([1])) == (("seen", 5), ("seen", 1))
    wraps.remove()
    assert module.__dict__ == before


def test_the_wraps_stay_until_the_last_guard_is_gone(base):
    before = state(base)
    wraps = Framework(base)
    wraps.install()
    wraps.install()
    assert wraps.put == 1
    wraps.remove()
    assert wraps.on
    wraps.remove()
    assert state(base) == before
    wraps.remove()  # one too many changes nothing
    wraps.install()
    assert wraps.on
    wraps.remove()
    assert (state(base), wraps.put) == (before, 2)


def test_wraps_can_be_prepared_before_there_is_a_guard(base):
    before = state(base)
    wraps = Framework(base)
    wraps.prepare()
    wraps.install()
    assert (wraps.on, wraps.put) == (True, 1)
    wraps.remove()
    assert state(base) == before


def test_wraps_that_cannot_be_put_on_leave_nothing_behind(base):
    class Half(Framework):
        def put_on(self):
            super().put_on()
            if self.put == 1:
                raise LookupError("no such entrance")

    before = state(base)
    wraps = Half(base)
    with pytest.raises(LookupError, match="no such entrance"):
        wraps.install()
    assert (state(base), wraps.on) == (before, False)
    wraps.install()
    assert wraps.on
    wraps.remove()
    assert state(base) == before


def test_nothing_is_wrapped_before_or_after(base):
    """A wrap that somebody else kept may ask for a class to be covered when nobody is governed any more."""
    before = state(base)
    wraps = Framework(base)
    wraps.each(base)
    wraps.install()
    wraps.remove()
    wraps.each(base)
    assert (state(base), wraps.on) == (before, False)


def test_where_nothing_is_to_be_wrapped_nothing_is_covered_later(base):
    before = state(base)
    wraps = Framework()
    wraps.install()
    wraps.each(base)
    assert (state(base), wraps.on) == (before, False)
    wraps.remove()


def test_what_somebody_else_wrapped_stays_and_serves_again_once(base, calls):
    class Search(base):
        def body(self):
            return "found"

        @classmethod
        def named(cls):
            return "search"

    before = state(base, Search)
    wraps = Framework(base)
    wraps.install()
    ours, ours_named = Search.__dict__["body"], Search.__dict__["named"]
    Search.body = theirs = other(ours)
    Search.named = theirs_named = classmethod(other(ours_named.__func__))
    wraps.remove()
    assert Search.__dict__["body"] is theirs
    assert state(base) == before[:1]
    for _ in range(3):
        wraps.install()
        assert Search.__dict__["body"] is theirs
        calls.clear()
        assert (Search().body(), Search.named(), calls) == ("found", "search", ["body", "named"])
        wraps.remove()
    assert Search.__dict__["named"] is theirs_named
    Search.body, Search.named = ours, ours_named  # they take theirs off, and put back what they found
    wraps.install()
    assert (Search().body(), Search.__dict__["body"]) == ("found", ours)
    wraps.remove()
    assert state(base, Search) == before


def test_what_hides_our_wrap_is_wrapped_again(base, calls):
    """Judged twice rather than not at all: nothing says that the earlier wrap is still called."""

    class Search(base):
        def body(self):
            return "found"

    wraps = Framework(base)
    wraps.install()
    Search.body = hiding(Search.__dict__["body"])
    wraps.remove()
    theirs = Search.__dict__["body"]
    wraps.install()
    assert (Search().body(), calls) == ("found", ["call", "body"])
    wraps.remove()
    assert Search.__dict__["body"] is theirs


def test_somebody_else_may_watch_the_same_family(base):
    wraps = Framework(base)
    wraps.install()
    ours = base.__dict__["__init_subclass__"]
    theirs = classmethod(other(ours.__func__))
    base.__init_subclass__ = theirs
    wraps.remove()
    wraps.install()
    wraps.told.clear()

    class Late(base):
        def body(self):
            return "late"

    assert base.__dict__["__init_subclass__"] is theirs
    assert wraps.told == [Late]
    wraps.remove()
    type("AfterAll", (base,), {})
    assert wraps.told == [Late]
    assert base.__dict__["__init_subclass__"] is theirs


def test_a_family_is_every_class_once():
    class A:
        pass

    class B(A):
        pass

    class C(A):
        pass

    class D(B, C):
        pass

    found = list(family(A))
    assert found[0] is A
    assert sorted(kind.__name__ for kind in found) == ["A", "B", "C", "D"]


def test_classes_defined_by_many_threads_are_all_wrapped(base, calls):
    wraps = Framework(base)
    wraps.install()
    start = threading.Barrier(8)
    made: list[type] = []

    def define(number):
        start.wait()
        made.extend(type(f"T{number}{place}", (base,), {"body": lambda self: "ran"}) for place in range(20))

    threads = [threading.Thread(target=define, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [kind().body() for kind in made] == ["ran"] * 160
    assert len(calls) == 160
    assert len(wraps.told) == len(set(wraps.told)) == 161
    wraps.remove()
    assert not any(hasattr(kind.__dict__["body"], "__wrapped__") for kind in made)

"""`jackline.init`: the whole process, frameworks imported before and after it."""

from __future__ import annotations

import importlib
import importlib.machinery
import subprocess
import sys
import textwrap
import threading
from types import SimpleNamespace

import pytest

import jackline
from jackline import BundleError, JacklineError
from jackline.adapters import when_loaded
from jackline.home import Home
from jackline.hookspecs import hookimpl
from jackline.journal import read
from jackline.plugins import load_plugins

ENFORCE = "jackline: 1\npolicies: []\n"


@pytest.fixture
def place(tmp_path, monkeypatch, jackline_home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("JACKLINE_REQUIRE_BUNDLE", raising=False)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    jackline.close()
    for name in ("fake_framework", "crewai"):
        sys.modules.pop(name, None)


class FakeAdapter:
    name = "fake"
    calls: list[str] = []

    def accepts(self, agent):
        return False

    def attach(self, guard, agent):
        raise AssertionError

    def enable(self, guard):
        self.calls.append("enabled")

    def disable(self, guard):
        self.calls.append("disabled")

    def gaps(self):
        return {}


@pytest.fixture
def fake(monkeypatch, place):
    FakeAdapter.calls = []
    monkeypatch.setitem(sys.modules, "fake_adapter", SimpleNamespace(FakeAdapter=FakeAdapter))
    monkeypatch.setattr(
        "jackline.adapters.FRAMEWORKS", {"fake_framework": "jackline-fake", "crewai": "jackline-crewai"}
    )

    class Plugin:
        @staticmethod
        @hookimpl
        def jackline_register_adapters(register):
            register("fake", "fake_adapter:FakeAdapter", roots=("fake_framework",), supports="fake>=1")

    loaded = load_plugins([("fake", Plugin)], installed=False)
    monkeypatch.setattr("jackline.adapters.installed_plugins", lambda: loaded)
    (place / "fake_framework.py").write_text("VALUE = 1\n")
    (place / "crewai.py").write_text("VALUE = 2\n")
    return FakeAdapter


def test_without_a_bundle_it_records_refuses_nothing_and_says_so_once(place):
    with pytest.warns(UserWarning, match=r"no bundle: jackline\.yaml is not in .* nothing is refused") as warned:
        guard = jackline.init()
    assert len(warned) == 1
    assert guard.bundle is None
    assert guard.tool(lambda: 1, name="look")() == 1
    assert jackline.current() is guard


def test_a_bundle_can_be_required(place, monkeypatch):
    monkeypatch.setenv("JACKLINE_REQUIRE_BUNDLE", "1")
    with pytest.raises(BundleError, match="JACKLINE_REQUIRE_BUNDLE=1 asks for one"):
        jackline.init()
    assert jackline.current() is None


def test_a_bundle_in_the_working_directory_is_found(place):
    (place / "jackline.yaml").write_text(ENFORCE)
    assert jackline.init().bundle is not None


def test_a_named_bundle_that_is_invalid_raises_and_leaves_the_guard_before(place):
    (place / "good.yaml").write_text(ENFORCE)
    guard = jackline.init("good.yaml")
    (place / "bad.yaml").write_text("jackline: 1\npolicies: 7\n")
    with pytest.raises(BundleError):
        jackline.init("bad.yaml")
    assert jackline.current() is guard


def test_init_again_replaces_the_guard(place):
    (place / "jackline.yaml").write_text(ENFORCE)
    first = jackline.init()
    second = jackline.init()
    assert jackline.current() is second
    assert first._closed
    jackline.close()
    assert jackline.current() is None
    assert second._closed


def test_a_framework_imported_before_is_enabled_at_once(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    importlib.import_module("fake_framework")
    jackline.init()
    assert fake.calls == ["enabled"]
    jackline.close()
    assert fake.calls == ["enabled", "disabled"]


def test_a_framework_imported_after_is_enabled_when_it_is(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    jackline.init()
    assert fake.calls == []
    module = importlib.import_module("fake_framework")
    assert module.VALUE == 1
    assert type(module.__spec__.loader).__module__ == "_frozen_importlib_external"
    assert fake.calls == ["enabled"]
    jackline.close()
    assert fake.calls == ["enabled", "disabled"]


def test_a_package_without_a_file_of_its_own_is_enabled_when_it_is_imported(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    (place / "fake_framework.py").unlink()
    (place / "fake_framework").mkdir()
    (place / "fake_framework" / "part.py").write_text("VALUE = 3\n")
    jackline.init()
    assert importlib.import_module("fake_framework.part").VALUE == 3
    assert fake.calls == ["enabled"]
    module = sys.modules["fake_framework"]
    assert (type(module.__loader__), getattr(module, "__file__", None)) == (importlib.machinery.NamespaceLoader, None)
    assert type(module.__spec__.loader) is importlib.machinery.NamespaceLoader
    del sys.modules["fake_framework.part"]


def test_after_close_nothing_is_watched(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    before = list(sys.meta_path)
    jackline.init()
    assert sys.meta_path != before
    jackline.close()
    assert sys.meta_path == before
    importlib.import_module("fake_framework")
    assert fake.calls == []


def test_a_framework_without_its_adapter_is_an_error_in_enforce_mode(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    jackline.init()
    with pytest.raises(
        JacklineError, match=r"'crewai' is loaded, but its adapter is not installed.*pip install jackline-crewai"
    ):
        importlib.import_module("crewai")


def test_a_framework_loaded_without_its_adapter_stops_init_in_enforce_mode(place, fake):
    importlib.import_module("crewai")
    (place / "jackline.yaml").write_text(ENFORCE)
    with pytest.raises(JacklineError, match="its agents would act ungoverned"):
        jackline.init()
    assert jackline.current() is None


def test_policies_that_nobody_would_ask_are_named(place, fake, monkeypatch):
    monkeypatch.setattr("jackline.plugins.installed_plugins", lambda: load_plugins([], installed=False))
    rule = "{{name: {name}, use: rule, on: {on}, when: 'true', effect: deny}}"
    rules = ", ".join(rule.format(name=name, on=on) for name, on in (("out", "http.request"), ("in", "tool.call")))
    (place / "jackline.yaml").write_text(f"jackline: 1\npolicies: [{rules}]\n")
    with pytest.warns(
        UserWarning, match=r"nobody asks 'out' about http\.request, .* pip install jackline-http$"
    ) as warned:
        jackline.init()
    assert [each.filename for each in warned] == [__file__]


def test_two_that_wait_for_one_module_are_both_told(place):
    told = []
    (place / "fake_framework.py").write_text("VALUE = 1\n")
    before = list(sys.meta_path)
    when_loaded(("fake_framework",), lambda: told.append("one"))
    when_loaded(("fake_framework", "crewai"), lambda: told.append("two"))
    call_off = when_loaded(("fake_framework",), lambda: told.append("three"))
    call_off()
    call_off()
    importlib.import_module("fake_framework")
    assert told == ["one", "two"]
    assert sys.meta_path == before
    assert when_loaded(("fake_framework",), lambda: told.append("at once"))() is False
    assert told == ["one", "two", "at once"]


def test_a_module_that_another_thread_is_loading_is_waited_for(place):
    (place / "fake_framework.py").write_text("import sys\nsys.started.set()\nassert sys.go_on.wait(30)\nVALUE = 1\n")
    sys.started, sys.go_on = threading.Event(), threading.Event()
    try:
        thread = threading.Thread(target=importlib.import_module, args=("fake_framework",))
        thread.start()
        assert sys.started.wait(30)
        seen = []
        asking = threading.Thread(
            target=when_loaded,
            args=(("fake_framework",), lambda: seen.append(sys.modules["fake_framework"].VALUE)),
        )
        asking.start()
        sys.go_on.set()
        for each in (thread, asking):
            each.join(30)
        assert seen == [1]
    finally:
        del sys.started, sys.go_on


def test_where_nothing_is_enforced_a_missing_adapter_is_no_error(place, fake):
    (place / "jackline.yaml").write_text("jackline: 1\nmode: observe\npolicies: []\n")
    jackline.init()
    assert importlib.import_module("crewai").VALUE == 2


def test_a_framework_that_does_not_exist_stays_missing(place, fake):
    (place / "jackline.yaml").write_text(ENFORCE)
    (place / "fake_framework.py").unlink()
    jackline.init()
    with pytest.raises(ModuleNotFoundError):
        importlib.import_module("fake_framework")
    (place / "fake_framework.py").write_text("VALUE = 3\n")
    importlib.invalidate_caches()
    assert importlib.import_module("fake_framework").VALUE == 3
    assert fake.calls == ["enabled"]


def test_the_public_names_are_found_and_others_are_not():
    assert "init" in dir(jackline)
    assert all(getattr(jackline, name) for name in jackline.__all__)
    with pytest.raises(AttributeError, match="module 'jackline' has no attribute 'missing'"):
        _ = jackline.missing


@pytest.mark.parametrize("first", ["close", "current", "init", "Guard"])
def test_whatever_is_asked_for_first_init_can_be_called(first):
    """The module of that name, once it is imported, must not stand in the function's place."""
    code = f"import jackline; jackline.{first}; assert all(map(callable, (jackline.init, jackline.close, jackline.current)))"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_p30_no_signal_handlers_and_no_change_to_logging(place):
    (place / "jackline.yaml").write_text(ENFORCE)
    program = """
        import logging, signal
        before = {s: signal.getsignal(s) for s in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)}
        level, handlers = logging.root.level, list(logging.root.handlers)
        import jackline
        jackline.init("jackline.yaml")
        assert before == {s: signal.getsignal(s) for s in before}
        assert (level, handlers) == (logging.root.level, logging.root.handlers)
        print("same")
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout == "same\n", found.stderr


def test_p8_init_needs_no_network(place):
    (place / "jackline.yaml").write_text(ENFORCE)
    program = """
        import socket
        def refuse(*_): raise AssertionError("network")
        socket.socket.connect = refuse
        import jackline
        guard = jackline.init("jackline.yaml")
        print(guard.tool(lambda: "ran", name="look")())
    """
    found = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(program)], capture_output=True, text=True, check=False, timeout=60
    )
    assert found.stdout == "ran\n", found.stderr


ENDINGS = {
    "returns": "",
    "raises": "raise ValueError('x')",
    "exits": "sys.exit(3)",
    "forks": "child = os.fork()\nif child == 0: tool(); sys.exit(0)\nos.waitpid(child, 0); tool()",
}


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_program_that_ends_without_close_has_not_crashed(ending, place):
    program = f"""
import os, sys, warnings
warnings.simplefilter("ignore")
import jackline
guard = jackline.init()
@guard.tool
def tool(): pass
tool()
{ENDINGS[ending]}
"""
    subprocess.run([sys.executable, "-c", program], check=False, capture_output=True, timeout=60, cwd=place)
    journals = [list(read(path)) for path in sorted(Home(None).journals.glob("*.jsonl"))]
    acts = 2 if ending == "forks" else 1
    assert len(journals) == acts, "a process a journal"
    for lines in journals:
        kinds = [line.kind for line in lines]
        assert (kinds[-1], kinds.count("session_started"), kinds.count("session_ended")) == ("journal_closed", 1, 1)
        assert kinds.count("completed") == (acts if lines is journals[0] else 1), "the child ends none of its parent's"
        started = next(line.event for line in lines if line.kind == "session_started")
        assert started.application == "python"

"""Off the agents' path: the table is loaded in a thread, an event loop never waits, and a cache file answers at once."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import threading
import types
from importlib import metadata

import pytest

from jackline import prices as module
from jackline.events import Usage
from jackline.prices import Prices
from jackline.prices import table as table_module
from jackline.waiting import on_event_loop

VERSION = metadata.version("genai-prices")


def run(script: str, *arguments: object) -> str:
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, arguments)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_loading_prices_imports_no_table_and_no_yaml():
    script = """
import sys
from jackline.prices import Prices
prices = Prices.load()
assert not prices.ready()
print([name for name in ("genai_prices", "pydantic", "yaml", "httpx", "asyncio") if name in sys.modules])
"""
    assert run(script) == "[]\n"


def test_off_an_event_loop_a_price_is_looked_up_at_once():
    script = """
import sys
from jackline.prices import Prices
prices = Prices.load()
assert prices.price("gpt-5", "openai", 1.0).matched == "gpt-5"
assert prices.ready()
assert "genai_prices" in sys.modules
"""
    run(script)


def test_a_thread_that_is_importing_asyncio_is_no_event_loop(monkeypatch):
    """The table's own import loads asyncio in a thread, while agents ask for prices in others."""
    monkeypatch.setitem(sys.modules, "asyncio", types.ModuleType("asyncio"))
    assert on_event_loop() is False


def test_on_an_event_loop_an_unready_price_is_unknown_and_the_table_is_warmed():
    script = """
import asyncio, sys
from jackline.prices import Prices
from jackline.events import Usage
prices = Prices.load()
async def main():
    assert prices.price("gpt-5", "openai", 1.0) is None
    assert prices.cost("gpt-5", "openai", Usage(input=1), 1.0) is None
    while not prices.ready():
        await asyncio.sleep(0)
    assert prices.price("gpt-5", "openai", 1.0).matched == "gpt-5"
asyncio.run(main())
"""
    run(script)


def test_on_an_event_loop_own_prices_count_at_once_and_a_default_does_not(tmp_path):
    script = """
import asyncio, sys
from jackline.prices import Prices
prices = Prices.load(sys.argv[1])
async def main():
    assert prices.price("mine", "", 1.0).source == "override"
    assert prices.price("gpt-5", "openai", 1.0) is None, "a dearer model must not pass as an unknown one"
asyncio.run(main())
assert prices.price("gpt-5", "openai", 1.0).source.startswith("genai-prices ")
"""
    path = tmp_path / "prices.yaml"
    path.write_text("prices: [{model: mine, input: 1, output: 1}]\ndefault: {input: 0.01, output: 0.01}\n")
    run(script, path)


def test_what_was_looked_up_is_kept_for_the_next_process(tmp_path):
    assert Prices.load(cache=tmp_path / "cache").price("gpt-5.6", "openai", 1.0).matched == "gpt-5.6-sol"
    assert Prices.load(cache=tmp_path / "cache").price("gemini-2.5-pro", "", 1.0) is not None
    (path,) = (tmp_path / "cache").iterdir()
    assert path.name == f"prices-{VERSION}.json"
    script = """
import asyncio, sys
from jackline.prices import Prices
prices = Prices.load(cache=sys.argv[1])
async def main():
    price = prices.price("gpt-5.6", "openai", 1.0)
    print(price.matched, price.source, price.cost.__name__, "genai_prices" in sys.modules, prices.ready())
asyncio.run(main())
"""
    assert run(script, tmp_path / "cache") == f"gpt-5.6-sol genai-prices {VERSION} cost False False\n"
    fresh, kept = Prices.load(), Prices.load(cache=tmp_path / "cache")
    for model, provider in (("gpt-5.6", "openai"), ("gemini-2.5-pro", "")):
        assert kept.price(model, provider, 2e9) == fresh.price(model, provider, 2e9)
    assert not kept.ready()


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"format":9,"source":"0.2.3","prices":{}}', '{"format":1,"source":"0","prices":{}}']
)
def test_a_cache_that_cannot_be_read_is_made_anew(tmp_path, content):
    path = tmp_path / f"prices-{VERSION}.json"
    path.write_text(content)
    assert Prices.load(cache=tmp_path).price("gpt-5", "openai", 1.0).matched == "gpt-5"
    assert b"gpt-5" in path.read_bytes()


def test_a_cache_that_cannot_be_written_costs_time_only(tmp_path):
    (tmp_path / "file").write_text("")
    prices = Prices.load(cache=tmp_path / "file" / "cache")
    assert prices.price("gpt-5", "openai", 1.0).matched == "gpt-5"
    assert prices.price("gpt-5", "openai", 1.0).matched == "gpt-5"


def test_an_unknown_model_is_asked_once_and_not_kept(tmp_path, monkeypatch):
    prices = Prices.load(cache=tmp_path)
    assert prices.price("agent_1", "", 1.0) is None
    monkeypatch.setattr(prices, "_table", None)
    assert prices.price("agent_1", "", 1.0) is None
    assert list(tmp_path.iterdir()) == []


def test_what_is_remembered_is_bounded(monkeypatch):
    monkeypatch.setattr(module, "_REMEMBERED", 3)
    prices = Prices.load()
    for number in range(10):
        prices.price(f"agent_{number}", "", 1.0)
        assert len(prices._known) <= 3


def test_the_table_is_loaded_once_by_one_thread(monkeypatch):
    made = []
    monkeypatch.setattr(table_module, "Table", lambda version: made.append((version, threading.current_thread())))
    prices = Prices.load()
    prices.warm()
    prices.warm(wait=10)
    ((version, thread),) = made
    assert version == VERSION
    assert thread.daemon
    assert not Prices._warming


def test_a_table_that_cannot_be_used_is_a_problem_that_is_said(monkeypatch):
    def broken(_: str) -> None:
        raise ImportError("No module named 'genai_prices'")

    monkeypatch.setattr(table_module, "Table", broken)
    prices = Prices.load()
    assert prices.warm(wait=10)
    assert prices.problem == "genai-prices cannot be used: ImportError: No module named 'genai_prices'"
    assert prices.price("gpt-5", "openai", 1.0) is None
    assert prices.cost("gpt-5", "openai", Usage(input=1), 1.0) is None


def test_a_price_under_a_condition_that_is_not_known_is_none(monkeypatch):
    class Odd:
        def lookup(self, model: str, provider: str) -> None:
            raise LookupError("A price depends on MoonPhase, which this jackline does not know.")

    prices = Prices.load()
    monkeypatch.setattr(prices, "_table", Odd())
    assert prices.price("gpt-5", "openai", 1.0) is None
    assert prices.problem.startswith("A price depends on MoonPhase")


def test_without_the_package_nothing_is_cached(monkeypatch, tmp_path):
    def missing(name: str) -> str:
        raise metadata.PackageNotFoundError(name)

    monkeypatch.setattr(metadata, "version", missing)
    assert Prices.load(cache=tmp_path)._cache is None


def test_a_fork_waits_for_the_import_so_that_the_child_can_look_up():
    script = """
import os
from jackline.prices import Prices
prices = Prices.load()
prices.warm()
pid = os.fork()
if pid == 0:
    os._exit(0 if prices.price("gpt-5", "openai", 1.0) is not None else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
assert prices.ready()
"""
    run(script)


def test_a_child_that_was_forked_in_the_middle_of_the_import_has_no_prices_and_says_so():
    """It could only wait for a lock that nobody holds."""
    script = """
import os, threading
import jackline.prices as module
module._IMPORT_S = 0
thread = threading.Thread(target=threading.Event().wait, daemon=True)
thread.start()
module.Prices._warming.add(thread)
pid = os.fork()
if pid == 0:
    prices = module.Prices.load()
    known = prices.price("gpt-5", "openai", 1.0)
    os._exit(0 if known is None and "was forked while it was being imported" in prices.problem else 3)
assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
module.Prices._warming.clear()
assert module.Prices.load().price("gpt-5", "openai", 1.0) is not None
"""
    run(script)


def test_forks_hook_waits_for_threads_that_warm(monkeypatch):
    release = threading.Event()
    thread = threading.Thread(target=release.wait)
    thread.start()
    monkeypatch.setattr(Prices, "_warming", {thread})
    release.set()
    module._finish_warming()
    assert not thread.is_alive()


def test_a_loop_is_told_from_no_loop(monkeypatch):
    assert not on_event_loop()

    async def within() -> bool:
        return on_event_loop()

    assert asyncio.run(within())
    monkeypatch.delitem(sys.modules, "asyncio")
    assert not on_event_loop()

"""What a budget promises, whatever happens between holding and settling: never over, nothing lost, nothing leaked."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

import jackline
from jackline.bundle import load_bundle
from jackline.decision import Refusal, Reservation
from jackline.events import Completed, Decided, Failed, HoldBooked
from jackline.journal import read
from jackline.ledger import Ledger
from jackline.outcome import Claims
from jackline.request import Model, Request
from jackline.testing.policies import request
from jackline_budget.bound import default_price

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from jackline.engine import Engine
    from jackline.prices import Price

AT = 1_780_000_000.0
PRICE = replace(default_price(2_000_000, 10_000_000), matched="the test's model")
SCOPES = ("cap/session/" + "5e" * 16 + "/usd", "wide/all/window/1d/{}/usd")


class Prices:
    def price(self, model: str, provider: str, at: float) -> Price:
        return PRICE


def engine(limit: str) -> Engine:
    text = f"""\
jackline: 1
policies:
  - {{name: cap, use: budget, with: {{limit: {limit}, per: session}}}}
  - {{name: wide, use: budget, with: {{limit: 100000 USD, per: all, window: 24h}}}}
"""
    return load_bundle(text, prices=Prices).engine()


def call(output: int, *, shrink: bool = True) -> Request:
    model = Model(name="gpt-5", input_bytes=52, max_tokens=output, can_limit=shrink)
    return request("model.call", model=model, at=AT)


def hold(subject: Engine, ledger: Ledger, asked: Request) -> Reservation | Refusal:
    claims = Claims(subject.decide(asked, {}))
    return ledger.reserve(claims.claims, output=claims.output, shrink=claims.shrink, at=AT)


ACTS = st.one_of(
    st.tuples(st.just("hold"), st.integers(1, 3000), st.booleans()),
    st.tuples(st.sampled_from(["settle", "release", "book", "twice"]), st.integers(0, 99), st.floats(0, 1)),
    st.tuples(st.just("crash"), st.integers(1, 3000), st.booleans()),
    st.tuples(st.just("recover"), st.just(0), st.just(0)),
)


class Story:
    """A budget in any order of events, beside what must be true of it."""

    cap = 100_000

    def __init__(self, folder: Path) -> None:
        self.ledger = Ledger.open(folder)
        self.engine = engine("0.10 USD")
        self.open: list[Reservation] = []
        self.spent = self.held = self.lost = 0

    def act(self, kind: str, number: int, how: Any) -> None:
        if kind == "hold":
            made = hold(self.engine, self.ledger, call(number, shrink=how))
            if isinstance(made, Reservation):
                self.open.append(made)
                self.held += made.holds[0].held
        elif kind == "crash":
            self.lost += self._crashed(number, how)
        elif kind == "recover":
            booked = sum(recovered.booked[SCOPES[0]] for recovered in self.ledger.recover())
            assert booked == self.lost
            self.spent, self.lost = self.spent + booked, 0
        elif self.open:
            self._end(kind, self.open.pop(number % len(self.open)), how)

    def _crashed(self, number: int, how: bool) -> int:
        """A process that dies between holding and settling; what it held."""
        before = self.ledger.balance(SCOPES[0]).held
        pid = os.fork()
        if pid == 0:
            hold(self.engine, self.ledger, call(number, shrink=how))
            os.kill(os.getpid(), signal.SIGKILL)
        os.waitpid(pid, 0)
        return self.ledger.balance(SCOPES[0]).held - before

    def _end(self, kind: str, made: Reservation, share: float) -> None:
        size = made.holds[0].held
        actual = int(size * share)
        if kind in ("settle", "twice"):
            self.ledger.settle(made, {"usd": actual}, AT)
        if kind == "twice":
            assert self.ledger.settle(made, {"usd": actual}, AT) == {}
            self.ledger.release(made)
        if kind == "release":
            self.ledger.release(made)
        if kind == "book":
            self.ledger.book(made)
        self.held -= size
        self.spent += {"release": 0, "book": size}.get(kind, actual)

    def holds(self) -> None:
        balance = self.ledger.balance(SCOPES[0])
        assert balance == (self.spent, self.held + self.lost)
        assert balance.spent + balance.held <= self.cap


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(acts=st.lists(ACTS, max_size=25))
def test_never_over_in_any_order_of_hold_settle_release_and_crash(
    tmp_path_factory: pytest.TempPathFactory, acts: list[tuple[str, int, Any]]
) -> None:
    story = Story(tmp_path_factory.mktemp("ledger"))
    try:
        for act in acts:
            story.act(*act)
            story.holds()
        for made in story.open:
            story.ledger.release(made)
        story.ledger.recover()
        assert story.ledger.balance(SCOPES[0]).held == 0
        assert story.ledger.audit() == []
    finally:
        story.ledger.close()


CAP = 200_000_000


def spend(ledger: Ledger, subject: Engine, seed: int) -> None:
    """Call until next to nothing is left: each call costs a random part of what it could."""
    chance = random.Random(seed)
    while True:
        made = hold(subject, ledger, call(4000))
        if isinstance(made, Refusal):
            if made.outstanding == 0 or made.spent > CAP * 0.95:
                return
            threading.Event().wait(0.002 * chance.random())  # others hold what is left; what they give back can be had
            continue
        most = made.holds[0].held
        ledger.settle(made, {"usd": chance.randint(most // 10, most)}, AT)


def test_64_threads_in_each_of_8_processes_use_a_cap_and_never_pass_it(tmp_path: Path) -> None:
    ledger = Ledger.open(tmp_path / "ledger", patience=60)
    subject = engine("200 USD")
    pids = []
    for process in range(8):
        pid = os.fork()
        if pid == 0:
            threads = [
                threading.Thread(target=spend, args=(ledger, subject, 64 * process + each)) for each in range(64)
            ]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            os._exit(0)
        pids.append(pid)
    seen = []
    while pids:
        done, status = os.waitpid(pids[0], os.WNOHANG)
        if done:
            assert status == 0
            pids.pop(0)
        balance = ledger.balance(SCOPES[0])
        seen.append(balance.spent + balance.held)
        threading.Event().wait(0.01)
    final = ledger.balance(SCOPES[0])
    assert max(seen) <= CAP
    assert final.held == 0
    assert CAP * 0.9 <= final.spent <= CAP
    assert ledger.audit() == []
    ledger.close()


BUNDLE = """\
jackline: 1
policies:
  - {name: cap, use: budget, with: {limit: 0.03 USD, per: user, tool_prices: {step: 0.01 USD, pages: 0.01 USD}}}
  - {name: count, use: budget, with: {limit: 1000 calls, per: all}}
"""


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("JACKLINE_HOME", str(tmp_path / "home"))
    (tmp_path / "jackline.yaml").write_text(BUNDLE, encoding="utf-8")
    return tmp_path


def events(home: Path) -> Iterator[Any]:
    for path in sorted((home / "home" / "journals").glob("*.jsonl")):
        yield from (line.event for line in read(path))


def test_a_crash_between_hold_and_settle_keeps_the_hold(home: Path) -> None:
    script = f"""
        import jackline, os, signal
        guard = jackline.Guard.load({str(home / "jackline.yaml")!r}, application="desk")

        @guard.tool
        def step():
            os.kill(os.getpid(), signal.SIGKILL)

        with guard.session(id="job-9", user="u"):
            step()
    """
    ran = subprocess.run([sys.executable, "-c", textwrap.dedent(script)], check=False, capture_output=True)
    assert ran.returncode == -signal.SIGKILL, ran.stderr
    ledger = Ledger.open(home / "home" / "ledger")
    assert [(entry.spent, entry.held) for entry in ledger.balances() if entry.unit == "usd"] == [(0, 10_000)]
    with jackline.Guard.load(home / "jackline.yaml", application="desk") as guard:
        assert [(entry.spent, entry.held) for entry in ledger.balances() if entry.unit == "usd"] == [(10_000, 0)]

        @guard.tool
        def step() -> str:
            return "done"

        with guard.session(id="job-10", user="u"):
            assert (step(), step()) == ("done", "done")
            with pytest.raises(jackline.Denied, match=r"0\.03 USD per user: 0\.03 USD spent"):
                step()
    ledger.close()
    (booked,) = [event for event in events(home) if isinstance(event, HoldBooked)]
    assert list(booked.settled.values()) == [10_000, 1]


async def cancelled_after(steps: int, work: Any) -> bool:
    """Run a coroutine for so many turns of the loop and cancel it; whether it had ended by itself."""
    task = asyncio.get_running_loop().create_task(work)
    for _ in range(steps):
        await asyncio.sleep(0)
    if task.done():
        await task
        return True
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    return False


@pytest.mark.parametrize("busy", [False, True], ids=["at once", "another thread is deciding"])
def test_cancelling_at_every_await_leaks_nothing(home: Path, busy: bool) -> None:
    text = BUNDLE.replace("0.03 USD", "100 USD")
    (home / "jackline.yaml").write_text(text, encoding="utf-8")
    ended = []
    with jackline.Guard.load(home / "jackline.yaml", application="desk") as guard:

        @guard.tool
        async def step() -> str:
            for _ in range(3):
                await asyncio.sleep(0)
            return "done"

        @guard.tool
        async def pages() -> Any:
            for number in range(3):
                await asyncio.sleep(0)
                yield number

        async def work() -> None:
            await step()
            async for _ in pages():
                await asyncio.sleep(0)

        async def story() -> None:
            for steps in range(24):
                with guard.session(id=f"job-{steps}", user="u") as session:
                    lock = occupied(session.lock) if busy else contextlib.nullcontext()
                    with lock:
                        ended.append(await cancelled_after(steps, work()))
            await asyncio.get_running_loop().shutdown_default_executor()

        asyncio.run(story())
        balances = guard.ledger.balances()
        assert [entry.held for entry in balances] == [0, 0]
        assert guard.ledger.audit() == []
    assert any(ended) is not busy, "the last ones ran to their end, but for those that waited for another thread"
    on_record = list(events(home))
    permitted = [event.span for event in on_record if isinstance(event, Decided) and event.effect == "allow"]
    outcomes = [event.span for event in on_record if isinstance(event, (Completed, Failed))]
    assert sorted(permitted) == sorted(outcomes), "every act that was permitted has one outcome"
    ended_acts = [event for event in on_record if isinstance(event, (Completed, Failed))]
    usd = sum(amount for event in ended_acts for scope, amount in event.settled.items() if scope.endswith("usd"))
    assert usd == next(entry.spent for entry in balances if entry.unit == "usd")


@contextlib.contextmanager
def occupied(lock: Any) -> Iterator[None]:
    """Hold a lock in another thread."""
    taken, free = threading.Event(), threading.Event()

    def keep() -> None:
        with lock:
            taken.set()
            free.wait()

    thread = threading.Thread(target=keep)
    thread.start()
    taken.wait()
    try:
        yield
    finally:
        free.set()
        thread.join()

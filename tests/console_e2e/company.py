"""Governed agents of a small company: a week on record, then sessions that run until standard input closes.

`company.py BUNDLE PART [N] [AGENT]`: `week` writes seven days with a clock of its own; `now` works on in N sessions; `long` makes one
session of N spans; `many` keeps N sessions open with an act of each every second; `busy` acts every few milliseconds as AGENT;
`waits` asks a person and prints what came of it.
What tools did is written to `effects.jsonl` by the tools themselves, as they begin: Jackline has no part in it.
"""

from __future__ import annotations

import contextlib
import json
import os
import random
import sys
import threading
import time

import jackline
from jackline.events import Usage
from jackline.request import Model

WEEK_S = 7 * 86_400
MODELS = {"support": "house-small", "research": "house-large", "billing": "house-small", "scraper": "nobody-knows"}
ended = threading.Event()


EFFECTS = os.open("effects.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)


def happened(tool, **what):
    """The body of a tool runs, in the session that its thread is named after."""
    line = {"tool": tool, "at": time.time(), "by": threading.current_thread().name, **what}
    os.write(EFFECTS, json.dumps(line).encode() + b"\n")


def say(**told):
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


class Clock:
    """Time that passes only when it is told to; at the end it is the real one."""

    def __init__(self):
        self.at = time.time()
        self.real = True

    def __call__(self):
        return time.time() if self.real else self.at

    def wait(self, seconds):
        if self.real:
            ended.wait(seconds)
        else:
            self.at += seconds


class Company:
    """Agents, their tools and models."""

    def __init__(self, bundle):
        self.clock = Clock()
        self.random = random.Random(17)
        self.guard = jackline.Guard.load(bundle, application="desk", clock=self.clock)
        tool = self.guard.tool

        @tool(name="crm.get", read_only=True)
        def crm_get(customer: str) -> str:
            happened("crm.get", customer=customer)
            self.clock.wait(self.random.uniform(0.05, 0.4))
            return f"{customer}@example.com"

        @tool(name="web.search", read_only=True)
        def web_search(query: str) -> str:
            happened("web.search", query=query)
            self.clock.wait(self.random.uniform(0.3, 1.6))
            if self.random.random() < 0.12:
                raise TimeoutError(query)
            return "12 results"

        @tool
        def refund(order: str, amount: float, customer: str = "") -> str:
            happened("refund", order=order, amount=amount)
            self.clock.wait(0.3)
            return f"paid {amount} for {order} {customer}".strip()

        @tool(name="mail.send")
        def mail_send(to: str, subject: str) -> str:
            happened("mail.send", to=to)
            self.clock.wait(0.2)
            return f"{subject} to {to}"

        @tool(name="crm.export")
        def crm_export(table: str) -> str:
            happened("crm.export", table=table)
            return table

        @tool(name="desk.tick")
        def tick() -> None:
            happened("desk.tick")

        self.crm_get, self.web_search, self.refund, self.mail_send = crm_get, web_search, refund, mail_send
        self.crm_export, self.tick = crm_export, tick

    def think(self, agent, tokens=1200):
        """One model call."""
        name = MODELS[agent]
        model = Model(name=name, provider="house", max_tokens=400, input_bytes=tokens * 4)
        request = self.guard.request("model.call", name, {"messages": [{"role": "user", "content": "…"}]}, model=model)
        decision = self.guard.require(request)
        self.clock.wait(self.random.uniform(0.6, 2.4))
        self.guard.complete(
            request,
            decision,
            "go on",
            usage=Usage(input=tokens, output=self.random.randint(40, 380), cache_read=tokens // 3),
            model=name,
        )

    def support(self, number, refund=20.0):
        """A customer asks; one refund, one mail."""
        self.think("support", 900)
        self.crm_get(f"c-{number}")
        self.think("support", 1400)
        with contextlib.suppress(jackline.Denied, jackline.ApprovalPending):
            self.refund(f"A-{number}", refund, f"c-{number}")
        if number % 4 == 0:
            with contextlib.suppress(jackline.Denied):
                self.crm_export("customers")
        self.think("support", 1700)
        self.mail_send(f"c-{number}@example.com", "your refund")

    def research(self, number):
        """A planner hands searches to a second agent."""
        self.think("research", 3000)
        for part in range(self.random.randint(2, 5)):
            with self.guard.run(self.guard.agent("scraper")):
                with contextlib.suppress(TimeoutError):
                    self.web_search(f"topic {number}.{part}")
                self.think("scraper", 2500)
        self.think("research", 6000)

    def week(self):
        """Seven days, faster than they pass."""
        start = time.time() - WEEK_S
        self.clock.real = False
        for number in range(60):
            self.clock.at = start + WEEK_S * number / 60 + self.random.uniform(0, 3600)
            if number % 3 == 0:
                agent = self.guard.agent("research", team="insight", labels={"purpose": "market"}, version="2.1")
                with (
                    contextlib.suppress(jackline.Halted),
                    self.guard.session(id=f"study-{number}", user="ines", agent=agent),
                ):
                    self.research(number)
            else:
                agent = self.guard.agent("support", team="care", labels={"customer-data": "yes"}, version="1.4")
                with (
                    contextlib.suppress(jackline.Halted),
                    self.guard.session(id=f"ticket-{number}", user=f"u-{number % 5}", agent=agent),
                ):
                    self.support(number, 900.0 if number % 10 == 7 else 20.0)
        self.clock.real = True

    def waits(self, number):
        """A refund that a person must permit: asked again until there is an answer."""
        threading.current_thread().name = f"waits-{number}"
        agent = self.guard.agent("support", team="care", labels={"customer-data": "yes"}, version="1.4")
        with self.guard.session(id=f"waits-{number}", user="u-9", agent=agent) as session:
            say(session=session.id)
            self.think("support", 900)
            told = ""
            while not ended.is_set():
                try:
                    what = f"ran {self.refund(f'B-{number}', 1800.0, 'c-9')}"
                except jackline.ApprovalPending:
                    what = "pending"
                except jackline.Denied as denied:
                    what = f"denied {denied.decision.reason}"
                except jackline.Halted as halted:
                    what = f"halted {halted}"
                if what != told:
                    told = what
                    say(now=what)
                if what != "pending":
                    break
                ended.wait(0.1)

    def works(self, number, agent_name):
        """One live session, until it is stopped."""
        agent = self.guard.agent(agent_name, version="2.1" if agent_name == "research" else "1.4")
        with self.guard.session(id=f"live-{number}", user=f"u-{number}", agent=agent) as session:
            say(session=session.id)
            turn = 0
            while not ended.is_set():
                turn += 1
                job = number + 100 * turn  # never the same call twice: that would be a loop
                try:
                    if agent_name == "research":
                        self.research(job)
                    else:
                        self.support(job)
                except jackline.Halted as halted:
                    say(halted=str(halted), at=time.time())
                    return
                except jackline.Denied as denied:
                    say(denied=denied.decision.reason, at=time.time())
                    ended.wait(0.3)

    def now(self, sessions):
        """Live sessions at once, of three agents in turn."""
        threads = [
            threading.Thread(target=self.works, args=(n, ["support", "research", "billing"][n % 3]))
            for n in range(sessions or 3)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def busy(self, number, agent):
        """One live session that acts all the time: stopped or not, it tries again."""
        threading.current_thread().name = f"busy-{number}"
        with self.guard.session(id=f"busy-{number}", user="u-3", agent=self.guard.agent(agent)) as session:
            say(session=session.id)
            while not ended.wait(0.02):
                with contextlib.suppress(jackline.Denied, jackline.Halted):
                    self.tick()

    def long(self, spans):
        """One session of so many spans, at once."""
        self.clock.real = False
        with self.guard.session(id="long", user="u-1", agent="support"):
            for number in range(spans // 10):
                with self.guard.run(self.guard.agent("scraper")):
                    for part in range(9):
                        self.clock.at += 0.01
                        with contextlib.suppress(jackline.Denied):
                            if number % 50 == 7 and part == 3:
                                self.crm_export("customers")
                            else:
                                self.crm_get(f"c-{part}")
        self.clock.real = True

    def many(self, sessions):
        """So many sessions; each acts once a second, spread over it."""
        with contextlib.ExitStack() as stack:
            opened = [
                stack.enter_context(self.guard.session(id=f"many-{n}", user=f"u-{n % 7}", agent="support"))
                for n in range(2)
            ]
            say(sessions=len(opened))
            threads = [threading.Thread(target=self.one_of_many, args=(n, sessions)) for n in range(sessions)]
            for thread in threads:
                thread.start()
            say(running=sessions)
            for thread in threads:
                thread.join()

    def one_of_many(self, number, sessions):
        ended.wait(number / sessions)
        with self.guard.session(id=f"many-{number}", user=f"u-{number % 7}", agent="support"):
            while not ended.wait(1.0):
                with contextlib.suppress(jackline.Denied):
                    self.crm_export("t") if number % 40 == 3 else self.quick(number)

    def quick(self, number):
        request = self.guard.request("tool.call", "crm.get", {"customer": f"c-{number}"})
        decision = self.guard.require(request)
        self.guard.complete(request, decision, "x")


def watch():
    sys.stdin.read()
    ended.set()


def main(bundle, part, number="0", agent="support"):
    threading.Thread(target=watch, daemon=True).start()
    company = Company(bundle)
    if part == "week":
        company.week()
    elif part == "waits":
        company.waits(int(number))
    elif part == "now":
        company.now(int(number))
    elif part == "busy":
        company.busy(int(number), agent)
    elif part == "long":
        company.long(int(number))
    elif part == "many":
        company.many(int(number))
    company.guard.close()
    say(done=part)


if __name__ == "__main__":
    main(*sys.argv[1:])

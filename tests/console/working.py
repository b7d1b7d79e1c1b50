"""A governed agent in a process of its own: works until it is ended, or its standard input closes."""

from __future__ import annotations

import json
import sys
import threading

import jackline
from jackline.events import Usage
from jackline.request import Model

ended = threading.Event()


def say(**told):
    sys.stdout.write(json.dumps(told) + "\n")
    sys.stdout.flush()


def watch():
    sys.stdin.read()
    ended.set()


def main(bundle, session, pace):
    guard = jackline.Guard.load(bundle, application="desk")

    @guard.tool
    def step(number):
        return number

    @guard.tool
    def refund(order, amount):
        say(ran="refund", order=order, amount=amount)
        return "paid"

    threading.Thread(target=watch, daemon=True).start()
    with guard.session(id=session, user="u-9") as opened:
        say(session=opened.id)
        told = ""
        for number in range(1_000_000):
            try:
                if pace == "refund":
                    refund(order="A-1", amount=600.0)
                    return
                step(number)
                now = "works"
                if pace == "spend" and number % 5 == 0:
                    spend(guard)
            except jackline.Halted as signal:
                say(halted=str(signal))
                return
            except jackline.ApprovalPending as signal:
                now = f"pending {signal.decision.approvals}"
            except jackline.Denied as signal:
                now = f"denied {signal.decision.rule}: {signal.decision.reason}"
            if now != told:
                told = now
                say(now=told)
            if ended.wait(0.001 if pace == "fast" else 0.02):
                break
        say(steps=number + 1)


def spend(guard):
    model = Model(name="gpt-4o-mini", provider="openai", max_tokens=10, input_bytes=10)
    request = guard.request("model.call", "gpt-4o-mini", {"messages": []}, model=model)
    decision = guard.require(request)
    guard.complete(request, decision, result="x", usage=Usage(input=1000, output=500), model="gpt-4o-mini")


if __name__ == "__main__":
    main(*sys.argv[1:])

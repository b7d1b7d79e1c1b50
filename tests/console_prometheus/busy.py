"""A governed agent that does a bit of everything, until its standard input closes."""

from __future__ import annotations

import contextlib
import json
import sys
import threading

import jackline
from jackline.events import Usage
from jackline.request import Agent, Model

ended = threading.Event()


def watch():
    sys.stdin.read()
    ended.set()


def think(guard):
    model = Model(name="gpt-4o-mini", provider="openai", max_tokens=10, input_bytes=10)
    request = guard.request("model.call", model.name, {"messages": []}, model=model)
    decision = guard.require(request)
    usage = Usage(input=1000, output=500, cache_read=200, cache_write=100, reasoning=50)
    guard.complete(request, decision, result="x", usage=usage, model=model.name)


def main(bundle):
    guard = jackline.Guard.load(bundle, application="desk")

    @guard.tool
    def look(number):
        ended.wait(0.02)
        return number

    @guard.tool
    def broken(number):
        raise OSError(f"no {number}")

    @guard.tool
    def forbidden(number):
        return number

    threading.Thread(target=watch, daemon=True).start()
    with guard.session(id="busy"), guard.run(Agent(name="support", version="2", framework="python")):
        sys.stdout.write(json.dumps({"works": True}) + "\n")
        sys.stdout.flush()
        for number in range(1_000_000):
            think(guard)
            for tool in (look, broken, forbidden):
                with contextlib.suppress(OSError, jackline.Denied):
                    tool(number)
            if ended.wait(0.1):
                return


if __name__ == "__main__":
    main(*sys.argv[1:])

"""A crew that sends one mail, about which people are asked: `waiting_crew.py BUNDLE HOME EFFECTS`; a mail is a byte."""

from __future__ import annotations

import os
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))

from crew_fakes import calling, crew, fake
from crewai.tools import tool

import jackline_crewai
from jackline import Guard


def main(bundle: str, home: str, effects: str) -> None:
    done = os.open(effects, os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    @tool("send_mail")
    def send_mail(to: str, body: str) -> str:
        """Send a mail."""
        os.write(done, b"m")
        return f"sent to {to}"

    with Guard.load(bundle, home=home, application="desk") as guard:
        jackline_crewai.enable(guard)
        with guard.session(id="job-1"):
            crew(fake(calling(("send_mail", {"to": "boss", "body": "x"})), "done"), send_mail).kickoff()


if __name__ == "__main__":
    main(*sys.argv[1:])

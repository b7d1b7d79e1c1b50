"""What the routes of one console share: the home, its index, its journal, who is logged in, what is watched."""

from __future__ import annotations

import asyncio
import contextlib
import re
import secrets
import time
from typing import TYPE_CHECKING

from jackline.alert_rules import default_rules
from jackline.answers import public_text
from jackline.cli import keys, state
from jackline.errors import JacklineError
from jackline.events import Event, EventsLost, LoginFailed
from jackline.journal import Journal
from jackline.journal.refusals import Refusals
from jackline.person import Person
from jackline.plugins import installed_plugins
from jackline_console.access.attempts import Attempts
from jackline_console.access.logins import Login, Logins
from jackline_console.access.users import PREFIX, Users
from jackline_console.alerts.alerter import Alerts
from jackline_console.alerts.delivery_channels import Channels
from jackline_console.alerts.silences import Silences
from jackline_console.bundles import Bundles
from jackline_console.live import Live
from jackline_console.metrics import Metrics
from jackline_console.otlp.intake import Intake
from jackline_console.otlp.lines import Lines
from jackline_console.problems import unknown
from jackline_console.questions import Questions
from jackline_console.reported import Subjects
from jackline_console.tail import Tail

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    from jackline.alert_rules import AlertRule
    from jackline.stores import SessionRow
    from jackline_console.access.oidc import Provider
    from jackline_console.settings import Settings
    from jackline_console.stream import Stream

_ID = re.compile(r"[0-9a-f]{32}")


class Console:
    """Opened once for a server. Raises JacklineError where the home cannot be used."""

    def __init__(self, settings: Settings, clock: Callable[[], float] = time.time) -> None:
        self.settings = settings
        self.clock = clock
        self.home = settings.home.make()
        self.store = installed_plugins().registrations.store("sqlite")(self.home.index)
        self.journal = Journal.open(self.home.journals, writer="console", clock=clock)
        self.users = Users(self.home.path / "console")
        self.logins = Logins(settings.session_s, settings.idle_s)
        self.attempts = Attempts()
        self.refusals = Refusals(self.record)
        self.bundles = Bundles(self.home, settings.bundle)
        self.questions = Questions(self.home, self.bundles)
        self.live = Live(self.home, self.store, self.questions.pending, clock)
        self.tail = Tail(self.home, self.store, self.live, ingesting=settings.ingest, clock=clock)
        self.silences = Silences(self.store)  # after the tail: what comes in from here on is told to both
        self.channels = Channels(self.home, self.bundles.targets, clock=clock)
        self.subjects = Subjects(self.home, self.store)
        self.alerts = Alerts(
            self.home,
            self.store,
            self.silences,
            rules=self._rules_now,
            delivery=self.channels,
            reported=self.subjects.reported,
            clock=clock,
        )
        self.live.alerts = self.alerts
        self.tail.silences = self.silences
        self.tail.alerts = self.alerts if settings.alerts else None
        self.parsing = asyncio.Semaphore(2)
        """Bodies of reports that are parsed at once: each may need many times its size."""
        self.otlp = Intake(self.home, self.store, self.tail.nudge, clock)
        self.tail.each_look = self.otlp.sweep
        self.lines = Lines(self.home.journals, self.home.path / "otlp")
        self.streams: set[Stream] = set()
        self.metrics = Metrics(self)
        self.secret = ""
        """What a process of the same user proves itself with, to ask for a link; empty: nobody can."""
        self._closed = False
        self.provider = _provider(settings)
        self.owner = state.person()
        self.started = clock()

    def close(self) -> None:
        """End what runs; every line that was written stays. Closing it again does nothing."""
        if self._closed:
            return
        self._closed = True
        self.tail.stop()
        self.alerts.close()
        self.channels.stop()
        self.otlp.close()
        self.journal.close()
        self.live.close()
        self.store.close()

    def record(self, event: Event) -> None:
        """Put an event on record in the console's own journal. Raises JournalError."""
        self.journal.append(event)
        self.tail.nudge()

    def person(self, login: Login) -> Person:
        """Somebody who is logged in, at the controls."""
        return Person(self.home, login.name, self.record, self.clock)

    def session(self, name: str) -> SessionRow:
        """The session with this id, beginning of an id, or external id. Raises ProblemError."""
        row: SessionRow | None = self.store.session(name)
        if row is None:
            unknown(
                "session",
                name,
                "the id of a session, the beginning of one, or an external id",
                "GET /api/v1/sessions lists them",
            )
        return row

    def session_id(self, name: str) -> str:
        """The whole id of a session. One that is whole is taken at its word: the index may not know it yet."""
        return name if _ID.fullmatch(name) else self.session(name).session

    def token_login(self, text: str, address: str) -> Login | None:
        """The login of a script by its token. On record it is `token NAME`, which is nobody's name."""
        now = self.clock()
        if self.secret and secrets.compare_digest(text.encode(), self.secret.encode()):
            return Login(name=self.owner, role="admin", how="token")
        token = self.users.token(text, now) if text.startswith(PREFIX) else None
        if token is None:
            reason = "unknown, expired or revoked"
            self.refused(LoginFailed(at=now, name="", how="token", reason=reason, address=address))
            return None
        self.users.used(token, now)
        name, standing = f"token {token.name}", token.id
        return Login(name=name, role=token.role, how="token", expires=token.expires, standing=standing)

    def cookie_login(self, text: str) -> Login | None:
        """The login of a browser by its cookie; None where there is none, it is over, or its user was changed."""
        login = self.logins.find(text, self.clock())
        return login if login is not None and self.holds(login) else None

    def holds(self, login: Login) -> bool:
        """Whether a login still is one, by the users' file as it is now, whoever changed it."""
        now = self.clock()
        if login.how == "token":
            token = self.users.tokens().get(login.standing)
            return not login.standing or (token is not None and (token.expires is None or now < token.expires))
        if login.how != "link":
            user = self.users.users().get(login.name)
            if user is None or user.standing != login.standing:
                self.logins.end(login)
        return self.logins.holds(login, now)

    def refused(self, event: LoginFailed) -> None:
        """Put on record that somebody was not let in who needs no password; floods are counted only."""
        if self.attempts.attempt("", event.address, event.at) > 0:
            self.refusals.count()
        else:
            self.refusals.tell(event)

    def end_streams(self) -> None:
        """End the streams of logins that are over."""
        for stream in list(self.streams):
            if not self.holds(stream.login):
                stream.end("the login has ended")

    def lost_events(self) -> int:
        """Observations that could not be written, by every process's own word."""
        events = (row.event for row in self.store.audits(["events_lost"], 5000))
        return sum(event.count for event in events if isinstance(event, EventsLost))

    def alert_rules(self) -> Sequence[AlertRule]:
        """The rules of alerts in force: those at work, or where none are run here, those of the bundle."""
        return self.alerts.rules if self.alerts.running else self._rules_now() or tuple(default_rules().values())

    def _rules_now(self) -> Sequence[AlertRule] | None:
        found = self.bundles.found()
        if found is None:
            return tuple(default_rules().values())
        return found.bundle.alerts if found.bundle is not None else None

    def signing_keys(self, login: Login) -> dict[str, Ed25519PrivateKey]:
        """With which keys this login can answer, by the approver's name: those that the bundle pins.

        A user who logged in answers with the key that this console keeps for them, as the approver of that name, or
        whose `user` they are (who come from a provider are called by an address). On loopback, where the console runs
        for one person, all keys of that person answer.
        """
        people = self.bundles.approvers().people
        owner = self.settings.loopback and login.how == "link"
        found: dict[str, Ed25519PrivateKey] = {}
        for name, one in people.items():
            own = login.how != "token" and login.name in (name, one.user)
            for file in dict.fromkeys([name, login.name] if own else [name] if owner else []):
                with contextlib.suppress(JacklineError, OSError):
                    key = keys.load(file)[1]
                    if public_text(key) == one.key:
                        found[name] = key
        return found


def _provider(settings: Settings) -> Provider | None:
    if settings.oidc is None:
        return None
    try:
        from jackline_console.access.oidc import Provider  # noqa: PLC0415 - an extra that few need
    except ImportError as error:
        raise JacklineError(
            f"OIDC needs what is not installed ({error.name}): pip install jackline-console[oidc]"
        ) from error

    return Provider(settings.oidc)

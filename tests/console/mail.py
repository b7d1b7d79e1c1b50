"""A real SMTP server on loopback, and the webhook's receiver of the approvals' tests."""

from __future__ import annotations

import asyncio
import email
import email.policy
import sys
import threading
from pathlib import Path

from aiosmtpd.smtp import SMTP

sys.path.insert(0, str(Path(__file__).parents[1] / "approvals"))

from receiver import SHARED, Receiver

__all__ = ["SHARED", "MailServer", "Receiver"]


class MailServer:
    """Takes mails, answers with the next of `answers` (250 where none is left), keeps what it took."""

    def __init__(self):
        self.got, self.answers = [], []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._thread.start()
        made = self._loop.create_server(lambda: SMTP(self, loop=self._loop), "127.0.0.1", 0)
        self._server = asyncio.run_coroutine_threadsafe(made, self._loop).result(10)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"mailto://127.0.0.1:{self.port}?smtp=127.0.0.1&from=jackline@example.com&to=ops@example.com"

    async def handle_DATA(self, _server, _session, envelope):  # noqa: N802 - aiosmtpd's name
        if self.answers:
            return self.answers.pop(0)
        self.got.append(email.message_from_bytes(envelope.content, policy=email.policy.default))
        return "250 taken"

    @property
    def subjects(self):
        return [str(mail["subject"]) for mail in self.got]

    def close(self):
        async def end():
            self._server.close()
            for task in asyncio.all_tasks() - {asyncio.current_task()}:
                task.cancel()

        asyncio.run_coroutine_threadsafe(end(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(10)
        self._loop.close()

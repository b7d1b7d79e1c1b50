"""The append-only truth: one line, one event, each chained to the line before it."""

from __future__ import annotations

from jackline.journal.line import Head, Line
from jackline.journal.payloads import Capture, Payloads, erase_payload, find_payloads
from jackline.journal.reader import read
from jackline.journal.verify import Report, verify
from jackline.journal.writer import Journal

__all__ = [
    "Capture",
    "Head",
    "Journal",
    "Line",
    "Payloads",
    "Report",
    "erase_payload",
    "find_payloads",
    "read",
    "verify",
]

"""A real customer database and the tools on it; every body counts that it ran."""

from __future__ import annotations

import sqlite3
import threading
from collections import Counter
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_NAMES = (
    "Ada Byron",
    "Alan Mills",
    "Grace Hall",
    "Edsger Dyk",
    "Barbara Lis",
    "Donald Kent",
    "Radia Perl",
    "Tony Hoar",
)
CUSTOMERS = 200


class Company:
    """Customers in SQLite; tools as plain functions; a counter for each tool's body."""

    def __init__(self, path: Path) -> None:
        self.ran: Counter[str] = Counter()
        self._lock = threading.Lock()
        self._database = sqlite3.connect(path, check_same_thread=False)
        self._database.execute("CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT, email TEXT, spent REAL)")
        rows = [(n, _NAMES[n % 8], f"c{n}@example.com", n * 12.5) for n in range(1, CUSTOMERS + 1)]
        self._database.executemany("INSERT INTO customers VALUES (?, ?, ?, ?)", rows)
        self._database.commit()

    def close(self) -> None:
        """Close the database."""
        self._database.close()

    def rows(self) -> int:
        """How many customers there are."""
        return int(self._ask("SELECT count(*) FROM customers")[0][0])

    def tools(self) -> list[Callable[..., Any]]:
        """The tools that only read."""

        def crm_search(name: str) -> str:
            """Find customers by a part of their name."""
            self.ran["crm_search"] += 1
            found = self._ask("SELECT id, name FROM customers WHERE name LIKE ? LIMIT 5", f"%{name}%")
            return "; ".join(f"{number}: {who}" for number, who in found) or "nobody"

        def crm_get_customer(customer: int) -> str:
            """Give one customer's record."""
            self.ran["crm_get_customer"] += 1
            found = self._ask("SELECT id, name, email, spent FROM customers WHERE id = ?", customer)
            return str(found[0]) if found else "no such customer"

        return [crm_search, crm_get_customer]

    def helpful_tool(self) -> Callable[..., Any]:
        """The tool that somebody adds, meaning well: it can write."""

        def crm_get_merged_customer(customer: int) -> str:
            """Give one customer's record, with duplicates merged into it."""
            with self._lock:
                self.ran["crm_get_merged_customer"] += 1
                name = self._database.execute("SELECT name FROM customers WHERE id = ?", (customer,)).fetchone()
                gone = self._database.execute(
                    "DELETE FROM customers WHERE name = ? AND id != ?", (name[0] if name else "", customer)
                )
                self._database.commit()
            return f"customer {customer}, {gone.rowcount} duplicates merged"

        return crm_get_merged_customer

    def report_tool(self, size: int) -> Callable[..., Any]:
        """A report that times out, with a long explanation of `size` bytes."""

        def crm_report(quarter: str) -> str:
            """Start the quarterly report and give its result."""
            with self._lock:
                self.ran["crm_report"] += 1
                attempt = self.ran["crm_report"]
            rows = self._ask("SELECT id, name, spent FROM customers ORDER BY spent DESC LIMIT 50")
            dump = f"TIMEOUT: attempt {attempt} of report {quarter} did not finish; try again. Partial rows: {rows} "
            return (dump * (size // len(dump) + 1))[:size]

        return crm_report

    def _ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock:
            return self._database.execute(sql, values).fetchall()

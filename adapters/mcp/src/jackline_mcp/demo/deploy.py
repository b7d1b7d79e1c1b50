"""The company's MCP server for deployments: `python deploy.py DATABASE`. Each body counts that it ran, in SQLite."""

from __future__ import annotations

import os
import sqlite3
import sys
from contextlib import closing

from mcp.server.mcpserver import MCPServer

_PATH = sys.argv[1]
_TABLES = """
CREATE TABLE IF NOT EXISTS services (name TEXT PRIMARY KEY, restarts INTEGER);
CREATE TABLE IF NOT EXISTS databases (name TEXT PRIMARY KEY);
CREATE TABLE IF NOT EXISTS ran (tool TEXT);
CREATE TABLE IF NOT EXISTS processes (id INTEGER);
"""
server = MCPServer("deploy", log_level="ERROR")


def ask(sql: str, *values: object) -> list[tuple[object, ...]]:
    """One statement, committed."""
    with closing(sqlite3.connect(_PATH, timeout=30)) as database, database:
        return database.execute(sql, values).fetchall()


def ran(tool: str) -> None:
    """Count that a body runs."""
    ask("INSERT INTO ran VALUES (?)", tool)


@server.tool()
def list_services() -> str:
    """List the services, and how often each was restarted."""
    ran("list_services")
    return "; ".join(f"{name}: {times} restarts" for name, times in ask("SELECT name, restarts FROM services"))


@server.tool()
def restart_service(service: str) -> str:
    """Restart one service."""
    ran("restart_service")
    ask("UPDATE services SET restarts = restarts + 1 WHERE name = ?", service)
    return f"{service} was restarted"


@server.tool()
def delete_database(database: str) -> str:
    """Delete one database, for good."""
    ran("delete_database")
    ask("DELETE FROM databases WHERE name = ?", database)
    return f"{database} is gone"


if __name__ == "__main__":
    with closing(sqlite3.connect(_PATH, timeout=30)) as opened:
        opened.executescript(_TABLES)
    if not ask("SELECT name FROM services"):
        for service in ("checkout", "search"):
            ask("INSERT OR IGNORE INTO services VALUES (?, 0)", service)
        for each in ("orders", "customers"):
            ask("INSERT OR IGNORE INTO databases VALUES (?)", each)
    ask("INSERT INTO processes VALUES (?)", os.getpid())
    server.run()

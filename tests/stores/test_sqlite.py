"""What is SQLite's own: versions with a bug, locks, damage, rights, migrations."""

from __future__ import annotations

import sqlite3
import stat
import subprocess
import sys
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory

from jackline.errors import StoreError
from jackline.events import ApprovalConsumed
from jackline.ingest import ingest
from jackline.journal import verify
from jackline.stores import RULES, schema, sqlite
from jackline.stores.sql import MIGRATIONS
from jackline.stores.sqlite import SQLiteStore, has_wal_reset_bug, sqlite_warning
from jackline.testing.journals import AT, ONE, approval, story, write


@pytest.mark.parametrize(
    ("version", "affected"),
    [
        ((3, 6, 23), False),
        ((3, 7, 0), True),
        ((3, 40, 1), True),
        ((3, 44, 5), True),
        ((3, 44, 6), False),
        ((3, 45, 0), True),
        ((3, 50, 6), True),
        ((3, 50, 7), False),
        ((3, 51, 0), True),
        ((3, 51, 2), True),
        ((3, 51, 3), False),
        ((3, 54, 1), False),
        ((4, 0, 0), False),
    ],
)
def test_the_versions_with_the_wal_reset_bug(version, affected, monkeypatch):
    assert has_wal_reset_bug(version) is affected
    monkeypatch.setattr(sqlite3, "sqlite_version_info", version)
    monkeypatch.setattr(sqlite3, "sqlite_version", ".".join(map(str, version)))
    warning = sqlite_warning()
    if affected:
        assert warning is not None
        assert warning.startswith(
            f"SQLite {'.'.join(map(str, version))} has the WAL-reset bug (mended in 3.51.3, 3.50.7"
        )
    else:
        assert warning is None


@pytest.mark.parametrize(("affected", "mode"), [(True, "delete"), (False, "wal")])
def test_an_affected_version_uses_no_wal(home, monkeypatch, affected, mode):
    for first in (not affected, affected):
        monkeypatch.setattr(sqlite, "has_wal_reset_bug", lambda _version, bug=first: bug)
        store = SQLiteStore(home / "index.db")
        store.close()
    with sqlite3.connect(home / "index.db") as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == (mode,)
    connection.close()


def test_only_the_owner_can_read_the_index(store):
    assert stat.S_IMODE(store.path.stat().st_mode) == 0o600


def test_it_opens_by_url(home):
    store = SQLiteStore(f"sqlite:///{home / 'index.db'}")
    assert store.path == home / "index.db"
    store.close()


def test_a_place_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        StoreError, match=r"The index .*index.db cannot be made: Not a directory. Choose another JACKLINE_HOME"
    ):
        SQLiteStore(tmp_path / "file" / "x" / "index.db")


@pytest.mark.parametrize("damage", ["overwritten", "not a database", "truncated"])
def test_a_damaged_index_says_that_it_can_be_rebuilt_and_writers_go_on(home, damage):
    journal = write(home, story(), close=False)
    store = SQLiteStore(home / "index.db")
    ingest(home, store)
    store.close()
    data = bytearray(store.path.read_bytes())
    if damage == "overwritten":
        data[4096:] = b"\xa5" * (len(data) - 4096)
    elif damage == "truncated":
        del data[5000:]
    else:
        data = bytearray(b"not a database at all" * 100)
    store.path.write_bytes(data)
    told = r"The index .*index.db cannot be used: .*delete the file and run `jackline ingest`, it is rebuilt from them"
    with pytest.raises(StoreError, match=told):
        ingest(home)
    journal.append(story()[0])
    journal.close()
    store.path.unlink()
    assert ingest(home).events == len(story()) + 3
    assert verify(home / "journals")[0].ok


def test_a_locked_index_is_told_and_writers_go_on(home, store, monkeypatch):
    journal = write(home, story(), close=False)
    holder = subprocess.Popen(
        [sys.executable, "-c", LOCK, str(store.path)], stdout=subprocess.PIPE, stdin=subprocess.PIPE, text=True
    )
    assert holder.stdout.readline() == "locked\n"
    monkeypatch.setattr(sqlite, "_WAIT_MS", 50)
    with pytest.raises(
        StoreError, match=r"The index .*index.db is locked by another process. Nothing is lost: try again"
    ):
        ingest(home)
    journal.append(story()[0])
    holder.communicate("")
    journal.close()
    assert ingest(home, store).events == len(story()) + 3


LOCK = """
import sqlite3, sys
connection = sqlite3.connect(sys.argv[1], isolation_level=None)
connection.execute("BEGIN EXCLUSIVE")
print("locked", flush=True)
sys.stdin.read()
"""


def test_an_index_that_is_deleted_while_it_is_open_is_made_anew(home, store):
    write(home, story())
    ingest(home, store)
    store.close()
    store.path.unlink()
    assert ingest(home).events == len(story()) + 2


def test_the_migrations_make_the_tables_that_the_code_knows(store):
    with store._reading() as connection:
        assert compare_metadata(MigrationContext.configure(connection), schema.metadata) == []
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    assert ScriptDirectory.from_config(config).get_current_head() == schema.REVISION


AS_0002 = [
    "DROP TABLE approvals",
    "DROP TABLE alerts",
    *(f"DROP INDEX {name}" for name in ("sessions_last_at", "sessions_halted", "session_agents_agent", "spans_open")),
    *(f"DROP TABLE {name}_daily" for name in ("agent", "usage", "tool", "policy")),
    *(f"DROP TABLE {name}" for name in ("agent_hourly", "histograms", "histograms_named", "histograms_ever", "audits")),
    *(f"ALTER TABLE sessions DROP COLUMN {name}" for name in ("root_by", "ceiling_by", "ceiling")),
    "UPDATE alembic_version SET version_num = '0002'",
]
"""What makes an index of today one of revision 0002."""


def test_what_was_ingested_before_there_were_rows_of_approvals_is_in_them(home, store):
    """An index that was made at revision 0002 tells the same as one that is made anew."""
    journal = write(home, [*story(), approval("a"), approval("b")], close=False)
    journal.append(ApprovalConsumed(at=AT + 9, approval="a" * 64, session=ONE, span="07", by=("ana",)))
    journal.close()
    ingest(home, store)
    before = store.approvals()
    sums = [store.usage(("day", "agent", "model")), store.tool_usage(), store.policy_usage(("hour", "effect"))]
    assert all(sums)
    with store._writing() as connection:
        for statement in AS_0002:
            connection.execute(sa.text(statement))
    store.close()
    again = SQLiteStore(store.path)
    assert [row.state for row in again.approvals(ONE)] == ["consumed", "pending"]
    assert again.approvals() == before
    now = [again.usage(("day", "agent", "model")), again.tool_usage(), again.policy_usage(("hour", "effect"))]
    assert now == sums, "hours are kept, days are made of them"
    with again._writing() as connection:
        for name, table in schema.metadata.tables.items():
            found = sa.inspect(connection)
            assert {one["name"] for one in found.get_columns(name)} == {one.name for one in table.c}, name
            assert {one["name"] for one in found.get_indexes(name)} == {one.name for one in table.indexes}, name
    again.close()


def test_the_rules_know_every_column():
    for name, rules in RULES.items():
        table = schema.metadata.tables[name]
        assert [column.name for column in table.primary_key] == list(rules.key), name
        assert {column.name for column in table.c} == {*rules.key, *rules.blank}, name


def test_an_index_of_a_newer_jackline_is_left_alone(store):
    with store._writing() as connection:
        connection.execute(sa.text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match=r"was made by a newer Jackline .*9999.*: upgrade Jackline to read it"):
        SQLiteStore(store.path)


def test_opening_a_ready_index_loads_no_alembic(store):
    code = (
        "import sys; from pathlib import Path; from jackline.stores.sqlite import SQLiteStore; "
        "SQLiteStore(Path(sys.argv[1])).close(); assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code, str(store.path)], check=True)


def test_two_processes_that_open_a_new_index_at_once(home):
    code = "import sys; from pathlib import Path; from jackline.stores.sqlite import SQLiteStore; print(SQLiteStore(Path(sys.argv[1])).epoch)"
    openers = [
        subprocess.Popen([sys.executable, "-c", code, str(home / "index.db")], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    epochs = {opener.communicate()[0] for opener in openers}
    assert [opener.returncode for opener in openers] == [0, 0, 0]
    assert len(epochs) == 1


def test_a_reader_does_not_wait_for_a_writer_to_begin(home, store):
    write(home, story())
    ingest(home, store)
    with store._writing():
        again = SQLiteStore(store.path)
        assert len(again.sessions()) == 1
        again.close()


def test_a_path_with_a_percent_sign(tmp_path):
    store = SQLiteStore(tmp_path / "100%s" / "index%d.db")
    assert store.positions() == {}
    store.close()


def test_stores_load_no_database_before_they_are_used():
    code = (
        "import sys; before = set(sys.modules); import jackline.stores, jackline.ingest; "  # coverage has sqlite3 already
        "assert not {'sqlalchemy', 'alembic', 'sqlite3'} & (sys.modules.keys() - before)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_migrations_are_in_the_package():
    assert Path(MIGRATIONS, "versions", "0001_first.py").is_file()
    assert Path(MIGRATIONS, "env.py").is_file()

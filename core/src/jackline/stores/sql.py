"""A store in any SQL database that SQLAlchemy speaks to; `sqlite` adds what is SQLite's own."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from jackline.errors import StoreError
from jackline.stores import schema
from jackline.stores.queries import Queries
from jackline.stores.rollups import RULES, Batch, Rules, contributions, session_contributions
from jackline.stores.rows import Position
from jackline.stores.telemetry import Telemetry

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MIGRATIONS = Path(__file__).parent / "migrations"
_ADDING = {"spans": contributions, "sessions": session_contributions}
_CHUNK = 128
"""Keys in one query: SQLite before 3.32 takes 999 parameters at most, and a key has up to five columns."""


class SQLStore(Queries, Telemetry):
    """Rows, rollups and positions in one database, brought to the newest migration when it is opened."""

    def __init__(self, engine: sa.Engine, name: str) -> None:
        """`name` is how messages call the store; raises StoreError where it cannot be used."""
        self._engine = engine
        self._name = name
        self._statements: dict[tuple[str, str], tuple[str, bool, list[str]]] = {}
        """By table and what is done: the text, whether its values are told by place, and their columns."""
        with self._reading() as connection:
            self.epoch = self._read_epoch(connection) if self._revision(connection) == schema.REVISION else ""
        if not self.epoch:
            with self._writing() as connection:
                self._migrate(connection)
                self.epoch = self._read_epoch(connection) or self._new_epoch(connection)

    def positions(self) -> dict[str, Position]:
        """How far each journal is ingested."""
        with self._reading() as connection:
            return self._positions(connection)

    def apply(self, batch: Batch) -> None:
        """Take a batch in, all of it or nothing."""
        with self._writing() as connection:
            self._prove_order(connection, batch)
            if batch.events:
                self._many(connection, schema.events, "insert", batch.events)
            # Spans first, then sessions: what they add to the rest is known only when they are joined.
            for table in RULES:
                self._join(connection, table, batch)
            names = list(batch.positions)
            for chunk in _chunks(names):
                connection.execute(schema.positions.delete().where(schema.positions.c.journal.in_(chunk)))
            if names:
                rows = [position.plain() for position in batch.positions.values()]
                connection.execute(schema.positions.insert(), rows)

    def clear(self) -> None:
        """Forget everything; the epoch changes."""
        with self._writing() as connection:
            for table in schema.metadata.sorted_tables:
                connection.execute(table.delete())
            self.epoch = self._new_epoch(connection)

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()

    def _join(self, connection: sa.Connection, name: str, batch: Batch) -> None:
        table, rules, rows = schema.metadata.tables[name], RULES[name], batch.rows[name]
        found = self._find(connection, table, rules, list(rows))
        new: list[dict[str, Any]] = []
        changed: list[dict[str, Any]] = []
        gone: list[dict[str, Any]] = []
        for key, part in rows.items():
            row = found.get(key)
            if row is None:
                row, sort = part, new
            else:
                _credit(batch, name, row, -1)
                rules.join(row, part)
                sort = changed
            _credit(batch, name, row, 1)
            if not rules.is_void(row):
                sort.append(row)
            elif sort is changed:
                gone.append(row)
        batch.sum_up(name)
        for how, some in (("insert", new), ("update", changed), ("delete", gone)):
            if some:
                self._many(connection, table, how, some)

    def _many(self, connection: sa.Connection, table: sa.Table, how: str, rows: list[dict[str, Any]]) -> None:
        """Write many rows with one statement.

        It is compiled once, and values go to the driver as they are: texts, integers and floats, which no database
        wants otherwise. Preparing each row as SQLAlchemy does costs more than writing it.
        """
        found = self._statements.get((table.name, how))
        if found is None:
            compiled = _STATEMENTS[how](table).compile(dialect=self._engine.dialect)
            names = compiled.positiontup or list(compiled.params)
            found = (str(compiled), compiled.positional, [name.removeprefix("_") for name in names])
            self._statements[table.name, how] = found
        text, positional, columns = found
        if positional:
            pick = itemgetter(*columns)
            connection.exec_driver_sql(text, list(map(pick, rows)))
        else:
            connection.exec_driver_sql(text, [{f"_{column}": row[column] for column in columns} for row in rows])

    def _find(
        self, connection: sa.Connection, table: sa.Table, rules: Rules, keys: list[tuple[Any, ...]]
    ) -> dict[tuple[Any, ...], dict[str, Any]]:
        found = {}
        for chunk in _chunks(keys):
            size = _padded(len(chunk))
            query, names = _by_keys(table.name, rules.key, size)
            # What is named twice is found twice: so few sizes, and a statement for each, are enough.
            values = chain.from_iterable([*chunk, *chunk[-1:] * (size - len(chunk))])
            result = connection.execute(query, dict(zip(names, values, strict=True)))
            columns = tuple(result.keys())
            places = [columns.index(column) for column in rules.key]
            for each in result:
                found[tuple([each[place] for place in places])] = dict(zip(columns, each, strict=True))
        return found

    def _positions(self, connection: sa.Connection) -> dict[str, Position]:
        rows = connection.execute(sa.select(schema.positions)).mappings()
        return {row["journal"]: Position(**row) for row in rows}

    def _prove_order(self, connection: sa.Connection, batch: Batch) -> None:
        """Refuse lines that are in already: the file lock cannot be relied on where the home is a network's."""
        table = schema.positions
        for chunk in _chunks(list(batch.since)):
            query = sa.select(table.c.journal, table.c.seq).where(table.c.journal.in_(chunk))
            known: dict[str, int] = {row[0]: row[1] for row in connection.execute(query)}
            for journal in chunk:
                if known.get(journal, 0) != batch.since[journal]:
                    raise StoreError(
                        f"{self._name} was filled by another ingest meanwhile: nothing was written. Run it again"
                    )

    def _read_epoch(self, connection: sa.Connection) -> str:
        table = schema.meta
        return connection.execute(sa.select(table.c.value).where(table.c.name == "epoch")).scalar() or ""

    def _new_epoch(self, connection: sa.Connection) -> str:
        epoch = secrets.token_hex(8)
        connection.execute(schema.meta.insert(), {"name": "epoch", "value": epoch})
        return epoch

    def _revision(self, connection: sa.Connection) -> str:
        if not sa.inspect(connection).has_table("alembic_version"):
            return ""
        table = sa.table("alembic_version", sa.column("version_num"))
        return connection.execute(sa.select(table.c.version_num)).scalar() or ""

    def _migrate(self, connection: sa.Connection) -> None:
        """Bring the tables to the newest revision; Alembic loads only where there is something to do."""
        from alembic import command  # noqa: PLC0415 - 100 ms that a ready index does not need
        from alembic.config import Config  # noqa: PLC0415
        from alembic.util import CommandError  # noqa: PLC0415

        config = Config()
        config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
        config.attributes["connection"] = connection
        try:
            command.upgrade(config, "head")
        except CommandError as error:
            raise StoreError(
                f"{self._name} was made by a newer Jackline ({error}): upgrade Jackline to read it"
            ) from error

    @contextmanager
    def _reading(self) -> Iterator[sa.Connection]:
        with self._told(), self._engine.connect() as connection, connection.begin():
            yield connection

    @contextmanager
    def _writing(self) -> Iterator[sa.Connection]:
        with (
            self._told(),
            self._engine.connect().execution_options(jackline_write=True) as connection,
            connection.begin(),
        ):
            yield connection

    @contextmanager
    def _told(self) -> Iterator[None]:
        """Say a database's error as one that says what to do."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            raise StoreError(self._explain(error)) from error

    def _explain(self, error: sa.exc.DBAPIError) -> str:
        return f"{self._name} cannot be used: {error.orig}. The journals hold everything; ingest again when it is back"


def _credit(batch: Batch, name: str, row: dict[str, Any], sign: int) -> None:
    """Take what a step or a session adds to the rows above it into the batch, or (-1) what it had added out of it."""
    add = _ADDING.get(name)
    for table, key, part in add(row, sign) if add is not None else ():
        batch.add(table, key, part)


def _padded(size: int) -> int:
    """The next power of two."""
    return 1 << (size - 1).bit_length()


@lru_cache(maxsize=256)
def _by_keys(table: str, key: tuple[str, ...], size: int) -> tuple[sa.TextClause, tuple[str, ...]]:
    """Rows by so many whole keys, and the names of the parameters, key by key.

    A list of tuples after IN would have SQLite look at every row of the table.
    """
    columns = range(len(key))
    names = tuple(f"k{row}_{place}" for row in range(size) for place in columns)
    rows = ", ".join("(" + ", ".join(f":k{row}_{place}" for place in columns) + ")" for row in range(size))
    wanted = ", ".join(f"k{place}" for place in columns)
    same = " AND ".join(f"t.{column} = wanted.k{place}" for place, column in enumerate(key))
    text = f"WITH wanted ({wanted}) AS (VALUES {rows}) SELECT t.* FROM wanted JOIN {table} AS t ON {same}"  # noqa: S608 - the schema's own names
    return sa.text(text), names


def _insert(table: sa.Table) -> sa.Insert:
    columns = [column.name for column in table.c if column is not table.autoincrement_column]
    return table.insert().values({column: sa.bindparam(f"_{column}") for column in columns})


def _update(table: sa.Table) -> sa.Update:
    values: dict[str, Any] = {column: sa.bindparam(f"_{column}") for column in RULES[table.name].blank}
    return table.update().where(_same(table)).values(values)


def _delete(table: sa.Table) -> sa.Delete:
    return table.delete().where(_same(table))


def _same(table: sa.Table) -> sa.ColumnElement[bool]:
    # Names that no column has: SQLAlchemy keeps those for values of its own making.
    return sa.and_(*(table.c[column] == sa.bindparam(f"_{column}") for column in RULES[table.name].key))


_STATEMENTS: dict[str, Callable[[sa.Table], sa.Insert | sa.Update | sa.Delete]] = {
    "insert": _insert,
    "update": _update,
    "delete": _delete,
}


def _chunks(keys: list[Any]) -> Iterable[list[Any]]:
    return (keys[at : at + _CHUNK] for at in range(0, len(keys), _CHUNK))

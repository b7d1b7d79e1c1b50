"""What became of what an outbox was given: counted, and looked up by target or by what it was about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from jackline.notices.message import Counts, Tried

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable
    from contextlib import AbstractContextManager


class Told:
    """The reading half of an outbox."""

    _decode: Callable[[bytes], Any]

    def counts(self) -> Counts:
        """How many deliveries wait, and how many were given up."""
        query = "SELECT COALESCE(SUM(state = 'waiting'), 0), COALESCE(SUM(state = 'dead'), 0) FROM deliveries"
        return Counts(*self._one(query))

    def counts_by_target(self) -> dict[str, Counts]:
        """The same for each target that was to be told anything."""
        query = "SELECT target, SUM(state = 'waiting'), SUM(state = 'dead') FROM deliveries GROUP BY target"
        with self._told():
            return {row[0]: Counts(row[1], row[2]) for row in self._run(query).fetchall()}

    def errors(self) -> list[tuple[str, str, int]]:
        """What targets said last of what they did not take: target, error, how many."""
        query = (
            "SELECT target, error, COUNT(*) FROM deliveries WHERE state <> 'sent' AND error <> '' "
            "GROUP BY target, error ORDER BY target, error"
        )
        with self._told():
            return self._run(query).fetchall()

    def told(self, about: str) -> list[Tried]:
        """What each target was told last of one approval or alert, or why it was not."""
        query = (
            "SELECT target, tried, error FROM deliveries JOIN notices ON id = notice "
            "WHERE approval = ? AND tried > 0 ORDER BY number"
        )
        with self._told():
            rows = self._run(query, (about,)).fetchall()
        return list({row[0]: Tried(*row) for row in rows}.values())

    def told_last(self) -> dict[str, Tried]:
        """What each target was told last of anything."""
        query = "SELECT target, MAX(tried), error FROM deliveries WHERE tried > 0 GROUP BY target"
        with self._told():
            return {row[0]: Tried(*row) for row in self._run(query).fetchall()}

    def standing(self, target: str) -> list[Any]:
        """The last of what a target was told of each approval or alert, where it took that."""
        query = (
            "SELECT body FROM notices AS told JOIN deliveries ON notice = told.id "
            "WHERE target = ? AND state = 'sent' AND number = (SELECT MAX(later.number) FROM notices AS later "
            "JOIN deliveries AS of ON of.notice = later.id AND of.target = ? WHERE later.approval = told.approval)"
        )
        with self._told():
            return [self._decode(row[0]) for row in self._run(query, (target, target)).fetchall()]

    def _run(self, query: str, values: tuple[object, ...] = ()) -> sqlite3.Cursor:
        raise NotImplementedError

    def _one(self, query: str, values: tuple[object, ...] = ()) -> Any:
        raise NotImplementedError

    def _told(self) -> AbstractContextManager[None]:
        raise NotImplementedError

"""Rows in a database in a temporary file: memory does not grow with their number."""

from __future__ import annotations

import sqlite3
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from convert.errors import StorageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

#: SQLite counts its cache in KiB if negative.
_CACHE: Final = -8192
#: Instructions of SQLite between two checks whether to stop: less than a millisecond.
STEPS: Final = 10_000
#: Rows that are read at a time.
ROWS: Final = 1000


class Database:
    """A database that goes away when it is closed.

    Its methods raise errors of SQLite, which has nothing but its own data, as errors of storage. `check` is called
    while a statement runs and while rows are read; what it raises ends them.
    """

    def __init__(self, check: Callable[[], None]) -> None:
        """Start without tables.

        Raises:
            StorageError: a temporary file cannot be created.
        """
        self._check = check
        # An empty name is a temporary file that SQLite keeps in memory while it is small.
        self._connection = sqlite3.connect("", isolation_level=None)
        # What it raises interrupts the statement, and is lost: `_storage` calls it again.
        self._connection.set_progress_handler(check, STEPS)
        self.run(f"PRAGMA cache_size = {_CACHE}")
        self.run("PRAGMA journal_mode = OFF")
        self.run("PRAGMA synchronous = OFF")

    def run(self, statement: str, values: Sequence[object] = ()) -> None:
        """Run a statement without a result."""
        with self._storage():
            self._connection.execute(statement, values)

    def run_each(self, statement: str, rows: Iterable[Sequence[object]]) -> None:
        """Run a statement once with each row, in one transaction."""
        with self._storage():
            self._connection.execute("BEGIN")
            self._connection.executemany(statement, rows)
            self._connection.execute("COMMIT")

    def rows(self, statement: str, values: Sequence[object] = ()) -> Iterator[Any]:
        """Yield the rows that a statement finds."""
        with self._storage():
            found = self._connection.execute(statement, values)
            while some := found.fetchmany(ROWS):
                self._check()
                yield from some

    def close(self) -> None:
        """Delete the database."""
        self._connection.close()

    @contextmanager
    def _storage(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.OperationalError as error:
            self._check()
            code = "disk-full" if "full" in str(error) else None
            raise StorageError(f"a temporary database cannot be used: {error}", code=code) from error

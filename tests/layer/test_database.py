"""A run that ends interrupts a statement of SQLite, and the reading of its rows."""

import sqlite3

import pytest

from convert.cancel import Cancel, Stopped
from convert.errors import StorageError
from convert.layer import database
from convert.layer.database import Database


@pytest.fixture
def cancel():
    return Cancel()


@pytest.fixture
def numbers(cancel):
    made = Database(cancel.check)
    made.run("CREATE TABLE numbers (number INTEGER)")
    made.run_each("INSERT INTO numbers VALUES (?)", ((number,) for number in range(200)))
    yield made
    made.close()


def test_a_statement_is_interrupted(numbers, cancel):
    """The error is that of the token and not that of SQLite."""
    calls = []

    def check():
        calls.append(0)
        if len(calls) == 3:
            cancel.stop()
        Cancel.check(cancel)

    stopping = Database(check)
    many = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1000000) SELECT sum(i) FROM n"
    with pytest.raises(Stopped) as raised:
        list(stopping.rows(many))
    assert isinstance(raised.value.__context__, sqlite3.OperationalError)
    stopping.close()


def test_rows_are_read_until_the_run_ends(numbers, cancel, monkeypatch):
    monkeypatch.setattr(database, "ROWS", 10)
    rows = numbers.rows("SELECT number FROM numbers")
    assert next(rows) == (0,)
    cancel.stop()
    with pytest.raises(Stopped):
        list(rows)


def test_other_errors_are_errors_of_storage(numbers):
    with pytest.raises(StorageError, match="no such table"):
        numbers.run("DELETE FROM others")

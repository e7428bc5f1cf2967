"""The journal of a batch: one row for each item that ended, appended in the order in which they end.

A run that is started again reads it, and does only what is missing. One run at a time holds the lock.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Final

from convert.archive.stream_sink import STDOUT
from convert.archive.temporary import lock
from convert.errors import StorageError, UsageError
from convert.limits import CHUNK, MAX_ROW_SIZE
from convert.report.batch import Row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

#: How a row begins, and what a system that lost its power may leave behind it.
_START: Final = b'{"key":"'
_ZEROS: Final = re.compile(rb"\x00*\Z")
#: Seconds between two times that rows are made durable: a killed run loses none, a lost machine those of one second.
_SYNC_INTERVAL: Final = 1.0


class Journal:
    """A journal that this run holds; use it as a context manager.

    Attributes:
        rows: the last row of each key.
        mended: how many bytes of a torn last line were removed.
        others: the versions of imgconv that wrote rows, other than `version`.
    """

    def __init__(self, path: str | os.PathLike[str], version: str | None = None) -> None:
        """Open and lock a journal, or create it; mend its last line.

        `version` is that of imgconv, from which rows of `others` differ.

        Raises:
            UsageError: another run holds it, or it is something else than a journal.
            StorageError: it cannot be read or written to.
        """
        self.path = path = os.fspath(path)
        if not path:
            raise UsageError("the name of the journal is empty", code="empty-argument", hint="--journal run.jsonl")
        if path == STDOUT:
            raise UsageError(
                "a journal is a file, not a stream",
                code="invalid-journal",
                hint=f"without --journal rows go to standard output; a file of that name is {os.curdir}/{STDOUT}",
            )
        self.rows: dict[str, Row] = {}
        self.mended = 0
        self.others: set[str] = set()
        self._synced = time.monotonic()
        try:
            flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
            self._fd = os.open(path, flags, 0o666)
        except ValueError as error:  # NUL in it
            raise StorageError("no such file or folder: a path cannot hold NUL", code="not-found", file=path) from error
        except OSError as error:
            if os.path.islink(path) or os.path.isdir(path):
                raise self._unfit("it is a folder or a symbolic link") from error
            raise StorageError.from_os(error, file=path, doing="opening the journal") from error
        try:
            self._take(version)
        except BaseException:
            os.close(self._fd)
            raise

    def _take(self, version: str | None) -> None:
        try:
            if not stat.S_ISREG(os.fstat(self._fd).st_mode):
                raise self._unfit("it is not a regular file")
            if not lock(self._fd):
                raise UsageError(
                    "another run writes to this journal",
                    code="journal-busy",
                    file=self.path,
                    hint="wait for it, or name another journal: one for each shard",
                )
            if not os.path.samestat(os.fstat(self._fd), os.stat(self.path, follow_symlinks=False)):
                raise StorageError("it was replaced while it was opened", code="destination-changed", file=self.path)
            for row in _rows(self._fd, self.path, self._mend):
                self.rows[row.key] = row
                if version is not None and row.version != version:
                    self.others.add(row.version)
        except OSError as error:
            raise StorageError.from_os(error, file=self.path, doing="reading the journal") from error

    def _unfit(self, what: str) -> UsageError:
        return UsageError(
            f"{what}, not a journal",
            code="invalid-journal",
            file=self.path,
            hint="name a new file; without --journal rows go to standard output",
        )

    def _mend(self, start: int, tail: bytes) -> Row | None:
        """Complete or remove a last line without its end; return its row if it has one.

        Raises:
            UsageError: it is not the start of a row, so the file is something else.
        """
        text = _ZEROS.sub(b"", tail)
        try:
            row = _row(text)
        except ValueError:
            if not (text.startswith(_START) or _START.startswith(text)):
                raise self._unfit("its last line is not a row") from None
            os.ftruncate(self._fd, start)
            self.mended = len(tail)
            return None
        os.ftruncate(self._fd, start + len(text))
        _write(self._fd, b"\n")
        return row

    def add(self, row: Row) -> None:
        """Append a row.

        Raises:
            StorageError: it cannot be written; the journal is as before.
        """
        try:
            size = os.fstat(self._fd).st_size
            try:
                _write(self._fd, row.line().encode() + b"\n")
            except OSError:
                with contextlib.suppress(OSError):
                    os.ftruncate(self._fd, size)
                raise
            self.rows[row.key] = row
            if time.monotonic() - self._synced > _SYNC_INTERVAL:
                self.sync()
        except OSError as error:
            raise StorageError.from_os(error, file=self.path, doing="writing the journal") from error

    def sync(self) -> None:
        """Make all rows durable."""
        os.fsync(self._fd)
        self._synced = time.monotonic()

    def close(self) -> None:
        """Make all rows durable and release the journal.

        Raises:
            StorageError: the system refuses.
        """
        if self._fd < 0:
            return
        fd, self._fd = self._fd, -1
        try:
            os.fsync(fd)
        except OSError as error:
            raise StorageError.from_os(error, file=self.path, doing="writing the journal") from error
        finally:
            os.close(fd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()


def read_journal(path: str | os.PathLike[str]) -> dict[str, Row]:
    """Return the last row of each key of a journal, in the order of the keys; a torn last line is ignored.

    The table is the same for every order in which the items ended. It may be read while a run writes to it.

    Raises:
        UsageError: it is not a journal.
        StorageError: it cannot be read.
    """
    shown = os.fspath(path)
    try:
        fd = os.open(shown, os.O_RDONLY | os.O_CLOEXEC)
        try:
            rows = {row.key: row for row in _rows(fd, shown, lambda _, __: None)}
        finally:
            os.close(fd)
    except OSError as error:
        raise StorageError.from_os(error, file=shown, doing="reading the journal") from error
    return dict(sorted(rows.items()))


def _rows(fd: int, path: str, mend: Callable[[int, bytes], Row | None]) -> Iterator[Row]:
    """Yield the rows of a journal; `mend` gets the offset and the bytes of a last line without its end."""
    start, number, rest = 0, 0, b""
    while data := os.pread(fd, CHUNK, start + len(rest)):
        lines = (rest + data).split(b"\n")
        rest = lines.pop()
        for line in lines:
            number += 1
            start += len(line) + 1
            try:
                yield _row(line)
            except ValueError as error:
                raise _invalid(path, number, str(error)) from error
        if len(rest) > MAX_ROW_SIZE:
            raise _invalid(path, number + 1, f"it has more than {MAX_ROW_SIZE} bytes")
    if rest and (row := mend(start, rest)) is not None:
        yield row


def _row(line: bytes) -> Row:
    """Return the row of a line.

    Raises:
        ValueError: it is none.
    """
    try:
        return Row.from_document(json.loads(line))
    except RecursionError as error:
        raise ValueError("it is nested too deep") from error


def _invalid(path: str, number: int, why: str) -> UsageError:
    return UsageError(
        f"line {number} is not a row that this version of imgconv knows: {why}",
        code="invalid-journal",
        file=path,
        hint="name another journal",
    )


def _write(fd: int, data: bytes) -> None:
    """Write all of `data`, at once if the system can: a row is then never torn by a kill."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]

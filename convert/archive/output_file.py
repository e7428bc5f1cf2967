"""A document that a command writes beside its work: a page, a graph, a manifest.

Its place is checked before the work begins. What is put there meanwhile is neither replaced nor followed.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, BinaryIO, Final, Self

from convert.archive import folders
from convert.archive.atomic import AtomicFile, changed, refuse_overlap
from convert.archive.stream_sink import STDOUT, fifo_or_device, names_descriptor, open_stream
from convert.archive.transport import NO_PATH, STDIN, can_be_path, path_of
from convert.errors import DestinationExistsError, StorageError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterable

_UNTOUCHED: Final = "nothing was written"


class OutputFile:
    """Where a document goes. Use it as a context manager: without `write` nothing stays."""

    def __init__(
        self,
        path: str,
        *,
        sources: Iterable[str] = (),
        others: Iterable[OutputFile] = (),
        streams: bool = True,
    ) -> None:
        """Check `path`, and create the file beside it that `write` puts in place.

        A regular file that is there is replaced, and gives the new one its mode, owner and ACL.
        With `streams`, `-`, FIFOs, devices, `/dev/stdout`, `/dev/fd/N`, and links to a FIFO, pipe
        or terminal are written through. Anything else is refused.

        Args:
            path: the path as the user gave it.
            sources: what must not be overwritten, as SOURCEs of the command line.
            others: the other outputs of the command.
            streams: whether the document may go to something else than a regular file.

        Raises:
            UsageError: something is there that is not replaced, the path is that of a source or inside
                one, or another output goes there.
            StorageError: the folder is missing, or cannot be written to.
        """
        self.path = path
        self._file: AtomicFile | None = None
        self._special: os.stat_result | None = None
        if not path:
            raise UsageError("the name of the file to write is empty", code="empty-argument")
        if not can_be_path(path):
            raise StorageError("cannot create it: " + NO_PATH, code="impossible-path", file=path)
        if names_descriptor(path):
            if not streams:
                raise _not_regular(path)
            _check_open(path)
            return
        for source in sources:
            # Reading reports what is not a path.
            with contextlib.suppress(StorageError):
                if path_of(source) != STDIN:
                    refuse_overlap(path, path_of(source))
        self._special = fifo_or_device(path) if streams else None
        if self._special is None:
            self._file = AtomicFile(path, replace=True, replace_link=False)
            try:
                self._refuse_twin(others)
            except BaseException:
                self._file.abort()
                raise

    def _refuse_twin(self, others: Iterable[OutputFile]) -> None:
        """Refuse another output at the same place.

        Raises:
            UsageError: there is one.
        """
        for other in others:
            if self._file is not None and other._file is not None and self._file.is_same_place(other._file):  # noqa: SLF001 - its own class
                raise UsageError(
                    "two outputs of the command are this file", code="destination-overlaps-output", file=self.path
                )

    def write(self, data: bytes | Iterable[bytes], *, stdout: BinaryIO | None = None) -> int:
        """Write the document, once, and return its size; on failure, what was there stays.

        Args:
            data: the document, whole or in pieces.
            stdout: what stands for `-`, standard output if None.

        Raises:
            StorageError: writing failed, or what was there was moved, replaced or changed.
            BrokenPipeError: the reader has closed the pipe.
        """
        size = 0
        pieces = (data,) if isinstance(data, bytes) else data
        try:
            if self._file is not None:
                for piece in pieces:
                    folders.write_all(self._file.fd, piece)
                    size += len(piece)
            else:
                stream = open_stream(self.path, stdout, terminal=True, same=self._special)
                if stream is None:
                    raise changed(self.path, _UNTOUCHED)
                with contextlib.closing(stream):
                    for piece in pieces:
                        stream.write(piece)
                        size += len(piece)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, file=self.path, doing="writing") from error
        if self._file is not None:
            self._file.commit()
        return size

    def close(self) -> None:
        """Remove what was not written; harmless when done twice."""
        if self._file is not None:
            self._file.abort()

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what was not written."""
        self.close()


def _check_open(path: str) -> None:
    """Check that an open descriptor is open.

    Raises:
        StorageError: it is not.
    """
    if path != STDOUT and (stream := open_stream(path, terminal=True)) is not None:
        stream.close()


def _not_regular(path: str) -> DestinationExistsError:
    return DestinationExistsError(
        "the destination exists and is not a regular file", code="destination-not-regular", file=path
    )

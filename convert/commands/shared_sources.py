"""Open and read sources once for several plans of one conversion."""

from __future__ import annotations

import os
import shutil
import stat
import tempfile
from typing import TYPE_CHECKING

from convert.archive.open import open_source
from convert.archive.transport import STDIN, path_of
from convert.errors import ImgconvError, StorageError
from convert.limits import CHUNK
from convert.reader.readings import Readings

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Sink


class SharedSources:
    """The sources, which are opened and read once for all candidates."""

    def __init__(self, sources: Sequence[str], copies: Mapping[str, str], stack: contextlib.ExitStack) -> None:
        """Open nothing yet; what is opened is closed with `stack`."""
        self._sources = sources
        self._copies = copies
        self._stack = stack
        self._opened: dict[int, Source] = {}
        #: Why sources could not be opened: each is tried once.
        self._errors: dict[int, ImgconvError] = {}
        self._readings: dict[Tree, Readings] = {}
        #: Whether a reading collected faults.
        self.have_faults = False

    def open(self, number: int) -> Source:
        """Return the source with this number, opened the first time.

        Raises:
            InputError: it is not an archive or layout.
            StorageError: it cannot be read.
        """
        if number in self._errors:
            raise self._errors[number].with_traceback(None)
        if number not in self._opened:
            source = self._sources[number]
            try:
                self._opened[number] = self._stack.enter_context(open_source(source, copy=self._copies.get(source)))
            except ImgconvError as error:
                self._errors[number] = error
                raise
        return self._opened[number]

    def open_all(self) -> list[Source]:
        """Return all sources, as `open` does."""
        return [self.open(number) for number in range(len(self._sources))]

    def read(self, tree: Tree, sink: Sink) -> ImageSet:
        """Return what one of them holds, as `detect.read` does."""
        if tree not in self._readings:
            self._readings[tree] = Readings(tree)
        found = self._readings[tree].read_all(sink)
        self.have_faults = self.have_faults or bool(sink.faults)
        return found


def copy_of_pipe(source: str, stack: contextlib.ExitStack) -> str | None:
    """Return a copy of a pipe, which each candidate reads again; None for a source that is a file or folder.

    The copy is removed with `stack`.

    Raises:
        StorageError: it cannot be copied.
    """
    path = path_of(source)
    # Opening a terminal, a device or what is not there tells what is wrong.
    if os.isatty(0) if source == STDIN else not _is_pipe(path):
        return None
    try:
        copy = tempfile.NamedTemporaryFile(prefix="imgconv-", suffix=".tar")  # noqa: SIM115 - closed with the stack
        stack.enter_context(copy)
        with open(0 if source == STDIN else path, "rb", closefd=source != STDIN) as pipe:
            shutil.copyfileobj(pipe, copy, CHUNK)
        copy.flush()
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="copying") from error
    return copy.name


def _is_pipe(path: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(path).st_mode)
    except (OSError, ValueError):
        return False

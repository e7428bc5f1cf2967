"""Read a source once for several uses, each with a sink of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.errors import InputError
from convert.reader.detect import finish, reader_of
from convert.reader.document import Reading
from convert.reader.shared_documents import SharedDocuments

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Sink

    Reader = Callable[[Reading], ImageSet]


class Readings:
    """What readers return of one source: each runs once."""

    def __init__(self, tree: Tree, documents: SharedDocuments | None = None) -> None:
        """Read nothing yet; `documents` are those that different readers share."""
        self._tree = tree
        self._documents = documents or SharedDocuments()
        self._reader: Reader | None = None
        #: What was read without an error, and what its sink took; the kind of the sink if it took a fault.
        self._found: dict[tuple[Reader, tuple[type[Sink], bool] | None], tuple[ImageSet, Sink]] = {}
        #: Why a reader could not read the source, by the kind of the sink.
        self._errors: dict[tuple[Reader, tuple[type[Sink], bool]], InputError] = {}

    def start(self, sink: Sink) -> Reading:
        """Return a reading that has read nothing."""
        return Reading(self._tree, self._tree.where, sink, self._documents)

    def read(self, reader: Reader, sink: Sink) -> ImageSet:
        """Return what a reader returns, and give `sink` what it reports.

        Raises:
            ImgconvError: as the reader.
        """
        # Without a fault, the kind of the sink makes no difference.
        done = self._found.get((reader, None)) or self._found.get((reader, sink.kind))
        if done is None:
            if (earlier := self._errors.get((reader, sink.kind))) is not None:
                raise earlier.with_traceback(None)
            own = sink.fresh()
            try:
                done = reader(self.start(own)), own
            except InputError as error:
                self._errors[reader, sink.kind] = error
                raise
            self._found[reader, sink.kind if own.faults or own.absent else None] = done
        found, own = done
        sink.take(own)
        return found

    def read_all(self, sink: Sink) -> ImageSet:
        """Return everything that the source holds, as `detect.read` does.

        Raises:
            InputError: as `detect.read`.
        """
        self._reader = self._reader or reader_of(self._tree)
        return finish(self.start(sink), self.read(self._reader, sink))

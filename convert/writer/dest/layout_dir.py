"""An image layout or `dir:` folder that is written, and appears complete or grows without a gap.

Blobs and documents are staged first. What is at the destination decides how they reach
it (`layout_modes.py`).
"""

from __future__ import annotations

import contextlib
import os
import stat
from functools import partial
from typing import TYPE_CHECKING, Self

from convert.archive import atomic, folders, temporary
from convert.errors import DestinationExistsError, StorageError, UsageError
from convert.layer.verify import read_to_end
from convert.writer import layer_cache
from convert.writer.dest import fill_journal
from convert.writer.dest.destination_folder import DestinationFolder
from convert.writer.dest.folder_kind import LAYOUT
from convert.writer.dest.layout_modes import AppendLayout, FillFolder, NewFolder, ReplaceLayout, ReplaceLink
from convert.writer.dest.staging import Staging

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convert.archive.tar_writer import Item
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.model.blob import Content
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.writer.dest.existing_layout import ExistingLayout
    from convert.writer.dest.folder_kind import FolderKind
    from convert.writer.dest.layout_modes import Mode


class LayoutDir:
    """A layout folder, or a `dir:` folder, under construction (see `Destination`)."""

    def __init__(
        self,
        destination: str,
        *,
        force: bool = False,
        append: bool = False,
        sources: Sequence[str] = (),
        kind: FolderKind = LAYOUT,
    ) -> None:
        """Look at the destination and begin.

        There may be nothing or an empty folder, a folder of this `kind` to be replaced (`force`), or
        a layout to be added to (`append`, which keeps it locked against another append until
        the end). A symbolic link is refused, or replaced itself (`force`).

        Raises:
            DestinationExistsError: something else is there.
            UsageError: it is the source or inside it, or another imgconv writes to it.
            StorageError: it cannot be written to.
        """
        self.destination = destination
        self._force = force
        self._kind = kind
        self._documents: dict[str, bytes] = {}
        self._attributes: dict[str, tuple[str, bytes]] = {}
        self._existing: ExistingLayout | None = None
        self._prepared = False
        for source in sources:
            atomic.refuse_overlap(destination, source)
        try:
            self._folder = DestinationFolder(destination, kind)
        except OSError as error:
            raise self._failed(error) from error
        try:
            self._mode = self._choose_mode(sources, force=force, append=append)
            self._mode.begin()
        except OSError as error:
            self._folder.close()
            raise self._failed(error) from error
        except BaseException:
            self._folder.close()
            raise
        self.staging = Staging(self._mode.parent, destination, final=self._mode.final, kind=kind)

    def _choose_mode(self, sources: Sequence[str], *, force: bool, append: bool) -> Mode:
        """Open what is at the destination, and return how to proceed."""
        folder = self._folder
        status = folder.look()
        if status is None:
            return NewFolder(folder)
        if stat.S_ISLNK(status.st_mode):
            if force:
                return ReplaceLink(folder)
            hint = "--force replaces the link, not what it leads to"
            raise DestinationExistsError(
                "the destination is a symbolic link", code="destination-is-link", file=self.destination, hint=hint
            )
        if not stat.S_ISDIR(status.st_mode):
            raise DestinationExistsError(
                "the destination exists and is not a folder", code="destination-not-folder", file=self.destination
            )
        folder.open()
        entries, has_temporary = folder.entries()
        locked = False
        if has_temporary or not entries or append or force:
            locked = folder.lock()
        if has_temporary and locked:
            fill_journal.recover(folder.fd)
            entries, _ = folder.entries()
        if not locked and (append or not entries):
            msg = "another imgconv is writing to it"
            raise UsageError(msg, code="destination-busy", file=self.destination, hint="try again when it is done")
        if not entries:
            return FillFolder(folder)
        if not folder.has_first_file():
            msg = f"the destination is a folder that holds something else than {self._kind.noun}"
            raise DestinationExistsError(msg, code="destination-not-layout", file=self.destination)
        if append:
            return AppendLayout(folder)
        if not force:
            raise folder.exists_error()
        self._refuse_source_inside(sources)
        temporary.remove_stale(folder.fd)
        folder.check_replaceable()
        return ReplaceLayout(folder)

    def _refuse_source_inside(self, sources: Sequence[str]) -> None:
        inside = os.path.join(os.path.realpath(self.destination), "")
        if any(os.path.realpath(source).startswith(inside) for source in sources):
            msg = "the source is inside the destination, which would be replaced"
            raise UsageError(msg, code="destination-overlaps-source", file=self.destination)

    def _failed(self, error: OSError) -> StorageError:
        return StorageError.from_os(error, file=self.destination, doing="writing")

    def open_existing(self, context: ReadContext) -> ExistingLayout | None:
        """Return the layout that is added to, None if the result is a new one; call it once, before `write`.

        `context` is that of the run, for its limits.

        Raises:
            StorageError: it cannot be read.
        """
        if self._mode.appends:
            from convert.writer.dest.existing_layout import ExistingLayout  # noqa: PLC0415 - start-up time

            self._existing = ExistingLayout(self._folder.fd, self.destination, context)
        return self._existing

    def put(self, digest: Digest, content: bytes | Content, progress: Callable[[int], None] | None = None) -> None:
        """Store a blob, which is verified while it is read or copied. May be called from any thread."""
        self.staging.put(digest, content, progress)

    def add_document(self, name: str, data: bytes, *, attribute: tuple[str, bytes] | None = None) -> None:
        """Store a document at the top of the folder, with an extended attribute where the file system has those."""
        self._documents[name] = data
        if attribute is not None:
            self._attributes[name] = attribute

    def write(
        self,
        items: Iterable[Item],
        pool: Pool,
        progress: Callable[[int], None] | None = None,
        *,
        relies_on: Sequence[Content] = (),
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Store all blobs in parallel, and the documents; blobs that the destination holds are only verified."""
        blobs: dict[Digest, bytes | Content] = {}
        documents: dict[str, bytes] = {}
        for item in items:
            content = item.content
            digest = self._kind.digest_of(item.name) if item.kind == "file" else None
            if digest is not None:
                blobs[digest] = content
            elif isinstance(content, bytes) and item.kind == "file":
                documents[item.name] = content
        existing = self._existing
        verified = existing.verified if existing is not None else frozenset()

        def store(blob: tuple[Digest, bytes | Content]) -> None:
            digest, content = blob
            # What is staged is right, whatever the destination holds under its name.
            size = _size(content)
            if existing is not None and digest not in self.staging.blobs and existing.has(digest, size):
                _verify(content)
            else:
                self.put(digest, content, progress)

        # Writing begins first, so that the disk works while other layers are verified.
        calls: list[tuple[Callable[[], object], bytes | Content]] = [
            *((partial(store, blob), blob[1]) for blob in blobs.items() if blob[0] not in verified),
            *((partial(read_to_end, content), content) for content in relies_on),
        ]
        pool.map(lambda each: each[0](), calls, size=lambda each: _size(each[1]))
        if existing is not None:
            existing.written |= blobs.keys()
        # The layers of a pipe were compressed before the needed ones were known.
        self.staging.retain(blobs.keys() - verified)
        for name, data in documents.items():
            self.add_document(name, data)
        if before_end is not None:
            before_end()

    def record_layers(self, profile: str, layers: Iterable[Layer]) -> None:
        """List the layers that `profile` encoded, for the next append (`layer_cache.py`)."""
        if self._kind is not LAYOUT:
            return
        cache = self._existing.cache if self._existing is not None else layer_cache.LayerCache()
        for layer in layers:
            if layer.stored is not None:
                cache.add(profile, layer.diff_id, layer.stored.digest, layer.stored.size)
                cache.mark(profile, layer.diff_id)
        if cache.layers:
            attribute = (layer_cache.ATTRIBUTE, cache.attribute())
            self.add_document(layer_cache.NAME, cache.document(), attribute=attribute)

    def prepare(self, check: Callable[[int], None] | None = None) -> None:
        """Stage the documents, then let `check` look at the staged folder, given as a descriptor.

        Where a layout is added to, the staged folder holds what is new.

        Raises:
            StorageError: writing failed.
        """
        try:
            layout = self.staging.layout
            if self._kind.blobs:
                os.close(folders.make_folder(layout, self._kind.blobs))
            for name in self._names():
                folders.write_new(layout, name, self._documents[name])
                self._set_attribute(layout, name)
        except OSError as error:
            raise self._failed(error) from error
        self._prepared = True
        if check is not None:
            check(layout)

    def _names(self) -> list[str]:
        """Return the names of the documents in the order in which they may appear."""
        return sorted(self._documents, key=self._kind.order)

    def commit(self) -> None:
        """Make everything durable, then let it appear.

        Raises:
            DestinationExistsError: something was created at the destination meanwhile.
            StorageError: writing failed, or the destination was moved away; what was
                there is as it was, or has grown by blobs that nothing names.
        """
        if not self._prepared:
            self.prepare()
        try:
            self.staging.sync()
            self._folder.place.check_folder()
            self._mode.install(self.staging, self._names())
        except FileExistsError as error:
            raise (self._folder.changed_error() if self._force else self._folder.exists_error()) from error
        except OSError as error:
            raise self._failed(error) from error

    def withdraw(self) -> bool:
        """Remove the layout again if nothing or an empty folder was at its destination."""
        try:
            return self._mode.withdraw([*self.staging.entries(), *self._names()])
        except OSError:
            return False

    def _set_attribute(self, layout: int, name: str) -> None:
        """Set a document's extended attribute, if it has one; it only saves work, so a failure is ignored."""
        if name not in self._attributes or not hasattr(os, "setxattr"):
            return
        with contextlib.suppress(OSError):
            fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=layout)
            try:
                os.setxattr(fd, *self._attributes[name])
            finally:
                os.close(fd)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed, and unlock."""
        if self._existing is not None:
            self._existing.close()
        self.staging.remove()
        self._folder.close()


def _size(content: bytes | Content) -> int | None:
    return len(content) if isinstance(content, bytes) else content.size


def _verify(content: bytes | Content) -> None:
    """Verify what is not written: the source has to be right (docs/contract.md#rules-of-identity, rule 3)."""
    if not isinstance(content, bytes) and not content.verified:
        read_to_end(content)

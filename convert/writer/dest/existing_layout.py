"""The layout that `--append` adds to: its images, and which blobs of it can be used again."""

from __future__ import annotations

import contextlib
import os
from typing import TYPE_CHECKING, Any

from convert.archive import atomic, folders
from convert.archive.open import open_descriptor
from convert.codec import profile as profiles
from convert.errors import DigestMismatchError, FormatError, InputError
from convert.jsonio import strict
from convert.layer.context import ReadContext
from convert.layer.streams import drain
from convert.layer.verify import PlainContent, StoredContent
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Artifact, Image, Index, Layer
from convert.reader.detect import read
from convert.writer import layer_cache
from convert.writer.oci import blob_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.blob import Blob, Content
    from convert.model.image import Node
    from convert.model.image_set import ImageSet


class ExistingLayout:
    """An open layout, and the layers that it holds and lists.

    Somebody else may have written the layout: its list is a hint. A blob is hashed
    in place before an image lists it, and unpacked to verify that it is that layer
    unless this user's imgconv did that before. One that is wrong is written again.
    """

    def __init__(self, fd: int, path: str, context: ReadContext) -> None:
        """Open the layout in the folder `fd`; `path` names it in errors.

        Raises:
            StorageError: it cannot be read.
        """
        self.path = path
        self._fd = fd
        self._source = open_descriptor(fd, path)
        self._tree = self._source.tree
        self.cache = layer_cache.read(fd, path)
        #: Blobs that were found, each verified to be the layer that was asked for.
        self.verified: set[Digest] = set()
        #: Blobs of the images that are added, whether they were written or found.
        self.written: set[Digest] = set()
        # Not the source's bytes: they are not counted.
        self._context = ReadContext(context.options._replace(file=None), cancel=context.cancel)

    def close(self) -> None:
        """Close the layout; the folder stays open."""
        self._source.close()

    def images(self) -> ImageSet:
        """Read what the layout holds now.

        Raises:
            InputError: it is damaged.
            StorageError: it cannot be read.
        """
        with open_descriptor(self._fd, self.path) as opened:
            return read(opened.tree, empty=True)

    def has_blob(self, digest: Digest, size: int) -> bool:
        """Whether the layout holds a file of this name and size; nothing is read."""
        below: list[int] = []
        try:
            for name in ("blobs", digest.algorithm):
                below.append(folders.open_folder(below[-1] if below else self._fd, name))
            status = folders.status_of(below[-1], digest.hex)
        except OSError:
            return False
        finally:
            for fd in below:
                os.close(fd)
        return status is not None and atomic.is_regular(status) and status.st_size == size

    def has(self, digest: Digest, size: int | None) -> bool:
        """Whether the layout holds a blob of this size whose bytes have this digest: they are read.

        Raises:
            StorageError: the layout cannot be read.
        """
        if size is None or not self.has_blob(digest, size):
            return False
        blob = self._tree.find(blob_name(digest))
        return blob is not None and self._matches(blob, Descriptor("", digest, size))

    def _matches(self, blob: Blob, named: Descriptor) -> bool:
        try:
            with StoredContent(blob, named, self._context).open() as stream:
                drain(stream)
        except InputError:
            return False
        return True

    def check_absent(self, images: ImageSet) -> None:
        """Verify what added images name, the source lacks, and the layout happens to hold; call it after writing.

        An index may name children that are absent. Where the layout has a file of that
        name, the new entries would name it, so it has to match its name; and so
        has everything that it names in turn.

        Raises:
            DigestMismatchError: the file has other bytes, which nothing here can replace.
            StorageError: the layout cannot be read.
        """
        waiting = list(_absent(images))
        # What is written was verified against its digest; a descriptor may still give another size.
        seen = set(self.written)
        while waiting:
            named = waiting.pop()
            blob = self._tree.find(blob_name(named.digest))
            if blob is None or (named.digest in seen and blob.size in {None, named.size}):
                continue
            seen.add(named.digest)
            member = blob_name(named.digest)
            if not self._matches(blob, named):
                raise DigestMismatchError(
                    "the destination holds other bytes under this name, which an image that is added names",
                    code="destination-blob-differs",
                    wanted=str(named.digest),
                    file=self.path,
                    member=member,
                    hint="remove the file",
                )
            if named.media_type in mediatype.INDEXES | mediatype.MANIFESTS:
                waiting += _named_by(strict.parse(self._tree.read(member), where=self.path, member=member))

    def is_listed(self, profile: str, diff_id: Digest) -> bool:
        """Whether the layout claims to hold what `profile` makes of a layer; nothing is read."""
        listed = self.cache.find(profile, diff_id)
        return listed is not None and self.has_blob(*listed)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int, Blob] | None:
        """Return digest, size and bytes of a blob that is verified to be what `profile` makes of that layer.

        Raises:
            StorageError: the layout cannot be written to, or read.
        """
        listed = self.cache.find(profile, diff_id)
        blob = self._tree.find(blob_name(listed[0])) if listed is not None and self.has_blob(*listed) else None
        if listed is None or blob is None:
            return None
        compression = profiles.get(profile).compression
        named = Descriptor(mediatype.layer_type(compression, docker=False), *listed)
        if self.cache.is_verified(profile, diff_id):
            content: Content = StoredContent(blob, named, self._context)
        else:
            content = PlainContent(Layer(diff_id, blob, named), self._context)
        try:
            with content.open() as stream:
                drain(stream)
        except InputError:
            return None
        self.cache.mark(profile, diff_id)
        self.verified.add(listed[0])
        return *listed, blob


def _absent(images: ImageSet) -> Iterator[Descriptor]:
    """Yield every descriptor in the images that may name something the source does not have."""
    nodes: list[Node | None] = []
    for entry in images.entries:
        nodes.append(entry.node)
        if entry.node is None and entry.descriptor is not None:
            yield entry.descriptor
    seen: set[Node] = set()
    while nodes:
        node = nodes.pop()
        if node is None or node in seen:
            continue
        seen.add(node)
        if isinstance(node, Index):
            nodes += [child.node for child in node.children]
            yield from (child.descriptor for child in node.children if child.node is None)
        manifest = node.manifest if isinstance(node, Image | Artifact) else None
        if manifest is not None:
            yield manifest.config
            yield from manifest.layers
        subject = node.subject if isinstance(node, Index) else manifest.subject if manifest is not None else None
        if subject is not None:
            yield subject


def _named_by(value: Any) -> Iterator[Descriptor]:
    """Yield the descriptors in a manifest or index that the layout holds; anything else is skipped."""
    for key in ("config", "layers", "manifests", "subject"):
        found = value.get(key) if isinstance(value, dict) else None
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                with contextlib.suppress(AttributeError, TypeError, ValueError, KeyError, FormatError):
                    yield Descriptor(str(each.get("mediaType")), Digest.parse(each["digest"]), int(each["size"]))

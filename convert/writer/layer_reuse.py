"""What a layout that is appended to holds already, and what the next one may know of this one."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from convert.codec import profile as profiles
from convert.errors import DigestMismatchError, FormatError, InputError
from convert.jsonio import strict
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.streams import drain
from convert.layer.verify import PlainContent, StoredContent
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.form import Form
from convert.model.image import Artifact, Image, Index, Layer
from convert.writer import layer_cache
from convert.writer.layout_documents import blob_name

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from convert.archive.tree import Tree
    from convert.layer.transcode import FinishedLayers
    from convert.model.blob import Blob, Content
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.writer.dest.layout_dir import FolderOutput


class Held:
    """The layers that a layout holds and lists.

    Somebody else may have written the layout: its list is a hint. A blob is hashed
    where it lies before an image names it, and unpacked to verify that it is that layer
    unless this user's imgconv did that before. One that is wrong is written again.
    """

    def __init__(self, out: FolderOutput, tree: Tree, context: ReadContext) -> None:
        """Look into the destination, whose blobs `tree` finds."""
        self.listed = layer_cache.read(out.descriptor, out.destination)
        #: Blobs that were found, each verified to be the layer that was asked for.
        self.verified: set[Digest] = set()
        self._out = out
        self._tree = tree
        # Not the source's bytes: they are not counted.
        self._context = ReadContext(
            ReadOptions(context.options.max_layer_size, overlap=context.options.overlap), cancel=context.cancel
        )

    def has(self, digest: Digest, size: int | None) -> bool:
        """Whether the target holds a blob of this size, and its bytes have this digest: they are read.

        Raises:
            StorageError: the target cannot be read.
        """
        if size is None or not self._out.has_blob(digest, size):
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

    def check_absent(self, images: ImageSet, written: Collection[Digest]) -> None:
        """Verify what the images name, the source does not have, and the target happens to hold.

        An index may name children that are absent. Where the target has a file of that
        name, the new entries would name it, so it has to be what its name says; and so
        has what it names in turn.

        Raises:
            DigestMismatchError: the file is something else, which nothing here can replace.
            StorageError: the target cannot be read.
        """
        waiting = list(_absent(images))
        # What is written was verified against its digest; a descriptor may still give another size.
        seen = set(written)
        while waiting:
            named = waiting.pop()
            blob = self._tree.find(blob_name(named.digest))
            if blob is None or (named.digest in seen and blob.size in {None, named.size}):
                continue
            seen.add(named.digest)
            if not self._matches(blob, named):
                raise DigestMismatchError(
                    "the destination holds other bytes under this name, which an image that is added names",
                    wanted=str(named.digest),
                    file=self._out.destination,
                    member=blob_name(named.digest),
                    hint="remove the file",
                )
            if named.media_type in mediatype.INDEXES | mediatype.MANIFESTS:
                member = blob_name(named.digest)
                where = self._out.destination
                waiting += _named_by(strict.parse(self._tree.read(member), where=where, member=member))

    def is_listed(self, profile: str, diff_id: Digest) -> bool:
        """Whether the target claims to hold it; nothing is read."""
        listed = self.listed.find(profile, diff_id)
        return listed is not None and self._out.has_blob(*listed)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int, Blob] | None:
        """Return digest, size and bytes of a blob that is verified to be that layer.

        Raises:
            StorageError: the target cannot be written to, or read.
        """
        listed = self.listed.find(profile, diff_id)
        blob = self._tree.find(blob_name(listed[0])) if listed is not None and self._out.has_blob(*listed) else None
        if listed is None or blob is None:
            return None
        compression = profiles.get(profile).compression
        named = Descriptor(mediatype.layer_type(compression, docker=False), *listed)
        if self.listed.is_verified(profile, diff_id):
            content: Content = StoredContent(blob, named, self._context)
        else:
            content = PlainContent(Layer(diff_id, blob, named), self._context)
        try:
            with content.open() as stream:
                drain(stream)
        except InputError:
            return None
        self.listed.mark(profile, diff_id)
        self.verified.add(listed[0])
        return *listed, blob


def _absent(images: ImageSet) -> Iterator[Descriptor]:
    """Yield every descriptor in the images that may name something the source does not have."""
    nodes: list[Node | None] = []
    for entry in images.entries:
        nodes.append(entry.node)
        if entry.node is None and entry.descriptor is not None:
            yield entry.descriptor
    seen: set[int] = set()
    while nodes:
        node = nodes.pop()
        if node is None or id(node) in seen:
            continue
        seen.add(id(node))
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
    """Yield the descriptors in a manifest or index that the target holds; anything else is skipped."""
    for key in ("config", "layers", "manifests", "subject"):
        found = value.get(key) if isinstance(value, dict) else None
        for each in found if isinstance(found, list) else [found]:
            if isinstance(each, dict):
                with contextlib.suppress(AttributeError, TypeError, ValueError, KeyError, FormatError):
                    yield Descriptor(str(each.get("mediaType")), Digest.parse(each["digest"]), int(each["size"]))


def remember(out: FolderOutput, held: Held | None, images: ImageSet, done: FinishedLayers, profile: str) -> None:
    """Write down which layers the profile made, for the next `--append`."""
    layers = held.listed if held is not None else layer_cache.KnownLayers()
    for _, layer in images.layers():
        if layer.stored is not None and done.forms.get(layer) is Form.ENCODED:
            layers.add(profile, layer.diff_id, layer.stored.digest, layer.stored.size)
            layers.mark(profile, layer.diff_id)
    if not layers.layers:
        return
    out.write(layer_cache.NAME, layers.document())
    out.set_attribute(layer_cache.NAME, layer_cache.ATTRIBUTE, layers.attribute())

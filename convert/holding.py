"""What a layout that is appended to holds already, and what the next one may know of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert import known, mediatypes
from convert.archive import settled
from convert.compression import profiles
from convert.content import PlainContent, Proofs, drain
from convert.errors import InputError
from convert.formats._layout import blob_name
from convert.model import Descriptor, Layer
from convert.transform import Form, layers_of

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from convert.archive.layout_output import FolderOutput
    from convert.archive.tree import Tree
    from convert.digest import Digest
    from convert.model import ImageSet
    from convert.workshop import Finished


class Held:
    """The layers that a layout holds and lists.

    The layout may be a stranger's: its list is a hint, and each blob is proved to be
    that layer before an image names it, unless that was done here and it is untouched
    since. One that is not that layer is made anew.
    """

    def __init__(self, out: FolderOutput, tree: Tree, proofs: Proofs) -> None:
        """Look into the destination, whose blobs `tree` finds."""
        self.listed = known.read(out.descriptor, out.destination)
        #: Blobs that were found, each the layer that it was asked for.
        self.proved: set[Digest] = set()
        self._out = out
        self._tree = tree
        # Not the source's bytes: they are not counted.
        self._proofs = Proofs(proofs.max_layer_size, overlap=proofs.overlap)

    def is_listed(self, profile: str, diff_id: Digest) -> bool:
        """Whether the target claims to hold it; nothing is read."""
        listed = self.listed.find(profile, diff_id)
        return listed is not None and self._out.has_blob(*listed)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int] | None:
        """Return digest and size of a blob that is proved to be that layer.

        Raises:
            StorageError: the target cannot be written to, or read.
        """
        listed = self.listed.find(profile, diff_id)
        blob = self._tree.find(blob_name(listed[0])) if listed is not None and self._out.has_blob(*listed) else None
        if listed is None or blob is None:
            return None
        with blob.open():  # a network file system asks its server about an open file
            status = self._out.status(listed[0])
        if status is None or not self.listed.is_proved(profile, diff_id, status):
            # What is remembered is the status from before the blob is read.
            since, status = self._out.now(), self._out.status(listed[0])
            compression = profiles.get(profile).compression
            named = Descriptor(mediatypes.layer_type(compression, docker=False), *listed)
            try:
                with PlainContent(Layer(diff_id, blob, named), self._proofs).open() as plain:
                    drain(plain)
            except InputError:
                return None
            if status is not None and settled.shows_changes(status, since):
                self.listed.prove(profile, diff_id, status)
        self.proved.add(listed[0])
        return listed


def remember(out: FolderOutput, held: Held | None, images: ImageSet, done: Finished, profile: str) -> None:
    """Write down which layers the profile made, for the next `--append`."""
    layers = held.listed if held is not None else known.KnownLayers()
    made: dict[Digest, Digest] = {}
    for _, layer in layers_of(images):
        if layer.stored is not None and done.forms.get(id(layer)) is Form.ENCODED:
            layers.add(profile, layer.diff_id, layer.stored.digest, layer.stored.size)
            made[layer.stored.digest] = layer.diff_id
    if not layers.layers:
        return

    def marks(blobs: Mapping[Digest, os.stat_result]) -> bytes:
        for digest in blobs.keys() & made.keys():
            layers.prove(profile, made[digest], blobs[digest])
        return layers.attribute()

    out.write(known.NAME, layers.document())
    out.mark(known.NAME, known.ATTRIBUTE, marks)

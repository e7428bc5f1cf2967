"""Write an OCI image layout (image-spec 1.1, image-layout.md): what lies in the folder.

The documents are compact and the same whichever tool wrote the source, as far as
their content is (docs/contract.md#layouts-and-re-created-manifests).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.errors import quoted
from convert.writer import layout_documents

if TYPE_CHECKING:
    from convert.model.blob import Content
    from convert.model.digest import Digest
    from convert.model.image_set import Entry, ImageSet
    from convert.writer.options import WriteOptions

NAME: Final = "oci"


def documents(
    images: ImageSet, options: WriteOptions, there: ImageSet | None = None
) -> tuple[bytes, bytes, dict[Digest, bytes | Content]]:
    """Return `index.json`, `oci-layout`, and the blobs of `images` by digest.

    Every image must have a manifest. Nothing is left out: artifacts, attestations
    and what an index names without having it are carried as they are.

    `there` is what a layout holds that gets more images. It stays as it is; but a
    name moves to the image that has it now, as skopeo does, and what had it stays
    only under its other names. Where a new image would share a ref.name with one
    that is there, it gets its full name instead.
    """
    if there is None:
        return layout_documents.documents(images, options, NAME)
    names = {_key(entry): layout_documents.node_descriptor(entry).digest for entry in images.entries}
    for entry in there.entries:
        before, now = layout_documents.node_descriptor(entry).digest, names.get(_key(entry))
        if entry.name is not None and now is not None and now != before:
            text = entry.name.reference.familiar if entry.name.reference is not None else entry.name.ref_name or ""
            options.warn(f"name {quoted(text)} moved from {before} to {now}")
    old = [layout_documents.node_descriptor(entry) for entry in there.entries if _key(entry) not in names]
    return layout_documents.documents(images, options, NAME, old, there)


def _key(entry: Entry) -> object:
    """Return what two entries cannot share: the name, or the digest of one without."""
    if entry.name is not None and entry.name.reference is not None:
        return entry.name.reference.full
    return entry.name.ref_name if entry.name is not None else layout_documents.node_descriptor(entry).digest

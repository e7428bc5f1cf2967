"""Refuse images whose names no document of a target can hold, before a layer is read."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.model.image import Image
from convert.writer.document_size import check_least_size
from convert.writer.naming import usable
from convert.writer.oci import IMAGE_NAME, INDEX_MEMBER, REF_NAME

if TYPE_CHECKING:
    from convert.model.image_set import ImageSet, Name
    from convert.writer.registry import Target

#: Fewer names than that fit into every document.
_FEW: Final = 1000
#: What surrounds names: in a descriptor, in its annotations, in RepoTags, and beside a v1 ID or DiffID.
_DESCRIPTOR: Final = len('{"mediaType":"","digest":"","size":1},') + len("sha256:") + 64
_ANNOTATIONS: Final = len(f',"annotations":{{"{IMAGE_NAME}":"","{REF_NAME}":""}}')
_TAG: Final = len('"",')
_TOP: Final = len('"":"",') + 64


def check_document_sizes(images: ImageSet, target: Target, *, add_repositories: bool) -> None:
    """Refuse images that were fitted to a target if one of its documents is too large for their names alone.

    The documents are written after the layers; one that passes here may still prove too large then, by a little.

    Args:
        images: what is to be written.
        target: the format.
        add_repositories: whether `repositories` is written where the format does not require it.

    Raises:
        NotRepresentableError: a document would be too large in any case.
    """
    if len(images.entries) <= _FEW or target.single_entry:
        return
    from convert.writer.repositories import MEMBER  # noqa: PLC0415 - start-up time

    if target.has_index:
        # Entries that differ by their ref.name alone may become one.
        names = {entry.name.reference or entry.name: entry.name for entry in images.entries if entry.name is not None}
        check_least_size(sum(map(_entry_size, names.values())), INDEX_MEMBER)
    if not target.manifest_json:
        return
    # Which image stands for an index is not asked here.
    listed = {entry.name: bool(entry.node.layers) for entry in images.entries if isinstance(entry.node, Image)}
    tags = {tag: layers for name, layers in listed.items() if name is not None and (tag := usable(name)) is not None}
    check_least_size(sum(_TAG + len(tag.familiar) for tag in tags), "manifest.json")
    if add_repositories or target.uncompressed:
        # An image without layers has no place there.
        check_least_size(sum(_TOP + len(tag.tag or "") for tag, layers in tags.items() if layers), MEMBER)


def _entry_size(name: Name) -> int:
    """Return the least number of bytes of a descriptor with this name."""
    if name.reference is None:
        return _DESCRIPTOR + len(name.ref_name or "")
    # A ref.name that somebody chose may become another one.
    tag = name.reference.tag or "" if name.ref_name is None else ""
    return _DESCRIPTOR + _ANNOTATIONS + len(name.reference.full) + len(tag)

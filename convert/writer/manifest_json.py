"""The `manifest.json` of docker archives, as each tool writes it.

A list of images, keys in the order of moby's `manifestItem`
(image/tarexport/tarexport.go): Config, RepoTags, Layers, Parent, LayerSources.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convert.jsonio.go_encode import dumps, sorted_map
from convert.writer.document_size import check_size

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestItem:
    """One image: the names of its members, and its familiar names.

    `repo_tags` and `layers` may be None where Go writes a nil slice as `null`.
    `layer_sources` maps DiffIDs to descriptor fields.
    """

    config: str
    repo_tags: Sequence[str] | None
    layers: Sequence[str] | None
    parent: Digest | None = None
    layer_sources: Mapping[Digest, Mapping[str, Any]] = field(default_factory=dict)


def manifest_json(items: Sequence[ManifestItem]) -> bytes:
    """Return the document, without the newline that Docker's classic store adds.

    Raises:
        NotRepresentableError: it is too large.
    """
    return check_size(dumps([_fields(item) for item in items]), "manifest.json")


def _fields(item: ManifestItem) -> dict[str, Any]:
    fields: dict[str, Any] = {"Config": item.config, "RepoTags": item.repo_tags, "Layers": item.layers}
    if item.parent is not None:
        fields["Parent"] = str(item.parent)
    if item.layer_sources:
        fields["LayerSources"] = sorted_map({str(key): value for key, value in item.layer_sources.items()})
    return fields

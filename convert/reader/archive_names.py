"""Combine the two lists of names in an archive with `index.json` and `manifest.json`.

RepoTags count where `index.json` names nothing. Where both name an image and differ,
the list counts that the archive's own reader uses: `manifest.json` with Docker's
graph driver (docker-save@25), `index.json` with containerd (docker-oci). A warning
shows both (docs/contract.md#names).
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Diagnostic
from convert.model.image import Image, config_of
from convert.model.image_set import Entry, Name
from convert.model.walk import descend

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convert.model.digest import Digest
    from convert.model.image_set import ImageSet
    from convert.model.reference import Reference
    from convert.reader.docker_archive import Item

#: Names of one list that a warning shows.
_SHOWN: Final = 5
#: References in their order, each once.
_References = dict["Reference", None]


def entries_of_docker_25(
    items: Sequence[Item], layout: ImageSet, warn: Callable[[Diagnostic], None]
) -> tuple[Entry, ...]:
    """Return the images of `manifest.json` under its names.

    `index.json` names those without a RepoTag, and gives each name the ref.name by
    which skopeo finds it.
    """
    indexed: dict[Digest, list[Name]] = {}
    for entry in layout.entries:
        if isinstance(entry.node, Image) and entry.name is not None:
            indexed.setdefault(entry.node.image_id, []).append(entry.name)
    tags = _tags(items)
    taken = {reference for listed in tags.values() for reference in listed}
    entries: list[Entry] = []
    for image_id, image in {item.image.image_id: item.image for item in items}.items():
        described = indexed.get(image_id, [])
        full = {name.reference: name.ref_name for name in described if name.reference is not None}
        names = [Name(reference, full.get(reference)) for reference in tags[image_id]]
        if not names:
            names = list(dict.fromkeys(name for name in described if name.reference not in taken))
        elif full and full.keys() != tags[image_id].keys():
            counts = "manifest.json counts, as Docker's graph driver reads it"
            warn(_difference(image_id, full, tags[image_id], counts))
        entries.extend(Entry(image, name) for name in names or (None,))
    return tuple(entries)


def entries_of_docker_oci(
    items: Sequence[Item], layout: ImageSet, warn: Callable[[Diagnostic], None]
) -> tuple[Entry, ...]:
    """Return the entries of `index.json` under its names, and the images that it does not reach.

    RepoTags name the entries that have no name with a tag.
    """
    tags = _tags(items)
    images = {item.image.image_id: item.image for item in items}
    index = _Indexed(layout)
    added: dict[Digest, _References] = {}
    unreached: dict[Digest, _References] = {}
    for image_id, listed in tags.items():
        tops = index.tops.get(image_id, ())
        in_index = dict.fromkeys(reference for top in tops for reference in index.names.get(top, ()))
        if in_index:
            if not listed:
                continue
            missing = any(not index.names.get(top, {}).keys() <= index.listed(top, tags) for top in tops)
            if missing or not listed.keys() <= in_index.keys():
                warn(_difference(image_id, in_index, listed, _INDEX_COUNTS))
            continue
        free = {reference: None for reference in listed if reference not in index.taken}
        if len(free) != len(listed):
            elsewhere = [reference for reference in listed if reference in index.taken]
            text = (
                f"manifest.json names image {image_id} {_shown(elsewhere)}, which is another image in index.json;"
                f" {_INDEX_COUNTS}"
            )
            warn(Diagnostic(text, code="names-differ", image_id=str(image_id)))
        if tops:
            added.setdefault(tops[0], {}).update(free)
        else:
            unreached[image_id] = free
    entries: list[Entry] = []
    for entry in layout.entries:
        if isinstance(entry.node, Image) and entry.node.manifest is not None and entry.node.manifest.generated:
            entry = dataclasses.replace(entry, node=images[entry.node.image_id])  # noqa: PLW2901
        more = added.pop(entry.descriptor.digest, {}) if entry.descriptor is not None else {}
        entries.extend(dataclasses.replace(entry, name=name) for name in _with_tags(entry.name, more))
    for image_id, free in unreached.items():
        entries.extend(Entry(images[image_id], Name(one)) for one in free)
        if not free:
            entries.append(Entry(images[image_id]))
    return tuple(entries)


_INDEX_COUNTS: Final = "index.json counts, as containerd and podman read it"


class _Indexed:
    """What `index.json` names, by the digest of each entry.

    `names` are those that can be RepoTags: with a tag, and without a digest. `taken`
    are all of them. `tops` are the entries that lead to an image.
    """

    def __init__(self, layout: ImageSet) -> None:
        self.names: dict[Digest, _References] = {}
        self.taken: set[Reference] = set()
        self.tops: dict[Digest, list[Digest]] = {}
        self._images: dict[Digest, list[Digest]] = {}
        self._listed: dict[Digest, set[Reference]] = {}
        for entry in layout.entries:
            if entry.descriptor is None:
                continue
            top = entry.descriptor.digest
            if top not in self._images:
                configs = map(config_of, descend(entry.node))
                self._images[top] = list(dict.fromkeys(config.digest for config in configs if config is not None))
                for image_id in self._images[top]:
                    self.tops.setdefault(image_id, []).append(top)
            reference = entry.name.reference if entry.name is not None else None
            if reference is not None and reference.tag is not None:
                reference = dataclasses.replace(reference, digest=None)
                self.names.setdefault(top, {})[reference] = None
                self.taken.add(reference)

    def listed(self, top: Digest, tags: dict[Digest, _References]) -> set[Reference]:
        """Return the RepoTags of every image below an entry: one platform stands for an index there."""
        if top not in self._listed:
            below = self._images.get(top, ())
            self._listed[top] = {reference for image_id in below for reference in tags.get(image_id, ())}
        return self._listed[top]


def _tags(items: Iterable[Item]) -> dict[Digest, _References]:
    """Return the RepoTags of each image ID."""
    tags: dict[Digest, _References] = {}
    for item in items:
        listed = tags.setdefault(item.image.image_id, {})
        listed.update({name.reference: None for name in item.names if name.reference is not None})
    return tags


def _with_tags(name: Name | None, tags: _References) -> list[Name | None]:
    """Return an entry's name and the RepoTags that are added to it; a ref.name that is one's tag belongs to it."""
    if not tags:
        return [name]
    ref_name = name.ref_name if name is not None and name.reference is None else None
    added: list[Name | None] = [Name(one, ref_name if one.tag == ref_name else None) for one in tags]
    alone = name is not None and not any(one.tag == ref_name for one in tags)
    return [name, *added] if alone else added


def _difference(image_id: Digest, indexed: Iterable[Reference], listed: Iterable[Reference], counts: str) -> Diagnostic:
    text = f"index.json names image {image_id} {_shown(indexed)}, manifest.json names it {_shown(listed)}; {counts}"
    return Diagnostic(text, code="names-differ", image_id=str(image_id))


def _shown(references: Iterable[Reference]) -> str:
    texts = [reference.familiar for reference in references]
    more = f" and {len(texts) - _SHOWN} more" if len(texts) > _SHOWN else ""
    return ", ".join(texts[:_SHOWN]) + more

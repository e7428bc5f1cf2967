"""Put the images of several sources together (docs/contract.md#several-sources). Pure."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.errors import NotRepresentableError
from convert.model.image import Child, Image, Index
from convert.model.image_set import Entry, ImageSet, Name
from convert.model.walk import node_digest
from convert.plan.labels import entry_label
from convert.writer.oci import keeps_ref_names

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Sequence

    from convert.diagnostics import Diagnostic
    from convert.model.digest import Digest
    from convert.model.image import Node

_CLASH_HINT: Final = "--rename, --untag or --drop {}@DIGEST settles it"


class Merger:
    """Puts several sets together: an image that two of them hold is one image.

    With `manifests`, the target holds manifests. There an image is its manifest, and one that a
    source holds without a manifest is the one that another source holds with it; elsewhere an image
    is its config.
    """

    def __init__(self, sets: Sequence[ImageSet], *, manifests: bool, warn: Callable[[Diagnostic], None]) -> None:
        """Take the sets in the order of the result; `warn` takes what they have in common and differs."""
        self._sets = sets
        self._manifests = manifests
        self._warn = warn
        self._nodes: dict[Digest, Node] = {}
        self._images: dict[Digest, Image] = {}
        self._done: dict[Node, Node] = {}
        #: For each name, the images that have it in each set.
        self._owners: dict[Hashable, list[set[Hashable]]] = {}

    def run(self) -> ImageSet:
        """Return all images in the order of the sets."""
        for images in self._sets:
            for node in images.nodes():
                digest = node_digest(node)
                if digest is not None:
                    self._nodes.setdefault(digest, node)
                if isinstance(node, Image) and (digest is not None or not self._manifests):
                    self._images.setdefault(node.image_id, node)
        entries: dict[tuple[Hashable, Name | None], Entry] = {}
        for images in self._sets:
            own: dict[Hashable, set[Hashable]] = {}
            keeps = keeps_ref_names(images)
            for entry in images.entries:
                merged = self._entry(entry, keeps=keeps)
                identity = self.identity(merged)
                entries.setdefault((identity, merged.name), merged)
                if merged.name is not None:
                    own.setdefault(_name_key(merged.name), set()).add(identity)
            for name, identities in own.items():
                self._owners.setdefault(name, []).append(identities)
        named = {identity for identity, name in entries if name is not None}
        kept = tuple(entry for (identity, name), entry in entries.items() if name is not None or identity not in named)
        formats = tuple(images.format for images in self._sets)
        return self._with_top(ImageSet(kept, formats[0], ref_names_final=True, formats=formats))

    def check_names(self, images: ImageSet) -> None:
        """Refuse a name of two images of the edited result that come from two sets.

        Raises:
            NotRepresentableError: there is one.
        """
        found: dict[Hashable, dict[Hashable, Entry]] = {}
        for entry in images.entries:
            if entry.name is not None and (self._manifests or entry.name.reference is not None):
                found.setdefault(_name_key(entry.name), {})[self.identity(entry)] = entry
        for name, owners in found.items():
            if len(owners) < 2 or any(owners.keys() <= held for held in self._owners.get(name, ())):
                continue
            first, second = list(owners)[:2]
            label = entry_label(next(iter(owners.values())))
            raise NotRepresentableError(
                f"two sources have an image named {label}: {first} and {second}",
                code="name-on-two-images",
                hint=_CLASH_HINT.format(label)
                + ("; --join makes one index of the images of several platforms" if self._manifests else ""),
            )

    def identity(self, entry: Entry) -> Hashable:
        """Return what two entries of one image share."""
        node = entry.node
        if node is None:
            return entry.descriptor.digest if entry.descriptor is not None else None
        if isinstance(node, Image) and not self._manifests:
            return node.image_id
        return node_digest(node) or (node.image_id if isinstance(node, Image) else node)

    def _entry(self, entry: Entry, *, keeps: bool) -> Entry:
        name = entry.name
        if name is not None and not keeps and name.reference is not None and name.reference.digest is None:
            # Only the format gave it its ref.name.
            name = Name(name.reference)
        node = self._node(entry.node) if entry.node is not None else self._absent(entry)
        if node is not entry.node and entry.descriptor is None:
            return Entry(node, name)
        return Entry(node, name, entry.descriptor)

    def _absent(self, entry: Entry) -> Node | None:
        """Return what another source holds of an image that this one only names."""
        found = self._nodes.get(entry.descriptor.digest) if entry.descriptor is not None else None
        return self._node(found) if found is not None else None

    def _node(self, node: Node) -> Node:
        if node not in self._done:
            digest = node_digest(node)
            found = self._nodes[digest] if digest is not None else node
            if isinstance(node, Image) and (digest is None or not self._manifests):
                found = self._images.setdefault(node.image_id, node)
            if isinstance(found, Index):
                found = self._index(found)
            self._done[node] = found
        return self._done[node]

    def _index(self, index: Index) -> Index:
        if index not in self._done:
            children = tuple(Child(child.descriptor, self._child(child)) for child in index.children)
            self._done[index] = dataclasses.replace(index, children=children)
        done = self._done[index]
        if not isinstance(done, Index):
            raise TypeError(f"index {index.digest} became something else")
        return done

    def _child(self, child: Child) -> Node | None:
        found = child.node if child.node is not None else self._nodes.get(child.descriptor.digest)
        return self._node(found) if found is not None else None

    def _with_top(self, images: ImageSet) -> ImageSet:
        """Return the images with the fields of `index.json`; where the sources differ, with those of the first."""
        annotations: dict[str, str] = {}
        artifact_types, subjects = [], []
        for one in self._sets:
            for key, value in one.index_annotations.items():
                if annotations.setdefault(key, value) != value:
                    self._warn(_dropped("annotations", f"annotation {key}"))
            artifact_types += [one.index_artifact_type] if one.index_artifact_type is not None else []
            subjects += [one.index_subject] if one.index_subject is not None else []
        if any(each != artifact_types[0] for each in artifact_types):
            self._warn(_dropped("artifact-type", "an artifactType"))
        if any(each.digest != subjects[0].digest for each in subjects):
            self._warn(_dropped("subject", "a subject"))
        return dataclasses.replace(
            images,
            index_annotations=annotations,
            index_artifact_type=next(iter(artifact_types), None),
            index_subject=next(iter(subjects), None),
        )


def _dropped(what: str, text: str) -> Dropped:
    return Dropped(f"dropped {text} of index.json: another SOURCE has another one", what=what, of="index.json")


def _name_key(name: Name) -> Hashable:
    """Return what two spellings of one name share."""
    return name.reference.with_default_tag() if name.reference is not None else name.ref_name

"""Change names in the documents of an archive: `index.json`, `manifest.json` and `repositories`.

What else a document holds stays, in its order.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError
from convert.jsonio.go_encode import dumps
from convert.model.image import Image
from convert.model.image_set import SourceFormat
from convert.model.reference import Reference
from convert.model.walk import descend
from convert.plan.edit.find import entry_digests
from convert.plan.select_image import identifying_digests
from convert.writer.oci import IMAGE_NAME, REF_NAME

if TYPE_CHECKING:
    from convert.model.image_set import Entry, ImageSet

#: The documents that list names, by member.
DOCUMENTS: Final = ("index.json", "manifest.json", "repositories")
#: Formats in which the ref.name always is the tag.
_TAG_ONLY: Final = frozenset({SourceFormat.DOCKER_OCI, SourceFormat.DOCKER_SAVE_25})


def add_name(documents: dict[str, bytes], entry: Entry, name: Reference, images: ImageSet) -> None:
    """Give the image of an entry one more name, in each document that lists it."""
    if "index.json" in documents:
        document = _parsed(documents["index.json"])
        _add_to_index(document["manifests"], _top_digests(entry), name, tag_only=images.format in _TAG_ONLY)
        documents["index.json"] = _serialised(document, documents["index.json"])
    if "manifest.json" in documents:
        document = _parsed(documents["manifest.json"])
        item = next(iter(_items(document, entry, images)), None)
        if item is not None:
            tags = item.get("RepoTags") or []
            if name.familiar not in tags:
                item["RepoTags"] = [*tags, name.familiar]
        documents["manifest.json"] = _serialised(document, documents["manifest.json"])
    if "repositories" in documents:
        document = _parsed(documents["repositories"])
        top = _top_id(document, entry, images)
        if top is not None and name.tag is not None:
            document.setdefault(name.familiar_repository, {})[name.tag] = top
        documents["repositories"] = _serialised(document, documents["repositories"])


def remove_name(documents: dict[str, bytes], entry: Entry, name: Reference | None, images: ImageSet) -> None:
    """Take a name away from the image of an entry; without a `name`, the entry's ref.name."""
    if "index.json" in documents:
        document = _parsed(documents["index.json"])
        ref_name = entry.name.ref_name if entry.name is not None else None
        _remove_from_index(document["manifests"], _top_digests(entry), name, ref_name)
        documents["index.json"] = _serialised(document, documents["index.json"])
    if name is None:
        return
    if "manifest.json" in documents:
        document = _parsed(documents["manifest.json"])
        for item in _items(document, entry, images):
            tags = [tag for tag in item.get("RepoTags") or [] if _reference(tag) != name]
            item["RepoTags"] = tags or None
        documents["manifest.json"] = _serialised(document, documents["manifest.json"])
    if "repositories" in documents:
        document = _parsed(documents["repositories"])
        for repository in (name.familiar_repository, name.repository):
            tags = document.get(repository)
            if isinstance(tags, dict) and name.tag in tags:
                del tags[name.tag]
                if not tags:
                    del document[repository]
        documents["repositories"] = _serialised(document, documents["repositories"])


def _parsed(raw: bytes) -> Any:
    return json.loads(raw)


def _serialised(document: Any, before: bytes) -> bytes:
    """Return a document as bytes; the same bytes where nothing changed."""
    if json.loads(before) == document:
        return before
    return dumps(document) + (b"\n" if before.endswith(b"\n") else b"")


def _top_digests(entry: Entry) -> set[str]:
    """Return the digests by which `index.json` may list an entry."""
    digests = {str(entry.descriptor.digest)} if entry.descriptor is not None else set()
    if isinstance(entry.node, Image) and entry.node.manifest is not None:
        digests.add(str(entry.node.manifest.digest))
    return digests or {str(digest) for digest in entry_digests(entry)}


def _add_to_index(manifests: list[Any], digests: set[str], name: Reference, *, tag_only: bool) -> None:
    places = [place for place, each in enumerate(manifests) if each.get("digest") in digests]
    if not places:
        return
    ref_name = name.tag
    if not tag_only and any(
        (each.get("annotations") or {}).get(REF_NAME) == name.tag
        for each in manifests
        if each.get("digest") not in digests
    ):
        ref_name = name.full
    names = {IMAGE_NAME: name.full, REF_NAME: ref_name}
    for place in places:
        annotations = manifests[place].get("annotations") or {}
        if not {IMAGE_NAME, REF_NAME} & annotations.keys():
            manifests[place]["annotations"] = {**annotations, **names}
            return
    copy = dict(manifests[places[-1]])
    copy["annotations"] = {**(copy.get("annotations") or {}), **names}
    manifests.insert(places[-1] + 1, copy)


def _remove_from_index(manifests: list[Any], digests: set[str], name: Reference | None, ref_name: str | None) -> None:
    for each in [each for each in manifests if each.get("digest") in digests]:
        annotations = each.get("annotations") or {}
        own = _name_of(annotations)
        if own != name or (name is None and annotations.get(REF_NAME) != ref_name):
            continue
        if sum(other.get("digest") == each["digest"] for other in manifests) > 1:
            # By identity: two equal entries are two.
            manifests[:] = [other for other in manifests if other is not each]
            continue
        rest = {key: value for key, value in annotations.items() if key not in {IMAGE_NAME, REF_NAME}}
        if rest:
            each["annotations"] = rest
        else:
            each.pop("annotations", None)


def _name_of(annotations: dict[str, Any]) -> Reference | None:
    """Return the name that annotations give, as the reader of layouts finds it."""
    for text in (annotations.get(IMAGE_NAME), annotations.get(REF_NAME)):
        if text and (text == annotations.get(IMAGE_NAME) or any(mark in text for mark in "/:@")):
            found = _reference(text)
            if found is not None:
                return found
    return None


def _reference(text: str) -> Reference | None:
    try:
        return Reference.parse(text).with_default_tag()
    except FormatError:
        return None


def _items(document: Any, entry: Entry, images: ImageSet) -> list[dict[str, Any]]:
    """Return the elements of `manifest.json` that stand for an entry: of an index, those of its images."""
    wanted = {digest for node in descend(entry.node) for digest in identifying_digests(node)}
    return [
        item
        for item, image_id in zip(document, images.listed, strict=False)
        if image_id in wanted and isinstance(item, dict)
    ]


def _top_id(document: dict[str, Any], entry: Entry, images: ImageSet) -> str | None:
    """Return what `repositories` gives for an image: as for another of its names, else as its writer computes it."""
    for each in images.entries:
        reference = each.name.reference if each.name is not None else None
        if reference is not None and entry_digests(each) & entry_digests(entry):
            found = (document.get(reference.familiar_repository) or {}).get(reference.tag)
            if isinstance(found, str):
                return found
    if not isinstance(entry.node, Image) or not entry.node.layers:
        return None
    if entry.node.v1_ids:
        return entry.node.v1_ids[-1]
    return entry.node.layers[-1].diff_id.hex if images.format in _TAG_ONLY else None

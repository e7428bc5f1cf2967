"""Find the entries and nodes that the REF of an edit names."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.errors import FormatError, SelectionError
from convert.model.digest import Digest
from convert.model.reference import Reference
from convert.model.walk import descend
from convert.plan.labels import entry_label, node_label
from convert.plan.select_image import HEX_PREFIX, identifying_digests, inventory
from convert.plan.select_platform import image_key

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.model.image import Node
    from convert.model.image_set import Entry, ImageSet


def find_named(images: ImageSet, text: str) -> list[Entry]:
    """Return the entries with a name: a ref.name exactly, or a normalised reference.

    Without a tag `latest` is meant, or the only tag of the repository. `NAME@DIGEST` is the
    name of the image with this manifest digest or image ID, for a name that two images have.
    """
    word, _, behind = text.rpartition("@")
    digest_of_tag = _digest(behind) if word else None
    exact = [
        entry
        for entry in images.entries
        if entry.name is not None
        and (
            entry.name.ref_name == text
            or (digest_of_tag is not None and entry.name.ref_name == word and digest_of_tag in entry_digests(entry))
        )
    ]
    if exact:
        return exact
    try:
        wanted = Reference.parse(text)
    except FormatError:
        return []
    found = [
        (entry, entry.name.reference)
        for entry in images.entries
        if entry.name is not None
        and entry.name.reference is not None
        and entry.name.reference.repository == wanted.repository
    ]
    digest, tag = wanted.digest, wanted.tag
    if digest is not None:
        found = [
            (entry, reference)
            for entry, reference in found
            if reference.digest == digest or digest in entry_digests(entry)
        ]
    if tag is None and digest is None:
        tags = {reference.tag for _, reference in found}
        tag = "latest" if "latest" in tags or len(tags) != 1 else next(iter(tags))
    return [entry for entry, reference in found if tag is None or reference.tag == tag]


def find_one_named(images: ImageSet, text: str, option: str) -> list[Entry]:
    """Return the entries of the one image with a name; `option` names the edit in errors.

    Raises:
        SelectionError: no image has the name, or two have it.
    """
    found = find_named(images, text)
    if not found:
        raise nothing_matches(images, text, option)
    _refuse_two(found, text, option)
    return found


def find_images(images: ImageSet, text: str, option: str) -> tuple[list[Entry], set[Node]]:
    """Return the entries, and the nodes below entries, that a name, digest or prefix of one names.

    Raises:
        SelectionError: it names nothing, or two images.
    """
    found = find_named(images, text)
    if found:
        _refuse_two(found, text, option)
        nodes, hits = {entry.node for entry in found if entry.node is not None}, set(found)
        return [entry for entry in images.entries if entry in hits or entry.node in nodes], set()
    for fits in _digest_tests(text):
        entries = [entry for entry in images.entries if any(map(fits, entry_digests(entry)))]
        tops = {entry.node for entry in entries}
        seen: set[Node] = set()
        inside = {
            node
            for entry in images.entries
            for node in descend(entry.node, seen)
            if node not in tops and any(map(fits, identifying_digests(node)))
        }
        labels = {node_label(node) for node in inside} | {
            node_label(entry.node) if entry.node is not None else entry_label(entry) for entry in entries
        }
        if len(labels) > 1:
            raise _ambiguous(text, option, sorted(labels), "give the full digest of one")
        if labels:
            return entries, inside
    raise nothing_matches(images, text, option)


def entry_digests(entry: Entry) -> set[Digest]:
    """Return what identifies an entry: image ID, manifest digest, and the digest that its descriptor names."""
    digests = identifying_digests(entry.node) if entry.node is not None else set()
    return digests | ({entry.descriptor.digest} if entry.descriptor is not None else set())


def nothing_matches(images: ImageSet, text: str, option: str) -> SelectionError:
    """Return the error for an edit that matches nothing."""
    return SelectionError(
        f"{option} {text!r} matches nothing in the source", code="edit-without-match", hint=inventory(images)
    )


def _refuse_two(found: list[Entry], text: str, option: str) -> None:
    # The entries that a layout lists by platform under one name are one image.
    by_image = {image_key(entry): entry for entry in found}
    if len(by_image) > 1:
        labels = [node_label(entry.node) if entry.node else entry_label(entry) for entry in by_image.values()]
        if len(set(labels)) > 1:
            raise _ambiguous(text, option, labels, f"name one as {text.partition('@')[0]}@DIGEST")


def _ambiguous(text: str, option: str, labels: list[str], hint: str) -> SelectionError:
    most = 8
    more = f" and {len(labels) - most} more" if len(labels) > most else ""
    return SelectionError(
        f"{option} {text!r} fits {len(labels)} images: {', '.join(labels[:most])}{more}",
        code="ambiguous-image",
        hint=hint,
    )


def _digest_tests(text: str) -> list[Callable[[Digest], bool]]:
    """Return the tests for a full digest and for a hex prefix, in this order."""
    tests: list[Callable[[Digest], bool]] = []
    wanted = _digest(text)
    if wanted is not None:
        tests.append(lambda digest: digest == wanted)
    match = HEX_PREFIX.match(text)
    if match is not None:
        prefix = match[1]
        tests.append(lambda digest: digest.hex.startswith(prefix))
    return tests


def _digest(text: str) -> Digest | None:
    try:
        return Digest.parse(text)
    except FormatError:
        return None

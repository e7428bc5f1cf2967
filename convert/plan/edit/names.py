"""Leave images out and change names: `--drop`, `--untag`, `--rename` (docs/contract.md#editing)."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.errors import FormatError, NotRepresentableError, SelectionError, UsageError
from convert.model.image import Child, Image
from convert.model.image_set import Entry, Name
from convert.model.reference import Reference
from convert.model.walk import node_digest
from convert.plan.edit.find import find_images, find_one_named, nothing_matches
from convert.plan.edit.rewrite import IndexRewriter
from convert.plan.labels import entry_label
from convert.plan.select_image import hides
from convert.plan.select_platform import image_key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.diagnostics import Dropped
    from convert.model.image import Node
    from convert.model.image_set import ImageSet
    from convert.plan.changes import Changes
    from convert.reader.sink import Fault


def drop(images: ImageSet, refs: Sequence[str], changes: Changes, unread: Sequence[Fault] = ()) -> ImageSet:
    """Leave out the images that `--drop` names, with all their names.

    A digest may also name a child of an index; the index is then rewritten without it. `unread` are
    the faults of images that could not be read; a REF may name those.

    Raises:
        SelectionError: a REF matches nothing or two images, or nothing is left.
    """
    left_out: set[Entry] = set()
    children: set[Node] = set()
    for text in refs:
        try:
            entries, inside = find_images(images, text, "--drop")
        except SelectionError as error:
            if error.code != "edit-without-match" or not is_dropped(unread, text):
                raise
            continue
        left_out.update(entries)
        children |= inside
    images = dataclasses.replace(images, entries=tuple(entry for entry in images.entries if entry not in left_out))

    def loss(child: Child) -> list[Dropped] | None:
        return [] if child.node in children else None

    if children:
        images = IndexRewriter("--drop", loss, changes).run(images)
    if refs and not images.entries:
        raise SelectionError("--drop leaves no image", code="nothing-to-write")
    return images


def is_dropped(faults: Sequence[Fault], text: str) -> bool:
    """Return whether `--drop` names a part that has one of these faults."""
    return any(fault.part is not None and hides(fault.part, text) for fault in faults)


def untag(images: ImageSet, refs: Sequence[str]) -> ImageSet:
    """Take the names away that `--untag` names; an image without another name stays, untagged.

    Raises:
        SelectionError: a REF matches no name, or one that two images have.
    """
    removed: set[Entry] = set()
    for text in refs:
        removed.update(find_one_named(images, text, "--untag"))
    if not removed:
        return images
    named = {_identity(entry) for entry in images.entries if entry not in removed}
    entries: list[Entry] = []
    for entry in images.entries:
        if entry not in removed:
            entries.append(entry)
        elif _identity(entry) not in named:
            named.add(_identity(entry))
            entries.append(Entry(entry.node, None, entry.descriptor))
    return dataclasses.replace(images, entries=tuple(entries))


@dataclass(frozen=True, slots=True)
class Renaming:
    """One `--rename OLD=NEW`: a name becomes another one, or a prefix of path components another prefix."""

    text: str
    old: str
    new: str

    @classmethod
    def parse(cls, text: str) -> Renaming:
        """Read `OLD=NEW`.

        Raises:
            UsageError: malformed.
        """
        old, equals, new = text.rpartition("=")
        if not equals or not old or not new:
            raise _malformed(text, "is not OLD=NEW", "as in --rename app:1.0=registry.example/app:1.0")
        if old.endswith("/") != new.endswith("/"):
            hint = "as in --rename docker.io/library/=registry.example/mirror/"
            raise _malformed(text, "replaces a prefix only if both end in /", hint)
        for part in (old, new):
            if part.endswith("/"):
                _prefix(text, part)
        if not new.endswith("/"):
            _new_reference(text, new)
        return cls(text, old, new)

    @property
    def is_prefix(self) -> bool:
        """Whether it replaces a prefix."""
        return self.old.endswith("/")

    def of_prefix(self, name: Reference) -> Reference | None:
        """Return a name with its prefix replaced, None if it does not start with the prefix.

        Raises:
            UsageError: the result is not a valid name.
        """
        old = _prefix(self.text, self.old)
        if not name.full.startswith(old):
            return None
        text = _prefix(self.text, self.new) + name.full.removeprefix(old)
        try:
            return Reference.parse(text)
        except FormatError as error:
            raise _malformed(self.text, f"makes {name.full} an invalid name: {error.message}") from None


def rename(images: ImageSet, texts: Sequence[str]) -> ImageSet:
    """Give names to images as `--rename` says.

    Every OLD is looked for among the names that are there before. A full name goes before a
    prefix, a longer prefix before a shorter one.

    Raises:
        UsageError: an OLD=NEW is malformed.
        SelectionError: an OLD matches nothing.
        NotRepresentableError: a name would be that of two images.
    """
    rules = [Renaming.parse(text) for text in texts]
    found: dict[Entry, Reference] = {}
    for rule in rules:
        if not rule.is_prefix:
            for entry in find_one_named(images, rule.old, "--rename"):
                new = _renamed(rule, entry)
                if found.setdefault(entry, new) != new:
                    raise _malformed(rule.text, f"gives {entry_label(entry)} a second new name")
    for rule in sorted((rule for rule in rules if rule.is_prefix), key=lambda rule: -len(_prefix(rule.text, rule.old))):
        matched = False
        for entry in images.entries:
            reference = entry.name.reference if entry.name is not None else None
            new_name = rule.of_prefix(reference) if reference is not None else None
            if new_name is not None:
                matched = True
                found.setdefault(entry, new_name)
        if not matched:
            raise nothing_matches(images, rule.old, "--rename")
    if not found:
        return images
    entries = [
        dataclasses.replace(entry, name=_name(entry.name, found[entry])) if entry in found else entry
        for entry in images.entries
    ]
    changed = {new.full for new in found.values()}
    refuse_clashes((entry for entry in entries if entry.name and _full(entry.name) in changed), "--rename")
    return dataclasses.replace(images, entries=distinct_entries(entries))


def full_names(images: ImageSet) -> ImageSet:
    """Return the images with the full name as ref.name in OCI layouts, for tools that read nothing else."""
    entries = tuple(
        dataclasses.replace(entry, name=Name(entry.name.reference, entry.name.reference.full))
        if entry.name is not None and entry.name.reference is not None
        else entry
        for entry in images.entries
    )
    return dataclasses.replace(images, entries=entries, ref_names_final=True)


def refuse_clashes(entries: Iterable[Entry], option: str) -> None:
    """Refuse names of which one stands for two images; platforms that a layout lists under one name are one image.

    Raises:
        NotRepresentableError: there is one; `option` is what gave it.
    """
    owners: dict[str, Entry] = {}
    for entry in entries:
        if entry.name is None or entry.name.reference is None:
            continue
        owner = owners.setdefault(_full(entry.name), entry)
        if _identity(owner) != _identity(entry) and image_key(owner) != image_key(entry):
            label, first, second = entry_label(entry), _identity(owner), _identity(entry)
            raise NotRepresentableError(
                f"{option}: {label} would be the name of two images, {first} and {second}", code="name-on-two-images"
            )


def distinct_entries(entries: Iterable[Entry]) -> tuple[Entry, ...]:
    """Return the entries, one for each pair of image and name."""
    kept: dict[object, Entry] = {}
    for entry in entries:
        name = entry.name
        key = name if name is None or name.reference is None else (name.reference.with_default_tag(), name.ref_name)
        kept.setdefault((_identity(entry), key), entry)
    return tuple(kept.values())


def _identity(entry: Entry) -> object:
    """Return what two entries of one image share: the manifest digest, else the image ID."""
    node = entry.node
    if node is None:
        return entry.descriptor.digest if entry.descriptor is not None else None
    return node_digest(node) or (node.image_id if isinstance(node, Image) else node)


def _renamed(rule: Renaming, entry: Entry) -> Reference:
    """Return the new name; a NEW without a tag keeps that of a name which OLD gives without one, else is `latest`."""
    new = _new_reference(rule.text, rule.new)
    old = entry.name.reference if entry.name is not None else None
    if new.tag is None and old is not None and old.tag is not None:
        try:
            given = Reference.parse(rule.old)
        except FormatError:
            given = None
        if given is not None and given.tag is None and given.repository == old.repository:
            return new.with_tag(old.tag)
    return new.with_default_tag()


def _new_reference(text: str, new: str) -> Reference:
    try:
        reference = Reference.parse(new)
    except FormatError as error:
        raise _malformed(text, error.message) from None
    if reference.digest is not None:
        raise _malformed(text, "gives a name with a digest")
    return reference


def _prefix(text: str, prefix: str) -> str:
    """Return a prefix in full: `hold/` is `docker.io/hold/`.

    Raises:
        UsageError: no name starts with it.
    """
    probe = "x/x"  # not "x": an official image would get "library/"
    try:
        return Reference.parse(prefix + probe).full.removesuffix(probe)
    except FormatError:
        raise _malformed(text, f"replaces {prefix!r}, which is not the start of a name") from None


def _name(old: Name | None, new: Reference) -> Name:
    """Return the new name, with a ref.name of the same kind as the old one: the tag, or a full or familiar name."""
    if old is None or old.ref_name is None or old.reference is None:
        return Name(new)
    spelled = {old.reference.tag: new.tag, old.reference.full: new.full, old.reference.familiar: new.familiar}
    return Name(new, spelled.get(old.ref_name))


def _full(name: Name) -> str:
    return name.reference.with_default_tag().full if name.reference is not None else ""


def _malformed(text: str, why: str, hint: str | None = None) -> UsageError:
    return UsageError(f"--rename {text!r} {why}", code="invalid-rename", hint=hint)

"""Change names in place: `tag` and `untag` (`imgconv tag`, `imgconv untag`).

Of an archive only the documents that list names are written again: `index.json`, `manifest.json` and
`repositories`, where they exist, in their place. All other members keep their bytes, and all keep their order: the
archive is the one that a conversion to its format writes under these names.
"""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive import tar_rewrite
from convert.archive.atomic import AtomicFile
from convert.archive.folders import Place, write_all
from convert.archive.open import open_source
from convert.archive.tar_tree import TarTree
from convert.archive.temporary import remove_stale
from convert.archive.transport import STDIN, path_of
from convert.archive.tree import LINKS
from convert.commands.common import Options, ignore, options_of
from convert.commands.in_place import expected_members, opened_place
from convert.errors import NotRepresentableError, SelectionError, StorageError, UsageError
from convert.layer.context import ReadContext
from convert.model.digest import Digest
from convert.model.image import config_of
from convert.model.image_set import SourceFormat
from convert.plan.edit.documents import DOCUMENTS, add_name, asked_name, remove_name
from convert.plan.edit.find import entry_digests, find_one_named
from convert.plan.labels import entry_label
from convert.plan.read_selection import naming_source, parse_tag
from convert.plan.select_image import select_by_image
from convert.reader.detect import read
from convert.reader.sink import Sink
from convert.report.tag import NamesReport
from convert.writer.dest.destination_folder import DestinationFolder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Unpack

    from convert.archive.open import Source
    from convert.commands.common import Path, Warn
    from convert.commands.keywords import TagFields
    from convert.model.image_set import Entry, ImageSet

#: Images that one message lists.
_MOST: Final = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class TagOptions(Options):
    """The options of `tag` (docs/contract.md#tag-and-untag).

    Attributes:
        old: the image, by name, image ID, manifest digest or a prefix of one; the only
            image if None (#selecting).
    """

    old: str | None = None


def tag(
    source: Path, new: str, options: TagOptions | None = None, *, warn: Warn = ignore, **fields: Unpack[TagFields]
) -> NamesReport:
    """Add a name to an image of an archive or layout, in place.

    Args:
        source: a file or folder, as for `convert`; a symbolic link is resolved once.
        new: the name; if another image has it, it moves to this one.
        options: which image; see `TagOptions`.
        warn: called with one line for each thing that was accepted.
        fields: the fields of `TagOptions`, instead of `options`.

    Raises:
        UsageError: the name is not valid, there are several images or none, or the source is
            compressed or not a file or folder.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: reading or writing failed.
    """
    given = options_of(TagOptions, options, dict(fields))
    reference = parse_tag(new, "NEW")
    with _opened(source) as (opened, context):
        images = _read(opened, warn)
        entry = _one(images, given.old)
        there = [each for each in images.entries if each.name is not None and each.name.reference == reference]
        own = entry_digests(entry)
        moved = next((each for each in there if not entry_digests(each) & own), None)
        documents = _documents(opened)
        for other in there:
            if not entry_digests(other) & own:
                remove_name(documents, other, reference, images, where=opened.path)
        if moved is not None or not there:
            add_name(documents, entry, reference, images, where=opened.path)
        return _write(opened, context, documents, images, entry, moved)


def untag(source: Path, ref: str, *, warn: Warn = ignore) -> NamesReport:
    """Take a name away from an image of an archive or layout, in place; the image stays.

    Args:
        source: a file or folder, as for `convert`; a symbolic link is resolved once.
        ref: the name; `NAME@DIGEST` for one that two images have.
        warn: called with one line for each thing that was accepted.

    Raises:
        UsageError: no image has the name, or two have it, or the source is compressed or not a
            file or folder.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: reading or writing failed.
    """
    with _opened(source) as (opened, context):
        images = _read(opened, warn)
        entries = find_one_named(images, ref, "untag")
        documents = _documents(opened)
        for entry in entries:
            if entry.name is None:
                continue
            rest = [e for e in images.entries if e not in entries and entry_digests(e) & entry_digests(entry)]
            if images.format is SourceFormat.DOCKER_V1 and not rest:
                raise NotRepresentableError(
                    "this is the image's last name, and only its names lead to it in an archive without manifest.json",
                    code="last-name",
                    hint="--to docker-save --untag writes one that holds it untagged",
                )
            remove_name(documents, entry, asked_name(entry, ref), images, where=opened.path)
        return _write(opened, context, documents, images, entries[0], None)


@contextlib.contextmanager
def _opened(source: Path) -> Iterator[tuple[Source, ReadContext]]:
    """Open a source that can be changed in place."""
    text = os.fspath(source)
    if path_of(text) == STDIN:
        raise UsageError("standard input cannot be changed in place", code="compressed-source")
    with contextlib.ExitStack() as stack:
        opened = stack.enter_context(open_source(text))
        stack.enter_context(naming_source(opened.path))
        if opened.tree.is_registry:
            raise UsageError(
                "this is the storage of a registry; a push changes its tags",
                code="registry-storage",
                file=opened.path,
                hint="convert it with --to and --tag",
            )
        if opened.compression or not (opened.tree.is_folder or isinstance(opened.tree, TarTree)):
            what = f"is compressed ({opened.compression})" if opened.compression else "is not a regular file"
            raise UsageError(
                f"{what} and cannot be changed in place",
                code="compressed-source",
                file=opened.path,
                hint="convert it with --to and --tag",
            )
        context = ReadContext()
        opened.tree.on_read = lambda blob, data: context.verified.blobs.add(blob, Digest.of(data), len(data))
        yield opened, context


def _read(opened: Source, warn: Warn) -> ImageSet:
    images = read(opened.tree, sink=Sink(accepts_absent=True))
    for line in images.warnings:
        warn(line)
    if images.format is SourceFormat.DIR:
        raise NotRepresentableError(
            "a dir: folder holds no names", file=opened.path, hint="convert it with --to oci and --tag"
        )
    return images


def _one(images: ImageSet, old: str | None) -> Entry:
    """Return an entry of the one image that OLD names."""
    found = select_by_image(images, [old] if old is not None else [])
    entries = {frozenset(entry_digests(entry)): entry for entry in reversed(found.entries)}
    if len(entries) != 1:
        labels = [entry_label(entry) for entry in reversed(entries.values())]
        more = f" and {len(labels) - _MOST} more" if len(labels) > _MOST else ""
        raise SelectionError(
            f"the source holds {len(labels)} images: {', '.join(labels[:_MOST])}{more}",
            code="several-images",
            hint="name one as OLD",
        )
    (entry,) = entries.values()
    if all(entry.node is not each.node for each in images.entries):
        raise SelectionError("only an index has names, not its children", code="no-such-image")
    return entry


def _documents(opened: Source) -> dict[str, bytes]:
    found = [name for name in DOCUMENTS if opened.tree.find(name) is not None]
    for name in found:
        member = opened.tree.member(name)
        if member is not None and member.kind in LINKS:
            # What it leads to may be read under another name too.
            raise UsageError(
                f"{name} is a link, which is not changed in place",
                code="destination-is-link",
                file=opened.path,
                hint="convert it with --to and --tag",
            )
    return {name: opened.tree.read(name) for name in found}


def _write(
    opened: Source,
    context: ReadContext,
    documents: Mapping[str, bytes],
    images: ImageSet,
    entry: Entry,
    moved: Entry | None,
) -> NamesReport:
    """Write the documents that changed, and read the names back for the report."""
    changed = {name: raw for name, raw in documents.items() if raw != opened.tree.read(name)}
    if isinstance(opened.tree, TarTree):
        _write_tar(opened, opened.tree, context, changed)
    else:
        _write_folder(opened, changed)
    config = config_of(entry.node)
    before = tuple(
        dict.fromkeys(
            entry_label(each)
            for each in images.entries
            if each.name is not None and entry_digests(each) & entry_digests(entry)
        )
    )
    with open_source(opened.path) as again:
        after = read(again.tree, sink=Sink(accepts_absent=True))
        names = tuple(
            dict.fromkeys(
                entry_label(each)
                for each in after.entries
                if each.name is not None and entry_digests(each) & entry_digests(entry)
            )
        )
    return NamesReport(
        opened.path,
        before,
        names,
        config.digest if config is not None else None,
        entry_label(moved) if moved is not None else None,
        next((digest for digest in sorted(entry_digests(moved))), None) if moved is not None else None,
        tuple(changed),
    )


def _write_tar(opened: Source, tree: TarTree, context: ReadContext, changed: Mapping[str, bytes]) -> None:
    replaced = {name: tar_rewrite.replacement(tree, name, raw) for name, raw in changed.items()}
    try:
        place = opened_place(opened.path, tree)
        if not changed:
            place.close()
            return
        with AtomicFile(place, replace=True, same=os.fstat(tree.fd)) as out:
            tar_rewrite.write_to_file(out.fd, tree, (), (), expected_members(tree, context), replaced)
            tree.check_unchanged()
            out.commit()
    except OSError as error:
        raise StorageError.from_os(error, file=opened.path, doing="writing") from error


def _write_folder(opened: Source, changed: Mapping[str, bytes]) -> None:
    try:
        if not changed:
            # What a killed run left in it is removed all the same.
            with contextlib.closing(Place(os.path.join(os.path.realpath(opened.path), "index.json"))) as place:
                remove_stale(place.folder)
            return
        folder = DestinationFolder(os.path.realpath(opened.path))
        try:
            folder.look()
            folder.open()
            if not folder.lock():
                raise UsageError(
                    "another imgconv is writing to it",
                    code="destination-busy",
                    file=opened.path,
                    hint="try again later",
                )
            opened.tree.check_unchanged()
            # index.json last: a layout is what it lists.
            for name in sorted(changed, key=lambda name: name == "index.json"):
                with AtomicFile(Place(os.path.join(os.path.realpath(opened.path), name)), replace=True) as out:
                    write_all(out.fd, changed[name])
                    out.commit()
        finally:
            folder.close()
    except OSError as error:
        raise StorageError.from_os(error, file=opened.path, doing="writing") from error

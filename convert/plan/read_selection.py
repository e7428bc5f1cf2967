"""Read a source and select what the options of a command ask for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from convert.errors import (
    FormatError,
    InputError,
    NotRepresentableError,
    SelectionError,
    UsageError,
)
from convert.model.platform import Platform
from convert.model.reference import Reference
from convert.plan import dropped
from convert.reader.detect import holds_something, read
from convert.reader.sink import CollectingSink, Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.archive.open import Source
    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostic
    from convert.identity.push.pushers import Pusher
    from convert.model.blob import Blob
    from convert.model.image_set import ImageSet
    from convert.plan.edit.edits import Edits
    from convert.plan.push_reader import PushReader
    from convert.reader.sink import Fault


def read_selection(
    opened: Source,
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    *,
    pusher: Pusher | None = None,
    push_reader: PushReader | None = None,
    warn: Callable[[Diagnostic], None],
    accepts_absent: bool = False,
) -> ImageSet:
    """Read a source, as `pusher` does if there is one, and keep what `--image` and `--platform` ask for.

    `push_reader` shares what it reads of the source among pushers. With `accepts_absent`, layers that
    are not in the source are not an error: they have no blob.

    Raises:
        SelectionError: the options fit nothing, or more than they may.
        UsageError: a platform is malformed, or the pusher cannot read the source.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
    """
    return read_sources(
        [opened],
        images,
        platforms,
        pusher=pusher,
        push_reader=push_reader,
        warn=warn,
        accepts_absent=accepts_absent,
    )


def read_sources(
    opened: Sequence[Source],
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    *,
    tags: Sequence[str] = (),
    pusher: Pusher | None = None,
    push_reader: PushReader | None = None,
    edits: Edits | None = None,
    manifests: bool = True,
    is_join: bool = False,
    origins: dict[Blob, str] | None = None,
    read_all: Callable[[Tree, Sink], ImageSet] = read,
    warn: Callable[[Diagnostic], None],
    accepts_absent: bool = False,
) -> ImageSet:
    """Read one or more sources, put them together, and keep what the options ask for.

    `edits` change what was selected. `tags` replace the names of the one image that is left.
    `manifests` is whether the result will hold manifests, which decides what is one image in two
    sources. With `is_join`, names do not count, because all images become one. With a `pusher`
    there is one source, and `push_reader` is as for `read_selection`. `origins` takes the source of
    each blob where there are several, and `read_all` reads one of them. `accepts_absent` is as for `read_selection`.

    Raises:
        SelectionError: the options fit nothing, or more than they may.
        UsageError: a platform or a tag is malformed, the pusher cannot read the source, or two
            sources have two images of one name.
        InputError: a source is damaged, hostile, unsupported or not an image archive.
    """
    wanted = [Platform.parse(text) for text in platforms]
    names = [parse_tag(text) for text in tags]
    asks = bool(images or wanted or (edits and (edits.drop or edits.prune)))
    with naming_source(opened[0].path if len(opened) == 1 else None):
        if len(opened) == 1:
            (source,) = opened
            if pusher is not None:
                read_all = _reader_as(pusher, source, push_reader, warn)
            found, faults = _read(source, read_all, warn, asks=asks, accepts_absent=accepts_absent)
            spelling, reference, merger = source.spelling, source.reference_text, None
        else:
            from convert.plan.merge import Merger  # noqa: PLC0415 - start-up time

            faults = []
            sets = [
                _read_one_of(source, faults, edits, warn, read_all, asks=asks, accepts_absent=accepts_absent)
                for source in opened
            ]
            merger = Merger(sets, manifests=manifests, warn=warn)
            if origins is not None:
                for source, one in zip(opened, sets, strict=True):
                    origins.update((blob, source.path) for blob in one.blobs())
            spelling, reference, found = "", "", merger.run()
        selected = found
        if asks or reference or faults:
            from convert.plan.select import select_images  # noqa: PLC0415 - start-up time

            selected = select_images(
                found,
                spelling=spelling,
                reference=reference,
                selectors=images,
                platforms=wanted,
                faults=edits.counting(faults) if edits is not None else faults,
                warn=warn,
                damaged=bool(edits and edits.drop),
            )
        if selected is not found:
            for line in dropped.find_dropped(found, selected, is_selection=True):
                warn(line)
            for line in dropped.find_dropped_attestations(found, selected):
                warn(line)
        if edits:
            from convert.plan.edit.edits import apply_edits  # noqa: PLC0415 - start-up time

            selected = apply_edits(selected, edits, faults)
        if not holds_something(selected):
            raise SelectionError("no manifest of what is selected is in the source", code="no-such-image")
        if merger is not None and not names and not is_join:
            merger.check_names(selected)
        if not names:
            return selected
        from convert.plan.select import replace_names  # noqa: PLC0415 - start-up time

        return replace_names(selected, names)


def _reader_as(
    pusher: Pusher, source: Source, reader: PushReader | None, warn: Callable[[Diagnostic], None]
) -> Callable[[Tree, Sink], ImageSet]:
    """Return what reads a source as `pusher` does."""
    from convert.plan.push_reader import PushReader  # noqa: PLC0415 - start-up time

    shared = reader or PushReader(source)
    return lambda _, sink: shared.read_as(pusher, warn, sink=sink)


def _read(
    source: Source,
    read_all: Callable[[Tree, Sink], ImageSet],
    warn: Callable[[Diagnostic], None],
    *,
    asks: bool,
    accepts_absent: bool,
) -> tuple[ImageSet, list[Fault]]:
    """Return what a source holds, and its faults; if nothing is selected or edited, its first fault is raised."""
    kind = CollectingSink if asks or source.reference_text else Sink
    sink = kind(accepts_absent=accepts_absent)
    found = read_all(source.tree, sink)
    for warning in found.warnings:
        warn(warning)
    return found, sink.faults


def _read_one_of(
    source: Source,
    faults: list[Fault],
    edits: Edits | None,
    warn: Callable[[Diagnostic], None],
    read_all: Callable[[Tree, Sink], ImageSet],
    *,
    asks: bool,
    accepts_absent: bool,
) -> ImageSet:
    """Return what one of several sources holds, or what its spelling names; its faults are added to `faults`."""

    def warn_of_source(line: Diagnostic) -> None:
        warn(line.within(source.path))

    with naming_source(source.path):
        found, own = _read(source, read_all, warn_of_source, asks=asks, accepts_absent=accepts_absent)
        if not source.reference_text:
            faults += own
            return found
        from convert.plan.select import select_images  # noqa: PLC0415 - start-up time

        return select_images(
            found,
            spelling=source.spelling,
            reference=source.reference_text,
            faults=edits.counting(own) if edits is not None else own,
            warn=warn_of_source,
        )


def parse_tag(text: str, option: str = "--tag") -> Reference:
    """Return the name that a `--tag`, or another option, gives.

    Raises:
        UsageError: malformed, without a tag, or with a digest.
    """
    try:
        reference = Reference.parse(text).with_default_tag()
    except FormatError as error:
        raise UsageError(f"{option} {text!r}: {error.message}", code="invalid-tag") from None
    if reference.tag is None or reference.digest is not None:
        raise UsageError(
            f"{option} {text!r} needs a tag and no digest",
            code="invalid-tag",
            hint=f"as in {option} example.com/app:1.0",
        )
    return reference


@contextlib.contextmanager
def naming_source(path: str | None) -> Iterator[None]:
    """Name the source in errors about it that come from code without its name; None names none."""
    try:
        yield
    except (InputError, SelectionError, NotRepresentableError) as error:
        error.file = error.file or path
        raise

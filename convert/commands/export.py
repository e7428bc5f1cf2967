"""Write the file system of an image as one tar: `export` (`imgconv export`)."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.archive.atomic import AtomicFile, refuse_overlap
from convert.archive.copy import Sink
from convert.archive.open import open_source
from convert.archive.stream_sink import STDOUT, names_descriptor, open_stream
from convert.archive.transport import STDIN, path_of
from convert.commands.common import Options, ignore, options_of
from convert.commands.one_image import only_platform, select_one
from convert.errors import NotRepresentableError, StorageError, UsageError
from convert.layer.context import LIMIT_HINT, BlobProgress, ReadContext, ReadOptions
from convert.layer.export import Exporter
from convert.limits import MAX_LAYER_SIZE
from convert.model.image import Image
from convert.plan.labels import entry_label
from convert.plan.read_selection import naming_source
from convert.progress import Silent
from convert.report.export import ExportReport
from convert.writer.destination import check_folder, check_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import ExportFields
    from convert.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class ExportOptions(Options):
    """The options of `export` (docs/contract.md#export).

    Attributes:
        ref: the image, by name, image ID, manifest digest or a prefix of one; the only
            image if None (#selecting).
        platforms: select a platform, `OS/ARCH[/VARIANT]` (#selecting).
        max_layer_size: the most bytes that a layer may unpack to, 64 GiB if None (#limits).
        force: replace what is at the destination (#destinations).
        with_: archives that hold the layers which a thin source lacks (docs/thin.md).
    """

    ref: str | None = None
    platforms: Sequence[str] = ()
    max_layer_size: int | None = None
    force: bool = False
    with_: Sequence[str] = ()


def export(
    source: Path,
    destination: Path,
    options: ExportOptions | None = None,
    *,
    warn: Warn = ignore,
    progress: Progress | None = None,
    **fields: Unpack[ExportFields],
) -> ExportReport:
    """Write the file system that the layers of one image make together as one tar.

    Whiteouts, opaque folders, hard links, extended attributes, devices, owners and times are as in
    image-spec's layer.md. Nothing is unpacked, and no privileges are needed. Each layer is read
    twice; contents are never held.

    Args:
        source: an archive or layout, as for `convert`.
        destination: a path, or `-` for standard output.
        options: what to select; see `ExportOptions`.
        warn: called with one line for each thing that was accepted.
        progress: takes counts of bytes; called from any thread.
        fields: the fields of `ExportOptions`, instead of `options`.

    Raises:
        UsageError: there are several images or platforms, or the destination may not be written to.
        InputError: a layer is damaged, hostile, or not one that engines unpack.
        StorageError: reading or writing failed.
    """
    given = options_of(ExportOptions, options, dict(fields))
    path, target = os.fspath(source), os.fspath(destination)
    _check_destination(target, [path_of(each) for each in (path, *given.with_)])
    with contextlib.ExitStack() as stack:
        # A destination that cannot be written to fails before anything is read.
        write, commit = _open_destination(target, stack, force=given.force)
        opened = stack.enter_context(open_source(path))
        stack.enter_context(naming_source(opened.path))
        found = select_one(opened, given.ref, given.platforms, warn, accepts_absent=bool(given.with_))
        if given.with_:
            from convert.commands.thin import open_absent  # noqa: PLC0415 - start-up time: thin archives are rare

            found = open_absent(given.with_, path, stack, warn, any_form=True)(found)
        image = only_platform(found)
        if not isinstance(image, Image):
            raise NotRepresentableError(
                f"its layers cannot be unpacked ({', '.join(image.opaque_types)})", code="layers-cannot-unpack"
            )
        context = ReadContext(
            ReadOptions(given.max_layer_size or MAX_LAYER_SIZE, file=opened.path, overlap=True, limit_hint=LIMIT_HINT),
            progress=BlobProgress(progress or Silent()),
        )
        exporter = Exporter(image.layers, context)
        exporter.read_names()
        try:
            exporter.write(write)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise StorageError.from_os(error, file=target, doing="writing") from error
        opened.tree.check_unchanged()
        commit()
        names = tuple(dict.fromkeys(entry_label(entry) for entry in found.entries if entry.name is not None))
        return ExportReport(opened.path, target, names, image.image_id, exporter.count)


def _check_destination(target: str, sources: Iterable[str]) -> None:
    if not target:
        raise UsageError("DEST is empty", code="empty-argument")
    if target == STDOUT and os.isatty(1):
        raise UsageError(
            "standard output is a terminal", code="terminal-output", hint="redirect it, or name a file as DEST"
        )
    check_spelling(None, target)
    check_folder(target)
    if not names_descriptor(target):
        for source in sources:
            if source != STDIN:
                refuse_overlap(target, source)


def _open_destination(
    target: str, stack: contextlib.ExitStack, *, force: bool
) -> tuple[Callable[[bytes], object], Callable[[], None]]:
    """Return a function that writes to the destination, and one that puts the result in place.

    Raises:
        UsageError: something is there that is not replaced, or it is a terminal.
        StorageError: it cannot be written to.
    """
    stream = open_stream(target)
    if stream is not None:
        stack.enter_context(contextlib.closing(stream))
        return stream.write, lambda: None
    out = stack.enter_context(AtomicFile(target, replace=force))
    return Sink(out.fd).write, out.commit

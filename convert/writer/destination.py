"""DEST: what it may be, and the output that is started there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, Self

from convert.archive import stream_sink
from convert.archive.atomic import folder_missing, refuse_overlap
from convert.archive.stream_sink import STDOUT, names_descriptor
from convert.archive.transport import NO_PATH, can_be_path
from convert.codec.compression import Compression
from convert.errors import StorageError, UsageError, shortened
from convert.writer.registry import TARGETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from convert.archive.tar_writer import Item
    from convert.layer.context import ReadContext
    from convert.layer.pool import Pool
    from convert.model.blob import Content
    from convert.model.image import Layer
    from convert.writer.dest.existing_layout import ExistingLayout
    from convert.writer.dest.staging import Staging
    from convert.writer.dest.tar_file import TarFile
    from convert.writer.dest.tar_stream import TarStream
    from convert.writer.registry import Target

#: Transports of skopeo, podman and buildah, and those of crane and syft that people type.
_TRANSPORT: Final = re.compile(
    r"(oci|oci-archive|docker-archive|docker|docker-daemon|containers-storage|dir|ostree|sif|tarball|registry):(.+)",
    re.DOTALL,
)
#: Suffixes of compressed files, and the tools that write them.
_COMPRESSED: Final = re.compile(r"\.(?:tar\.)?(gz|tgz|zst|tzst|zstd|xz|txz|bz2|tbz2?)\Z", re.IGNORECASE)
_COMPRESSORS: Final = {"z": Compression.ZSTD, "g": Compression.GZIP, "x": Compression.XZ, "b": Compression.BZIP2}


class Destination(Protocol):
    """Where a result goes. Use it as a context manager: without `commit` nothing stays.

    `TarFile`, `TarStream` and `LayoutDir` implement it.
    """

    @property
    def staging(self) -> Staging:
        """The folder for blobs that must exist before they can be written."""

    def open_existing(self, context: ReadContext) -> ExistingLayout | None:
        """Return the layout that the result is added to, None if the result stands alone; call it before `write`.

        Raises:
            StorageError: it cannot be read.
        """

    def write(
        self,
        items: Iterable[Item],
        pool: Pool,
        progress: Callable[[int], None] | None = None,
        *,
        relies_on: Sequence[Content] = (),
        before_end: Callable[[], None] | None = None,
    ) -> None:
        """Write all members, given in the order of the archive; call it once.

        `pool` runs what can run in parallel; the bytes do not depend on it.
        `progress` is called with the number of bytes of content that are done, from any thread.
        `relies_on` is not written, but the result relies on it: it is read to its end, which verifies it,
        while members are written, or before the first one is sent to a stream.
        `before_end` is called when all members are written; if it raises, the
        result is not completed.

        Raises:
            InputError: a content is not what it should be.
            StorageError: writing failed.
            BrokenPipeError: the reader of the stream closed it.
        """

    def record_layers(self, profile: str, layers: Iterable[Layer]) -> None:
        """List the layers that `profile` encoded, where the destination keeps such a list; call it after `write`."""

    def prepare(self, check: Callable[[int], None] | None = None) -> None:
        """Complete the result where it is built, and let `check` look at it, given as a descriptor.

        Call it after `write`. Nothing is in place yet; what `check` raises is passed on.

        Raises:
            UsageError: there is a check, and the result cannot be read back.
            StorageError: writing failed.
        """

    def commit(self) -> None:
        """Make the result durable and put it in place; what `prepare` does is done first if it was not called.

        Raises:
            StorageError: writing failed, or the destination changed during the run.
        """

    def withdraw(self) -> bool:
        """Remove again what `commit` put where nothing was; return whether that was possible.

        A result that replaced another one or was added to one stays.
        """

    def __enter__(self) -> Self:
        """Return itself."""

    def __exit__(self, *_: object) -> None:
        """Remove what is not committed."""


def check_options(wanted: Target, path: str, *, append: bool = False, verify_output: bool = False) -> None:
    """Refuse a destination that cannot take the target.

    Raises:
        UsageError: it cannot.
    """
    if append and not wanted.can_grow:
        raise UsageError(
            "--append adds to an OCI layout folder", code="incompatible-options", hint="use it with --to oci"
        )
    if path == STDOUT:
        if verify_output:
            raise UsageError(
                "--verify-output needs a result that can be read back",
                code="stream-cannot-be-verified",
                hint="name a file as DEST",
            )
        if wanted.is_folder:
            raise UsageError(
                "a folder cannot go to standard output", code="layout-to-stdout", hint="--to oci-archive can"
            )
        if os.isatty(1):
            raise UsageError(
                "standard output is a terminal", code="terminal-output", hint="redirect it, or name a file as DEST"
            )
    if not path:
        raise UsageError("DEST is empty", code="empty-argument")
    check_spelling(wanted, path)


def check_spelling(wanted: Target | None, path: str) -> None:
    """Refuse a destination whose name asks for something else; `wanted` is None for a tar that keeps its format.

    Raises:
        UsageError: it is spelled like a transport, or like a compressed tar.
        StorageError: no path can be spelled so.
    """
    if not can_be_path(path):
        raise StorageError("cannot create it: " + NO_PATH, code="impossible-path", file=path)
    is_folder = wanted is not None and wanted.is_folder
    if (match := _TRANSPORT.match(path)) is not None:
        name = wanted.name if wanted is not None else "docker-save"
        plain = match[2].partition(":")[0].lstrip("/") or "NAME"
        asks = match[1] if match[1] in TARGETS else name
        raise UsageError(
            f"DEST {shortened(path)!r} is spelled like a transport; DEST is a path",
            code="destination-spelled-as-transport",
            hint=f"--to {asks} {plain}, with --tag for a name; a file of that very name is ./{shortened(path)}",
        )
    if not is_folder and (match := _COMPRESSED.search(path)) is not None and not names_descriptor(path):
        kind = match[1].lower().lstrip("t")
        tool = _COMPRESSORS[kind[0]]
        bare = path[: match.start()] + ".tar"
        raise UsageError(
            f"DEST ends in {match[0]}, and the tar is not compressed as a whole",
            code="destination-spelled-as-compressed",
            hint=f"name it {bare}, or pipe it: imgconv ... - | {tool} > {path}",
        )


def check_folder(path: str) -> None:
    """Refuse a destination in a folder that does not exist.

    Raises:
        StorageError: the folder does not exist.
    """
    if path == STDOUT or names_descriptor(path):
        return
    if not os.path.isdir(os.path.dirname(os.path.realpath(path))):
        raise folder_missing(path)


def open_destination(
    wanted: Target, path: str, sources: Sequence[str], *, force: bool, append: bool = False
) -> Destination:
    """Start an output; nothing is at `path` before its `commit`. `sources` must not be overwritten.

    Raises:
        UsageError: the destination may not be written to.
        StorageError: it cannot be.
    """
    check_folder(path)
    files = [source for source in sources if source != STDOUT]
    if wanted.is_folder:
        from convert.writer.dest import folder_kind  # noqa: PLC0415 - start-up time
        from convert.writer.dest.layout_dir import LayoutDir  # noqa: PLC0415

        kind = folder_kind.DIR if wanted.single_entry else folder_kind.LAYOUT
        return LayoutDir(path, force=force, append=append, sources=files, kind=kind)
    return open_tar(path, force=force, sources=files)


def open_tar(
    path: str,
    *,
    force: bool = False,
    sources: Sequence[str] = (),
    stdout: BinaryIO | None = None,
    spool_folder: str | None = None,
) -> TarFile | TarStream:
    """Start an archive at `path`: a file, `-`, a FIFO or a device such as /dev/stdout.

    `force` allows to replace a regular file or a symbolic link, `sources` are what must
    not be overwritten. Blobs for a stream are built in `spool_folder`.

    Raises:
        UsageError: the destination exists, or is the source or inside it.
        StorageError: it cannot be written to.
    """
    if not names_descriptor(path):
        for source in sources:
            refuse_overlap(path, source)
    stream = stream_sink.open_stream(path, stdout)
    if stream is not None:
        from convert.writer.dest.tar_stream import TarStream  # noqa: PLC0415 - start-up time

        return TarStream(stream, path, spool_folder)
    from convert.writer.dest.tar_file import TarFile  # noqa: PLC0415 - start-up time

    return TarFile(path, replace=force)

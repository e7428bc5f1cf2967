"""What DEST may be, and the output that is begun there."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from convert.archive import stream_sink
from convert.errors import StorageError, UsageError, shortened
from convert.writer.dest import tar_file
from convert.writer.dest.layout_dir import FolderOutput
from convert.writer.registry import TARGETS

if TYPE_CHECKING:
    from convert.writer.dest.tar_file import TarOutput
    from convert.writer.registry import Target

#: Transports of skopeo, podman and buildah, and those of crane and syft that people type.
_TRANSPORT: Final = re.compile(
    r"(oci|oci-archive|docker-archive|docker|docker-daemon|containers-storage|dir|ostree|sif|tarball|registry):(.+)",
    re.DOTALL,
)
#: Endings by which people ask for a compressed file, and what makes one.
_COMPRESSED: Final = re.compile(r"\.(?:tar\.)?(gz|tgz|zst|tzst|zstd|xz|txz|bz2|tbz2?)\Z", re.IGNORECASE)
_COMPRESSORS: Final = {"z": "zstd", "g": "gzip", "x": "xz", "b": "bzip2"}


def check_options(wanted: Target, path: str, *, append: bool = False, verify_output: bool = False) -> None:
    """Refuse a destination that cannot take the target.

    Raises:
        UsageError: it cannot.
    """
    if append and wanted.name != "oci":
        raise UsageError("--append adds to an OCI layout folder", hint="use it with --to oci")
    if path == tar_file.STDOUT:
        if verify_output:
            raise UsageError("--verify-output needs a result that can be read back", hint="name a file as DEST")
        if wanted.folder:
            raise UsageError("a layout folder cannot go to standard output", hint="--to oci-archive can")
        if os.isatty(1):
            raise UsageError("standard output is a terminal", hint="redirect it, or name a file as DEST")
    if not path:
        raise UsageError("DEST is empty")
    check_spelling(wanted, path)


def check_spelling(wanted: Target | None, path: str) -> None:
    """Refuse a destination whose name asks for what it would not get; None is a tar that stays in its format.

    Raises:
        UsageError: it is spelled like a transport, or like a compressed tar.
    """
    folder = wanted is not None and wanted.folder
    if (match := _TRANSPORT.match(path)) is not None:
        name = wanted.name if wanted is not None else "docker-save"
        plain = match[2].partition(":")[0].lstrip("/") or "NAME"
        asks = match[1] if match[1] in TARGETS else name
        raise UsageError(
            f"DEST {shortened(path)!r} is spelled like a transport; DEST is a path",
            hint=f"--to {asks} {plain}, with --tag for a name; a file of that very name is ./{shortened(path)}",
        )
    if not folder and (match := _COMPRESSED.search(path)) is not None and not stream_sink.names_descriptor(path):
        kind = match[1].lower().lstrip("t")
        tool = _COMPRESSORS[kind[0]]
        bare = path[: match.start()] + ".tar"
        raise UsageError(
            f"DEST ends in {match[0]}, and the tar is not compressed as a whole",
            hint=f"name it {bare}, or pipe it: imgconv ... - | {tool} > {path}",
        )


def check_folder(path: str) -> None:
    """Refuse a destination in a folder that does not exist.

    Raises:
        StorageError: there is none.
    """
    if path == tar_file.STDOUT or stream_sink.names_descriptor(path):
        return
    folder = os.path.dirname(os.path.realpath(path))
    if not os.path.isdir(folder):
        raise StorageError("cannot create it: its folder does not exist", file=path, hint=f"mkdir -p {folder}")


def open_destination(
    wanted: Target, path: str, source: str, *, force: bool, append: bool = False
) -> TarOutput | FolderOutput:
    """Begin an output; nothing is at `path` before its `commit`.

    Raises:
        UsageError: the destination may not be written to.
        StorageError: it cannot be.
    """
    check_folder(path)
    if wanted.folder:
        return FolderOutput(path, force=force, append=append, source=source)
    return tar_file.open_tar(path, force=force, source=source)

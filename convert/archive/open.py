"""Open what the user named: a file, folder, pipe or `-`, compressed or not.

The content decides what it is, never the file name. Modules are imported where the kind of source needs
them: `imgconv id` starts without the others.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Self, cast

from convert.archive import transport
from convert.archive.tar_tree import TarTree
from convert.archive.transport import DIR, REGISTRY, STDIN
from convert.codec.sniff import SNIFF_SIZE, sniff
from convert.errors import StorageError, UnsafeInputError, UsageError
from convert.limits import CHUNK

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.spool import Keeper
    from convert.archive.tree import Tree


@dataclass(slots=True)
class Source:
    """An opened source. `tree` holds its members; close it through here.

    `path` is its path ("-" for standard input). `spelling` is the transport and
    `reference_text` the reference around the path, "" if there is none. `compression`
    is the whole-archive compression, "" for none.
    """

    tree: Tree
    path: str
    spelling: str = ""
    reference_text: str = ""
    compression: str = ""
    closed: bool = field(default=False, init=False)

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close the source; nothing of it can be read any more."""
        self.closed = True
        self.tree.close()

    def check_open(self) -> None:
        """Refuse to read from a closed source; small members of a stream would still be in memory.

        Raises:
            UsageError: it is closed.
        """
        if self.closed:
            raise UsageError("the archive is closed", code="archive-closed", file=self.path)


def open_source(
    text: str,
    *,
    new_keeper: Callable[[], Keeper] | None = None,
    stdin: BinaryIO | None = None,
    spool_folder: str | None = None,
    copy: str | None = None,
) -> Source:
    """Open SOURCE as the command line spells it.

    What cannot be read in any order (a pipe, a compressed archive) is read once,
    now: what `new_keeper` returns takes its members as they arrive, else they are spooled to an
    unnamed file in `spool_folder` (the system's temporary folder if None). `copy` is a file
    that is read in place of SOURCE, whose name and spelling the result keeps.

    Raises:
        UsageError: SOURCE is empty, or standard input is a terminal.
        UnknownFormatError: it is not a tar, a compressed tar or a folder.
        InputError: it is damaged, hostile, or a device.
        StorageError: it does not exist or cannot be read.
    """
    spelling, path, reference_text = transport.parse(text)
    stream = _named_stream(text) if "://" in text else None
    if stream is not None:
        spelling, path, reference_text = "", text, ""
        tree, compression = _stream_tree(stream, text, new_keeper, spool_folder)
    elif copy is not None:
        tree, compression = _open_fd(_open_path(copy, copy), path, new_keeper, spool_folder)
    elif path == STDIN and spelling in {"", REGISTRY}:
        tree, compression = _open_stdin(stdin, new_keeper, spool_folder)
    else:
        tree, compression = _open_fd(_open_path(path, text), path, new_keeper, spool_folder)
    if spelling == REGISTRY:
        from convert.archive.registry_tree import open_registry  # noqa: PLC0415 - only for this transport

        # What is selected is all that the tree shows.
        return Source(open_registry(tree, reference_text), path, spelling, "", compression)
    tree.is_spelled_dir = spelling == DIR
    return Source(tree, path, spelling, reference_text, compression)


def _named_stream(text: str) -> BinaryIO | None:
    """Return the stream that stands for a URL, None if it is a path."""
    from convert.archive.named_streams import find_stream  # noqa: PLC0415 - start-up time

    return find_stream(text)


def open_descriptor(fd: int, path: str) -> Source:
    """Open the regular file or folder that a descriptor has open, which stays the caller's.

    `path` names it in errors.

    Raises:
        InputError, StorageError: as `open_source`.
    """
    try:
        own = os.dup(fd)
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening") from error
    tree, compression = _open_fd(own, path, None, None)
    return Source(tree, path, compression=compression)


def open_whole_tar(text: str, *, spool_folder: str | None = None) -> tuple[TarTree, str]:
    """Open SOURCE as one uncompressed tar of which every byte can be copied; return it and its compression.

    A pipe or a compressed archive is spooled to an unnamed file first.

    Raises:
        UsageError: SOURCE is a folder.
        InputError, StorageError: as `open_source`.
    """
    spelling, path, _ = transport.parse(text)
    if spelling == REGISTRY:
        msg = "the storage of a registry has no manifest.json; only a tar can be given a repositories file"
        raise UsageError(msg, code="registry-storage", file=path, hint="--to docker-save writes one")
    fd = _open_stdin_fd() if path == STDIN else _open_path(path, text)
    mode, found = _inspect(fd, path)
    if stat.S_ISDIR(mode):
        os.close(fd)
        msg = "this is a folder; only a tar can be given a repositories file"
        raise UsageError(
            msg, code="folder-not-supported", file=path, hint="--to docker-save or --to docker-oci writes one"
        )
    if found == "":
        return TarTree(fd, path), ""
    from convert.archive.spool import unnamed_file, write_all  # noqa: PLC0415
    from convert.archive.streams import FileStream, decompress_archive  # noqa: PLC0415
    from convert.codec.decompress import read_into  # noqa: PLC0415

    spool = -1
    try:
        plain, compression = decompress_archive(cast("BinaryIO", FileStream(fd, path)), path)
        with plain:
            spool = unnamed_file(spool_folder)
            buffer = memoryview(bytearray(CHUNK))
            size = 0
            while count := read_into(plain, buffer):
                write_all(spool, buffer[:count], size)
                size += count
    except BaseException as error:
        if spool >= 0:
            os.close(spool)
        if isinstance(error, OSError):
            raise StorageError.from_os(error, file=path, doing="spooling it to a temporary file") from error
        raise
    tree = TarTree(spool, path)
    tree.private = True
    return tree, compression


def _open_path(path: str, text: str) -> int:
    """Open a file, folder or FIFO; never a device, as opening or reading one may have effects."""
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
            msg = "this is a device or socket, not an archive"
            raise UnsafeInputError(msg, code="special-file", file=path)
        # A FIFO opens without a writer; whoever reads waits for it.
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY | os.O_NONBLOCK)
        os.set_blocking(fd, True)
    except FileNotFoundError as error:
        raise transport.not_found(path, text) from error
    except ValueError as error:
        msg = "no such file or folder: a path cannot hold NUL"
        raise StorageError(msg, code="not-found", file=path) from error
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening") from error
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
        os.close(fd)
        msg = "this became a device while it was opened"
        raise UnsafeInputError(msg, code="special-file", file=path)
    return fd


def _open_stdin(
    stdin: BinaryIO | None, new_keeper: Callable[[], Keeper] | None, folder: str | None
) -> tuple[Tree, str]:
    if stdin is not None:
        try:
            fd = os.dup(stdin.fileno())
        except (OSError, AttributeError):  # a stream without a descriptor
            from convert.archive.streams import Unclosed  # noqa: PLC0415

            return _stream_tree(cast("BinaryIO", Unclosed(stdin)), STDIN, new_keeper, folder)
    else:
        fd = _open_stdin_fd()
    return _open_fd(fd, STDIN, new_keeper, folder)


def _open_stdin_fd() -> int:
    try:
        return os.dup(0)
    except OSError as error:
        raise StorageError.from_os(error, file=STDIN, doing="opening standard input") from error


def _open_fd(fd: int, path: str, new_keeper: Callable[[], Keeper] | None, folder: str | None) -> tuple[Tree, str]:
    """Return the tree behind an open descriptor, which now belongs to it, and the compression."""
    mode, compression = _inspect(fd, path)
    if stat.S_ISDIR(mode):
        from convert.archive.folder_tree import FolderTree  # noqa: PLC0415

        return FolderTree(fd, path), ""
    if compression == "":
        return TarTree(fd, path), ""
    from convert.archive.streams import FileStream, widen_pipe  # noqa: PLC0415

    if stat.S_ISFIFO(mode):
        widen_pipe(fd)
    return _stream_tree(cast("BinaryIO", FileStream(fd, path)), path, new_keeper, folder)


def _inspect(fd: int, path: str) -> tuple[int, str | None]:
    """Return the mode of an open file and its compression, None if it can only be read in order.

    The file is closed if this raises.

    Raises:
        UsageError: it is a terminal.
        StorageError: it cannot be read.
    """
    try:
        mode = os.fstat(fd).st_mode
        if os.isatty(fd):
            msg = "standard input is a terminal"
            raise UsageError(
                msg, code="terminal-input", hint="pipe an archive into it: docker save NAME | imgconv - ..."
            )
        if stat.S_ISREG(mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0:
            return mode, sniff(os.pread(fd, SNIFF_SIZE, 0))
    except OSError as error:
        os.close(fd)
        raise StorageError.from_os(error, file=path, doing="reading") from error
    except UsageError:
        os.close(fd)
        raise
    return mode, None


def _stream_tree(
    stream: BinaryIO, where: str, new_keeper: Callable[[], Keeper] | None, folder: str | None
) -> tuple[Tree, str]:
    """Decompress a stream and read the tar inside."""
    from convert.archive.spool import SpooledTree  # noqa: PLC0415
    from convert.archive.streams import decompress_archive  # noqa: PLC0415

    plain, compression = decompress_archive(stream, where)
    keeper = new_keeper() if new_keeper is not None else None
    return SpooledTree(plain, where, keeper, folder), compression

"""Open what the user named: a file, folder, pipe or `-`, compressed or not.

Content decides what it is, never a file name. skopeo's spellings
`docker-archive:PATH[:REF]`, `oci:PATH[:REF]` and `oci-archive:PATH[:REF]` are
understood; a path that exists wins over them (docs/contract.md#formats).
"""

from __future__ import annotations

import contextlib
import io
import os
import select
import stat
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, Self, cast

from convert import cancel
from convert.archive.spool import Keeper, SpooledTree, unnamed_file, write_all
from convert.archive.tar_reader import BLOCK, StreamCursor
from convert.archive.tar_tree import TarTree
from convert.archive.tree import FolderTree, Tree
from convert.codec import decompress
from convert.errors import StorageError, UnsafeInputError, UsageError
from convert.limits import CHUNK, MAX_DECODER_MEMORY, MAX_INNER_WRAPPER_MEMORY, MAX_WRAPPER_RATIO, WRAPPER_FREE_SIZE

if TYPE_CHECKING:
    from typing_extensions import Buffer

STDIN: Final = "-"
_SPELLINGS: Final = ("docker-archive", "oci-archive", "oci")
#: Compression in compression is legal and seen; more is a game.
_MAX_WRAPPERS: Final = 2


@dataclass(slots=True)
class Source:
    """An opened source. `tree` holds its members; close it through here.

    `path` is where it lies ("-" for standard input), `spelling` and
    `reference_text` what stood around the path ("" if nothing did), `wrapper`
    the compression of the whole ("" if none).
    """

    tree: Tree
    path: str
    spelling: str = ""
    reference_text: str = ""
    wrapper: str = ""

    def __enter__(self) -> Self:
        """Return itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Let go of everything."""
        self.tree.close()


def open_source(
    text: str,
    *,
    keeper: Keeper | None = None,
    stdin: BinaryIO | None = None,
    spool_folder: str | None = None,
) -> Source:
    """Open SOURCE as the command line spells it.

    What cannot be read in any order (a pipe, a compressed archive) is read once,
    now: `keeper` takes its members as they come, else they are spooled to an
    unnamed file in `spool_folder` (the system's folder for such if None).

    Raises:
        UsageError: SOURCE is empty, or standard input is a terminal.
        UnknownFormatError: neither tar nor folder nor a compressed tar.
        InputError: damaged, hostile, or a device.
        StorageError: it does not exist or cannot be read.
    """
    spelling, path, reference_text = _split(text)
    if path == STDIN and not spelling:
        tree, wrapper = _open_stdin(stdin, keeper, spool_folder)
    else:
        tree, wrapper = _open_fd(_open_path(path, text), path, keeper, spool_folder)
    return Source(tree, path, spelling, reference_text, wrapper)


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
    tree, wrapper = _open_fd(own, path, None, None)
    return Source(tree, path, wrapper=wrapper)


def path_of(text: str) -> str:
    """Return the path in SOURCE, without skopeo's spelling around it.

    Raises:
        UsageError: SOURCE is empty.
    """
    return _split(text)[1]


def _split(text: str) -> tuple[str, str, str]:
    """Return spelling, path and reference text of SOURCE."""
    if not text:
        msg = "SOURCE is empty"
        raise UsageError(msg)
    spelling, colon, rest = text.partition(":")
    if text == STDIN or not colon or spelling not in _SPELLINGS or _exists(text):
        return "", text, ""
    if _exists(rest):
        return spelling, rest, ""
    path, _, reference_text = rest.partition(":")
    return spelling, path, reference_text


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:  # NUL in it
        return False


def _open_path(path: str, text: str) -> int:
    """Open a file, folder or FIFO; nothing that opening or reading may set in motion."""
    try:
        mode = os.stat(path).st_mode
        if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
            msg = "this is a device or socket, not an archive"
            raise UnsafeInputError(msg, file=path)
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOCTTY)
    except FileNotFoundError as error:
        raise _missing(path, text) from error
    except ValueError as error:
        msg = "no such file or folder: a path cannot hold NUL"
        raise StorageError(msg, file=path) from error
    except OSError as error:
        raise StorageError.from_os(error, file=path, doing="opening") from error
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode) or stat.S_ISFIFO(mode)):
        os.close(fd)
        msg = "this became a device while it was opened"
        raise UnsafeInputError(msg, file=path)
    return fd


def _missing(path: str, text: str) -> StorageError:
    from convert.model.reference import looks_like_image_name  # noqa: PLC0415 - only for the hint

    hint = None
    transport, _, name = text.partition(":")
    if transport == "docker" and name.startswith("//"):
        hint = f"registries are not read; fetch it first: crane pull {name[2:]} image.tar"
    elif transport == "docker-daemon":
        hint = f"for an image of a local engine: docker save {name} | imgconv - ..."
    elif transport == "dir":
        hint = f"dir: folders are not supported; skopeo copy {text} oci:OTHER makes a layout of it"
    elif path == text and looks_like_image_name(text):
        hint = f"for an image of a local engine: docker save {text} | imgconv - ..."
    return StorageError("no such file or folder", file=path, hint=hint)


def _open_stdin(stdin: BinaryIO | None, keeper: Keeper | None, folder: str | None) -> tuple[Tree, str]:
    if stdin is not None:
        try:
            fd = os.dup(stdin.fileno())
        except (OSError, AttributeError):  # a stream without a descriptor
            return _stream_tree(cast("BinaryIO", _Unclosed(stdin)), "-", keeper, folder)
    else:
        fd = _open_stdin_fd()
    return _open_fd(fd, STDIN, keeper, folder)


def _open_stdin_fd() -> int:
    try:
        return os.dup(0)
    except OSError as error:
        raise StorageError.from_os(error, file=STDIN, doing="opening standard input") from error


def _open_fd(fd: int, path: str, keeper: Keeper | None, folder: str | None) -> tuple[Tree, str]:
    """Return the tree behind an open descriptor, which now belongs to it, and the wrapper."""
    mode, wrapper = _look(fd, path)
    if stat.S_ISDIR(mode):
        return FolderTree(fd, path), ""
    if wrapper == "":
        return TarTree(fd, path), ""
    if stat.S_ISFIFO(mode):
        _widen(fd)
    return _stream_tree(cast("BinaryIO", _FileStream(fd, path)), path, keeper, folder)


def _look(fd: int, path: str) -> tuple[int, str | None]:
    """Return the mode of an open file and its wrapper: None where only reading in order tells.

    Raises:
        UsageError: it is a terminal.
        StorageError: it cannot be read. In both cases it is closed.
    """
    try:
        mode = os.fstat(fd).st_mode
        if os.isatty(fd):
            msg = "standard input is a terminal"
            raise UsageError(msg, hint="pipe an archive into it: docker save NAME | imgconv - ...")
        if stat.S_ISREG(mode) and os.lseek(fd, 0, os.SEEK_CUR) == 0:
            return mode, decompress.sniff(os.pread(fd, decompress.SNIFF_SIZE, 0))
    except OSError as error:
        os.close(fd)
        raise StorageError.from_os(error, file=path, doing="reading") from error
    except UsageError:
        os.close(fd)
        raise
    return mode, None


def _widen(fd: int) -> None:
    """Ask Linux for a pipe that holds a whole chunk; smaller ones work as well."""
    if sys.platform == "linux":
        import fcntl  # noqa: PLC0415 - only where used

        with contextlib.suppress(OSError):
            fcntl.fcntl(fd, fcntl.F_SETPIPE_SZ, CHUNK)


def _stream_tree(stream: BinaryIO, where: str, keeper: Keeper | None, folder: str | None) -> tuple[Tree, str]:
    """Peel wrappers off a stream and read the tar inside."""
    plain, wrapper = _peeled(stream, where)
    return SpooledTree(plain, where, keeper, folder), wrapper


def _peeled(stream: BinaryIO, where: str) -> tuple[BinaryIO, str]:
    """Return the plain bytes of a stream and the wrappers they were in."""
    wrappers: list[str] = []
    try:
        while True:
            head = StreamCursor(stream).read(BLOCK)
            stream = cast("BinaryIO", Prefixed(head, stream))
            wrapper = decompress.sniff(head)
            if not wrapper:
                return stream, "+".join(wrappers)
            wrappers.append(wrapper)
            if len(wrappers) > _MAX_WRAPPERS:
                msg = f"compressed more than {_MAX_WRAPPERS} times over"
                raise UnsafeInputError(msg, file=where)
            raw = _Counted(stream)
            # Layers are unpacked while this stream is open, so it takes no part in their waiting.
            most = MAX_DECODER_MEMORY if len(wrappers) == 1 else MAX_INNER_WRAPPER_MEMORY
            plain = decompress.decompress(cast("BinaryIO", raw), wrapper, where=where, most_memory=most, wait=False)
            stream = cast("BinaryIO", _Guarded(plain, raw, where))
    except BaseException:
        stream.close()
        raise


def open_whole_tar(text: str, *, spool_folder: str | None = None) -> tuple[TarTree, str]:
    """Open SOURCE as one plain tar whose every byte can be copied; return it and its wrapper.

    A pipe or a compressed archive is spooled to an unnamed file first.

    Raises:
        UsageError: SOURCE is a folder.
        InputError, StorageError: as `open_source`.
    """
    _, path, _ = _split(text)
    fd = _open_stdin_fd() if path == STDIN else _open_path(path, text)
    mode, found = _look(fd, path)
    if stat.S_ISDIR(mode):
        os.close(fd)
        msg = "this is a folder; only a tar can be given a repositories file"
        raise UsageError(msg, file=path, hint="--to docker-save or --to docker-oci writes one")
    if found == "":
        return TarTree(fd, path), ""
    spool = unnamed_file(spool_folder)
    try:
        plain, wrapper = _peeled(cast("BinaryIO", _FileStream(fd, path)), path)
        with plain:
            buffer = memoryview(bytearray(CHUNK))
            size = 0
            while count := decompress.read_into(plain, buffer):
                write_all(spool, buffer[:count], size)
                size += count
    except OSError as error:
        os.close(spool)
        raise StorageError.from_os(error, file=path, doing="spooling it to a temporary file") from error
    except BaseException:
        os.close(spool)
        raise
    tree = TarTree(spool, path)
    tree.private = True
    return tree, wrapper


class _Counted(decompress.Over):
    """Counts the bytes that go through."""

    def __init__(self, below: BinaryIO) -> None:
        super().__init__(below)
        self.count = 0

    def _took(self, count: int) -> None:
        self.count += count


class _Unclosed(decompress.Over):
    """Leaves the stream below open: it is the caller's."""

    def close(self) -> None:
        io.RawIOBase.close(self)


class _Guarded(_Counted):
    """Plain bytes out of a wrapper, which may not grow without bound (docs/contract.md#limits)."""

    def __init__(self, plain: BinaryIO, raw: _Counted, where: str) -> None:
        super().__init__(plain)
        self._raw = raw
        self._where = where

    def _took(self, count: int) -> None:
        super()._took(count)
        if self.count > WRAPPER_FREE_SIZE and self.count > self._raw.count * MAX_WRAPPER_RATIO:
            msg = f"it expands more than {MAX_WRAPPER_RATIO} times, past {WRAPPER_FREE_SIZE} bytes"
            raise UnsafeInputError(msg, file=self._where, hint="decompress it first if you trust it")


class Prefixed(decompress.Over):
    """Bytes already read from a stream, then the rest of it."""

    def __init__(self, head: bytes, below: BinaryIO) -> None:
        super().__init__(below)
        self._head = head

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer` from the head, then from the stream."""
        if not self._head:
            return super().readinto(buffer)
        view = memoryview(buffer).cast("B")
        part = self._head[: len(view)]
        view[: len(part)] = part
        self._head = self._head[len(part) :]
        return len(part)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes of the head, then of the stream."""
        if not self._head:
            return super().read(size)
        if size is None or size < 0:
            part, self._head = self._head, b""
            return part + super().read(-1)
        part, self._head = self._head[:size], self._head[size:]
        return part


#: Milliseconds between two looks for a cancellation while a pipe is silent.
_WAKE: Final = 250


class _FileStream(io.FileIO):
    """A pipe or file read in order, whose errors name it; every read asks whether the run was cancelled."""

    def __init__(self, fd: int, where: str) -> None:
        super().__init__(fd, "r")
        self._where = where
        self._waits = not stat.S_ISREG(os.fstat(fd).st_mode)

    def _await(self) -> None:
        """Return when there is something to read: a read that blocks in a thread ends by no signal."""
        cancel.check()
        if self._waits:
            ready = select.poll()
            ready.register(self.fileno(), select.POLLIN)
            while not ready.poll(_WAKE):
                cancel.check()

    def readinto(self, buffer: Buffer, /) -> int:
        self._await()
        try:
            return super().readinto(buffer) or 0
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing="reading") from error

    def read(self, size: int | None = -1, /) -> bytes:
        self._await()
        try:
            return super().read(size) or b""
        except OSError as error:
            raise StorageError.from_os(error, file=self._where, doing="reading") from error

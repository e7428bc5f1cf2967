"""URLs of a batch, read and written by fsspec; imported only for URLs.

A source is streamed once, as from a pipe. An output appears whole: in S3 the parts of an upload become an object
in its last step, elsewhere a temporary object is renamed. Errors of other libraries may quote a URL, so that
their texts never pass as they are.
"""

from __future__ import annotations

import contextlib
import io
import os
from typing import TYPE_CHECKING, Any, Final

from convert import cancel
from convert.archive.temporary import temporary_name
from convert.commands.batch.addresses import protocol_of, scrubbed, without_credentials
from convert.errors import ImgconvError, StorageError, UsageError
from convert.limits import CHUNK
from convert.report.batch import Stamp

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import BinaryIO

    from typing_extensions import Buffer

#: Protocols whose uploads can be completed or given up in a step of their own (fsspec: `autocommit`).
_TRANSACTIONAL: Final = frozenset({"s3", "s3a"})


def match_url(pattern: str) -> list[str]:
    """Return the URLs that a pattern fits, sorted, with the credentials of the pattern.

    Raises:
        UsageError: a package for the protocol is missing.
        StorageError: the storage cannot be listed.
    """
    with _errors(pattern, "listing"):
        system, path = _connect(pattern)
        head, _, rest = pattern.partition("://")
        user, at, _ = rest.partition("/")[0].rpartition("@")
        found = []
        for name in sorted(system.glob(path)):
            found_path = str(system.unstrip_protocol(name)).partition("://")[2].rpartition("@" if at else "\0")[2]
            if not rest.startswith("/"):
                found_path = found_path.lstrip("/")
            found.append(f"{head}://{user}{at}{found_path}")
        return found


def stamp_of(url: str) -> Stamp:
    """Return size and etag of what a URL names; both None if there is nothing.

    Raises:
        UsageError, StorageError: as `match_url`.
    """
    with _errors(url, "looking at it"):
        system, path = _connect(url)
        try:
            facts = system.info(path)
        except FileNotFoundError:
            return Stamp(is_remote=True)
        size = facts.get("size")
        etag = facts.get("ETag") or facts.get("etag") or system.ukey(path)
        return Stamp(size if isinstance(size, int) else None, None, str(etag).strip('"'), is_remote=True)


class RemoteStream(io.RawIOBase):
    """The bytes of a URL, in order."""

    def __init__(self, url: str) -> None:
        """Open a URL.

        Raises:
            UsageError, StorageError: as `match_url`.
        """
        super().__init__()
        self._url = url
        self._count = 0
        with _errors(url, "opening"):
            system, path = _connect(url)
            self._file: BinaryIO = system.open(path, "rb")
            size = getattr(self._file, "size", None)
        self._size = size if isinstance(size, int) else None

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Buffer, /) -> int:
        """Fill `buffer`; 0 only at the end.

        Raises:
            StorageError: reading failed, or ended before the size that the storage states.
        """
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1, /) -> bytes:
        """Return up to `size` bytes; errors as `readinto`."""
        cancel.check()
        if size is None or size < 0:
            return b"".join(iter(lambda: self.read(CHUNK), b""))
        with _errors(self._url, "reading"):
            data = self._file.read(size)
        self._count += len(data)
        if size and not data and self._size is not None and self._count < self._size:
            raise StorageError(
                f"reading ended after {self._count} of {self._size} bytes", file=without_credentials(self._url)
            )
        return data

    def close(self) -> None:
        """Close it."""
        if not self.closed:
            with contextlib.suppress(Exception):
                self._file.close()
        super().close()


def upload(path: str, url: str, *, force: bool) -> bool:
    """Write a file to a URL, where it appears whole; return whether that was needed.

    It is not if the same bytes are there already.

    Raises:
        UsageError: something else is there, and `force` is not set.
        StorageError: reading or writing failed.
    """
    with _errors(url, "writing"), open(path, "rb") as source:
        system, target = _connect(url)
        if not force and system.exists(target):
            if not _same(source, system, target):
                raise UsageError(
                    "the destination exists already",
                    code="destination-exists",
                    file=without_credentials(url),
                    hint="--force replaces it",
                )
            return False
        if protocol_of(url) in _TRANSACTIONAL:
            _upload_in_parts(source, system, target)
        else:
            folder, _, name = target.rpartition("/")
            beside = f"{folder}/{temporary_name()}" if name and folder else temporary_name()
            try:
                with system.open(beside, "wb") as out:
                    _copy(source, out)
                system.mv(beside, target)
            except BaseException:
                with contextlib.suppress(Exception):
                    system.rm_file(beside)
                raise
        return True


def _upload_in_parts(source: BinaryIO, system: Any, target: str) -> None:
    out = system.open(target, "wb", autocommit=False)
    try:
        _copy(source, out)
        out.close()
        out.commit()
    except BaseException:
        with contextlib.suppress(Exception):
            out.discard()
        raise


def _copy(source: BinaryIO, out: BinaryIO) -> None:
    while data := source.read(CHUNK):
        cancel.check()
        out.write(data)


def _same(source: BinaryIO, system: Any, target: str) -> bool:
    """Return whether a URL has the bytes of a file, which is at its start afterwards."""
    try:
        if system.size(target) != os.fstat(source.fileno()).st_size:
            return False
        with system.open(target, "rb") as there:
            while data := source.read(CHUNK):
                cancel.check()
                if there.read(len(data)) != data:
                    return False
        return True
    finally:
        source.seek(0)


def _connect(url: str) -> tuple[Any, str]:
    """Return fsspec's file system for a URL and the path in it."""
    from fsspec.core import url_to_fs  # noqa: PLC0415 - only with the extra

    system, path = url_to_fs(url)
    with contextlib.suppress(Exception):
        system.invalidate_cache()  # listings of an earlier look may be old
    return system, str(path)


@contextlib.contextmanager
def _errors(url: str, doing: str) -> Iterator[None]:
    """Turn errors of fsspec and of what it uses into ours, without credentials."""
    shown = without_credentials(url)
    try:
        yield
    except ImgconvError:
        raise
    except ImportError as error:
        raise UsageError(
            f"a package for {protocol_of(url)} is missing: {scrubbed(str(error), url)}",
            code="missing-package",
            file=shown,
            hint="pip install 'imgconv[fleet]', and the package that fsspec needs for this protocol",
        ) from None
    except FileNotFoundError:
        raise StorageError("no such file or folder", code="not-found", file=shown) from None
    except PermissionError:
        raise StorageError(f"{doing}: permission denied", code="permission-denied", file=shown) from None
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001 - each storage has errors of its own
        if isinstance(error, ValueError) and "Protocol not known" in str(error):
            raise UsageError(f"unknown protocol {protocol_of(url)!r}", code="missing-package", file=shown) from None
        text = scrubbed(f"{type(error).__name__}: {error}", url)
        raise StorageError(f"{doing} failed: {text}", file=shown) from None

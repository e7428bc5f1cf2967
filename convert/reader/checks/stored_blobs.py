"""The blobs of a registry's storage while it is checked: which there are, and what is known of each.

A storage has hundreds of thousands of blobs, so each is a number, and what is known of it is in
arrays.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, BinaryIO, Final

from convert.codec.compression import Compression
from convert.errors import InputError, StorageError, UnsafeInputError
from convert.limits import MAX_STORED_BLOBS
from convert.reader.layout_blobs import blob_name

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.archive.registry_storage import RegistryStorage
    from convert.archive.registry_tree import RegistryTree
    from convert.model.digest import Digest

_ABSENT: Final = -1
#: The size of a blob that is there, and that programs read differently or not at all.
_DISPUTED: Final = -2
_READ: Final = 1
_NAMED: Final = 2
_LINKED: Final = 4
_COMPRESSIONS: Final = tuple(Compression)
_UNKNOWN: Final = 255


class ListedBlob:
    """One blob of a storage, of which nothing is kept: each `open` looks for it."""

    __slots__ = ("_digest", "_storage")

    def __init__(self, storage: RegistryStorage, digest: Digest) -> None:
        """Nothing is opened yet."""
        self._storage = storage
        self._digest = digest

    @property
    def size(self) -> None:
        """None: it is known when the blob is open."""

    @property
    def where(self) -> str:
        """What messages call it."""
        return blob_name(self._digest)

    def open(self) -> BinaryIO:
        """Start reading at the first byte.

        Raises:
            StorageError: it is not there.
        """
        stream = self._storage.open_blob(self._digest)
        if stream is None:
            raise StorageError("no such file", code="not-found", member=self.where)
        return stream

    def extent(self) -> None:
        """Return None: nobody copies it."""


class StoredBlobs:
    """The blobs of a storage, by number."""

    def __init__(self, tree: RegistryTree) -> None:
        """Nothing was looked for yet."""
        self._storage = tree.storage
        self._base = tree.base
        self._file = tree.where
        # By the hexadecimal digits, whose number differs between algorithms.
        self._numbers: dict[str, int] = {}
        self._digests: list[Digest] = []
        self._sizes = array("q")
        self._flags = bytearray()
        self._compressions = bytearray()
        #: Why a blob cannot be read that is there, by number.
        self.disputed: dict[int, InputError] = {}
        #: The compressions that manifests state for a layer, by number.
        self.stated: dict[int, frozenset[Compression]] = {}

    def __len__(self) -> int:
        """Return how many blobs are known, those that are absent too."""
        return len(self._digests)

    def list_all(self) -> None:
        """Look for every blob of the storage.

        Raises:
            UnsafeInputError: there are too many.
        """
        for digest in self._storage.blobs():
            self.number(digest)

    def number(self, digest: Digest) -> int:
        """Return the number of a blob, which is looked for if it is new.

        Raises:
            UnsafeInputError: there are too many.
        """
        found = self._numbers.get(digest.hex)
        if found is None:
            if len(self) >= MAX_STORED_BLOBS:
                raise UnsafeInputError(
                    f"the storage has more than {MAX_STORED_BLOBS} blobs",
                    code="too-many-members",
                    file=self._file,
                    hint="check one repository at a time: registry:ROOT/REPOSITORY",
                )
            found = self._numbers[digest.hex] = len(self._digests)
            self._digests.append(digest)
            self._sizes.append(self._look(found))
            self._flags.append(0)
            self._compressions.append(_UNKNOWN)
        return found

    def digest(self, number: int) -> Digest:
        """Return the digest of a blob."""
        return self._digests[number]

    def member(self, number: int) -> str:
        """Return what messages call a blob."""
        return blob_name(self.digest(number))

    def _look(self, number: int) -> int:
        digest = self.digest(number)
        size = self._storage.blob_size(digest)
        if size is not None:
            return size
        path = self._storage.blob_path(digest)
        try:
            self._base.find(path)
        except UnsafeInputError as error:  # a link or a device, which no registry serves
            self._storage.on_odd(path, error.message)
        except InputError as error:
            if error.code == "not-a-file":
                self._storage.on_odd(path, error.message)
            else:
                self.disputed[number] = error
                return _DISPUTED
        finally:
            self._storage.forget(path)
        return _ABSENT

    def size(self, number: int) -> int | None:
        """Return the bytes of a blob; None if it cannot be read, or was not there when it was looked for last."""
        size = self._sizes[number]
        return size if size >= 0 else None

    def exists(self, number: int) -> bool:
        """Return whether a blob is there; one that was not is looked for once more."""
        if self._sizes[number] == _ABSENT:
            self._sizes[number] = self._look(number)
        return self._sizes[number] != _ABSENT

    def vanished(self, number: int) -> None:
        """Record that a blob is not there any more."""
        self._sizes[number] = _ABSENT

    def blob(self, number: int) -> ListedBlob:
        """Return a blob to be read; its reader calls `close` at the end."""
        return ListedBlob(self._storage, self.digest(number))

    def close(self, number: int) -> None:
        """Note that a blob was read, which is not done again."""
        self._flags[number] |= _READ

    def set_compression(self, number: int, compression: Compression) -> None:
        """Note the compression of a blob whose digest is right."""
        self._compressions[number] = _COMPRESSIONS.index(compression)

    def other_compressions(self) -> Iterator[tuple[int, Compression, Compression]]:
        """Yield each layer that is compressed otherwise than a manifest states, with both."""
        for number, stated in self.stated.items():
            code = self._compressions[number]
            if code != _UNKNOWN:
                actual = _COMPRESSIONS[code]
                yield from ((number, actual, each) for each in sorted(stated) if each != actual)

    def mark_named(self, number: int) -> None:
        """Note that a manifest or a link of a repository leads to a blob."""
        self._flags[number] |= _NAMED

    def mark_linked(self, number: int) -> None:
        """Note that a repository has a link to a blob."""
        self._flags[number] |= _LINKED

    def is_linked(self, number: int) -> bool:
        """Return whether a repository has a link to a blob."""
        return bool(self._flags[number] & _LINKED)

    def unread(self) -> Iterator[int]:
        """Yield the blobs that can be read and were not read yet."""
        return (
            number
            for number, (size, flags) in enumerate(zip(self._sizes, self._flags, strict=True))
            if size >= 0 and not flags & _READ
        )

    def unnamed(self) -> Iterator[int]:
        """Yield the blobs that are there and to which no manifest leads."""
        return (
            number
            for number, (size, flags) in enumerate(zip(self._sizes, self._flags, strict=True))
            if size != _ABSENT and not flags & _NAMED
        )

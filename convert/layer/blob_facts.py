"""Read a blob once for `validate`: its size, its digests, those of its uncompressed bytes, and its tar."""

from __future__ import annotations

import hashlib
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol, TypeVar

from convert.codec import decompress
from convert.codec.compression import Compression
from convert.codec.sniff import SNIFF_SIZE, sniff
from convert.errors import InputError, UnsafeInputError
from convert.layer.pool import Task
from convert.layer.tar_check import LayerFaults, scan
from convert.limits import MAX_LAYER_SIZE
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from convert.layer.pool import Pool
    from convert.model.blob import Blob

_Job = TypeVar("_Job", bound="BlobJob")
#: Blobs whose facts are held at a time: a future and the facts of a blob take kilobytes.
_AT_ONCE: Final = 4096
#: Bytes that are read and hashed at a time: a thread that hashes needs the interpreter only between two of them.
_HASHED: Final = 4 << 20


@dataclass(slots=True)
class BlobFacts:
    """What reading a blob showed: its size, its digests by algorithm, and those of what it unpacks to.

    `trailing` counts the bytes behind the compressed stream, `tar` are the faults of what it
    unpacks to. `damage` is why it does not unpack, `unread` why it could not be read at all.
    """

    size: int = 0
    compression: Compression = Compression.NONE
    stored: Mapping[str, Digest] = field(default_factory=dict)
    plain: Mapping[str, Digest] = field(default_factory=dict)
    trailing: int = 0
    tar: LayerFaults = field(default_factory=LayerFaults)
    damage: InputError | None = None
    unread: InputError | None = None


class BlobJob(Protocol):
    """One blob to be read; jobs compare by identity."""

    @property
    def blob(self) -> Blob:
        """The blob."""

    def read(self) -> BlobFacts:
        """Read it, by `read_blob`."""


def read_blobs(jobs: Iterable[_Job], pool: Pool) -> Iterator[tuple[_Job, BlobFacts]]:
    """Read blobs in the pool's threads; yield each job with its facts, in the order of the jobs.

    Raises:
        StorageError: reading failed.
    """
    rest = iter(jobs)
    while batch := list(itertools.islice(rest, _AT_ONCE)):
        # The largest blobs first, so that cores do not wait for one at the end.
        order = sorted(batch, key=lambda job: -(job.blob.size or 0))
        results = pool.gather(Task(job, job.read, job.blob.size) for job in order)
        for job in batch:
            yield job, results[job]


def read_blob(
    blob: Blob,
    algorithms: Sequence[str],
    *,
    unpack: bool,
    where: str,
    count: Callable[[int], None],
    buffer: memoryview | None = None,
) -> BlobFacts:
    """Read a blob to its end, hashing it, and with `unpack` what it unpacks to, in one pass.

    Faults of the blob are facts, never raised; `where` names it in them. `count` is called with the
    number of bytes of each chunk that was read. `buffer` is that of `hash_buffer`, for who reads many
    blobs without `unpack`.

    Raises:
        StorageError: reading failed.
    """
    facts = BlobFacts()
    stored = _Hashers(algorithms, count)
    try:
        with blob.open() as stream:
            if not unpack:
                facts.compression = _hash(stream, stored, buffer or hash_buffer(blob.size))
            else:
                chunks = decompress.read_chunks(stream)
                first = next(chunks, b"")
                while len(first) < SNIFF_SIZE and (more := next(chunks, b"")):
                    first += more
                facts.compression = sniff(first[:SNIFF_SIZE])
                raw = stored.pass_through(itertools.chain([first], chunks))
                if facts.compression:
                    _unpack(facts, raw, algorithms, where)
                else:
                    facts.tar = scan(raw)
                # Even a damaged stream has a digest.
                for _ in raw:
                    pass
    except InputError as error:
        facts.unread = error
        return facts
    facts.size = stored.size
    facts.stored = stored.digests()
    if not facts.compression:
        facts.plain = facts.stored
    return facts


def hash_buffer(size: int | None = None) -> memoryview:
    """Return a buffer into which blobs are read, one after the other: new memory costs as much as reading into it.

    `size` is that of the only blob which is read into it, in bytes.
    """
    # The end of a stream is seen by a read that finds no more.
    return memoryview(bytearray(_HASHED if size is None else min(size + 1, _HASHED)))


def _hash(stream: BinaryIO, hashers: _Hashers, buffer: memoryview) -> Compression:
    """Hash a stream to its end and return its compression."""
    head = b""
    while count := decompress.read_into(stream, buffer):
        chunk = buffer[:count]
        if len(head) < SNIFF_SIZE:
            head += bytes(chunk[:SNIFF_SIZE])
        hashers.update(chunk)
    return sniff(head[:SNIFF_SIZE])


def _unpack(facts: BlobFacts, raw: Iterator[bytes], algorithms: Sequence[str], where: str) -> None:
    """Read what a compressed blob unpacks to, to its end or to the first damage."""

    def count_trailing(size: int) -> None:
        facts.trailing = size

    plain = _Hashers(algorithms, lambda _: None)
    unpacked = decompress.plain_chunks(raw, facts.compression, where=where, behind=count_trailing)
    chunks = plain.pass_through(unpacked)
    try:
        facts.tar = scan(_bounded(chunks))
        for _ in _bounded(chunks, plain.size):
            pass
        facts.plain = plain.digests()
    except InputError as error:
        facts.damage = error


def _bounded(chunks: Iterator[bytes], size: int = 0) -> Iterator[bytes]:
    """Yield the chunks of a layer of which `size` bytes were read.

    Raises:
        UnsafeInputError: it is larger than any layer may be.
    """
    for chunk in chunks:
        size += len(chunk)
        if size > MAX_LAYER_SIZE:
            raise UnsafeInputError(f"unpacks to more than {MAX_LAYER_SIZE} bytes", code="layer-too-large")
        yield chunk


class _Hashers:
    """Digests of one stream under several algorithms, and its size."""

    def __init__(self, algorithms: Sequence[str], count: Callable[[int], None]) -> None:
        self.size = 0
        self._count = count
        self._hashers = {name: hashlib.new(name) for name in algorithms}

    def update(self, chunk: bytes | memoryview) -> None:
        """Hash a chunk."""
        self.size += len(chunk)
        self._count(len(chunk))
        for hasher in self._hashers.values():
            hasher.update(chunk)

    def pass_through(self, chunks: Iterator[bytes]) -> Iterator[bytes]:
        """Yield the chunks, hashed."""
        for chunk in chunks:
            self.update(chunk)
            yield chunk

    def digests(self) -> dict[str, Digest]:
        return {name: Digest(name, hasher.hexdigest()) for name, hasher in self._hashers.items()}

"""Pass concatenated compressed streams to one decoder each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, Protocol

from convert import cancel
from convert.errors import TruncatedError, UnsafeInputError
from convert.limits import CHUNK, MAX_SMALL_MEMBERS, SMALL_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

    from typing_extensions import Buffer

#: Input passed to a decoder at a time, at most and at first: it copies what it does not use.
FEED_SIZE: Final = 256 << 10
_FIRST_FEED: Final = 256


class Decoder(Protocol):
    """A decoder of one gzip member, bzip2 stream or xz stream, as the standard library has them."""

    @property
    def eof(self) -> bool:
        """Whether the decoder has reached the end of its stream."""

    @property
    def needs_input(self) -> bool:
        """Whether the decoder needs more input to continue."""

    @property
    def unused_data(self) -> bytes:
        """Input behind the end of the stream."""

    def decompress(self, data: Buffer, max_length: int = -1) -> bytes:
        """Return uncompressed bytes, at most `max_length`."""


class Feed:
    """Passes compressed bytes to one decoder after the other.

    A decoder copies input that it does not use. A new one therefore gets little input at first and
    more as it continues, so that a member costs the same in a stream of ten and of a million.
    """

    def __init__(self, raw: Iterator[bytes], name: str, where: str) -> None:
        self._raw = raw
        self._name = name
        self._where = where
        self._chunk = b""
        self._position = 0
        self._small = 0

    @property
    def left(self) -> int:
        """The number of bytes that were taken from the input and used by no decoder."""
        return len(self._chunk) - self._position

    def peek(self, size: int) -> bytes:
        """Return the next `size` bytes without consuming them; fewer only at the end."""
        while len(self._chunk) - self._position < size:
            # Empty members yield no chunk at which the caller checks for cancellation.
            cancel.check()
            more = next(self._raw, b"")
            if not more:
                break
            self._chunk = self._chunk[self._position :] + more
            self._position = 0
        return self._chunk[self._position : self._position + size]

    def skip_zeros(self) -> int:
        """Skip zeros; return how many there were."""
        count = 0
        while self.peek(1) == b"\0":
            rest = self._chunk[self._position :]
            zeros = len(rest) - len(rest.lstrip(b"\0"))
            self._position += zeros
            count += zeros
        return count

    def drain(self) -> int:
        """Read to the end; return how many bytes there were."""
        size = len(self._chunk) - self._position + sum(len(chunk) for chunk in self._raw)
        self._chunk, self._position = b"", 0
        return size

    def one(self, decoder: Decoder) -> Iterator[bytes]:
        """Yield the output of one decoder up to the end of its stream.

        Raises:
            TruncatedError: the input ends before the stream does.
            UnsafeInputError: there are too many small streams.
        """
        size = _FIRST_FEED
        made = 0
        while not decoder.eof:
            data = memoryview(b"")
            if decoder.needs_input:
                if not self.peek(1):
                    raise truncated(self._name, self._where)
                data = memoryview(self._chunk)[self._position : self._position + size]
                self._position += len(data)
                size = min(4 * size, FEED_SIZE)
            plain = decoder.decompress(data, CHUNK)
            if plain:
                made += len(plain)
                yield plain
        self._position -= len(decoder.unused_data)
        if made < SMALL_MEMBER:
            self._small += 1
            if self._small > MAX_SMALL_MEMBERS:
                raise too_many(self._name, self._where)


def truncated(name: str, where: str) -> TruncatedError:
    """Return the error for a stream that ends in the middle of a frame or member."""
    return TruncatedError(f"the {name} stream ends too early", member=where)


def too_many(name: str, where: str) -> UnsafeInputError:
    """Return the error for a stream of more small members than any tool writes."""
    msg = f"the {name} stream has more than {MAX_SMALL_MEMBERS} parts of less than {SMALL_MEMBER} bytes"
    return UnsafeInputError(msg, code="too-many-compressed-parts", member=where)

"""The compressions that imgconv recognises, and what every encoder of one offers."""

from __future__ import annotations

from enum import StrEnum
from typing import TYPE_CHECKING, BinaryIO, Final, Protocol

from convert.limits import CHUNK

if TYPE_CHECKING:
    from typing_extensions import Buffer

#: So few workers take turns with the caller of an encoder that splits its stream, which also reads and
#: hashes; with more, joining what they have guessed is enough for it.
LOW_WORKER_COUNT: Final = 3


class Compression(StrEnum):
    """How a stream is compressed. The value is the name in output and in media types; `NONE` is falsy."""

    NONE = ""
    GZIP = "gzip"
    ZSTD = "zstd"
    BZIP2 = "bzip2"
    XZ = "xz"


class Encoder(Protocol):
    """One stream being compressed."""

    def write(self, data: Buffer, /) -> bytes:
        """Take input, return the output that is complete."""

    def finish(self) -> bytes:
        """End the stream, return the rest."""

    def take(self, stream: BinaryIO) -> bytes | None:
        """Take what one read of `stream` gives, return the output that is complete; None at its end."""
        chunk = stream.read(CHUNK)
        return self.write(chunk) if chunk else None

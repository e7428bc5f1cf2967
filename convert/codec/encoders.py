"""Every encoder that imgconv can run: the profiles, GNU gzip and zlib.

GNU gzip and zlib are not profiles: nothing is compressed with them on request. They
identify the encoder of a blob, and re-create it. Both come from the
C core (`_native/zlib/`), so they do not depend on the zlib that Python was
linked to, which may be zlib-ng or a distributor's own, with other bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from convert.codec import profile as profiles
from convert.codec.compression import Compression, Encoder
from convert.codec.usual_headers import Header, usual_headers

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from typing_extensions import Buffer

_CLASSIC: Final = ("gzip", "zlib")


@dataclass(frozen=True, slots=True)
class EncoderSpec:
    """One exact encoder.

    `name` is a profile's, `gzip-N` for GNU gzip or `zlib-N`; `compression`
    gzip or zstd. `headers` are those that its gzip body is found behind.
    """

    name: str
    compression: Compression
    made_by: str
    headers: tuple[Header, ...] = ()

    def encoder(self, executor: Executor | None = None, workers: int = 1) -> Encoder:
        """Start a stream, in gzip behind the first of `headers`.

        `executor` lets a stream of a profile use `workers` cores.
        """
        family, _, level = self.name.partition("-")
        if family in _CLASSIC and level.isdigit():
            return ClassicGzipEncoder(family, int(level), self.headers[0].raw)
        return profiles.get(self.name).encoder(executor, workers)


class ClassicGzipEncoder(Encoder):
    """One gzip stream with the bytes of GNU gzip ("gzip") or zlib ("zlib") behind a header.

    zlib is that of releases 1.2 and 1.3 with memLevel 8, as Python, Java and libarchive
    use it: the input is written, then the stream is finished.
    """

    def __init__(self, family: str, level: int, header: bytes) -> None:
        """Start a stream of level 1 to 9."""
        from isal import isal_zlib  # noqa: PLC0415 - start-up time: few commands compress

        from convert._native import FAMILY_GNU_GZIP, FAMILY_ZLIB, Encoder  # noqa: PLC0415

        self._crc32 = isal_zlib.crc32
        self._encoder = Encoder(FAMILY_ZLIB if family == "zlib" else FAMILY_GNU_GZIP, level)
        self._header = header
        self._crc = 0
        self._size = 0

    def write(self, data: Buffer, /) -> bytes:
        """Take input, return the output that is complete."""
        self._crc = self._crc32(data, self._crc)
        self._size += memoryview(data).nbytes
        header, self._header = self._header, b""
        return header + self._encoder.write(data)

    def finish(self) -> bytes:
        """End the stream, return the rest of its bytes."""
        trailer = self._crc.to_bytes(4, "little") + (self._size & 0xFFFFFFFF).to_bytes(4, "little")
        header, self._header = self._header, b""
        return header + self._encoder.finish() + trailer


def _spec(name: str, made_by: str) -> EncoderSpec:
    return EncoderSpec(name, Compression.GZIP, made_by, usual_headers(name, made_by))


#: The most common first.
COMMON: Final = (
    *("go1.26-6", "go1.26-1", "pgzip1.15.10-5", "go1.27-6", "go1.27-1", "pgzip1.18.2-5"),
    *("pigz-9", "gzip-6", "gzip-9", "gzip-9-rsyncable", "zlib-6", "zlib-9", "gzip-1", "zlib-1"),
)


@cache
def encoder_specs(compression: Compression) -> tuple[EncoderSpec, ...]:
    """Return the encoders of gzip or zstd streams, the most common first.

    Where no sum of `gzip --rsyncable` ends a block, its bytes are those of gzip, which is more likely.
    """
    specs = sorted(_all(), key=lambda spec: spec.name.endswith("-rsyncable"))
    found = {spec.name: spec for spec in specs if spec.compression == compression}
    return (
        *(found[name] for name in COMMON if name in found),
        *(found[name] for name in found if name not in COMMON),
    )


def _all() -> Iterator[EncoderSpec]:
    for profile in profiles.all_profiles():
        if profile.compression == Compression.GZIP:
            yield _spec(profile.name, profile.made_by)
        elif profile.compression:
            yield EncoderSpec(profile.name, profile.compression, profile.made_by)
    for level in range(1, 10):
        yield _spec(f"gzip-{level}", f"gzip -{level}n" if level != 6 else "gzip -n")
        yield _spec(f"zlib-{level}", "zlib")

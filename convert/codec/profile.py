"""Compression profiles: names for exact encoders (docs/contract.md#compression-profiles).

A profile's output never changes: the same input gives the same bytes on every machine, however
it is chunked and on any number of cores. A fix gets a new name.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression, Encoder
from convert.errors import UsageError, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator
    from concurrent.futures import Executor

    from typing_extensions import Buffer


#: The zstd levels on offer. Above 19 the window needs more memory than many readers allow
#: (Docker and containerd allow at most 2**27 bytes).
_ZSTD_LEVELS: Final = range(1, 20)
_GO_LEVELS: Final = (*(str(level) for level in range(1, 10)), "huffman", "store")
_OLD_GO_LEVELS: Final = range(1, 10)
_GENERATIONS: Final = ("go1.26", "go1.27")
#: Generations of pgzip, and the releases of klauspost/compress that write the same.
_PGZIP: Final = {
    "pgzip1.18.2": "1.18.2 to 1.19.1",
    "pgzip1.15.10": "1.15.10 to 1.18.0",
    "pgzip1.15.0": "1.15.0 to 1.15.9",
    "pgzip1.14.0": "1.14.0 to 1.14.2",
    "pgzip1.12.3": "1.12.3 to 1.13.6",
    "pgzip1.12.2": "1.12.2",
    "pgzip1.11.13": "1.11.13 to 1.12.1",
    "pgzip1.10.2": "1.10.2 to 1.11.12",
    "pgzip1.10.2-256k": "1.10.2 to 1.11.12, pieces of 256 KiB",
    "pgzip1.9.8-256k": "1.9.8 to 1.10.0, pieces of 256 KiB",
}
_PGZIP_LEVELS: Final = range(1, 7)
_PIGZ_LEVELS: Final = range(1, 10)
_RSYNCABLE_LEVELS: Final = range(1, 10)


@dataclass(frozen=True, slots=True)
class Profile:
    """One exact encoder.

    `compression` is one that has a media type, `aliases` are other spellings, and `made_by` the
    tools that write such bytes.
    """

    name: str
    compression: Compression
    aliases: tuple[str, ...] = ()
    made_by: str = ""

    @property
    def splits(self) -> bool:
        """Whether one stream can use several cores: the numbered levels of Go's encoders, pgzip and pigz can."""
        in_order = ("-huffman", "-store", "-rsyncable", "busybox")
        if self.compression != Compression.GZIP or self.name.startswith("go1.6-"):
            return False
        return not self.name.endswith(in_order)

    def encoder(self, executor: Executor | None = None, workers: int = 1) -> Encoder:
        """Start a stream; with `executor` it uses up to `workers` cores."""
        # Imported here because `id` and `inspect` need no encoder.
        if not self.compression:
            return _Plain()
        if self.compression == Compression.ZSTD:
            return _Zstd(int(self.name.removeprefix("zstd-")))
        from convert.codec import gzip  # noqa: PLC0415

        program, _, rest = self.name.partition("-")
        level, _, variant = rest.partition("-")
        if program == "busybox":
            return gzip.BusyboxEncoder()
        if program == "go1.6":
            return gzip.OldGoGzipEncoder(int(level))
        if variant == "rsyncable":
            return gzip.RsyncableEncoder(int(level))
        if program == "pigz":
            return gzip.PigzEncoder(int(level), executor, workers)
        if program.startswith("pgzip"):
            generation = f"{program}-{variant}" if variant else program
            return gzip.PgzipEncoder(generation, int(level), executor, workers)
        return gzip.GoGzipEncoder(program, int(level) if level.isdigit() else level, executor, workers)


class _Plain(Encoder):
    def write(self, data: Buffer, /) -> bytes:
        return bytes(data)

    def finish(self) -> bytes:
        return b""


class _Zstd(Encoder):
    """One frame, one thread, no content size: the bytes depend only on the input.

    libzstd's worker threads would split the input into jobs, which changes the bytes.
    """

    def __init__(self, level: int) -> None:
        import zstandard  # noqa: PLC0415

        self._object = zstandard.ZstdCompressor(level=level, write_content_size=False, threads=0).compressobj()

    def write(self, data: Buffer, /) -> bytes:
        return self._object.compress(memoryview(data))

    def finish(self) -> bytes:
        return self._object.flush()


_MADE_BY: Final = {
    "go1.6-6": "docker push of Docker up to 1.12, built with Go up to 1.6",
    "go1.26-1": "crane, ko, kaniko and all of go-containerregistry, built with Go up to 1.26",
    "go1.26-6": "docker push, buildkit and containerd, built with Go up to 1.26",
    "go1.27-1": "crane, ko, kaniko and all of go-containerregistry, built with Go 1.27",
    "go1.27-6": "docker push, buildkit and containerd, built with Go 1.27",
    "pgzip1.18.2-5": "podman from 6.0, buildah from 1.44 and skopeo built with klauspost/compress 1.18.2 to 1.19.1",
    "pgzip1.15.10-5": "podman 4.3 to 5, buildah 1.28 to 1.43 and skopeo 1.10 to 1.22; Debian 12, RHEL 8.8 and later",
    "pgzip1.15.0-5": "podman 4.1 and 4.2, buildah 1.25 to 1.27 and skopeo 1.7 to 1.9, by their own releases",
    "pgzip1.14.0-5": "podman 4.0, buildah 1.24 and skopeo 1.6, by their own releases",
    "pgzip1.12.3-5": "podman 3.3 and 3.4, buildah 1.22 and 1.23 and skopeo 1.4 and 1.5, by their own releases",
    "pgzip1.12.2-5": "podman 3.2, buildah 1.21.0 to 1.21.5 and skopeo 1.2.4 and 1.3, by their own releases",
    "pgzip1.11.13-5": "podman 3.1.1 and 3.1.2, buildah 1.20.1 and 1.20.2 and skopeo 1.2.3, by their own releases",
    "pgzip1.10.2-5": "umoci 0.5 and 0.6, skopeo 0.2 to 1.2.2, podman 1.8.2 to 3.1.0, buildah 1.14.3 to 1.20.0",
    "pgzip1.10.2-5-256k": "umoci 0.4.6 and 0.4.7, podman 1.8.1, buildah 1.14.2",
    "pgzip1.9.8-5-256k": "podman 1.8.0, buildah 1.14.0 and 1.14.1 and skopeo 0.1.41",
    "pigz-9": "pigz -9n from a pipe, on more than one processor; the body of Debian's base layers since December 2024",
    "gzip-9-rsyncable": "gzip -9n --rsyncable, GNU gzip from 1.7 on; the base layers of Ubuntu up to 25.10",
    "busybox": "gzip of busybox 1.37 as Docker's busybox images have it; the layer of these images",
    "zstd-3": "the zstandard release that imgconv pins, at its default level",
    "none": "docker save, and layouts with uncompressed layers",
}
_ALIASES: Final = {
    "go1.26-1": ("gzip", "crane", "crane@go1.26"),
    "go1.26-6": ("docker", "docker@go1.26"),
    "go1.27-1": ("crane@go1.27",),
    "go1.27-6": ("docker@go1.27",),
    "pgzip1.18.2-5": ("pgzip", "podman@6", "buildah@1.44"),
    "pgzip1.15.10-5": ("podman", "skopeo", "buildah"),
    "zstd-3": ("zstd",),
}

#: The default of `--compress`.
DEFAULT: Final = "go1.26-1"


def _profile(name: str, compression: Compression, otherwise: str) -> Profile:
    return Profile(name, compression, _ALIASES.get(name, ()), _MADE_BY.get(name, otherwise))


def pgzip_name(generation: str, level: int) -> str:
    """Return the profile's name; the size of its pieces, if the generation has one, is at the end."""
    release, _, pieces = generation.partition("-")
    return f"{release}-{level}" + (f"-{pieces}" if pieces else "")


def all_profiles() -> Iterator[Profile]:
    """Yield every profile, beginning with the default's family."""
    for generation in _GENERATIONS:
        release = "up to 1.26" if generation == "go1.26" else "1.27"
        for level in _GO_LEVELS:
            what = {"huffman": "HuffmanOnly", "store": "NoCompression"}.get(level, f"level {level}")
            otherwise = f"Go programs that ask compress/gzip for {what}, Go {release}"
            yield _profile(f"{generation}-{level}", Compression.GZIP, otherwise)
    for number in _OLD_GO_LEVELS:
        yield _profile(f"go1.6-{number}", Compression.GZIP, f"Go programs at level {number}, Go up to 1.6")
    for generation, releases in _PGZIP.items():
        for number in _PGZIP_LEVELS:
            otherwise = f"pgzip at level {number}, klauspost/compress {releases}"
            yield _profile(pgzip_name(generation, number), Compression.GZIP, otherwise)
    for number in _PIGZ_LEVELS:
        yield _profile(f"pigz-{number}", Compression.GZIP, f"pigz -{number}n from a pipe, on more than one processor")
    for number in _RSYNCABLE_LEVELS:
        yield _profile(
            f"gzip-{number}-rsyncable", Compression.GZIP, f"gzip -{number}n --rsyncable, GNU gzip from 1.7 on"
        )
    yield _profile("busybox", Compression.GZIP, "")
    for number in _ZSTD_LEVELS:
        yield _profile(
            f"zstd-{number}", Compression.ZSTD, f"the zstandard release that imgconv pins, at level {number}"
        )
    yield _profile("none", Compression.NONE, "")


def get(name: str) -> Profile:
    """Return the profile with this name or alias.

    Raises:
        UsageError: unknown profile.
    """
    found = _by_name().get(name)
    if found is None:
        raise UsageError(
            f"unknown compression profile {shortened(name)!r}",
            code="unknown-profile",
            hint=suggestion(name, list(_by_name())) + "imgconv profiles lists them",
        )
    return found


@cache
def _by_name() -> dict[str, Profile]:
    """Return the profiles by their names and aliases: `digest` asks for each layer."""
    return {name: profile for profile in all_profiles() for name in (profile.name, *profile.aliases)}

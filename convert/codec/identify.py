"""Identify the encoder of a compressed stream by re-creating the complete stream.

A gzip stream is identified member by member. The header of a member hints where to begin: the
encoders that write such a header are compared first. Each of them compresses the member's first
mebibyte, chunk by chunk, and is dropped at the first byte where its output differs; what is left
goes on to the end of the member. Whoever is left there made these very bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from convert.codec import decompress
from convert.codec.comparison import ZSTD_AT_ONCE, Body, Comparison, Window
from convert.codec.compression import Compression
from convert.codec.encoders import encoder_specs
from convert.codec.feed import FEED_SIZE, Feed
from convert.codec.gzip_header import KLAUSPOST_TIME, OS_FAT, OS_UNIX, OS_UNKNOWN, GzipHeader
from convert.codec.sniff import SNIFF_SIZE, sniff
from convert.errors import InputError
from convert.limits import MAX_ENCODER_RUNS, MAX_GZIP_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from concurrent.futures import Executor

    from convert.codec.encoders import EncoderSpec


#: Plain bytes of a member up to which equal ones are compared once, and how many of them are remembered.
_SHORT: Final = 512
_MAX_SHORT: Final = 1000
#: Bytes in which a header usually ends.
_HEADER: Final = 512


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a stream came from.

    `spec` gives its body, or that of most of its `members`; None if it is not recognised. `also` give
    the same one (short streams fit several), `others` made the other members. `header` are the bytes
    before the body of the first member; `by` are the tools that write them so, "" if that is unknown.
    `hint` is what the header of a stream that is not recognised tells.
    """

    spec: EncoderSpec | None = None
    header: bytes = b""
    by: str = ""
    also: tuple[str, ...] = ()
    members: int = 1
    others: tuple[str, ...] = ()
    hint: str = ""

    @property
    def name(self) -> str | None:
        """The name of the encoder (`EncoderSpec.name`), None if it is not recognised."""
        return self.spec.name if self.spec is not None else None


def recognise(open_blob: Callable[[], BinaryIO], executor: Executor | None = None, workers: int = 1) -> Origin:
    """Return where a gzip or zstd stream came from.

    A stream with bytes behind it, or a damaged one, is not recognised.

    Args:
        open_blob: starts reading at the first byte each time it is called.
        executor: compares candidates on `workers` threads; its tasks never wait for each other.
        workers: the number of cores to use.
    """
    with open_blob() as stream:
        head = stream.read(SNIFF_SIZE)
    compression = sniff(head)
    comparison = Comparison(executor, workers)
    if compression == Compression.ZSTD:
        return _recognise_zstd(open_blob, comparison)
    return _GzipStream(open_blob, comparison).recognise() if compression == Compression.GZIP else Origin()


def hint_of(header: GzipHeader) -> str:
    """Return what a gzip header tells of the program that wrote it."""
    if header.mtime == KLAUSPOST_TIME and header.system == OS_UNKNOWN:
        about = "pgzip, unknown generation, or Go 1.7"
    elif header.system == OS_UNKNOWN:
        about = "Python or Java" if header.mtime or header.name is not None else "Go, Python or Java"
    elif header.system == OS_UNIX:
        about = "gzip or pigz of a file" if header.name is not None else "gzip, pigz or zlib"
    elif header.system == OS_FAT:
        about = "Java before 16"
    else:
        about = "unknown program"
    return f"{about} ({header.describe()})"


# -- streams -----------------------------------------------------------------------


def _recognise_zstd(open_blob: Callable[[], BinaryIO], comparison: Comparison) -> Origin:
    left: list[EncoderSpec] = []
    for spec in encoder_specs(Compression.ZSTD):
        with ZSTD_AT_ONCE, open_blob() as stream:
            window = Window(stream)
            plain = decompress.plain_chunks(window.chunks(), Compression.ZSTD, where="layer")
            try:
                left += comparison.run([spec], Body(window, 0, plain, window.where))
            except InputError:
                return Origin(hint="damaged zstd stream")
    return Origin(left[0], also=tuple(spec.name for spec in left[1:])) if left else Origin(hint="zstd")


@dataclass(slots=True)
class _Group:
    """Members that the same encoders give; `size` counts their plain bytes."""

    specs: list[EncoderSpec]
    members: int = 0
    size: int = 0


class _GzipStream:
    """A gzip stream that is recognised member by member."""

    def __init__(self, open_blob: Callable[[], BinaryIO], comparison: Comparison) -> None:
        self._open = open_blob
        self._comparison = comparison
        self._groups: list[_Group] = []
        #: Groups of short members by their bytes: the empty members of a stream are all the same.
        self._short: dict[tuple[object, bytes], _Group] = {}
        self._runs = 0

    def recognise(self) -> Origin:
        """Return where the stream came from."""
        from isal import igzip_lib  # noqa: PLC0415 - only where used

        damage = (cast("type[Exception]", igzip_lib.IsalError), InputError)
        first: GzipHeader | None = None
        count = 0
        with self._open() as stream:
            members = _Members(stream)
            while (header := members.header()) is not None:
                first = first or header
                count += 1
                if self._runs > MAX_ENCODER_RUNS:
                    return Origin(
                        header=first.to_bytes(), hint=f"too many different members, the first {count - 1} known"
                    )
                try:
                    found = self._member(header, members)
                except damage:
                    return Origin(header=first.to_bytes(), hint="damaged gzip stream")
                if not found:
                    where = "" if count == 1 else f", member {count}"
                    return Origin(header=first.to_bytes(), hint=hint_of(header) + where)
            if first is None or members.rest():
                return Origin(header=first.to_bytes() if first else b"", hint="bytes that are not a gzip member")
        return self._origin(first)

    def _member(self, header: GzipHeader, members: _Members) -> bool:
        """Find the encoders of the next member and count it in a group."""
        offset = members.where()
        body = members.body(header)
        key = (_kind(header), body.raw()) if body.complete and body.prefix_size <= _SHORT else None
        if key in self._short:
            self._short[key].members += 1
            self._short[key].size += body.prefix_size
            return True
        for group, specs in self._orders(header):
            self._runs += len(specs)
            if not body.spent:
                found = self._comparison.run(specs, body)
            else:
                found = self._again(header, offset, specs)
                if found:
                    body.drain()
            if found:
                group.specs = found
                group.members += 1
                group.size += body.size
                if group not in self._groups:
                    self._groups.append(group)
                if key is not None and len(self._short) < _MAX_SHORT:
                    self._short[key] = group
                return True
        return False

    def _again(self, header: GzipHeader, offset: int, specs: Sequence[EncoderSpec]) -> list[EncoderSpec]:
        """Compare the member at `offset` with other encoders: a rare second reading."""
        with self._open() as stream:
            left = offset
            while left and (skipped := len(stream.read(min(left, FEED_SIZE)))):
                left -= skipped
            return self._comparison.run(specs, _Members(stream, offset).body(header))

    def _orders(self, header: GzipHeader) -> Iterator[tuple[_Group, list[EncoderSpec]]]:
        """Yield the encoders to try together: those of members before, those that write such a header, the rest."""
        tried: set[str] = set()
        for group in self._groups:
            yield group, group.specs
            tried.update(spec.name for spec in group.specs)
        specs = [spec for spec in encoder_specs(Compression.GZIP) if spec.name not in tried]
        likely = [spec for spec in specs if _writes(spec, header)]
        for some in (likely, [spec for spec in specs if spec not in likely]):
            if some:
                yield _Group(some), some

    def _origin(self, first: GzipHeader) -> Origin:
        raw = first.to_bytes()
        group, *others = sorted(self._groups, key=lambda group: -group.size)

        def by(spec: EncoderSpec) -> str:
            return next((header.by for header in spec.headers if header.raw == raw), "")

        # Of encoders that give the same bytes, those that write this very header come first.
        best, *also = sorted(group.specs, key=lambda spec: not by(spec))
        return Origin(
            best,
            raw,
            by(best),
            tuple(spec.name for spec in also),
            sum(each.members for each in self._groups),
            tuple(each.specs[0].name for each in others),
        )


def _writes(spec: EncoderSpec, header: GzipHeader) -> bool:
    """Return whether an encoder is found behind such a header, whatever the name and the time."""
    return any(_kind(usual) == _kind(header) for each in spec.headers if (usual := GzipHeader.parse(each.raw)))


def _kind(header: GzipHeader) -> tuple[bool, int, int]:
    return header.mtime == KLAUSPOST_TIME, header.extra_flags, header.system


class _Members:
    """The members of a gzip stream, one after the other."""

    def __init__(self, stream: BinaryIO, offset: int = 0) -> None:
        """Read `stream`, which stands at `offset`."""
        self._window = Window(stream, offset)
        self._feed = Feed(self._window.chunks(), "gzip", "layer")

    def where(self) -> int:
        """Return the offset of the next byte that no member has used."""
        return self._window.where() - self._feed.left

    def header(self) -> GzipHeader | None:
        """Return the header of the next member, None if there is none; the members before it are forgotten."""
        self._window.forget(self.where())
        # Most headers are short, and a stream may have a million.
        return GzipHeader.parse(self._feed.peek(_HEADER)) or GzipHeader.parse(self._feed.peek(MAX_GZIP_HEADER))

    def rest(self) -> bool:
        """Return whether bytes are left."""
        return bool(self._feed.peek(1))

    def body(self, header: GzipHeader) -> Body:
        """Return the body of the member whose header this is."""
        from isal import igzip_lib  # noqa: PLC0415 - only where used

        begin = self.where() + header.size
        member = igzip_lib.IgzipDecompressor(flag=igzip_lib.DECOMP_GZIP)
        return Body(self._window, begin, self._feed.one(member), self.where)

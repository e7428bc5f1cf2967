"""The tar of a layer, checked as its bytes pass: where it ends, and which paths it names twice.

Headers mean what Go's archive/tar takes them for, because the engines that unpack
layers are written in Go. Of a layer nothing is kept but a table of keyed hashes of
its names, so that memory is bounded whatever the layer holds.
"""

from __future__ import annotations

import os
import re
import zlib
from array import array
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.tar_header import HEADER, Extensions, checksum_fits, cut, full_name, number, pax_records, text_of
from convert.errors import FormatError, InputError
from convert.limits import MAX_LAYER_NAMES, MAX_PAX_SIZE, MIB

if TYPE_CHECKING:
    from collections.abc import Iterator

BLOCK: Final = 512
_ZEROS: Final = bytes(BLOCK)
#: Paths that occur more than once, kept to show them.
_MAX_SHOWN: Final = 3

# Type flags (POSIX.1-2017 pax, ustar Interchange Format; GNU tar manual, "Basic Tar Format").
_EXTENDED: Final = frozenset(b"xLK")
_GLOBAL: Final = ord("g")
_GNU_SPARSE: Final = ord("S")
_OLD_FILE: Final = 0
#: Members that have no content, whatever their size field (Go, `isHeaderOnly`).
_WITHOUT_CONTENT: Final = frozenset(b"123456")
#: Offset of `isextended` in an old GNU sparse header, and in each block that continues its map.
_SPARSE_MORE: Final = 482
_SPARSE_NEXT_MORE: Final = 504

#: The usual form of a header: name, size, checksum and type are captured; no prefix, a type of known size.
_USUAL_HEADER: Final = re.compile(
    rb"(?s)(?=([^\0]{1,100})).{100}(?:[0-7]{7}[\0 ]){3}([0-7]{11})[\0 ][0-7]{11}[\0 ]"
    rb"([0-7]{6})\0 ([0125]).{188}\0.{166}"
)
#: A checksum counts its own field as spaces: what that adds to the digits, with the NUL and the space behind them.
_OTHER_SEVEN: Final = 7 * 0x20
_DOT: Final = ord(".")
_SLASH: Final = ord("/")
#: Mode, uid, gid, size and mtime as nearly all writers fill them in; the size is captured.
_USUAL_NUMBERS: Final = re.compile(rb"(?:[0-7]{7}[\0 ]){3}([0-7]{11})[\0 ][0-7]{11}[\0 ]")
#: Those fields in bytes from the start of a header: Go refuses a header in which one is not a number.
_NUMBERS: Final = (slice(100, 108), slice(108, 116), slice(116, 124), slice(124, 136), slice(136, 148))
_SIZE: Final = slice(124, 136)
#: Where the five fields begin and end, and where the ustar prefix begins.
_NUMBERS_AT: Final = 100
_NUMBERS_END: Final = 148
_PREFIX_AT: Final = 345


@dataclass(frozen=True, slots=True)
class LayerFaults:
    """What is wrong with the tar of a layer.

    `broken` is the reason why engines cannot unpack it, and `disputed` why tools may read
    its members differently; each is "" without a fault. `repeated` are
    the first paths that occur more than once, `repeats` how many members repeat
    a path. `unchecked` is True where the layer has more than `MAX_LAYER_NAMES`
    names, of which only the first were compared.
    """

    broken: str = ""
    disputed: str = ""
    repeated: tuple[str, ...] = ()
    repeats: int = 0
    unchecked: bool = False


def scan(chunks: Iterator[bytes]) -> LayerFaults:
    """Check the tar in `chunks`, up to its end or its first fault.

    Exceptions of `chunks` are not caught.
    """
    return _Scan(chunks).run()


class _BrokenError(Exception):
    """The tar cannot be read further; the message states why."""


class _Scan:
    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._source = _Source(chunks)
        self._names = _Names()
        self._repeated: dict[str, None] = {}
        self._repeats = 0
        self._disputed = ""

    def run(self) -> LayerFaults:
        broken = ""
        try:
            self._members()
        except _BrokenError as error:
            broken = str(error)
        return LayerFaults(broken, self._disputed, tuple(self._repeated), self._repeats, self._names.full)

    def _members(self) -> None:
        source = self._source
        extensions: Extensions | None = None
        while True:
            if extensions is None:
                self._usual_members()
            block = source.take(BLOCK)
            if 0 < len(block) < BLOCK:
                raise _BrokenError(self._short(block))
            if not block or (not block[0] and block == _ZEROS):
                self._end(block)
                if extensions is not None:
                    self._dispute("it ends behind an extended header")
                return
            if not checksum_fits(block):
                raise _BrokenError(self._no_header())
            flag = block[156]
            size = self._size(block)
            if flag in _EXTENDED:
                extensions = extensions or Extensions("")
                self._extend(extensions, block[156:157], self._body(size))
                continue
            if flag == _GLOBAL:
                # As in Go, the extended headers in front of it do not apply to what follows.
                self._body(size)
                self._name(cut(block[:100]))
            else:
                self._member(block, flag, size, extensions)
            extensions = None

    def _usual_members(self) -> None:
        """Take the members at hand that the chunk holds whole and whose headers are as nearly all are.

        All others are left to `_members`. This method only saves time; the results are the same.
        """
        source, add, match, adler = self._source, self._names.add, _USUAL_HEADER.match, zlib.adler32
        chunk, at = source.chunk, source.at
        end = len(chunk)
        while usual := match(chunk, at):
            name, octal, stated, flag = usual.groups()
            following = at + BLOCK
            if flag == b"0":
                following += (int(octal, 8) + BLOCK - 1) & -BLOCK
            if following > end:
                break
            # `byte_sum` of both halves and of the digits, which stand for spaces: inlined, for it takes half the time.
            total = (adler(chunk[at : at + 256]) & 0xFFFF) + (adler(chunk[at + 256 : at + BLOCK]) & 0xFFFF)
            if int(stated, 8) != total - (adler(stated) & 0xFFFF) + _OTHER_SEVEN - 1:
                break
            if b"/." in name or b"//" in name or name[0] == _DOT or name[-1] == _SLASH:
                self._name(name)
            elif add(name):
                self._repeat(name)
            at = following
        source.offset += at - source.at
        source.at = at

    def _member(self, block: bytes, flag: int, size: int, extensions: Extensions | None) -> None:
        """Take the header of a member, and skip its content."""
        name = full_name(HEADER.unpack(block)) if block[_PREFIX_AT] else cut(block[:100])
        if extensions is not None:
            try:
                name = extensions.name(name, block[156:157])
                stated = extensions.size()
            except InputError as error:
                self._dispute(error.message)
            else:
                size = size if stated is None else stated
        if flag in _WITHOUT_CONTENT or (flag == _OLD_FILE and name.endswith(b"/")):
            size = 0
        if flag == _GNU_SPARSE:
            self._pass_sparse_map(block)
        self._name(name)
        if size:
            self._pass(size, name)

    def _name(self, name: bytes) -> None:
        path = cleaned(name)
        if self._names.add(path):
            self._repeat(path)

    def _repeat(self, path: bytes) -> None:
        self._repeats += 1
        if len(self._repeated) < _MAX_SHOWN:
            self._repeated[text_of(path)] = None

    def _size(self, block: bytes) -> int:
        usual = _USUAL_NUMBERS.match(block, _NUMBERS_AT, _NUMBERS_END)
        if usual:
            return int(usual[1], 8)
        size = number(block[_SIZE])
        if size is None or size < 0 or any(number(block[field]) is None for field in _NUMBERS):
            raise _BrokenError(f"has a header with an invalid number at byte {self._source.offset - BLOCK}")
        return size

    def _body(self, size: int) -> bytes:
        """Return the content of an extended header."""
        if size > MAX_PAX_SIZE:
            raise _BrokenError(f"has an extended header of more than {MAX_PAX_SIZE // MIB} MiB")
        body = self._source.take(size)
        if len(body) < size:
            raise _BrokenError("ends in an extended header")
        self._source.skip(-size % BLOCK)
        return body

    def _extend(self, extensions: Extensions, flag: bytes, body: bytes) -> None:
        try:
            extensions.add(flag, body)
        except InputError as error:
            if flag == b"x":
                try:
                    pax_records(body, "")
                except FormatError as damage:
                    raise _BrokenError(f"has {damage.message} at byte {self._source.offset - len(body)}") from None
            self._dispute(error.message)

    def _dispute(self, message: str) -> None:
        self._disputed = self._disputed or message

    def _pass_sparse_map(self, block: bytes) -> None:
        more = block[_SPARSE_MORE]
        while more:
            block = self._source.take(BLOCK)
            if len(block) < BLOCK:
                raise _BrokenError("ends in the map of a sparse file")
            more = block[_SPARSE_NEXT_MORE]

    def _pass(self, size: int, name: bytes) -> None:
        """Skip the content of a member; padding may be absent behind the last one, as every engine takes it."""
        missing = size - self._source.skip(size)
        if missing:
            shown = text_of(name)
            raise _BrokenError(f'ends {missing} bytes too early, in the content of "{shown}"')
        self._source.skip(-size % BLOCK)

    def _end(self, block: bytes) -> None:
        """Check what follows a block of zeros: the end is two of them, one, or none."""
        second = self._source.take(BLOCK) if block else b""
        if 0 < len(second) < BLOCK:
            raise _BrokenError(self._short(second))
        if second.strip(b"\0"):
            raise _BrokenError(
                f"has a lone block of zeros at byte {self._source.offset - 2 * BLOCK}, and data behind it"
            )

    def _short(self, block: bytes) -> str:
        if self._source.offset == len(block):
            return f"is not a tar: it has {len(block)} bytes"
        return f"ends in a header, at byte {self._source.offset}"

    def _no_header(self) -> str:
        start = self._source.offset - BLOCK
        return f"has no valid tar header at byte {start}" if start else "is not a tar"


def cleaned(name: bytes) -> bytes:
    """Return a path as Go's `filepath.Clean` has it, by which tar-split compares names.

    A leading slash stays, so `/a` and `a` are two names.
    """
    if name and not (b"/." in name or b"//" in name or name[0] == _DOT or name[-1] == _SLASH):
        return name
    rooted = name[:1] == b"/"
    parts: list[bytes] = []
    for part in name.split(b"/"):
        if part == b"..":
            if parts and parts[-1] != b"..":
                parts.pop()
            elif not rooted:
                parts.append(part)
        elif part not in {b"", b"."}:
            parts.append(part)
    path = b"/".join(parts)
    return b"/" + path if rooted else path or b"."


class _Source:
    """Bytes that arrive in chunks, read in other sizes.

    `offset` counts those that were read, `at` those that were read of `chunk`.
    """

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self.chunk = b""
        self.at = 0
        self.offset = 0

    def take(self, size: int) -> bytes:
        """Return the next `size` bytes, fewer only at the end."""
        end = self.at + size
        data = self.chunk[self.at : end]
        if end <= len(self.chunk):
            self.at = end
        elif not data and not self._next():
            return b""
        else:
            data = self._join(data, size)
        self.offset += len(data)
        return data

    def _join(self, data: bytes, size: int) -> bytes:
        if data:
            self.at = len(self.chunk)
        parts, missing = [data], size - len(data)
        while missing and (self.at < len(self.chunk) or self._next()):
            part = self.chunk[self.at : self.at + missing]
            self.at += len(part)
            missing -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> int:
        """Pass over the next `size` bytes; return how many of them there were."""
        left = size
        while True:
            there = len(self.chunk) - self.at
            if left <= there:
                self.at += left
                left = 0
                break
            left -= there
            if not self._next():
                break
        self.offset += size - left
        return size - left

    def _next(self) -> bool:
        """Move on to the next chunk that is not empty; False at the end."""
        self.at = 0
        self.chunk = b""
        for chunk in self._chunks:
            if chunk:
                self.chunk = chunk
                return True
        return False


class _Names:
    """A set of names of which it keeps 8-byte keyed hashes, at most `MAX_LAYER_NAMES` of them.

    The hashes are in a table with open addressing, at least 12 bytes for each name.
    `full` is True when a name was not added.
    """

    def __init__(self) -> None:
        # The author of a layer does not know the key and cannot construct collisions.
        self._key = os.urandom(16)
        self._mask = (1 << 8) - 1
        self._table = array("Q", bytes(8 << 8))
        self._count = 0
        self.full = False

    def add(self, name: bytes) -> bool:
        """Add a name; return whether it was there already."""
        # 0 marks a free slot.
        value = hash(self._key + name) & 0xFFFF_FFFF_FFFF_FFFF or 1
        table, mask = self._table, self._mask
        slot = value & mask
        while found := table[slot]:
            if found == value:
                return True
            slot = (slot + 1) & mask
        if self._count >= MAX_LAYER_NAMES:
            self.full = True
            return False
        table[slot] = value
        self._count += 1
        if self._count * 3 > mask * 2:
            self._grow()
        return False

    def _grow(self) -> None:
        mask = (self._mask + 1) * 4 - 1
        table = array("Q", bytes(8 * (mask + 1)))
        for value in self._table:
            if value:
                slot = value & mask
                while table[slot]:
                    slot = (slot + 1) & mask
                table[slot] = value
        self._table, self._mask = table, mask

"""Sparse members: the map of their data, in the four forms that GNU tar has written (its manual, "Sparse Formats").

Go's archive/tar, with which engines unpack layers, reads the same forms (sparse maps in reader.go).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from convert.archive.tar_header import BLOCK, number
from convert.errors import FormatError
from convert.limits import MAX_PAX_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.archive.cursor import Cursor
    from convert.archive.member import Member
    from convert.archive.tar_reader import TarReader

#: Offset and length of the four pairs in an old GNU header, and of the 21 in each block that follows.
_PAIR: Final = 24
_HEADER_PAIRS: Final = (386, 4)
_BLOCK_PAIRS: Final = (0, 21)
_REAL_SIZE: Final = slice(483, 495)


@dataclass(frozen=True, slots=True)
class SparseMap:
    """What a sparse member is when it is unpacked: its size, and its data as (offset, length) pairs in order."""

    size: int
    data: tuple[tuple[int, int], ...]


def read_map(reader: TarReader, member: Member, cursor: Cursor) -> tuple[SparseMap, int]:
    """Return the map of the member at which the reader stands, and how many bytes of its content the map took.

    Raises:
        FormatError: the map is damaged.
    """
    pax = reader.extensions.pax
    taken = 0
    if reader.block[156:157] == b"S":
        pairs = _old_pairs(reader.block, reader.sparse_blocks)
        size = number(reader.block[_REAL_SIZE]) or 0
    elif pax.get(b"GNU.sparse.major") == b"1":
        pairs, taken = _pairs_of_content(member, cursor)
        size = _integer(pax.get(b"GNU.sparse.realsize") or pax.get(b"GNU.sparse.size"), member)
    else:
        text = pax.get(b"GNU.sparse.map")
        numbers = text.split(b",") if text else list(_repeated(reader.extensions.pax_body))
        pairs = _paired([_integer(each, member) for each in numbers if each], member)
        size = _integer(pax.get(b"GNU.sparse.size") or pax.get(b"GNU.sparse.realsize"), member)
    _check(size, pairs, member, member.size - taken)
    return SparseMap(size, tuple((offset, length) for offset, length in pairs if length)), taken


def _old_pairs(block: bytes, more: Iterable[bytes]) -> list[tuple[int, int]]:
    pairs: list[tuple[int, int]] = []
    places = [(block, *_HEADER_PAIRS), *((each, *_BLOCK_PAIRS) for each in more)]
    for raw, begin, count in places:
        for place in range(begin, begin + count * _PAIR, _PAIR):
            if not raw[place]:
                return pairs
            pairs.append((number(raw[place : place + 12]) or 0, number(raw[place + 12 : place + 24]) or 0))
    return pairs


def _repeated(body: bytes) -> Iterable[bytes]:
    """Yield the numbers of the oldest form, which repeats two keys for each pair."""
    position = 0
    while position < len(body):
        space = body.find(b" ", position, position + 8)
        if space < 0 or not body[position:space].isdigit():
            return
        end = position + int(body[position:space])
        key, _, value = body[space + 1 : end - 1].partition(b"=")
        if key in {b"GNU.sparse.offset", b"GNU.sparse.numbytes"}:
            yield value
        position = end


def _pairs_of_content(member: Member, cursor: Cursor) -> tuple[list[tuple[int, int]], int]:
    """Return the pairs at the start of the content, one number a line, and the blocks that they fill."""
    text, taken = b"", 0

    def more() -> None:
        nonlocal text, taken
        block = cursor.read(BLOCK) if taken + BLOCK <= member.size and taken < MAX_PAX_SIZE else b""
        if len(block) < BLOCK:
            raise _damaged(member)
        text += block
        taken += BLOCK

    more()
    while b"\n" not in text:
        more()
    count = _integer(text.partition(b"\n")[0], member)
    while text.count(b"\n") < 2 * count + 1:
        more()
    numbers = text.split(b"\n")[1 : 2 * count + 1]
    return _paired([_integer(each, member) for each in numbers], member), taken


def _paired(numbers: Sequence[int], member: Member) -> list[tuple[int, int]]:
    if len(numbers) % 2:
        raise _damaged(member)
    return list(zip(numbers[::2], numbers[1::2], strict=True))


def _integer(text: bytes | None, member: Member) -> int:
    if not text or not text.isdigit() or len(text) > 19:
        raise _damaged(member)
    return int(text)


def _check(size: int, pairs: Sequence[tuple[int, int]], member: Member, stored: int) -> None:
    end = total = 0
    for offset, length in pairs:
        if offset < end or offset < 0 or length < 0:
            raise _damaged(member)
        end = offset + length
        total += length
    if end > size or total != stored:
        raise _damaged(member)


def _damaged(member: Member) -> FormatError:
    return FormatError("the map of a sparse file is damaged", code="damaged-sparse-map", member=member.name)

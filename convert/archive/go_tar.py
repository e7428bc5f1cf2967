"""Headers that Go's archive/tar refuses and imgconv reads.

A number that imgconv has no use for, as a mode or an owner, ends the reading of the
whole archive for every tool that is written in Go (src/archive/tar/reader.go and
strconv.go). Not checked: sparse maps in blocks of their own, and the records of sparse
format 0.0, which are not kept in their order.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.archive.tar_header import HEADER, number

if TYPE_CHECKING:
    from collections.abc import Mapping

_INT64: Final = range(-(1 << 63), 1 << 63)
#: Mode, owner, group, size and time as nearly every writer puts them, and both device numbers.
_USUAL: Final = re.compile(rb"(?:[0-7]{7}[\0 ]){3}(?:[0-7]{11}[\0 ]){2}")
_USUAL_DEVICE: Final = re.compile(rb"(?:[0-7]{7}[\0 ]|\0{8}){2}")
_DECIMAL: Final = re.compile(rb"[-+]?[0-9]{1,400}\Z")
_TIME: Final = re.compile(rb"([-+]?[0-9]{1,400})(?:\.[0-9]*)?\Z")
_STAR: Final = b"tar\0"
_NUMBERS: Final = {1: "mode", 2: "owner", 3: "group", 5: "time"}
_DEVICE: Final = {12: "device number", 13: "device number"}
_SPARSE_ENTRIES: Final = range(386, 482, 24)
_REAL_SIZE: Final = slice(483, 495)


class Refusal(NamedTuple):
    """The first header of an archive that Go refuses: where its member begins, and why."""

    start: int
    why: str

    def __str__(self) -> str:
        """Return it as a clause."""
        return f"the member at byte {self.start} has {self.why}"


def header_fault(block: bytes) -> str:
    """Return what Go refuses in the numbers of a header block, "" for nothing."""
    if _USUAL.match(block, 100) and _USUAL_DEVICE.match(block, 329) and block[508:] != _STAR:
        return ""
    fields: tuple[bytes, ...] = HEADER.unpack(block)
    for index, what in (_NUMBERS | (_DEVICE if _has_device(fields) else {})).items():
        if number(fields[index]) is None:
            return f"a {what} that is not a number"
    if _is_star(fields) and (number(fields[14][131:143]) is None or number(fields[14][143:]) is None):
        return "a time that is not a number"
    return ""


def _has_device(fields: tuple[bytes, ...]) -> bool:
    return fields[9][:6] == b"ustar\0" or fields[9] == b"ustar  \0"


def _is_star(fields: tuple[bytes, ...]) -> bool:
    return fields[9][:6] == b"ustar\0" and fields[15][8:] == _STAR


def body_fault(body: bytes) -> str:
    """Return what Go refuses in the form of a PAX header, "" for nothing."""
    return "NUL behind its PAX records" if body.endswith(b"\0") else ""


def pax_fault(records: Mapping[bytes, bytes]) -> str:
    """Return what Go refuses in the records of a PAX header, "" for nothing."""
    for key, value in records.items():
        if b"\0" in key or (key in {b"uname", b"gname"} and b"\0" in value):
            return "NUL in a PAX record"
    return ""


def member_fault(block: bytes, records: Mapping[bytes, bytes], size: int) -> str:
    """Return what Go refuses when it applies PAX records to a member of `size` bytes, "" for nothing."""
    for key in (b"uid", b"gid", b"size"):
        if (value := records.get(key)) and _int64(value) is None:
            return f"a PAX record {key.decode()} that is not a number"
    for key in (b"mtime", b"atime", b"ctime"):
        value = records.get(key)
        if value and ((match := _TIME.match(value)) is None or _int64(match[1]) is None):
            return f"a PAX record {key.decode()} that is not a time"
    if block[156:157] == b"S":
        return _old_sparse_fault(block)
    return _sparse_fault(records, size)


def _int64(text: bytes) -> int | None:
    value = int(text) if _DECIMAL.match(text) else None
    return value if value is not None and value in _INT64 else None


def _old_sparse_fault(block: bytes) -> str:
    if block[257:265] != b"ustar  \0":
        return "a sparse member in a format other than GNU's"
    size = number(block[_REAL_SIZE])
    regions: list[int | None] = []
    for start in _SPARSE_ENTRIES:
        if not block[start]:
            break
        regions += [number(block[start : start + 12]), number(block[start + 12 : start + 24])]
    return "" if _in_order(regions, size) else "a damaged sparse map"


def _sparse_fault(records: Mapping[bytes, bytes], size: int) -> str:
    major, minor = records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b"")
    described = records.get(b"GNU.sparse.map", b"")
    if (major, minor) not in {(b"0", b"0"), (b"0", b"1"), (b"1", b"0")} and (major or minor or not described):
        return ""
    stated = records.get(b"GNU.sparse.size") or records.get(b"GNU.sparse.realsize")
    real = _int64(stated) if stated else size
    if real is None or real < 0:
        return "a size of a sparse member that is not a number"
    if major == b"1" or b"GNU.sparse.offset" in records:
        return ""
    texts = described.split(b",") if described else []
    if _int64(records.get(b"GNU.sparse.numblocks", b"")) != len(texts) / 2:
        return "a damaged sparse map"
    return "" if _in_order([_int64(text) for text in texts], real) else "a damaged sparse map"


def _in_order(regions: list[int | None], size: int | None) -> bool:
    """Return whether offsets and lengths, in turns, are regions of a file of `size` bytes in order."""
    end = 0
    for offset, length in zip(regions[::2], regions[1::2], strict=True):
        if offset is None or length is None or offset < end or length < 0:
            return False
        end = offset + length
    return size is not None and end <= size

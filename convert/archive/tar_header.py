"""Parse one tar header: fields, PAX records and GNU long names.

Headers are read as Go's archive/tar reads them (src/archive/tar/reader.go,
format.go and strconv.go), which also covers POSIX.1-2017 pax and GNU tar's
manual ("Basic Tar Format"). Nothing here reads from an archive.
"""

from __future__ import annotations

import re
import struct
import zlib
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from convert.archive.member import Attributes
from convert.errors import FormatError, UnsafeInputError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Bytes of a tar block; a header is one, and contents are padded to whole ones.
BLOCK: Final = 512
#: name, mode, uid, gid, size, mtime, chksum, typeflag, linkname, magic+version,
#: uname, gname, devmajor, devminor, prefix, trailer
HEADER: Final = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s")
OCTAL: Final = re.compile(rb"[ \0]*([0-7]*)[ \0]*\Z")
_DECIMAL: Final = re.compile(rb"[0-9]{1,19}\Z")
_LEADING_DIGITS: Final = re.compile(rb"[ \0]*([0-7]*)")
#: Prefixes of PAX records with extended attributes: of star and Go, libarchive, and Red Hat's tar.
_XATTRS: Final = (b"SCHILY.xattr.", b"SCHILY.acl.", b"LIBARCHIVE.xattr.", b"RHT.security.")
#: Bits of a Unix mode that encode the type, and those of a symlink.
_TYPE_BITS: Final = ~0o7777
_SYMLINK_BITS: Final = 0o120000

#: Records that decide the name and the size of a member.
MEANINGFUL: Final = (b"path", b"linkpath", b"size")


class Extensions:
    """The PAX and GNU headers in front of one member."""

    def __init__(self, where: str, *, lenient: bool = False) -> None:
        """Begin without any; `where` names the archive in errors.

        `lenient`: where tools disagree, the headers mean what Go's archive/tar takes them for.
        """
        self._where = where
        self._lenient = lenient
        self._pax: dict[bytes, bytes] | None = None
        #: The bytes of the PAX header: an old form of sparse members repeats keys.
        self.pax_body = b""
        self._long: dict[bytes, bytes] = {}
        self.sparse = False

    @property
    def seen(self) -> bool:
        """Whether there was any extended header."""
        return self._pax is not None or bool(self._long)

    @property
    def pax(self) -> Mapping[bytes, bytes]:
        """The records of the PAX header, empty without one."""
        return self._pax or {}

    def add(self, flag: bytes, body: bytes) -> None:
        """Take the body of an `x`, `L` or `K` header.

        Raises:
            FormatError: it is damaged, or tools disagree about it.
        """
        if flag == b"X":
            # Docker refuses such an archive, GNU tar obeys the header, Go takes it for a member.
            msg = "an extended header of Solaris (type X), which readers disagree about"
            raise FormatError(msg, code="ambiguous-tar-header", file=self._where)
        if flag == b"x":
            self.pax_body = body
            if self._pax is not None and not self._lenient:
                msg = "two PAX headers for one member"
                raise FormatError(msg, code="ambiguous-tar-header", file=self._where)
            self._pax = pax_records(body, self._where)
            for key in (*MEANINGFUL, b"GNU.sparse.name"):
                if b"\0" in self._pax.get(key, b""):
                    msg = f"NUL in the {text_of(key)} of a PAX header"
                    raise UnsafeInputError(msg, code="nul-in-tar-header", file=self._where)
            self.sparse = _is_sparse(self._pax)
            return
        if flag in self._long and not self._lenient:
            msg = "two GNU long names for one member"
            raise FormatError(msg, code="ambiguous-tar-header", file=self._where)
        name, _, rest = body.partition(b"\0")
        if rest.strip(b"\0") and not self._lenient:
            msg = "NUL in a GNU long name"
            raise UnsafeInputError(msg, code="nul-in-tar-header", file=self._where)
        self._long[flag] = name

    def name(self, field: bytes, flag: bytes) -> bytes:
        """Return the name of the member, whose own header has the name `field`."""
        if self.sparse and flag != b"S":
            # GNU tar keeps the real name of a sparse member in a record of its own.
            sparse_name = self.pax.get(b"GNU.sparse.name")
            if sparse_name:
                return sparse_name
        return self._choose(b"path", b"L", field)

    def link(self, field: bytes) -> bytes:
        """Return the link target of the member, whose own header has the target `field`."""
        return self._choose(b"linkpath", b"K", field)

    def _choose(self, key: bytes, flag: bytes, field: bytes) -> bytes:
        # An empty value leaves the header's own.
        pax = self.pax.get(key) or None
        gnu = self._long.get(flag) or None
        if self._lenient and gnu is not None:
            return gnu
        if pax is not None and gnu is not None and pax != gnu:
            msg = "a PAX header and a GNU long name that disagree"
            raise FormatError(msg, code="ambiguous-tar-header", file=self._where, member=text_of(pax))
        if pax is not None:
            return pax
        return field if gnu is None else gnu

    def size(self) -> int | None:
        """Return the size that a PAX record states, in bytes; None without one.

        Raises:
            FormatError: it is not a number.
        """
        text = self.pax.get(b"size")
        if not text:
            return None
        if not _DECIMAL.match(text):
            msg = f"the size in a PAX header is not a number: '{text_of(text)}'"
            raise FormatError(msg, code="invalid-tar-size", file=self._where)
        return int(text)


def pax_records(body: bytes, where: str) -> dict[bytes, bytes]:
    r"""Read the `<length> <key>=<value>\n` records of a PAX header; the last of a key wins.

    Raises:
        FormatError: a record breaks that form.
    """
    records: dict[bytes, bytes] = {}
    position = 0
    while position < len(body):
        space = body.find(b" ", position, position + 8)
        digits = body[position:space] if space > 0 else b""
        if not digits.isdigit():
            if not body[position:].strip(b"\0"):
                break  # star pads with NUL
            raise _bad_pax(where)
        end = position + int(digits)
        record = body[space + 1 : end]
        key, equals, value = record.partition(b"=")
        if end > len(body) or not equals or not key or not value.endswith(b"\n"):
            raise _bad_pax(where)
        records[key] = value[:-1]
        position = end
    return records


def _bad_pax(where: str) -> FormatError:
    return FormatError("a damaged PAX header", code="damaged-pax-header", file=where)


def _is_sparse(records: Mapping[bytes, bytes]) -> bool:
    """Return whether PAX records describe a sparse file, by Go's rules.

    With other records of that kind, the member is an ordinary file.
    """
    major, minor = records.get(b"GNU.sparse.major", b""), records.get(b"GNU.sparse.minor", b"")
    if major or minor:
        return (major, minor) in {(b"0", b"0"), (b"0", b"1"), (b"1", b"0")}
    return bool(records.get(b"GNU.sparse.map")) or b"GNU.sparse.offset" in records


def byte_sum(data: bytes) -> int:
    """Return the sum of at most 256 bytes."""
    # The low half of Adler-32 is 1 + the sum modulo 65521, which so few bytes do not reach.
    return (zlib.adler32(data) & 0xFFFF) - 1


def checksum_fits(block: bytes) -> bool:
    """Return whether the checksum of a header block is correct, unsigned or (old Sun tar) signed."""
    match = OCTAL.match(block, 148, 156)
    if not match:
        return False
    stated = int(match[1] or b"0", 8)
    unsigned = byte_sum(block[:256]) + byte_sum(block[256:]) - byte_sum(block[148:156]) + 8 * 0x20
    if stated == unsigned:
        return True
    return bool(match[1]) and stated == unsigned - 256 * sum(byte >= 0x80 for byte in block[:148] + block[156:])


def full_name(fields: tuple[bytes, ...]) -> bytes:
    """Return the name in the fields of a header, its prefix included where the format has one.

    The version behind ustar's magic does not matter. In GNU's format the field
    holds times; if it does not, an old writer (Go before 1.8) put a prefix there.
    """
    name, magic, field = cut(fields[0]), fields[9], fields[14]
    prefix = b""
    if magic[:6] == b"ustar\0":
        if field[0]:
            prefix = cut(field[:131] if fields[15][8:] == b"tar\0" else field)
    elif magic == b"ustar  \0" and not (_is_time(field[:12]) and _is_time(field[12:24])):
        prefix = cut(field)
        if not prefix.isascii():
            prefix = b""
    return prefix + b"/" + name if prefix else name


def _is_time(field: bytes) -> bool:
    return field[0] == 0 or number(field) is not None


def number(field: bytes) -> int | None:
    """Return the number in a header field, octal or GNU's base-256; None if it is not one."""
    if field[0] & 0x80:
        # Two's complement, from the second-highest bit.
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        if field[0] & 0x40:
            value -= 1 << (8 * len(field) - 1)
        return value if -(1 << 63) <= value < 1 << 63 else None
    digits = cut(field.strip(b" \0"))
    if not digits:
        return 0
    return int(digits, 8) if not digits.strip(b"01234567") else None


# Most members of an archive have the same owner, mode and time.
@lru_cache(maxsize=1024)
def leading_number(field: bytes) -> int:
    """Return the number in a header field, as far as it is one: the digits up to the first other character, or 0."""
    if field[0] & 0x80:
        value = int.from_bytes(field, "big") & ((1 << (8 * len(field) - 1)) - 1)
        return value - (1 << (8 * len(field) - 1)) if field[0] & 0x40 else value
    match = _LEADING_DIGITS.match(field)
    return int(match[1] or b"0", 8) if match else 0


def attributes_of(block: bytes, records: Mapping[bytes, bytes]) -> Attributes:
    """Return the attributes in a header block and the records of its PAX header."""
    fields = HEADER.unpack(block)
    has_names = fields[9].startswith(b"ustar")

    def text(key: bytes, otherwise: str) -> str:
        return text_of(records[key]) or otherwise if key in records else otherwise

    return Attributes(
        mode=leading_number(fields[1]) & ~_TYPE_BITS,
        uid=text(b"uid", str(leading_number(fields[2]))),
        gid=text(b"gid", str(leading_number(fields[3]))),
        uname=text(b"uname", _name_in(fields[10]) if has_names else ""),
        gname=text(b"gname", _name_in(fields[11]) if has_names else ""),
        mtime=text(b"mtime", str(leading_number(fields[5]))),
        device=(leading_number(fields[12]), leading_number(fields[13])),
        xattrs={key: value for key, value in records.items() if key.startswith(_XATTRS)},
    )


@lru_cache(maxsize=1024)
def _name_in(field: bytes) -> str:
    return text_of(cut(field))


@lru_cache(maxsize=64)
def is_symlink_mode(field: bytes) -> bool:
    """Return whether a mode field has the type bits of a symlink."""
    mode = number(field)
    return mode is not None and mode & _TYPE_BITS == _SYMLINK_BITS


def cut(field: bytes) -> bytes:
    """Return a field up to its first NUL."""
    return field.partition(b"\0")[0]


def text_of(raw: bytes) -> str:
    """Return the text of a name; bytes that are not UTF-8 become surrogates."""
    return raw.decode("utf-8", "surrogateescape")

"""Strict tar reading: v7, ustar, GNU and PAX headers, from files and from pipes.

Headers mean what Go's archive/tar takes them for (see `tar_header`), because the
tools that load images are written in Go. Where those tools disagree about a
header, it is refused: an archive must not be one image to imgconv and another to
an engine. Nothing is ever extracted.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert import cancel
from convert.archive.cursor import FileCursor, StreamCursor
from convert.archive.go_tar import Refusal, body_fault, header_fault, member_fault, pax_fault
from convert.archive.member import Member
from convert.archive.not_a_tar import not_a_tar
from convert.archive.tar_header import (
    BLOCK,
    HEADER,
    MEANINGFUL,
    OCTAL,
    Extensions,
    attributes_of,
    checksum_fits,
    cut,
    full_name,
    is_symlink_mode,
    pax_records,
    text_of,
)
from convert.diagnostics import Diagnostic, Diagnostics
from convert.errors import FormatError, TruncatedError, UnknownFormatError, UnsafeInputError
from convert.limits import (
    MAX_ALL_EXTENSIONS,
    MAX_ALL_MEMBER_NAMES,
    MAX_MEMBER_NAME,
    MAX_MEMBERS,
    MAX_PAX_RECORDS,
    MAX_PAX_SIZE,
    MIB,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.archive.cursor import Cursor
    from convert.archive.member import Kind

_ZEROS: Final = bytes(BLOCK)

_KINDS: Final[dict[bytes, Kind]] = {
    b"0": "file",
    b"\0": "file",
    b"7": "file",  # contiguous file, which POSIX treats as a regular one
    b"S": "file",  # GNU sparse
    b"1": "hardlink",
    b"2": "symlink",
    b"3": "device",
    b"4": "device",
    b"5": "dir",
    b"6": "fifo",
}
_EXTENSIONS: Final = b"xgXLK"
#: containers/image takes the type of a member from its mode too (Go's `Header.FileInfo`).
_SYMLINK_MODE: Final = "its header calls it a file and its mode a symlink, which readers disagree about"
_MAX_SIZE: Final = (1 << 63) - 1
#: First size that the octal field of a ustar header cannot hold.
_OCTAL_END: Final = 8 << 30

#: Bytes behind the end-of-archive blocks that are examined in a file, and drained from a pipe.
_TAIL_LOOK: Final = 64 << 10
_TAIL_DRAIN: Final = 64 * MIB


def index(fd: int, size: int, *, where: str) -> tuple[list[Member], TarReader]:
    """Return the members of the tar in `fd`, and the reader with what else it found.

    Only headers are read, so that the cost is per member and not per byte.

    Raises:
        UnknownFormatError: the first block is not a tar header.
        TruncatedError: a member ends behind the end of the file.
        FormatError, UnsafeInputError: a header breaks the format or a limit.
    """
    reader = TarReader(FileCursor(fd, size), where=where)
    members = list(reader)
    reader.finish()
    return members, reader


class TarReader:
    """Iterates over the members of a tar, skipping what was not read of their contents.

    `warnings` are the warnings about what was accepted, `end` is where the
    end-of-archive blocks begin, once iteration is over.
    """

    def __init__(
        self, cursor: Cursor, *, where: str, attributes: bool = False, lenient: bool = False, most: int | None = None
    ) -> None:
        """Read from `cursor`; `where` names the archive in errors.

        `attributes` asks for the attributes of each member. `lenient`: headers about which tools
        disagree are not refused, but mean what Go's archive/tar takes them for, and as it does, the
        number of members and the length of all names together are not limited. Otherwise there may be
        `most` members, `MAX_MEMBERS` if it is None.
        """
        self._lenient = lenient
        self._most = MAX_MEMBERS if most is None else most
        #: The header block and the extended headers of the last member.
        self.block = b""
        self.extensions = Extensions(where)
        #: The blocks that continue the map of the last member, if it is an old GNU sparse one.
        self.sparse_blocks: list[bytes] = []
        self.warnings = Diagnostics()
        self.end = 0
        self._attributes = attributes
        self._cursor = cursor
        self._where = where
        self._count = 0
        self._names_size = 0
        self._extensions_size = 0
        self._records = 0
        self._junk_seen = False
        #: The first header that Go's archive/tar refuses.
        self.refusal: Refusal | None = None

    def __iter__(self) -> Iterator[Member]:
        """Yield members in order; the cursor then stands at the content's start."""
        while (member := self._next()) is not None:
            cancel.check()
            self._count += 1
            if self._count > self._most and not self._lenient:
                msg = f"more than {self._most} members"
                raise UnsafeInputError(msg, code="too-many-members", file=self._where)
            yield member
            self._pass_content(member)

    def _pass_content(self, member: Member) -> None:
        content_end = member.offset + member.size
        missing = content_end - self._cursor.position
        if self._cursor.skip(missing) < missing:
            msg = f"truncated: ends inside this member (expected {member.size} bytes)"
            raise TruncatedError(msg, file=self._where, member=member.name)
        padding = member.end - content_end
        if self._cursor.skip(padding) < padding:
            self._warn("the archive ends before its last member's padding", code="missing-padding")

    def _next(self) -> Member | None:
        """Read one member's headers; None at the end of the archive."""
        start = self._cursor.position
        extensions = Extensions(self._where, lenient=self._lenient)
        while True:
            here = self._cursor.position
            block = self._cursor.read(BLOCK)
            if len(block) < BLOCK or block == _ZEROS:
                if extensions.seen:
                    msg = "the archive ends behind an extended header"
                    raise TruncatedError(msg, file=self._where)
                self.end = start
                self._end_of_archive(block, start)
                return None
            flag = self._check(block, first=here == 0)
            if self.refusal is None:
                self._refuse(start, header_fault(block))
            if flag not in _EXTENSIONS:
                return self._member(block, extensions, start)
            if flag == b"g":
                # As in Go, the extended headers before a global one apply to it, not to what follows.
                return self._global(block, start)
            body = self._body(block, MAX_PAX_SIZE)
            extensions.add(flag, body)
            if flag == b"x" and self.refusal is None:
                self._refuse(start, body_fault(body) or pax_fault(extensions.pax))

    def _refuse(self, start: int, why: str) -> None:
        if why:
            self.refusal = Refusal(start, why)

    def _check(self, block: bytes, *, first: bool) -> bytes:
        """Verify the checksum, unsigned or (old Sun tar) signed; return the typeflag."""
        if not checksum_fits(block):
            if first:
                raise not_a_tar(block, self._where)
            msg = f"bad tar header checksum at byte {self._cursor.position - BLOCK}"
            raise FormatError(msg, code="tar-checksum-mismatch", file=self._where)
        return block[156:157]

    def _body(self, block: bytes, limit: int) -> bytes:
        """Return the content of an extended header."""
        size = self._size(block, "extended header")
        if size > limit:
            msg = f"an extended tar header of {size} bytes is over the limit of {limit}"
            raise UnsafeInputError(msg, code="tar-header-too-large", file=self._where)
        padded = -(-size // BLOCK) * BLOCK
        body = self._cursor.read(padded)
        if len(body) < padded:
            msg = "the archive ends in an extended header"
            raise TruncatedError(msg, file=self._where)
        self._count_extension(size, body.count(b"\n"))
        return body[:size]

    def _count_extension(self, size: int, records: int = 0) -> None:
        """Count an extended header against the limits of the archive."""
        self._extensions_size += size
        self._records += records
        if self._lenient:
            return
        if self._extensions_size > MAX_ALL_EXTENSIONS or self._records > MAX_PAX_RECORDS:
            msg = (
                f"its extended headers have more than {MAX_ALL_EXTENSIONS} bytes or {MAX_PAX_RECORDS} records together"
            )
            raise UnsafeInputError(msg, code="tar-header-too-large", file=self._where)

    def _global(self, block: bytes, start: int) -> Member:
        """Return a global PAX header as a member; refuse one that renames or resizes.

        Go's reader ignores its records and GNU tar obeys, so they would see different members.
        """
        body = self._body(block, MAX_PAX_SIZE)
        records = pax_records(body, self._where)
        if self.refusal is None:
            self._refuse(start, body_fault(body) or pax_fault(records))
        for key in records if not self._lenient else ():
            if key in MEANINGFUL or key.startswith(b"GNU.sparse."):
                msg = f"a global PAX header sets '{text_of(key)}', which readers disagree about"
                raise FormatError(msg, code="ambiguous-tar-header", file=self._where)
        end = self._cursor.position
        return Member(text_of(full_name(HEADER.unpack(block))), "global", 0, start=start, offset=end, end=end)

    def _size(self, block: bytes, member: str) -> int:
        field = block[124:136]
        if field[0] & 0x80:  # GNU base-256, two's complement from the second-highest bit
            value = int.from_bytes(field, "big", signed=False) & ((1 << 95) - 1)
            if field[0] & 0x40:
                value -= 1 << 95
        else:
            match = OCTAL.match(field)
            if not match:
                msg = f"the size in the tar header is not a number: '{text_of(field)}'"
                raise FormatError(msg, code="invalid-tar-size", file=self._where, member=member)
            value = int(match[1] or b"0", 8)
        return self._sane(value, member)

    def _sane(self, size: int, member: str) -> int:
        if not 0 <= size <= _MAX_SIZE - BLOCK:
            msg = f"impossible size {size} in the tar header"
            raise FormatError(msg, code="invalid-tar-size", file=self._where, member=member)
        return size

    def _member(self, block: bytes, extensions: Extensions, start: int) -> Member:
        fields = HEADER.unpack(block)
        flag: bytes = fields[7]
        raw_name = extensions.name(full_name(fields), flag)
        raw_link = extensions.link(cut(fields[8]))
        name, link = text_of(raw_name), text_of(raw_link)
        if len(raw_name) > MAX_MEMBER_NAME or len(raw_link) > MAX_MEMBER_NAME:
            msg = f"a member name of more than {MAX_MEMBER_NAME} bytes"
            raise UnsafeInputError(msg, code="member-name-too-long", file=self._where, member=name[:80])
        self._names_size += len(raw_name) + len(raw_link)
        if self._names_size > MAX_ALL_MEMBER_NAMES and not self._lenient:
            msg = f"names and links of its members have more than {MAX_ALL_MEMBER_NAMES} bytes together"
            raise UnsafeInputError(msg, code="member-names-too-large", file=self._where)
        kind = _KINDS.get(flag, "other")
        if flag == b"\0" and name.endswith("/"):
            kind = "dir"  # how v7 wrote folders
        size = self._size(block, name)
        stated = extensions.size()
        if stated is not None:
            # A writer leaves 0 (or what fits) in the header where only PAX can hold the size.
            if size not in (0, stated) and stated < _OCTAL_END and not self._lenient:
                msg = f"its PAX header has a size of {stated} bytes, its tar header one of {size}"
                raise FormatError(msg, code="ambiguous-tar-header", file=self._where, member=name)
            size = self._sane(stated, name)
        if kind not in {"file", "other"}:
            # In Go and Python, such members have no content, whatever the size field.
            if size:
                text = f"{name}: a {kind} with a size of {size} bytes; taken as 0"
                self._warn(text, code="member-size-ignored", member=name)
            size = 0
        sparse = flag == b"S" or extensions.sparse
        if self.refusal is None and (sparse or extensions.pax):
            self._refuse(start, member_fault(block, extensions.pax, size))
        self.block, self.extensions, self.sparse_blocks = block, extensions, []
        if flag == b"S":
            self._pass_sparse_map(block, name)
        offset = self._cursor.position
        return Member(
            name=name,
            kind=kind,
            size=size,
            link=link if kind in {"symlink", "hardlink"} else "",
            sparse=sparse,
            start=start,
            offset=offset,
            end=offset + -(-size // BLOCK) * BLOCK,
            attributes=attributes_of(block, extensions.pax) if self._attributes else None,
            disputed=_SYMLINK_MODE if kind == "file" and is_symlink_mode(fields[1]) else "",
        )

    def _pass_sparse_map(self, block: bytes, name: str) -> None:
        """Skip the extension blocks of an old GNU sparse header (`isextended`)."""
        more = block[482]
        blocks = 0
        while more:
            block = self._cursor.read(BLOCK)
            blocks += 1
            if len(block) < BLOCK or blocks > MAX_PAX_SIZE // BLOCK:
                msg = "the map of a sparse member does not end"
                raise TruncatedError(msg, file=self._where, member=name)
            self._count_extension(BLOCK)
            if self._attributes:
                self.sparse_blocks.append(block)
            more = block[504]

    def _end_of_archive(self, block: bytes, start: int) -> None:
        if not block:
            if not start:
                msg = "this is not an archive: it is empty"
                raise UnknownFormatError(msg, code="empty-archive", file=self._where)
            self._warn("the archive has no end-of-archive blocks", code="no-end-of-archive")
            return
        if len(block) < BLOCK:
            if not start:
                raise not_a_tar(block, self._where)
            msg = "the archive ends in the midst of a tar header"
            raise TruncatedError(msg, file=self._where)
        second = self._cursor.read(BLOCK)
        if second != _ZEROS:
            self._warn("the archive ends with a lone zero block", code="no-end-of-archive")
            if second and self.refusal is None:
                self._refuse(start, "one zero block before it, which does not end the archive")
            if second.strip(b"\0"):
                self._junk()

    def _junk(self) -> None:
        if not self._junk_seen:
            self._junk_seen = True
            self._warn("what follows the archive's end is ignored", code="bytes-after-archive")

    def _warn(self, text: str, *, code: str, **data: str) -> None:
        self.warnings.append(Diagnostic(text, code=code, **data))

    def finish(self) -> None:
        """Examine what follows the end; drain a stream, so that its writer does not fail."""
        limit = _TAIL_DRAIN if isinstance(self._cursor, StreamCursor) else _TAIL_LOOK
        while limit > 0 and (data := self._cursor.read(min(limit, _TAIL_LOOK))):
            limit -= len(data)
            if data.strip(b"\0"):
                self._junk()

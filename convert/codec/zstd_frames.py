"""The frames of a zstd stream: where they begin and end, and what windows they want (RFC 8878)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.codec.feed import too_many
from convert.errors import FormatError
from convert.limits import FREE_MEMORY, MAX_SMALL_MEMBERS, SMALL_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

ZSTD_MAGIC: Final = b"\x28\xb5\x2f\xfd"
#: Magic, descriptor, window, dictionary ID and content size of a frame at most.
HEADER_MAX: Final = 18
_SKIPPABLE: Final = 0x184D2A50
_BLOCK_HEADER: Final = 3
#: Where a frame header has its Window_Descriptor, if it has one.
_WINDOW_AT: Final = 5


class ZstdSource:
    """Hands raw bytes to libzstd and follows frame and block bounds meanwhile.

    It ends before a frame that wants a larger window than the frame at which it
    was opened, so that memory for that one can be asked for; `open` goes on there.
    """

    def __init__(self, raw: Iterator[bytes], where: str) -> None:
        self._raw = raw
        self._where = where
        self._rest = b""  # input that was read and not handed on
        self._header = b""  # bytes of a block's header that is not whole yet
        self._skip = 0  # bytes of content until the next header
        self._in_frame = False
        self._has_checksum = False
        self._opened = False
        self._seen = False
        self._frame_size = SMALL_MEMBER  # bytes of the frame so far
        self._small = 0
        #: Bytes of the largest window that a frame may have until the next `open`.
        self.window = 0

    @property
    def complete(self) -> bool:
        """Whether the input so far ends where a frame ends, and holds one."""
        return self._seen and not (self._in_frame or self._skip or self._header or self._rest)

    def open(self) -> bool:
        """Allow the window of the next frame; False where no frame follows, but for the first call."""
        first, self._opened = not self._opened, True
        while len(self._rest) < HEADER_MAX and (more := next(self._raw, b"")):
            self._rest += more
        self.window = _window(self._rest)
        return first or bool(_frame_header(self._rest, 0))

    def read(self, _size: int = -1) -> bytes:
        """Return the next bytes; none at the end of the input, and before a frame with a larger window."""
        while chunk := self._rest or next(self._raw, b""):
            end = self._follow(chunk)
            self._rest = chunk[end:]
            if end:
                return chunk[:end] if self._rest else chunk
            if _frame_header(chunk, 0):
                return b""
            # The header of a frame is handed on whole, because only the whole tells the window.
            more = next(self._raw, b"")
            if not more:
                return b""
            self._rest += more
        return b""

    def _follow(self, chunk: bytes) -> int:
        """Follow `chunk`; return how much of it can be handed on."""
        position = counted = 0
        while position < len(chunk):
            if self._skip:
                step = min(self._skip, len(chunk) - position)
                self._skip -= step
                position += step
            elif self._in_frame:
                part = chunk[position : position + _BLOCK_HEADER - len(self._header)]
                self._header += part
                position += len(part)
                if len(self._header) == _BLOCK_HEADER:
                    self._begin_block()
            else:
                header = _frame_header(chunk, position)
                if not header or _window(header) > self.window:
                    break
                self._frame_size += position - counted
                counted = position
                self._begin_frame(header)
                position += len(header)
        self._frame_size += position - counted
        return position

    def _begin_block(self) -> None:
        word, self._header = int.from_bytes(self._header, "little"), b""
        # Block_Type 1 is RLE: one byte stands for Block_Size bytes.
        self._skip = 1 if word >> 1 & 3 == 1 else word >> 3
        if word & 1:
            self._in_frame = False
            self._skip += 4 if self._has_checksum else 0

    def _begin_frame(self, header: bytes) -> None:
        self._seen = True
        if self._frame_size < SMALL_MEMBER:
            self._small += 1
            if self._small > MAX_SMALL_MEMBERS:
                raise too_many("zstd", self._where)
        self._frame_size = 0
        if is_skippable(header):
            self._skip = int.from_bytes(header[4:8], "little")
        elif header.startswith(ZSTD_MAGIC):
            self._in_frame = True
            self._has_checksum = bool(header[4] & 4)
        else:
            msg = "damaged zstd stream: bytes behind a frame begin no other"
            raise FormatError(msg, member=self._where)


def _frame_header(data: bytes, position: int) -> bytes:
    """Return the header of the frame that begins at `position`, nothing if it is not whole.

    Of bytes that begin no frame, the first five.
    """
    size = 5
    if len(data) - position >= size:
        head = data[position : position + size]
        if is_skippable(head):
            size = 8
        elif head.startswith(ZSTD_MAGIC):
            size += _header_rest(head[4])
    header = data[position : position + size]
    return header if len(header) == size else b""


def _window(head: bytes) -> int:
    """Return the memory that a frame's window takes, in bytes, by its header (RFC 8878, 3.1.1.1.2).

    Rounded up to a power of two and to no less than what is never asked for, so
    that a stream of ever larger frames is not opened anew for each.
    """
    if len(head) <= _WINDOW_AT or not head.startswith(ZSTD_MAGIC):
        return FREE_MEMORY
    if head[4] & 0x20:  # Single_Segment_flag: the content is the window
        window = content_size(head) or 0
    else:
        exponent, mantissa = head[_WINDOW_AT] >> 3, head[_WINDOW_AT] & 7
        window = (1 << 10 + exponent) * (8 + mantissa) // 8
    return max(FREE_MEMORY, 1 << (window - 1).bit_length())


def is_skippable(head: bytes) -> bool:
    """Tell whether a skippable frame begins with these bytes."""
    return int.from_bytes(head[:4], "little") & ~0xF == _SKIPPABLE


def _header_rest(descriptor: int) -> int:
    """Bytes of a frame header behind its Frame_Header_Descriptor (RFC 8878, 3.1.1.1)."""
    single_segment = bool(descriptor & 0x20)
    size_flag = descriptor >> 6
    size_field = (1 if single_segment else 0, 2, 4, 8)[size_flag]
    return (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + size_field


def content_size(head: bytes) -> int | None:
    """Return the Frame_Content_Size of the frame that begins with `head`, None where it says none."""
    if len(head) < 5 or not head.startswith(ZSTD_MAGIC):
        return None
    descriptor = head[4]
    end = 5 + _header_rest(descriptor)
    single_segment = bool(descriptor & 0x20)
    width = (1 if single_segment else 0, 2, 4, 8)[descriptor >> 6]
    if not width or len(head) < end:
        return None
    size = int.from_bytes(head[end - width : end], "little")
    return size + 256 if width == 2 else size

"""The frames of a zstd stream: their bounds and their windows (RFC 8878)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.codec.feed import too_many
from convert.codec.sniff import ZSTD_MAGIC, is_skippable
from convert.errors import FormatError
from convert.limits import FREE_MEMORY, MAX_SMALL_MEMBERS, SMALL_MEMBER

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Maximum size of a frame header: magic, descriptor, window, dictionary ID and content size.
HEADER_MAX: Final = 18
_BLOCK_HEADER: Final = 3
#: Offset of the Window_Descriptor, if a frame header has one.
_WINDOW_AT: Final = 5


class ZstdSource:
    """Passes compressed bytes to libzstd and tracks the bounds of frames and blocks.

    The source ends before a frame whose window is larger than that of the frame at which it was
    opened, so that the caller can acquire memory for it; `open` continues there.
    """

    def __init__(self, raw: Iterator[bytes], where: str) -> None:
        self._raw = raw
        self._where = where
        self._rest = b""  # input that was read and not passed on
        self._header = b""  # bytes of an incomplete block header
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
        """Whether the input so far contains a frame and ends at the end of one."""
        return self._seen and not (self._in_frame or self._skip or self._header or self._rest)

    def open(self) -> bool:
        """Allow the window of the next frame; return False if none follows, except on the first call."""
        first, self._opened = not self._opened, True
        while len(self._rest) < HEADER_MAX and (more := next(self._raw, b"")):
            self._rest += more
        self.window = _window(self._rest)
        return first or bool(_frame_header(self._rest, 0))

    def read(self, _size: int = -1) -> bytes:
        """Return the next bytes; empty at the end of the input and before a frame with a larger window."""
        while chunk := self._rest or next(self._raw, b""):
            end = self._follow(chunk)
            self._rest = chunk[end:]
            if end:
                return chunk[:end] if self._rest else chunk
            if _frame_header(chunk, 0):
                return b""
            # The window is not known before the frame header is complete.
            more = next(self._raw, b"")
            if not more:
                return b""
            self._rest += more
        return b""

    def _follow(self, chunk: bytes) -> int:
        """Track the bounds in `chunk`; return how much of it can be passed on."""
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
            msg = "damaged zstd stream: invalid data after a frame"
            raise FormatError(msg, code="damaged-compression", member=self._where)


def _frame_header(data: bytes, position: int) -> bytes:
    """Return the header of the frame at `position`, or nothing if it is incomplete.

    For bytes that are not a frame, return the first five.
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
    """Return the memory for the window of a frame with header `head`, in bytes (RFC 8878, 3.1.1.1.2).

    The result is rounded up to a power of two and is at least `FREE_MEMORY`, so that a stream of
    ever larger frames is not reopened for each.
    """
    if len(head) <= _WINDOW_AT or not head.startswith(ZSTD_MAGIC):
        return FREE_MEMORY
    if head[4] & 0x20:  # Single_Segment_flag: the content is the window
        window = content_size(head) or 0
    else:
        exponent, mantissa = head[_WINDOW_AT] >> 3, head[_WINDOW_AT] & 7
        window = (1 << 10 + exponent) * (8 + mantissa) // 8
    return max(FREE_MEMORY, 1 << (window - 1).bit_length())


def _header_rest(descriptor: int) -> int:
    """Return the size of a frame header after its Frame_Header_Descriptor (RFC 8878, 3.1.1.1)."""
    single_segment = bool(descriptor & 0x20)
    size_flag = descriptor >> 6
    size_field = (1 if single_segment else 0, 2, 4, 8)[size_flag]
    return (0 if single_segment else 1) + (0, 1, 2, 4)[descriptor & 3] + size_field


def content_size(head: bytes) -> int | None:
    """Return the Frame_Content_Size of the frame that begins with `head`, or None if it has none."""
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

"""A font in which every character is the same box: pages then look alike on every machine, whatever its fonts are.

OpenType 1.9 (https://learn.microsoft.com/typography/opentype/spec/). All glyphs but the blank are one rectangle.
"""

from __future__ import annotations

import base64
import struct

#: Units of an em, and the width of every character.
EM, WIDTH = 1000, 500
#: The box, from the base line: left, bottom, right, top.
BOX = (50, 0, 450, 600)
#: Ascender and descender: together one em, so that `line-height: normal` is one too.
UP, DOWN = 800, -200
#: Blanks and line ends are glyph 2, everything else is glyph 1.
BLANKS = [(0x09, 0x0D), (0x20, 0x20), (0x85, 0x85), (0xA0, 0xA0), (0x2000, 0x200F), (0x2028, 0x202F)]
LAST = 0x10FFFF


def groups():
    """Return ranges of characters with the glyph of each, in order and without gaps."""
    found, start = [], 0
    for first, last in BLANKS:
        if start < first:
            found.append((start, first - 1, 1))
        found.append((first, last, 2))
        start = last + 1
    return [*found, (start, LAST, 1)]


def glyph():
    """Return the outline of the box."""
    left, bottom, right, top = BOX
    xs, ys = (left, left, right, right), (bottom, top, top, bottom)
    steps = [[at - before for at, before in zip(each, (0, *each), strict=False)] for each in (xs, ys)]
    return struct.pack(">5h2H4B8h2x", 1, *BOX, 3, 0, 1, 1, 1, 1, *steps[0], *steps[1])


def tables():
    """Return the tables of the font by name."""
    listed = groups()
    # Subtable format 13: many characters to one glyph.
    sub = struct.pack(">HHLLL", 13, 0, 16 + 12 * len(listed), 0, len(listed))
    sub += b"".join(struct.pack(">LLL", *each) for each in listed)
    outline = glyph()
    name = "Box".encode("utf-16-be")
    records = b"".join(struct.pack(">6H", 3, 1, 0x409, number, len(name), 0) for number in (1, 2, 3, 4, 6))
    return {
        "OS/2": struct.pack(
            ">HhHHH10hh10s4L4sHHHhhhHHLLhhHHH",
            4, WIDTH, 400, 5, 0, *[0] * 10, 0, bytes(10), 0, 0, 0, 0, b"TEST", 0x40, 0x20, 0xFFFF,
            UP, DOWN, 0, UP, -DOWN, 1, 0, 600, 600, 0, 0x20, 0,
        ),
        "cmap": struct.pack(">HHHHL", 0, 1, 3, 10, 12) + sub,
        "glyf": outline * 2,
        "head": struct.pack(">LLLLHHqq4hHHhhh", 0x10000, 0x10000, 0, 0x5F0F3CF5, 3, EM, 0, 0, *BOX, 0, 8, 2, 1, 0),
        "hhea": struct.pack(">Lhhh H hhh hhh 4h h H", 0x10000, UP, DOWN, 0, WIDTH, 0, 0, 450, 1, 0, 0, *[0] * 5, 3),
        "hmtx": struct.pack(">HhHhHh", WIDTH, 50, WIDTH, 50, WIDTH, 0),
        "loca": struct.pack(">4L", 0, len(outline), 2 * len(outline), 2 * len(outline)),
        "maxp": struct.pack(">L14H", 0x10000, 3, 4, 1, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0),
        "name": struct.pack(">HHH", 0, 5, 6 + len(records)) + records + name,
        "post": struct.pack(">LLhhLLLLL", 0x30000, 0, 0, 0, 1, 0, 0, 0, 0),
    }  # fmt: skip


def checksum(data):
    data += bytes(-len(data) % 4)
    return sum(struct.unpack(f">{len(data) // 4}L", data)) & 0xFFFFFFFF


def font():
    """Return the font file."""
    found = tables()
    offset = 12 + 16 * len(found)
    entries, body = b"", b""
    for name, data in sorted(found.items()):
        entries += struct.pack(">4sLLL", name.encode(), checksum(data), offset + len(body), len(data))
        body += data + bytes(-len(data) % 4)
    whole = struct.pack(">LHHHH", 0x10000, len(found), 128, 3, 16 * len(found) - 128) + entries + body
    at = offset + whole[offset:].index(struct.pack(">LLLL", 0x10000, 0x10000, 0, 0x5F0F3CF5)) + 8
    return whole[:at] + struct.pack(">L", (0xB1B0AFBA - checksum(whole)) & 0xFFFFFFFF) + whole[at + 4 :]


def style():
    """Return a style sheet that shows all text of a page in this font, and nothing that an operating system draws."""
    source = base64.b64encode(font()).decode()
    return (
        f"@font-face{{font-family:Box;src:url(data:font/ttf;base64,{source})}}"
        "*,*::before,*::after{font-family:Box!important;font-synthesis:none!important;caret-color:transparent!important}"
        "summary{list-style:none}summary::-webkit-details-marker{display:none}"
        "input{appearance:none!important;width:13px;height:13px;border:1px solid currentColor!important}"
        "input[type=search]{width:12rem;height:1.6rem}"
        "::-webkit-scrollbar{display:none}"
    )

"""Changes of an archive that its readers have to notice, or can live with.

Checksums of headers are mended, so that a change is seen by what lies behind them.
"""

from __future__ import annotations

import json

BLOCK = 512
#: What replaces a piece of a document or a name.
WORDS = [
    b"null", b"true", b"-1", b"0", b"1e999", b"[]", b"{}", b'""', b'".."', b'"/etc/passwd"', b'"sha256:"', b"[[]]",
    b"99999999999999999999", b'"\\ud800"', b'"a\\u001b[2Jb"', b'"\xff"', b"NaN", b",", b":", b'"', b"}", b"]",
    b'"manifest.json"', b'"application/vnd.oci.image.index.v1+json"', b'"application/vnd.oci.image.manifest.v1+json"',
]  # fmt: skip
SIZES = [b"77777777777\0", b"\xff" * 12, b"\x80" + b"\xff" * 11, b"00000000000\0", b"00000001000\0", b"abc         "]


def blocks_of(data):
    """Return where each header stands, as far as the tar can be followed."""
    found, position = [], 0
    while position + BLOCK <= len(data) and data[position]:
        found.append(position)
        position += BLOCK + -(-_size(data, position) // BLOCK) * BLOCK
    return found


def mend(data, position):
    """Make a header's checksum right again."""
    data[position + 148 : position + 156] = b" " * 8
    total = sum(data[position : position + BLOCK])
    data[position + 148 : position + 156] = b"%06o\0 " % total


def mutated(data, chance):
    """Return a copy with one to four changes."""
    result = bytearray(data)
    for _ in range(chance.choice((1, 1, 1, 2, 4))):
        headers = blocks_of(result)
        if not headers:
            break
        chance.choice(CHANGES)(result, chance.choice(headers), headers, chance)
    return bytes(result)


def _size(data, position):
    try:
        return max(0, int(bytes(data[position + 124 : position + 135]).strip(b"\0 ") or b"0", 8))
    except ValueError:
        return 0


def flip(data, position, headers, chance):
    size = min(_size(data, position), len(data) - position - BLOCK)
    if size > 0:
        data[position + BLOCK + chance.randrange(size)] ^= 1 << chance.randrange(8)


def header_byte(data, position, headers, chance):
    data[position + chance.randrange(BLOCK)] = chance.randrange(256)
    mend(data, position)


def header_size(data, position, headers, chance):
    data[position + 124 : position + 136] = chance.choice(SIZES)
    mend(data, position)


def header_kind(data, position, headers, chance):
    data[position + 156] = chance.choice(b"0123456789LKxgSVMDNX\0")
    mend(data, position)


def header_name(data, position, headers, chance):
    other = chance.choice(headers)
    data[position : position + 100] = data[other : other + 100]
    mend(data, position)


def header_link(data, position, headers, chance):
    target = chance.choice([b"..", b"/etc/passwd", b"manifest.json", bytes(data[chance.choice(headers) :][:99])])
    data[position + 157 : position + 257] = target[:100].ljust(100, b"\0")
    data[position + 156] = chance.choice(b"12")
    mend(data, position)


def document(data, position, headers, chance):
    """Change a word of a document in place, keeping or mending its size."""
    size = _size(data, position)
    body = bytes(data[position + BLOCK : position + BLOCK + size])
    if not body.startswith((b"{", b"[")):
        return
    at = chance.randrange(len(body))
    end = min(len(body), at + chance.choice((0, 1, 1, 4, 16)))
    new = body[:at] + chance.choice([*WORDS, body[chance.randrange(len(body)) :][:40]]) + body[end:]
    _replace(data, position, size, new)


def structure(data, position, headers, chance):
    """Replace, drop or repeat one value of a document, and write it whole."""
    size = _size(data, position)
    try:
        value = json.loads(bytes(data[position + BLOCK : position + BLOCK + size]))
    except ValueError:
        return
    holder = value
    while isinstance(holder, (dict, list)) and holder:
        key = chance.choice(list(holder) if isinstance(holder, dict) else range(len(holder)))
        if not isinstance(holder[key], (dict, list)) or not holder[key] or chance.random() < 0.3:
            if chance.random() < 0.3:
                del holder[key]
            elif isinstance(holder, list) and chance.random() < 0.5:
                holder.append(holder[key])
            else:
                holder[key] = chance.choice(
                    [None, True, -1, 0, 2**70, "", "..", "a" * 300, [], {}, [[]], {"a": 1}, 1.5]
                )
            break
        holder = holder[key]
    _replace(data, position, size, json.dumps(value).encode())


def _replace(data, position, size, new):
    data[position + 124 : position + 136] = b"%011o\0" % len(new)
    mend(data, position)
    data[position + BLOCK : position + BLOCK + size + -size % BLOCK] = new + bytes(-len(new) % BLOCK)


def drop(data, position, headers, chance):
    size = _size(data, position)
    del data[position : position + BLOCK + size + -size % BLOCK]


def repeat(data, position, headers, chance):
    size = _size(data, position)
    part = data[position : position + BLOCK + size + -size % BLOCK]
    at = chance.choice(headers)
    data[at:at] = part


def cut(data, position, headers, chance):
    del data[chance.randrange(len(data)) :]


CHANGES = [flip, header_byte, header_size, header_kind, header_name, header_link, drop, repeat, cut]
CHANGES += [document] * 6 + [structure] * 8

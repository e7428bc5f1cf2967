"""Inputs made from recipes: the same bytes here and in golden/main.go.

A recipe is a list of steps, each adding to the data so far:

    ["noise", seed, n, values]       random bytes below `values` (256: incompressible)
    ["fill", byte, n]                one byte over and over
    ["text", seed, n]                words of a small vocabulary, lines
    ["code", seed, n]                like machine code: few opcodes, near addresses
    ["tar", seed, files]             headers, and files of text, noise and zeros
    ["packed", seed, n]              like a zip of what does not compress: noise and headers
    ["copy", distance, n]            again what lies that far back (overlap repeats it)
    ["edit", distance, n, every]     the same with a bit flipped every so many bytes
    ["cycle", n]                     repeated from the start until n bytes
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_MULTIPLIER = 6364136223846793005
_INCREMENT = 1442695040888963407
_MASK = (1 << 64) - 1


def _random(seed: int) -> Iterator[int]:
    """Knuth's 64-bit linear congruential generator, the upper 32 bits of each state."""
    state = seed
    while True:
        state = (state * _MULTIPLIER + _INCREMENT) & _MASK
        yield state >> 32


def _noise(seed: int, n: int, values: int) -> bytes:
    numbers = _random(seed)
    return bytes([(next(numbers) >> 8) % values for _ in range(n)])


def _text(seed: int, n: int) -> bytes:
    numbers = _random(seed)
    words = [bytes(97 + next(numbers) % 26 for _ in range(2 + next(numbers) % 8)) for _ in range(300)]
    out = bytearray()
    while len(out) < n:
        number = next(numbers)
        out += words[number % 300 if number & 1024 else number % 20]
        out += b"\n" if number >> 16 & 15 == 0 else b" "
    return bytes(out[:n])


def _code(seed: int, n: int) -> bytes:
    numbers = _random(seed)
    out = bytearray()
    address = 0x400000
    while len(out) < n:
        number = next(numbers)
        out.append((0x48, 0x8B, 0xE8, 0x0F, 0x89, 0xC3, 0x83, 0x74)[number & 7])
        if number & 8:
            out.append(number >> 8 & 63)
        if number & 0x30 == 0:
            address += (number >> 16) % 512 - 200
            out += address.to_bytes(4, "little")
    return bytes(out[:n])


def _packed(seed: int, n: int) -> bytes:
    numbers = _random(seed)
    out = bytearray()
    while len(out) < n:
        size = 200 + next(numbers) % 9000
        out += b"PK\x03\x04\x14\x00\x08\x00\x08\x00" + size.to_bytes(4, "little")
        out += _noise(next(numbers), size, 256)
    return bytes(out[:n])


def _tar(seed: int, files: int) -> bytes:
    numbers = _random(seed)
    out = bytearray()
    for index in range(files):
        size = next(numbers) % 5000
        header = bytearray(512)
        name = b"usr/share/doc/package-%d/file-%d" % (next(numbers) % 50, index)
        header[: len(name)] = name
        header[100:108] = b"0000644\0"
        header[124:136] = b"%011o\0" % size
        header[257:265] = b"ustar\x0000"
        kind = next(numbers) % 4
        seed_of_file = next(numbers)
        if kind == 0:
            content = _noise(seed_of_file, size, 256)
        elif kind == 1:
            content = bytes(size)
        else:
            content = _text(seed_of_file, size)
        out += header + content + bytes(-size % 512)
    return bytes(out) + bytes(1024)


def _copy(data: bytearray, distance: int, n: int) -> None:
    start = len(data) - distance
    while n > 0:
        piece = data[start : start + n]
        data += piece
        start += len(piece)
        n -= len(piece)


def make(recipe: Sequence[Sequence[str | int]]) -> bytes:
    """Follow a recipe."""
    data = bytearray()
    for step in recipe:
        name = step[0]
        a, b, c = (*(int(value) for value in step[1:]), 0, 0, 0)[:3]
        if name == "noise":
            data += _noise(a, b, c)
        elif name == "fill":
            data += bytes([a]) * b
        elif name == "text":
            data += _text(a, b)
        elif name == "code":
            data += _code(a, b)
        elif name == "tar":
            data += _tar(a, b)
        elif name == "packed":
            data += _packed(a, b)
        elif name == "copy":
            _copy(data, a, b)
        elif name == "edit":
            begin = len(data)
            _copy(data, a, b)
            for i in range(begin + c, len(data), c):
                data[i] ^= 1
        elif name == "cycle":
            _copy(data, len(data), a - len(data))
        else:
            raise ValueError(name)
    return bytes(data)

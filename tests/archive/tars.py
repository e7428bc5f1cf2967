"""Builds tars byte by byte, without imgconv's own writer, so that they can lie."""

import struct

BLOCK = 512
END = bytes(1024)


def header(
    name=b"file",
    size=0,
    flag=b"0",
    link=b"",
    magic=b"ustar\x0000",
    prefix=b"",
    size_field=None,
    signed=False,
    checksum=None,
    tail=b"",
    mode=b"0000644\0",
):
    """One header block; every field can be given as raw bytes."""
    if size_field is None:
        size_field = b"%011o\0" % size
    block = bytearray(
        struct.pack(
            "100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12s",
            name, mode, b"0000000\0", b"0000000\0", size_field, b"00000000000\0", b" " * 8, flag, link,
            magic, b"", b"", b"0000000\0", b"0000000\0", prefix, tail,
        )
    )  # fmt: skip
    total = sum(byte - 256 if signed and byte > 127 else byte for byte in block)
    block[148:156] = checksum if checksum is not None else b"%06o\0 " % total
    return bytes(block)


def pad(data):
    return data + bytes(-len(data) % BLOCK)


def member(name=b"file", data=b"", **fields):
    return header(name, len(data), **fields) + pad(data)


def record(key, value):
    rest = len(key) + len(value) + 3
    size = rest + len(str(rest))
    while len(str(size)) + rest != size:
        size = len(str(size)) + rest
    return b"%d %s=%s\n" % (size, key, value)


def pax(*records, flag=b"x", name=b"PaxHeaders.0/x"):
    body = b"".join(record(key, value) for key, value in records)
    return member(name, body, flag=flag)


def gnu_long(flag, name):
    return member(b"././@LongLink", name + b"\0", flag=flag, magic=b"ustar  \0")

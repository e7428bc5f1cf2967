"""Tars of layers, by what engines make of them.

What dockerd 20.10 and 29 (graph driver), containerd 1.6, podman 4.3, umoci 0.4.7 and crane 0.21 made of
each of these layers was tried; the tables follow that.
"""

import tarfile


def member(name, content=b"", flag=b"0", link=""):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.linkname = flag, len(content), link
    return info.tobuf(tarfile.PAX_FORMAT) + content + bytes(-len(content) % 512)


END = bytes(1024)
ONE = member("a", b"x" * 700)
GLOBAL = member("pax_global_header", b"19 comment=abcdefg\n", b"g")
LONG = "d/" * 70 + "long"


def header(change, name="b"):
    """Return a header with a valid checksum after `change`."""
    raw = bytearray(member(name))
    change(raw)
    raw[148:156] = b" " * 8
    raw[148:156] = b"%06o\0 " % sum(raw)
    return bytes(raw)


def at(position, data):
    def change(raw):
        raw[position : position + len(data)] = data

    return change


#: Layers that no engine unpacks.
BROKEN = {
    "text": b"this is not a tar\n" * 100,
    "a few bytes": b"hello",
    "fewer zeros than a block": bytes(100),
    "ends in a content": member("a", b"x" * 5000)[:3000],
    "ends where a content begins": member("a", b"x" * 5000)[:512],
    "ends in a header": ONE + member("b")[:200],
    "ends in an extended header": member(LONG, b"x")[:600],
    "data behind a lone block of zeros": ONE + bytes(512) + b"junk" * 300,
    "part of a second block of zeros": ONE + bytes(700),
    "data where a header should be": ONE + b"junk" * 512,
    "a header with another checksum": ONE + header(lambda _: None)[:-1] + b"x",
    "a size that is not a number": ONE + header(at(124, b"abcdefghijkl")),
    "a negative size": ONE + header(at(124, b"\xff" * 12)),
    "a mode that is not a number": ONE + header(at(100, b"rwxr-xr-")),
    "a damaged PAX header": ONE + member("x", b"99 path=a\n", b"x") + member("b"),
    "a huge PAX header": ONE
    + header(lambda raw: (at(124, b"00100000000\0")(raw), at(156, b"x")(raw)))
    + bytes(2 << 20),
    "a sparse map that does not end": ONE + header(lambda raw: (at(156, b"S")(raw), at(482, b"\1")(raw))),
}

#: Layers that every engine unpacks, however odd.
SOUND = {
    "nothing": b"",
    "zeros": END,
    "one block of zeros": bytes(512),
    "no end": ONE,
    "one block of zeros as end": ONE + bytes(512),
    "half of the last padding": ONE[:-100],
    "no padding at the end": ONE[: 512 + 700],
    "data behind the end": ONE + END + b"junk" * 300,
    "a name and the same with a slash in front": member("a") + member("/a") + END,
    "hidden files": member("a/.b") + member("a/..c") + member("b") + END,
    "a global header": GLOBAL + ONE + END,
    "a directory with a size": member("a/", b"", b"5")[:124] and header(at(156, b"5")) + ONE + END,
    "a long name": member(LONG, b"x") + ONE + END,
    "a name in two parts": header(at(345, b"pre/fix"), "b") + member("b") + END,
    "base-256": header(at(124, b"\x80" + bytes(10) + b"\x05")) + b"12345" + bytes(507) + END,
    "a sparse map": header(lambda raw: (at(156, b"S")(raw), at(482, b"\1")(raw))) + bytes(512) + ONE + END,
}

#: Layers that name a path twice, and that path; the names are compared as tar-split does.
TWICE = {
    "two files": (member("a") + member("b") + member("a"), "a"),
    "./": (member("q") + member("./q"), "q"),
    "//": (member("q/r") + member("q//r"), "q/r"),
    "..": (member("t") + member("u/../t"), "t"),
    "a directory and a file": (member("s/", flag=b"5") + member("s"), "s"),
    "two directories": (member("s/", flag=b"5") + member("s/", flag=b"5"), "s"),
    "the root": (member("./", flag=b"5") + member(".", flag=b"5"), "."),
    "a link and a file": (member("l", flag=b"2", link="x") + member("l"), "l"),
    "two global headers": (GLOBAL + GLOBAL + ONE, "pax_global_header"),
    "long names": (member(LONG, b"x") + member(LONG, b"y"), LONG),
    "a long name and a prefix": (
        header(at(345, b"pre/fix"), "b") + member("x", b"18 path=pre/fix/b\n", b"x") + member("c"),
        "pre/fix/b",
    ),
    "with no end": (member("a") + member("a"), "a"),
}

"""Tars that lie about members, sizes and names (POSIX pax, GNU tar; docs/formats.md#hostile-or-damaged-input)."""

from __future__ import annotations

from hostile.building import (
    BLOCK,
    END,
    PLAIN,
    Docker,
    config,
    dump,
    gnu_long,
    header,
    member,
    pad,
    pax,
    tar,
)
from hostile.cases import accepted, refused

_GOOD = Docker()
_BODY = _GOOD.build()[: -len(END)]


def _with(*members):
    return lambda: b"".join(members) + _GOOD.build()


def _layer(raw):
    """An image whose layer.tar member is given as raw headers and bytes."""
    return lambda: Docker(layers={"layer.tar": None}, first=(raw,)).build()


def _sized(field, data=PLAIN):
    return _layer(header(b"layer.tar", size_field=field) + pad(data))


def _renamed(records, data=PLAIN):
    return _layer(pax(*records) + member(b"x", data))


CASES = [
    # -- member names ---------------------------------------------------------------
    accepted(
        "member with ..",
        _with(member(b"../x", b"1")),
        "'../x' is ignored: its name is empty or leads out",
        code="ignored-member",
    ),
    accepted(
        "member with .. inside", _with(member(b"a/../../x", b"1")), "'a/../../x' is ignored", code="ignored-member"
    ),
    accepted("absolute member", _with(member(b"/etc/passwd", b"1")), ""),
    accepted("member without name", _with(member(b"", b"1")), "'' is ignored", code="ignored-member"),
    accepted("member named dot", _with(member(b".", b"1")), "'.' is ignored", code="ignored-member"),
    accepted("backslashes are letters", _with(member(b"..\\..\\x", b"1")), ""),
    accepted(
        "a name with an escape sequence",
        _with(member(b"../\x1b[2J", b"1")),
        r"'../\x1b[2J' is ignored",
        code="ignored-member",
    ),
    accepted("a name with a newline", _with(member(b"../a\nb", b"1")), r"'../a\nb' is ignored", code="ignored-member"),
    accepted("a name that is not UTF-8", _with(member(b"../\xff", b"1")), r"\udcff", code="ignored-member"),
    accepted(
        "a device beside",
        _with(member(b"null", flag=b"3")),
        "the device member 'null' is ignored",
        code="ignored-member",
    ),
    accepted(
        "a block device beside",
        _with(member(b"sda", flag=b"4")),
        "the device member 'sda' is ignored",
        code="ignored-member",
    ),
    accepted(
        "a FIFO beside", _with(member(b"pipe", flag=b"6")), "the fifo member 'pipe' is ignored", code="ignored-member"
    ),
    accepted(
        "an unknown type beside",
        _with(member(b"odd", b"1", flag=b"V")),
        "the special member 'odd' is ignored",
        code="ignored-member",
    ),
    accepted("names that differ by case", _with(member(b"MANIFEST.JSON", b"[]"), member(b"Layer.Tar", b"x")), ""),
    refused(
        "only another case of manifest.json",
        lambda: tar(("MANIFEST.json", b"[]")),
        "no container image",
        code="not-an-image",
    ),
    accepted(
        "every name with a dot before", lambda: tar(*[(f"./{name}", data) for name, data in Docker().members()]), ""
    ),
    # -- members of one name -----------------------------------------------------------
    refused(
        "two different manifests",
        _with(member(b"manifest.json", b"[]")),
        "manifest.json: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    refused(
        "two different configs",
        _with(member(b"config.json", b"{}")),
        "config.json: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    refused(
        "two different layers",
        _with(member(b"layer.tar", END)),
        "layer.tar: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    refused(
        "two layers of one size",
        _with(member(b"layer.tar", bytes(len(PLAIN)))),
        "layer.tar: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    refused(
        "the same name in two spellings",
        _with(member(b"./layer.tar", END)),
        "layer.tar: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    refused(
        "a file and a folder of one name",
        _with(member(b"layer.tar", flag=b"5")),
        "layer.tar: the archive has 2 members of this name, and they differ",
        code="duplicate-member",
    ),
    accepted(
        "the same layer twice",
        _with(member(b"layer.tar", PLAIN)),
        "layer.tar: 2 members of this name, all alike",
        code="repeated-member",
    ),
    accepted("two others of one name", _with(member(b"note", b"1"), member(b"note", b"2")), ""),
    # -- sizes ---------------------------------------------------------------------------
    refused(
        "a negative base-256 size",
        _sized(b"\xff" * 12),
        "impossible size -1 in the tar header",
        code="invalid-tar-size",
    ),
    refused("the most negative size", _sized(b"\xc0" + bytes(11)), "impossible size -", code="invalid-tar-size"),
    refused("a base-256 size over 2^63", _sized(b"\x80" + b"\xff" * 11), "impossible size", code="invalid-tar-size"),
    refused(
        "a size of 2^63-1",
        _sized(b"\x80\0\0\0" + (2**63 - 1).to_bytes(8, "big")),
        "impossible size",
        code="invalid-tar-size",
    ),
    refused(
        "a size past the end",
        _sized(b"77777777777\0"),
        "truncated: ends inside this member (expected 8589934591 bytes)",
        code="truncated",
    ),
    refused(
        "a huge base-256 size",
        _sized(b"\x80\0\0\0" + (1 << 60).to_bytes(8, "big")),
        "truncated: ends inside this member",
        code="truncated",
    ),
    refused(
        "a size with letters",
        _sized(b"0000000x000\0"),
        "the size in the tar header is not a number",
        code="invalid-tar-size",
    ),
    refused(
        "a size with a minus",
        _sized(b"-0000000001\0"),
        "the size in the tar header is not a number",
        code="invalid-tar-size",
    ),
    refused(
        "a decimal size",
        _sized(b"00000000009\0"),
        "the size in the tar header is not a number",
        code="invalid-tar-size",
    ),
    refused(
        "a size one block too small", _sized(b"%011o\0" % (len(PLAIN) - 512)), "no container image", code="not-an-image"
    ),
    refused(
        "a size one block too large",
        _sized(b"%011o\0" % (len(PLAIN) + 512)),
        "bad tar header checksum",
        code="tar-checksum-mismatch",
    ),
    refused("a size of zero", _sized(b"00000000000\0"), "no container image", code="not-an-image"),
    accepted(
        "a folder with a size",
        _with(header(b"dir/", 4096, flag=b"5")),
        "dir/: a dir with a size of 4096 bytes; taken as 0",
        code="member-size-ignored",
    ),
    accepted(
        "a symlink with a size",
        _with(header(b"l", 512, flag=b"2", link=b"x")),
        "l: a symlink with a size of 512 bytes; taken as 0",
        code="member-size-ignored",
    ),
    # -- PAX --------------------------------------------------------------------------
    refused(
        "a PAX size that disagrees",
        _layer(pax((b"size", b"512")) + member(b"layer.tar", PLAIN)),
        "its PAX header has a size of 512 bytes, its tar header one of 2048",
        code="ambiguous-tar-header",
    ),
    refused(
        "a negative PAX size",
        _layer(pax((b"size", b"-1")) + member(b"layer.tar", PLAIN)),
        "size in a PAX header",
        code="invalid-tar-size",
    ),
    refused(
        "a PAX size in octal letters",
        _layer(pax((b"size", b"0x10")) + member(b"layer.tar", PLAIN)),
        "size in a PAX header",
        code="invalid-tar-size",
    ),
    refused(
        "a PAX size of 40 digits",
        _layer(pax((b"size", b"9" * 40)) + member(b"layer.tar", PLAIN)),
        "size in a PAX header",
        code="invalid-tar-size",
    ),
    refused(
        "a PAX size of 2^63-1",
        _layer(pax((b"size", b"%d" % (2**63 - 1))) + header(b"layer.tar", 0)),
        "impossible size",
        code="invalid-tar-size",
    ),
    refused(
        "NUL in a PAX path",
        _renamed([(b"path", b"layer.tar\0x")]),
        "NUL in the path of a PAX header",
        code="nul-in-tar-header",
    ),
    refused(
        "NUL in a PAX link",
        _layer(pax((b"linkpath", b"a\0b")) + header(b"layer.tar", flag=b"2")),
        "NUL in the linkpath of a PAX header",
        code="nul-in-tar-header",
    ),
    accepted("a PAX path that is the layer", _renamed([(b"path", b"layer.tar")]), ""),
    accepted(
        "a PAX path that leads out",
        _with(pax((b"path", b"../../x")) + member(b"ok", b"1")),
        "'../../x' is ignored",
        code="ignored-member",
    ),
    refused(
        "a PAX path of 5000 bytes",
        _with(pax((b"path", b"a" * 5000)) + member(b"ok", b"1")),
        "a member name of more than 4096 bytes",
        code="member-name-too-long",
    ),
    refused(
        "a PAX header over its limit",
        _with(header(b"x", 1 << 30, flag=b"x")),
        "an extended tar header of 1073741824 bytes is over the limit",
        code="tar-header-too-large",
    ),
    refused(
        "a PAX header cut short",
        lambda: pax((b"path", b"layer.tar"))[:BLOCK],
        "the archive ends in an extended header",
        code="truncated",
    ),
    refused(
        "a PAX header for nobody",
        lambda: _BODY + pax((b"path", b"x")) + END,
        "the archive ends behind an extended header",
        code="truncated",
    ),
    refused(
        "two PAX headers for one member",
        _with(pax((b"path", b"a")), pax((b"path", b"b")), member(b"c", b"1")),
        "two PAX headers for one member",
        code="ambiguous-tar-header",
    ),
    refused(
        "a PAX record without length",
        _with(member(b"x", b"path=x\n", flag=b"x"), member(b"c", b"1")),
        "PAX",
        code="damaged-pax-header",
    ),
    refused(
        "a PAX record longer than its header",
        _with(member(b"x", b"99 path=x\n", flag=b"x"), member(b"c", b"1")),
        "PAX",
        code="damaged-pax-header",
    ),
    refused(
        "a PAX record of length 0",
        _with(member(b"x", b"0 path=x\n", flag=b"x"), member(b"c", b"1")),
        "PAX",
        code="damaged-pax-header",
    ),
    refused(
        "a PAX record without newline",
        _with(member(b"x", b"8 path=xy", flag=b"x"), member(b"c", b"1")),
        "PAX",
        code="damaged-pax-header",
    ),
    refused(
        "a PAX record without equals sign",
        _with(member(b"x", b"8 pathx\n", flag=b"x"), member(b"c", b"1")),
        "PAX",
        code="damaged-pax-header",
    ),
    accepted("a PAX key twice, the last counts", _renamed([(b"path", b"a"), (b"path", b"layer.tar")]), ""),
    refused(
        "a global PAX header that renames",
        _with(pax((b"path", b"manifest.json"), flag=b"g")),
        "a global PAX header sets 'path'",
        code="ambiguous-tar-header",
    ),
    refused(
        "a global PAX header that resizes",
        _with(pax((b"size", b"5"), flag=b"g")),
        "a global PAX header sets 'size'",
        code="ambiguous-tar-header",
    ),
    refused(
        "a global PAX header that links",
        _with(pax((b"linkpath", b"x"), flag=b"g")),
        "a global PAX header sets 'linkpath'",
        code="ambiguous-tar-header",
    ),
    accepted("a global PAX header with a comment", _with(pax((b"comment", b"git"), flag=b"g")), ""),
    # -- GNU ---------------------------------------------------------------------------
    accepted("a GNU long name", _layer(gnu_long(b"L", b"layer.tar") + member(b"x", PLAIN)), ""),
    accepted(
        "a GNU long name that leads out",
        _with(gnu_long(b"L", b"../" * 50 + b"x") + member(b"x", b"1")),
        "is ignored",
        code="ignored-member",
    ),
    refused(
        "two GNU long names",
        _with(gnu_long(b"L", b"a"), gnu_long(b"L", b"b"), member(b"x", b"1")),
        "two GNU long names for one member",
        code="ambiguous-tar-header",
    ),
    refused(
        "a GNU long name of 1 GiB",
        _with(header(b"././@LongLink", 1 << 30, flag=b"L")),
        "over the limit",
        code="tar-header-too-large",
    ),
    refused(
        "a GNU long name of 5000 bytes",
        _with(gnu_long(b"L", b"a" * 5000), member(b"x", b"1")),
        "a member name of more than 4096 bytes",
        code="member-name-too-long",
    ),
    refused(
        "bytes behind a GNU long name's NUL",
        _with(gnu_long(b"L", b"layer.tar\0evil"), member(b"x", b"1")),
        "GNU long name",
        code="nul-in-tar-header",
    ),
    refused(
        "PAX path and GNU long name that differ",
        _with(pax((b"path", b"a")), gnu_long(b"L", b"b"), member(b"x", b"1")),
        "disagree",
        code="ambiguous-tar-header",
    ),
    # -- sparse ------------------------------------------------------------------------
    refused(
        "an old GNU sparse layer",
        _layer(header(b"layer.tar", len(PLAIN), flag=b"S", magic=b"ustar  \0") + PLAIN),
        "layer.tar: it is a sparse tar member",
        code="sparse-member",
    ),
    refused(
        "an old GNU sparse layer, twice",
        lambda: Docker(layers={"layer.tar": None}, extra=(member(b"layer.tar", PLAIN, flag=b"S"),) * 2).build(),
        "layer.tar: it is a sparse tar member",
        code="sparse-member",
    ),
    refused(
        "a PAX sparse layer",
        _layer(
            pax(
                (b"GNU.sparse.major", b"1"),
                (b"GNU.sparse.minor", b"0"),
                (b"GNU.sparse.name", b"layer.tar"),
                (b"GNU.sparse.realsize", b"2048"),
            )
            + member(b"layer.tar", PLAIN)
        ),
        "layer.tar: it is a sparse tar member",
        code="sparse-member",
    ),
    accepted(
        "a sparse member beside",
        _with(pax((b"GNU.sparse.major", b"1"), (b"GNU.sparse.name", b"other")) + member(b"y", b"1")),
        "",
    ),
    refused(
        "a sparse map without end",
        lambda: header(b"s", 0, flag=b"S", tail=b"", prefix=bytes(137) + b"\1") + bytes(504) + b"\1" + bytes(7),
        "the map of a sparse member does not end",
        code="truncated",
    ),
    # -- checksums, ends ------------------------------------------------------------------
    refused(
        "a bad checksum at the start",
        lambda: header(b"x", checksum=b"000000\0 ") + _GOOD.build(),
        "this is not a tar archive",
        code="not-an-archive",
    ),
    refused(
        "a bad checksum later",
        lambda: member(b"a", b"1") + header(b"x", checksum=b"000000\0 ") + _GOOD.build(),
        "bad tar header checksum at byte 1024",
        code="tar-checksum-mismatch",
    ),
    refused(
        "a checksum that is not a number",
        lambda: member(b"a", b"1") + header(b"x", checksum=b"zzzzzz\0 ") + _GOOD.build(),
        "bad tar header checksum at byte 1024",
        code="tar-checksum-mismatch",
    ),
    accepted("a signed checksum", _with(member(b"\xe9", b"1", signed=True)), ""),
    accepted("no end blocks", lambda: _BODY, "the archive has no end-of-archive blocks", code="no-end-of-archive"),
    accepted(
        "one end block", lambda: _BODY + bytes(512), "the archive ends with a lone zero block", code="no-end-of-archive"
    ),
    accepted(
        "junk behind the end",
        lambda: _GOOD.build() + b"junk" * 300,
        "what follows the archive's end is ignored",
        code="bytes-after-archive",
    ),
    accepted(
        "another archive behind the end",
        lambda: _GOOD.build() + Docker(tags=["evil:1"]).build(),
        "what follows the archive's end is ignored",
        code="bytes-after-archive",
    ),
    accepted(
        "a lone zero block, then an archive",
        lambda: _BODY + bytes(512) + tar(("x", b"1")),
        "what follows the archive's end is ignored",
        code="bytes-after-archive",
    ),
    refused("cut in a header", lambda: _BODY[:700], "truncated: ends inside this member", code="truncated"),
    refused(
        "cut in the last header",
        lambda: _BODY + _BODY[:100],
        "the archive ends in the midst of a tar header",
        code="truncated",
    ),
    refused(
        "cut in a layer",
        lambda: tar(("config.json", dump(config())), ("layer.tar", PLAIN))[:3000],
        "layer.tar: truncated: ends inside this member (expected 2048 bytes)",
        code="truncated",
    ),
    accepted(
        "cut in the last padding",
        lambda: tar(*Docker().members())[: -len(END) - 100],
        "the archive ends before its last member's padding",
        code="missing-padding",
    ),
    refused("an empty file", lambda: b"", "this is not an archive: it is empty", code="empty-archive"),
    refused("only zeros", lambda: END, "no container image", code="not-an-image"),
    refused("one byte", lambda: b"x", "this is not a tar archive", code="not-an-archive"),
    refused("text", lambda: b"hello world\n" * 100, "this is not a tar archive", code="not-an-archive"),
    refused("an ELF file", lambda: b"\x7fELF" + bytes(2000), "this is not a tar archive", code="not-an-archive"),
    refused("a zip file", lambda: b"PK\x03\x04" + bytes(2000), "this is not a tar archive", code="not-an-archive"),
    # -- v7, odd but legal -------------------------------------------------------------------
    accepted("a v7 layer", _layer(header(b"layer.tar", len(PLAIN), flag=b"\0", magic=bytes(8)) + pad(PLAIN)), ""),
    accepted("a contiguous layer", _layer(header(b"layer.tar", len(PLAIN), flag=b"7") + pad(PLAIN)), ""),
    accepted("a base-256 size", _sized(b"\x80" + len(PLAIN).to_bytes(11, "big")), ""),
    accepted("a size ended by a blank", _sized(b"%011o " % len(PLAIN)), ""),
    accepted(
        "a name in the ustar prefix",
        lambda: Docker(
            layers={"a/layer.tar": None}, first=(header(b"layer.tar", len(PLAIN), prefix=b"a") + pad(PLAIN),)
        ).build(),
        "",
    ),
    accepted("a PAX time that is not a number", _with(pax((b"mtime", b"yesterday")) + member(b"z", b"1")), ""),
    accepted("an unknown PAX key", _with(pax((b"SCHILY.xattr.user.x", b"\0\xff")) + member(b"z", b"1")), ""),
]

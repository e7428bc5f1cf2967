"""Generates image archives with odd tar headers, the same ones for the same seed.

Each archive holds two sound images: the one that its documents name, and another
one that a reader finds if it takes a header, a name or a link for something else.
So a difference between readers shows as another image ID.
"""

from __future__ import annotations

import gzip
import random
import sys
from dataclasses import dataclass, field, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from hostile.building import END, Layout, config, dump, gnu_long, header, member, pad, pax, sha256

#: Two layers and a third one that only the other image has.
LAYERS = [member(b"file%d" % number, b"content %d\n" % number) + END for number in range(3)]
DIFF_IDS = [sha256(layer) for layer in LAYERS]


@dataclass
class Entry:
    """One member before it is written; every field can be odd."""

    name: bytes
    data: bytes = b""
    flag: bytes = b"0"
    link: bytes = b""
    magic: bytes = b"ustar\x0000"
    prefix: bytes = b""
    tail: bytes = b""
    mode: bytes = b"0000644\0"
    size_field: bytes | None = None
    signed: bool = False
    before: list[bytes] = field(default_factory=list)
    sized: bool = True

    def raw(self):
        """Return extension headers, header and content."""
        own = header(
            self.name[:100],
            len(self.data) if self.sized else 0,
            flag=self.flag,
            link=self.link[:100],
            magic=self.magic,
            prefix=self.prefix[:155],
            size_field=self.size_field,
            signed=self.signed,
            tail=self.tail,
            mode=self.mode,
        )
        return b"".join(self.before) + own + pad(self.data)


@dataclass
class Archive:
    """What is being made: the entries, the names that documents use, and other contents for those names."""

    kind: str
    entries: list[Entry]
    used: list[bytes]
    other: dict[bytes, bytes]
    end: bytes = END

    def raw(self):
        """Return the bytes of the archive."""
        return b"".join(entry.raw() for entry in self.entries) + self.end


def made(seed):
    """Return the kind ("docker" or "oci") and the bytes of one archive."""
    chance = random.Random(seed)
    archive = _oci(chance) if chance.random() < 0.2 else _docker(chance)
    for change in chance.choices(CHANGES, k=chance.choice([1, 1, 1, 2, 2, 3, 4])):
        change(archive, chance)
    return archive.kind, archive.raw()


# -- sound archives ------------------------------------------------------------------


def _docker(chance):
    folder = chance.choice([b"", b"", b"a/", b"a/b/"])
    suffix = chance.choice([b".tar", b"/layer.tar"])
    names = [folder + b"l%d" % number + suffix for number in range(3)]
    config_name = chance.choice([b"config.json", b"c/config.json", b"config"])
    slash = chance.choice([b"", b"", b"", b"", b"/", b"./"])
    layers = [gzip.compress(layer, mtime=0) for layer in LAYERS] if chance.random() < 0.2 else LAYERS
    good, other = dump(config(*DIFF_IDS[:2])), dump(config(*DIFF_IDS[:2], author="other"))
    third = dump(config(*DIFF_IDS))

    def manifest(config_file, count):
        shown = [(slash + name).decode() for name in (config_file, *names[:count])]
        return dump([{"Config": shown[0], "RepoTags": ["example.com/app:1"], "Layers": shown[1:]}])

    entries = [Entry(slash + name, data) for name, data in zip(names, layers, strict=True)]
    entries += [Entry(slash + config_name, good), Entry(slash + b"third.json", third)]
    entries.append(Entry(b"manifest.json", manifest(config_name, 2)))
    contents = {b"manifest.json": manifest(b"third.json", 3), config_name: other}
    contents.update(zip(names[:2], reversed(layers[:2]), strict=True))
    if chance.random() < 0.3:
        chance.shuffle(entries)
    return Archive("docker", entries, [b"manifest.json", config_name, *names[:2]], contents)


def _oci(chance):
    good, other = Layout(config=config()).parts(), Layout(config=config(author="other")).parts()
    entries = [Entry(name.encode(), data) for name, data in {**other, **good}.items()]
    if chance.random() < 0.3:
        chance.shuffle(entries)
    contents = {b"index.json": other["index.json"], b"oci-layout": good["oci-layout"]}
    return Archive("oci", entries, [b"index.json", b"index.json", b"oci-layout"], contents)


# -- changes --------------------------------------------------------------------------


def _pick(archive, chance):
    """Return one of the entries that documents name, and its name without what stands before it."""
    name = chance.choice(archive.used)
    found = [entry for entry in archive.entries if _bare(entry.name) == name]
    return (found[0], name) if found else (chance.choice(archive.entries), name)


def _bare(name):
    return name.removeprefix(b"./").lstrip(b"/")


def _spelled(name, chance):
    """Return a name in another spelling; most mean the same, some do not."""
    return chance.choice(
        [
            name, b"./" + name, b"/" + name, b"//" + name, b".//" + name, b"x/../" + name, b"./x/./../" + name,
            b"../" + name, b"x/../../" + name, b"/../" + name, name + b"/", name + b"/.", name.replace(b"/", b"//"),
            name.replace(b"/", b"/./"), name + b"/../" + name, b"../../" + name, name.upper(), b" " + name,
        ]
    )  # fmt: skip


def _other(archive, name, chance):
    data = archive.other.get(name, b"")
    if chance.random() < 0.2:
        return next((entry.data for entry in archive.entries if _bare(entry.name) == name), data)
    return data


def _insert(archive, entry, chance):
    archive.entries.insert(chance.randint(0, len(archive.entries)), entry)


def respell(archive, chance):
    """Spell the name of a member in another way."""
    entry, name = _pick(archive, chance)
    entry.name = _spelled(name, chance)


def duplicate(archive, chance):
    """Add a member of the same name, in some spelling, mostly with other content."""
    _, name = _pick(archive, chance)
    _insert(archive, Entry(_spelled(name, chance), _other(archive, name, chance)), chance)


def extend(archive, chance):
    """Name a member by PAX or GNU headers, the header itself having another name."""
    entry, name = _pick(archive, chance)
    if chance.random() < 0.3:
        entry = Entry(name, _other(archive, name, chance))
        _insert(archive, entry, chance)
    wanted = chance.choice([name, _spelled(name, chance), b"elsewhere", b""])
    inner = chance.choice([b"x", name, b"", chance.choice(archive.used)])
    kinds = chance.choice(["x", "L", "xL", "Lx", "xx", "LL", "X", "K", "xg", "gx", "Lg", "g", "Lxg", "gLx"])
    for kind in kinds:
        entry.before.append(_extension(kind, wanted if chance.random() < 0.8 else b"elsewhere", archive, chance, entry))
    entry.name = inner


def _extension(kind, name, archive, chance, entry):
    own = chance.choice([b"PaxHeaders.0/x", b"x", chance.choice(archive.used)])
    if kind in "LK":
        text = name + chance.choice([b"\0", b"\0", b"", b"\0\0\0", b"\0junk"])
        magic = chance.choice([b"ustar  \0", b"ustar\x0000"])
        return (
            gnu_long(kind.encode(), name)
            if text == name + b"\0"
            else member(own, text, flag=kind.encode(), magic=magic)
        )
    if kind == "g":
        records = chance.choice([[(b"comment", b"c")], [(b"mtime", b"1")], [(b"path", name)], []])
        return pax(*records, flag=b"g", name=own)
    size = b"%d" % len(entry.data)
    records = [(b"path", name)]
    records += chance.choice(
        [
            [], [], [], [(b"size", size)], [(b"size", b"0")], [(b"size", b"")], [(b"size", b"+" + size)],
            [(b"path", b"elsewhere")], [(b"path", b"")], [(b"linkpath", chance.choice(archive.used))],
            [(b"mtime", chance.choice([b"1.5", b"yesterday"]))], [(b"uid", chance.choice([b"0", b"root"]))],
            [(b"SCHILY.xattr.user.a", b"b")], [(b"comment", b"a=b")], _sparse(name, size, chance),
        ]
    )  # fmt: skip
    chance.shuffle(records)
    return pax(*records, flag=kind.encode(), name=own)


def _sparse(name, size, chance):
    major, minor = chance.choice([(b"1", b"0"), (b"0", b"1"), (b"0", b"0"), (b"2", b"0"), (b"1", b""), (b"", b"")])
    records = [(b"GNU.sparse.major", major), (b"GNU.sparse.minor", minor)]
    records += [(b"GNU.sparse.name", name), (b"GNU.sparse.realsize", size)]
    if chance.random() < 0.4:
        records += [(b"GNU.sparse.numblocks", b"1"), (b"GNU.sparse.map", b"0," + size)]
    return chance.sample(records, chance.randint(1, len(records)))


def remagic(archive, chance):
    """Change magic, version, prefix and trailer, so that formats differ in what the name is."""
    entry, name = _pick(archive, chance)
    entry.magic = chance.choice(
        [
            b"ustar\x0000",
            b"ustar\0\0\0",
            b"ustar\x0099",
            b"ustar  \0",
            b"ustar   ",
            b"ustar 00",
            bytes(8),
            b"USTAR\x0000",
        ]
    )
    folder, slash, last = name.rpartition(b"/")
    entry.prefix = chance.choice(
        [
            b"", b"x", folder, b"x/..", b".", b"/", b"14000000000 ", b"14000000000 14000000000 ", b"\0" * 12 + b"text",
            b"1400000000x", b"\x80" + bytes(10) + b"\1", b"\xff" * 12, b"n\xc3\xb6",
            folder.ljust(131, b"\0") + b"1400 ",
        ]
    )  # fmt: skip
    entry.tail = chance.choice([b"", b"", b"", bytes(8) + b"tar\0"])
    if slash and chance.random() < 0.7:
        entry.name = last


def retype(archive, chance):
    """Change the type of a member, or add a member of an odd type."""
    entry, name = _pick(archive, chance)
    flag = bytes([chance.choice(b"0\x007123456SXVMDNAgxLKZ ")])
    if chance.random() < 0.5:
        entry.flag = flag
        entry.link = chance.choice([b"", name, chance.choice(archive.used)])
    else:
        data = chance.choice([b"", _other(archive, name, chance)])
        _insert(archive, Entry(_spelled(name, chance), data, flag=flag, link=chance.choice(archive.used)), chance)


def renumber(archive, chance):
    """Write the size or another number in an unusual way."""
    entry, _ = _pick(archive, chance)
    size = len(entry.data)
    octal = b"%o" % size
    entry.size_field = chance.choice(
        [
            octal.rjust(11, b"0") + b" ", octal.rjust(12, b"0"), octal + b"\0", octal.rjust(11) + b"\0", octal + b" \0",
            b"\0" + octal, b"\x80" + size.to_bytes(11, "big"), b"\x80" + (size + 512).to_bytes(11, "big"), b"\xff" * 12,
            b"+" + octal, b"%d" % size, octal + b"\0junk", b"-1", b"", b" " * 12, b"%o" % (size + 1),
            b"%o" % max(0, size - 1),
        ]
    )  # fmt: skip


def remode(archive, chance):
    """Put type bits or other text into the mode."""
    entry, name = _pick(archive, chance)
    entry.mode = chance.choice(
        [
            b"0120777\0",
            b"0100644\0",
            b"040755\0\0",
            b"010644\0\0",
            b"\x80\0\0\0\0\0\xa1\xff",
            b"rw-r--r-",
            bytes(8),
            b"1120777 ",
        ]
    )
    entry.link = chance.choice([b"", name, *archive.used])
    if chance.random() < 0.5:
        extra = replace(entry, name=b"other-content", data=_other(archive, name, chance), mode=b"0000644\0", before=[])
        _insert(archive, extra, chance)
        entry.link = b"other-content"


def relink(archive, chance):
    """Put the content under another name, and a link where it was."""
    entry, name = _pick(archive, chance)
    folder = b"/".join(name.split(b"/")[:-1])
    up = b"../" * len(name.split(b"/")[:-1])
    target = chance.choice([b"t", b"r/t", (folder + b"/t").lstrip(b"/"), b"r/s/t", b"../t", b"/t"])
    moved = Entry(target, entry.data)
    text = chance.choice(
        [
            up + target, target, b"./" + up + target, b"../" + up + target, b"/" + target, b"r/../" + up + target,
            up + b"r/../" + target, up + b"link/../" + target, target.rpartition(b"/")[2], up + b"link/t", b"",
        ]
    )  # fmt: skip
    entry.data, entry.flag, entry.link = b"", chance.choice([b"2", b"2", b"1"]), text
    archive.entries.insert(chance.choice([0, len(archive.entries)]), moved)
    if chance.random() < 0.5:
        _insert(
            archive,
            Entry(chance.choice([b"link", b"r/link"]), flag=b"2", link=chance.choice([b"r", b"r/s", b".", b"s"])),
            chance,
        )
    if chance.random() < 0.4:
        beside = b"/".join(filter(None, [folder, chance.choice([b"t", b"r/t", target])]))
        _insert(archive, Entry(beside, _other(archive, name, chance)), chance)
    if chance.random() < 0.3:
        _insert(archive, Entry(b"hop", flag=chance.choice([b"1", b"2"]), link=target), chance)
        entry.link = chance.choice([up + b"hop", b"hop"])


def relink_folder(archive, chance):
    """Make a folder of a member a link, with members below it or not."""
    _, name = _pick(archive, chance)
    parts = name.split(b"/")
    top = parts[0] if len(parts) > 1 else b"d"
    rest = name[len(top) + 1 :] if len(parts) > 1 else name
    real = chance.choice([b"real", b"x/real", b"."])
    link = Entry(
        top, flag=chance.choice([b"2", b"2", b"2", b"1", b"5"]), link=chance.choice([real, b"./" + real, b"/" + real])
    )
    _insert(archive, link, chance)
    for below in chance.sample([top, real, b"elsewhere"], chance.randint(1, 2)):
        _insert(archive, Entry(below + b"/" + rest, _other(archive, name, chance)), chance)
    if chance.random() < 0.3:
        archive.entries = [entry for entry in archive.entries if _bare(entry.name) != name]


def add_folder(archive, chance):
    """Add folders and files where documents name something else."""
    _, name = _pick(archive, chance)
    parts = name.split(b"/")
    at = b"/".join(parts[: chance.randint(1, len(parts))])
    flag = chance.choice([b"5", b"5", b"0", b"\0"])
    written = _spelled(at, chance) + chance.choice([b"", b"/"])
    _insert(archive, Entry(written, flag=flag), chance)


def change_end(archive, chance):
    """End the archive in another way."""
    archive.end = chance.choice(
        [
            b"",
            bytes(512),
            bytes(512) + b"junk" * 200,
            END + b"junk" * 200,
            bytes(10240),
            bytes(300),
            END + _docker(chance).raw(),
        ]
    )


def add_zero_block(archive, chance):
    """Put zero blocks between members."""
    entry, _ = _pick(archive, chance)
    entry.before.insert(0, bytes(chance.choice([512, 512, 1024])))


def add_signed(archive, chance):
    """Add a member with a name of high bytes and a checksum of signed bytes."""
    _insert(archive, Entry(b"\xff\xfe", b"1", signed=chance.random() < 0.5), chance)


def change_document(archive, chance):
    """Spell a name inside manifest.json in another way."""
    entry, name = _pick(archive, chance)
    manifest = next((each for each in archive.entries if _bare(each.name) == b"manifest.json"), None)
    if manifest is not None and name != b"manifest.json" and name in manifest.data:
        try:
            spelled = dump(_spelled(name, chance).decode())[1:-1]
        except UnicodeDecodeError:
            return
        manifest.data = manifest.data.replace(b'"' + entry.name + b'"', b'"' + spelled + b'"')


CHANGES = [
    respell, duplicate, duplicate, extend, extend, extend, remagic, remagic, retype, retype, renumber, remode, relink,
    relink, relink_folder, relink_folder, add_folder, change_end, add_zero_block, add_signed, change_document,
]  # fmt: skip

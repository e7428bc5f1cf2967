"""Links in archives: out of them, in circles, onto folders, one after the other (CVE-2014-9356 and kin)."""

from __future__ import annotations

from hostile.building import DIFF_ID, PLAIN, Docker, Layout, config, header, member, pax, tar
from hostile.cases import accepted, refused


def symlink(name, target):
    return member(name.encode(), flag=b"2", link=target.encode())


def hardlink(name, target):
    return member(name.encode(), flag=b"1", link=target.encode())


def _layer(*members, name="layer.tar"):
    """An image whose layer is what these members make of it."""
    return lambda: Docker(layers={name: None}, first=members).build()


def _two(*members):
    """Two layers, the second of them a link."""
    return lambda: Docker(
        config=config(DIFF_ID, DIFF_ID), layers={"layer.tar": PLAIN, "b/layer.tar": None}, first=members
    ).build()


def _config(*members):
    return lambda: Docker(config_name="link.json", layers={"layer.tar": PLAIN}, first=members).build()


def _chain(count):
    links = [symlink(f"l{number}", f"l{number + 1}") for number in range(count)]
    return [*links, member(f"l{count}".encode(), PLAIN), symlink("layer.tar", "l0")]


def _blob_link(target, flag=b"2"):
    """A layout whose layer blob is a link."""

    def build():
        layout = Layout(leave_out=("layer",))
        name = "blobs/" + DIFF_ID.replace(":", "/")
        layout.extra = (member(name.encode(), flag=flag, link=target.encode()), member(b"elsewhere", PLAIN))
        return layout.build()

    return build


_OUT = "leads out of the archive"
_LONG = "links go in a circle or on for more than 8 steps"
_ABROAD = "a name that is empty or has '..' names nothing in an archive"

CASES = [
    refused(
        "a layer linked to an absolute path", _layer(symlink("layer.tar", "/etc/passwd")), _OUT, code="link-outside"
    ),
    refused("a layer linked out by ..", _layer(symlink("layer.tar", "../../etc/passwd")), _OUT, code="link-outside"),
    refused(
        "a layer linked out by many ..",
        _layer(symlink("layer.tar", "../" * 200 + "etc/passwd")),
        _OUT,
        code="link-outside",
    ),
    refused(
        "a layer linked out deep inside",
        _layer(symlink("a/b/layer.tar", "../../../../x"), name="a/b/layer.tar"),
        _OUT,
        code="link-outside",
    ),
    refused(
        "a layer linked to nothing", _layer(symlink("layer.tar", "gone")), "layer.tar: is missing", code="missing-layer"
    ),
    refused("a layer linked to itself", _layer(symlink("layer.tar", "layer.tar")), _LONG, code="link-loop"),
    refused(
        "two layers linked to each other",
        _layer(symlink("layer.tar", "b"), symlink("b", "layer.tar")),
        _LONG,
        code="link-loop",
    ),
    refused(
        "a circle over a folder",
        _layer(symlink("d", "e"), symlink("e", "d"), name="d/layer.tar"),
        _LONG,
        code="link-loop",
    ),
    refused("a folder that is in itself", _layer(symlink("d", "d/d"), name="d/layer.tar"), _LONG, code="link-loop"),
    accepted("eight links one after the other", _layer(*_chain(7)), ""),
    refused("nine links one after the other", _layer(*_chain(8)), _LONG, code="link-loop"),
    refused("a hundred links", _layer(*_chain(100)), _LONG, code="link-loop"),
    refused(
        "a layer linked to a folder",
        _layer(member(b"d/", flag=b"5"), symlink("layer.tar", "d")),
        "a file is needed here, and this is a folder",
        code="not-a-file",
    ),
    refused("a layer linked to the root", _layer(symlink("layer.tar", ".")), _OUT, code="link-outside"),
    refused("a link to the root's parent", _layer(symlink("layer.tar", "..")), _OUT, code="link-outside"),
    refused("a layer with an empty link", _layer(symlink("layer.tar", "")), _OUT, code="link-outside"),
    refused(
        "a layer linked to a device",
        _layer(member(b"dev", flag=b"3"), symlink("layer.tar", "dev")),
        "a file is needed here, and this is a device member",
        code="not-a-file",
    ),
    refused(
        "a layer that is a device",
        _layer(member(b"layer.tar", flag=b"3")),
        "a file is needed here, and this is a device member",
        code="not-a-file",
    ),
    refused(
        "a layer that is a FIFO",
        _layer(member(b"layer.tar", flag=b"6")),
        "a file is needed here, and this is a fifo member",
        code="not-a-file",
    ),
    refused(
        "a layer that is a folder",
        _layer(member(b"layer.tar", flag=b"5")),
        "a file is needed here, and this is a folder",
        code="not-a-file",
    ),
    refused(
        "a layer of unknown type",
        _layer(member(b"layer.tar", PLAIN, flag=b"M")),
        "a file is needed here, and this is a special member",
        code="not-a-file",
    ),
    refused("a hard link out by ..", _layer(hardlink("layer.tar", "../../etc/shadow")), _OUT, code="link-outside"),
    refused("a hard link to an absolute path", _layer(hardlink("layer.tar", "/etc/shadow")), _OUT, code="link-outside"),
    refused("a hard link to itself", _layer(hardlink("layer.tar", "layer.tar")), _LONG, code="link-loop"),
    refused(
        "a hard link to nothing", _layer(hardlink("layer.tar", "gone")), "layer.tar: is missing", code="missing-layer"
    ),
    refused(
        "a hard link to a folder",
        _layer(member(b"d/", flag=b"5"), hardlink("layer.tar", "d")),
        "a file is needed here, and this is a folder",
        code="not-a-file",
    ),
    accepted("a hard link to a layer", _two(hardlink("b/layer.tar", "layer.tar")), ""),
    accepted("a symlink to a layer", _two(symlink("b/layer.tar", "../layer.tar")), ""),
    accepted(
        "one .. too many (moby#24951)",
        _two(symlink("b/layer.tar", "../../layer.tar")),
        "its link has one '..' too many; taken as layer.tar",
        code="link-one-step-too-high",
    ),
    refused("two .. too many", _two(symlink("b/layer.tar", "../../../layer.tar")), _OUT, code="link-outside"),
    refused(
        "a PAX link out",
        _layer(pax((b"linkpath", b"/etc/passwd")) + header(b"layer.tar", flag=b"2", link=b"ok")),
        _OUT,
        code="link-outside",
    ),
    refused(
        "a link with a terminal escape",
        _layer(symlink("layer.tar", "/\x1b]0;owned\x07")),
        r"\x1b]0;owned\x07",
        code="link-outside",
    ),
    refused(
        "a layer below a folder linked out", _layer(symlink("d", "/etc"), name="d/passwd"), _OUT, code="link-outside"
    ),
    refused(
        "a config linked out",
        _config(symlink("link.json", "/etc/passwd")),
        "link.json: the archive has 2 members of this name",
        code="duplicate-member",
    ),
    refused(
        "manifest.json linked out", lambda: tar(symlink("manifest.json", "/etc/passwd")), _OUT, code="link-outside"
    ),
    refused(
        "manifest.json linked to itself",
        lambda: tar(symlink("manifest.json", "manifest.json")),
        _LONG,
        code="link-loop",
    ),
    refused(
        "manifest.json that is a folder",
        lambda: tar(member(b"manifest.json", flag=b"5")),
        "manifest.json: a file is needed here, and this is a folder",
        code="not-a-file",
    ),
    refused(
        "manifest.json that is a device",
        lambda: tar(member(b"manifest.json", flag=b"4")),
        "manifest.json: a file is needed here, and this is a device member",
        code="not-a-file",
    ),
    refused("index.json linked out", lambda: tar(symlink("index.json", "../x")), _OUT, code="link-outside"),
    refused(
        "Layers with ..", lambda: Docker(layers={"../layer.tar": PLAIN}).build(), _ABROAD, code="unsafe-member-name"
    ),
    refused(
        "Layers with .. inside",
        lambda: Docker(layers={"a/../layer.tar": PLAIN}).build(),
        _ABROAD,
        code="unsafe-member-name",
    ),
    accepted("absolute Layers", lambda: Docker(layers={"/etc/passwd": PLAIN}).build(), ""),
    refused(
        "an empty name in Layers",
        lambda: Docker(layers={"": None}).build(),
        "[0].Layers[0] has no name",
        code="missing-layer",
    ),
    refused(
        "a link that goes down and up again 130 times",
        _layer(
            pax((b"linkpath", b"a/" * 130 + b"../" * 130 + b"real")) + symlink("layer.tar", "x"), member(b"real", PLAIN)
        ),
        "parts",
        code="member-path-too-deep",
    ),
    refused("NUL in Layers", lambda: Docker(layers={"a\0b": None}).build(), _ABROAD, code="unsafe-member-name"),
    refused(
        "an escape sequence in Layers",
        lambda: Docker(layers={"\x1b[31mred": None}).build(),
        r'"\x1b[31mred": is missing',
        code="missing-layer",
    ),
    refused(
        "a folder in Layers",
        lambda: Docker(layers={"d": None}, extra=(member(b"d/", flag=b"5"),)).build(),
        "d: a file is needed here, and this is a folder",
        code="not-a-file",
    ),
    refused("Config with ..", lambda: Docker(config_name="../config.json").build(), _ABROAD, code="unsafe-member-name"),
    accepted("absolute Config", lambda: Docker(config_name="/etc/passwd").build(), ""),
    refused(
        "a Config of a million dots",
        lambda: Docker(item={"Config": "../" * 300_000}).build(),
        _ABROAD,
        code="unsafe-member-name",
    ),
    refused("a blob linked out", _blob_link("../../../etc/passwd"), _OUT, code="link-outside"),
    refused("a blob linked to an absolute path", _blob_link("/elsewhere"), _OUT, code="link-outside"),
    accepted("a blob linked inside", _blob_link("../../elsewhere"), ""),
    accepted("a blob that is a hard link", _blob_link("elsewhere", b"1"), ""),
]

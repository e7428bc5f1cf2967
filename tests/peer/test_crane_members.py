"""Where crane finds the members of an archive: spelling, repetition and links.

Each archive has two images. What crane does with the one whose members are odd is written beside
it; with IMGCONV_CRANE_GO126 or IMGCONV_CRANE_GO127 crane itself is asked too.
"""

from __future__ import annotations

import io
import json
import os
import subprocess
import tarfile
from hashlib import sha256

import pytest

from convert.cli.main import run

LAYER = bytes(1024)
DIFF_ID = "sha256:" + sha256(LAYER).hexdigest()


def config(author):
    rootfs = {"type": "layers", "diff_ids": [DIFF_ID]}
    return json.dumps({"author": author, "os": "linux", "architecture": "amd64", "rootfs": rootfs}).encode()


FILE, SYMLINK, HARDLINK = tarfile.REGTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE
#: Name asked for, members (name, type, link), whether crane finds it.
CASES = {
    "once": ("m", [("m", FILE, "")], True),
    "dotted": ("./m", [("m", FILE, "")], True),
    "rooted member": ("m", [("/m", FILE, "")], False),
    "rooted name": ("/m", [("m", FILE, "")], False),
    "both rooted": ("/m", [("//m", FILE, "")], True),
    "rooted first": ("m", [("//m", FILE, ""), ("./m", FILE, "")], True),
    "rooted last": ("m", [("m", FILE, ""), ("/m", FILE, "")], True),
    "rooted name, rooted last": ("/m", [("m", FILE, ""), ("/m", FILE, "")], True),
    "rooted twice": ("m", [("/m", FILE, ""), ("//m", FILE, "")], False),
    "relative twice": ("/m", [("m", FILE, ""), ("./m", FILE, ""), ("./m", FILE, "")], False),
    "rooted in the middle": ("/m", [("m", FILE, ""), ("/m", FILE, ""), ("./m", FILE, "")], True),
    "symlink": ("m", [("m", SYMLINK, "t"), ("t", FILE, "")], True),
    "symlink to a rooted member": ("m", [("m", SYMLINK, "t"), ("/t", FILE, "")], False),
    "symlink to a member of both spellings": ("m", [("m", SYMLINK, "t"), ("/t", FILE, ""), ("t", FILE, "")], True),
    "rooted symlink to a rooted member": ("/m", [("/m", SYMLINK, "t"), ("/t", FILE, "")], True),
    "rooted symlink to a relative member": ("/m", [("/m", SYMLINK, "t"), ("t", FILE, "")], False),
    "symlink upwards": ("d/m", [("d/m", SYMLINK, "../t"), ("t", FILE, "")], True),
    "symlink one step too far up": ("d/m", [("d/m", SYMLINK, "../../t"), ("t", FILE, "")], False),
    "rooted symlink one step too far up": ("/d/m", [("/d/m", SYMLINK, "../../t"), ("/t", FILE, "")], True),
    "two symlinks": ("m", [("m", SYMLINK, "d/n"), ("d/n", SYMLINK, "../t"), ("t", FILE, "")], True),
    "hard link": ("m", [("t", FILE, ""), ("m", HARDLINK, "t")], True),
    "hard link in a folder, counted from it": ("d/m", [("d/t", FILE, ""), ("d/m", HARDLINK, "t")], True),
    "hard link in a folder, counted from the root": ("d/m", [("d/t", FILE, ""), ("d/m", HARDLINK, "d/t")], False),
    "folder that is a link": ("r/m", [("r", SYMLINK, "d"), ("d/m", FILE, "")], False),
    "symlink through a folder that is a link": (
        "m",
        [("m", SYMLINK, "r/t"), ("r", SYMLINK, "d"), ("d/t", FILE, "")],
        False,
    ),
    "trailing slash": ("m/", [("m", FILE, "")], True),
    "trailing slash of a symlink": ("m/", [("m", SYMLINK, "t"), ("t", FILE, "")], False),
}


def write(path, case, field):
    asked, members, _ = CASES[case]
    content = config("odd") if field == "Config" else LAYER
    odd = {"Config": "o", "Layers": ["l"], "RepoTags": ["a/odd:1"], field: asked if field == "Config" else [asked]}
    manifest = [{"Config": "c", "Layers": ["l"], "RepoTags": ["a/sound:1"]}, odd]
    entries = [(name, kind, link, content if kind == FILE else b"") for name, kind, link in members]
    files = {"c": config("sound"), "o": config("odd"), "l": LAYER, "manifest.json": json.dumps(manifest).encode()}
    entries += [(name, FILE, "", data) for name, data in files.items()]
    with tarfile.open(path, "w") as tar:
        for name, kind, link, data in entries:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, link, len(data)
            tar.addfile(info, io.BytesIO(data))


def digest(path, name, capsys):
    status = run(["digest", str(path), "--as", "crane@go1.26", "--image", name])
    return status, capsys.readouterr()


@pytest.mark.parametrize("field", ["Config", "Layers"])
@pytest.mark.parametrize("case", CASES)
def test_only_the_image_whose_member_crane_does_not_find_is_refused(case, field, tmp_path, capsys):
    path = tmp_path / "in.tar"
    write(path, case, field)
    status, printed = digest(path, "a/odd:1", capsys)
    assert status == (0 if CASES[case][2] else 2), printed.err
    assert bool(printed.out) == (status == 0)
    assert status == 0 or f"crane does not find {CASES[case][0]}" in printed.err
    status, printed = digest(path, "a/sound:1", capsys)
    assert (status, bool(printed.out)) == (0, True), printed.err


@pytest.mark.parametrize("variable", ["IMGCONV_CRANE_GO126", "IMGCONV_CRANE_GO127"])
@pytest.mark.parametrize("field", ["Config", "Layers"])
@pytest.mark.parametrize("case", CASES)
def test_crane_finds_the_same(variable, case, field, tmp_path):
    crane = os.environ.get(variable) or pytest.skip(f"{variable} names no crane")
    path = tmp_path / "in.tar"
    write(path, case, field)
    for name, found in (("a/odd:1", CASES[case][2]), ("a/sound:1", True)):
        done = subprocess.run([crane, "digest", "--tarball", path, name], capture_output=True, check=False)
        assert (done.returncode == 0) == found, done.stderr

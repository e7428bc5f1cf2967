"""`digest --as crane` beside crane itself, over every archive at hand.

Runs where `IMGCONV_CRANE_GO126` or `IMGCONV_CRANE_GO127` names a crane built with that
Go. What crane cannot read imgconv refuses; a DiffID that crane does not check and that
is wrong, imgconv reports it.
"""

import os
import subprocess
from pathlib import Path

import fixtures
import pytest
from oracle.reading import plain
from support import MATCH

from convert.commands.digest import digest
from convert.errors import DigestMismatchError, ImgconvError

CRANES = {"crane@go1.26": os.environ.get("IMGCONV_CRANE_GO126"), "crane@go1.27": os.environ.get("IMGCONV_CRANE_GO127")}
ARCHIVES = sorted(path.name for path in MATCH.glob("*.tar.gz"))
ARCHIVES += [f"images/{name}" for name in fixtures.names("images") if name.endswith(".tar")]


@pytest.mark.parametrize("pusher", CRANES)
@pytest.mark.parametrize("name", ARCHIVES)
def test_crane_says_the_same(pusher, name, tmp_path):
    crane = CRANES[pusher]
    if crane is None:
        pytest.skip("no crane built with this Go is named")
    path = fixtures.get(name) if name.startswith("images/") else MATCH / name
    tarball = tmp_path / "image.tar"
    tarball.write_bytes(plain(path) if path.name.endswith(".gz") else Path(path).read_bytes())
    theirs = subprocess.run([crane, "digest", "--tarball", tarball], capture_output=True, text=True, check=False)
    try:
        pushed = digest(str(tarball), pushers=[pusher]).pushed
    except DigestMismatchError:
        return
    except ImgconvError:
        assert theirs.returncode != 0
        return
    if theirs.returncode == 0:
        assert [str(one.digest) for one in pushed] == [theirs.stdout.strip()]
    else:
        assert len(pushed) != 1 or tarball.read_bytes()[:2] == b"\x1f\x8b"

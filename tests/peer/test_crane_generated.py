"""imgconv's crane digests over generated sources: against recorded ones always, against crane where it is.

`crane_compare.py` compares as many as wanted.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from crane_archives import source
from crane_compare import CRANES, STRICTER, Comparison, Registry, imgconv

RECORDED = json.loads((Path(__file__).parent / "crane_recorded.json").read_text())


@pytest.mark.parametrize("seed", RECORDED)
def test_recorded_digests(seed, tmp_path):
    """Where crane refused, no digest; where imgconv is stricter, a known reason."""
    row, one = RECORDED[seed], source(int(seed))
    if hashlib.sha256(one.tar).hexdigest() != row["sha256"]:
        pytest.skip("zlib, liblzma or libzstd of another version compressed its layers")
    path = tmp_path / "source.tar"
    path.write_bytes(one.tar)
    for pusher in CRANES:
        status, out, err = imgconv("digest", path, "--as", pusher, "--json")
        if status:
            known = any(code == status and re.search(part, err) for code, part in STRICTER)
            assert row[pusher] is None or known, err
        else:
            assert [push["digest"] for push in json.loads(out)["pushes"]] == [row[pusher]]


def test_real_crane_and_registry(tmp_path):
    cranes = {pusher: os.environ.get(variable) for pusher, variable in CRANES.items()}
    cranes = {pusher: path for pusher, path in cranes.items() if path}
    if not cranes or shutil.which("docker-registry") is None:
        pytest.skip("IMGCONV_CRANE_GO126 and IMGCONV_CRANE_GO127 name no crane, or there is no docker-registry")
    registry = Registry(tmp_path)
    try:
        comparison = Comparison(tmp_path, cranes, registry)
        for seed in range(12):
            comparison.compare(source(seed))
    finally:
        registry.close()
    assert comparison.differences == []

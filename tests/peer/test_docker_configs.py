"""Configs with a field of a type that Docker does not decode: `docker load` refuses them, so nothing is pushed."""

from __future__ import annotations

import io
import json
import os
import subprocess
import sys
import tarfile
from hashlib import sha256
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from tools import engine  # noqa: F401 - a fixture

from convert.cli.main import run

LAYER = bytes(1024)
DIFF_ID = "sha256:" + sha256(LAYER).hexdigest()
#: A field, and whether Docker decodes it (20.10 and 29 alike).
CASES = [
    ({"config": {"Tty": "x"}}, False),
    ({"config": {"Env": [1]}}, False),
    ({"config": {"Env": [None]}}, True),
    ({"config": {"Memory": "x"}}, True),
    ({"config": {"Healthcheck": {"Interval": "1s"}}}, False),
    ({"config": {"Volumes": ["x"]}}, False),
    ({"config": {"ExposedPorts": {"80": 1}}}, False),
    ({"config": {"ExposedPorts": {"80": None}}}, True),
    ({"config": {"StopTimeout": 1.5}}, False),
    ({"config": []}, False),
    ({"config": None}, True),
    ({"container_config": {"Tty": 1}}, False),
    ({"created": "x"}, False),
    ({"created": None}, True),
    ({"history": [{"created": "x", "empty_layer": True}]}, False),
    ({"history": [{"created": "2020-01-01T00:00:00Z"}]}, True),
    ({"docker_version": 1}, False),
    ({"os.features": "x"}, False),
    ({"parent": 1}, False),
    ({"id": 1}, False),
    ({"Size": "x"}, False),
    ({"unknown": 1.5}, True),
]


def write(path, change):
    rootfs = {"type": "layers", "diff_ids": [DIFF_ID]}
    config = json.dumps({"os": "linux", "architecture": "amd64", "rootfs": rootfs} | change).encode()
    manifest = json.dumps([{"Config": "c", "Layers": ["l"], "RepoTags": ["a/b:1"]}]).encode()
    with tarfile.open(path, "w") as tar:
        for name, data in {"c": config, "l": LAYER, "manifest.json": manifest}.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))


@pytest.mark.parametrize(("change", "decoded"), CASES)
def test_a_config_that_docker_does_not_decode_has_no_digest(change, decoded, tmp_path, capsys):
    path = tmp_path / "in.tar"
    write(path, change)
    assert run(["digest", str(path), "--as", "docker@go1.26"]) == (0 if decoded else 2)
    printed = capsys.readouterr()
    assert bool(printed.out) == decoded
    assert decoded or "docker cannot read the config" in printed.err
    assert run(["digest", str(path), "--as", "imgconv"]) == 0


@pytest.mark.parametrize(("change", "decoded"), CASES)
def test_docker_decodes_the_same(change, decoded, engine, tmp_path):  # noqa: F811
    path = tmp_path / "in.tar"
    write(path, change)
    environment = {**os.environ, "DOCKER_HOST": engine.host}
    done = subprocess.run([engine.client, "load", "--input", path], env=environment, capture_output=True, check=False)
    assert (done.returncode == 0) == decoded, done.stderr

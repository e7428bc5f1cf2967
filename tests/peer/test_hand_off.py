"""What is printed after a layout was written is what the tools take."""

from __future__ import annotations

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
from oracle.reading import check
from support import COMMAND, MATCH, run
from tools import call, each

HTML = MATCH / "docker20-html.tar.gz"
MULTI = MATCH / "docker20-multi.tar.gz"


def written(folder, *arguments):
    """Convert, and return the printed lines without `imgconv: `."""
    done = run(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return [line.removeprefix("imgconv: ") for line in done.stderr.decode().splitlines()]


def addresses(lines):
    (line,) = [line for line in lines if "in skopeo and podman use " in line]
    return line.partition(" use ")[2].split(", ")


def commands(lines):
    (line,) = [line for line in lines if line.startswith("in crane: ")]
    return re.fullmatch(r"in crane: (.*); in docker: (.*)", line).groups()


def version(skopeo):
    return tuple(map(int, re.search(r"version (\d+)\.(\d+)", call(skopeo, "--version")).groups()))


@each("skopeo")
@pytest.mark.parametrize("form", ["oci", "oci-archive", "docker-oci", "docker-save@25", "crane"])
def test_skopeo_takes_every_address(tmp_path, skopeo, form):
    for address in addresses(written(tmp_path, HTML, "--to", form, "out")):
        config = call(skopeo, "inspect", "--config", "--raw", address, cwd=tmp_path)
        assert json.loads(config)["rootfs"]


@each("skopeo")
def test_skopeo_takes_every_address_after_append(tmp_path, skopeo):
    found_in = set()
    for source in (MULTI, HTML):
        found_in.update(addresses(written(tmp_path, source, "--to", "oci", "out", "--append")))
    assert len(found_in) == 9
    for address in found_in:
        call(skopeo, "inspect", "--config", address, cwd=tmp_path)


def test_the_command_for_docker_gives_an_archive_with_every_image(tmp_path):
    command = commands(written(tmp_path, MULTI, "--to", "oci", "all"))[1]
    script = tmp_path / "imgconv"
    script.write_text(f"#!{sys.executable} -P\n{COMMAND[-1]}\n")
    script.chmod(0o755)
    assert command.endswith(" | docker load")
    saved = command.removesuffix("docker load") + "cat > saved.tar"
    environment = {"PATH": f"{tmp_path}:/usr/bin:/bin", "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(["sh", "-c", saved], cwd=tmp_path, env=environment, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert {image.image_id for image in check(tmp_path / "saved.tar", "docker-save")} == {
        image.image_id for image in check(tmp_path / "all", "oci")
    }


@each("crane")
def test_crane_pushes_a_layout_of_one_image_and_no_other(tmp_path, crane):
    """Without a registry: crane reads the layout before it connects."""
    one = commands(written(tmp_path, HTML, "--image", "fmt-html:1", "--to", "oci", "one"))[0]
    assert one == "crane push one REPOSITORY:TAG"
    written(tmp_path, HTML, "--to", "oci", "three")

    def push(folder):
        command = [crane, "push", folder, "127.0.0.1:1/app:1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert done.returncode != 0
        return done.stderr

    assert "connection refused" in push("one")
    assert "--index" in push("three")


DOCKER_MANIFESTS = [
    ("--to", "oci", "out", "--as", "docker"),
    ("--to", "oci-archive", "out", "--as", "crane"),
    ("--to", "oci", "out", "--recompress", "--manifest-type", "docker"),
]


@pytest.mark.parametrize("arguments", DOCKER_MANIFESTS, ids=" ".join)
def test_layouts_with_docker_manifests_state_their_readers(tmp_path, arguments):
    lines = written(tmp_path, HTML, "--image", "fmt-html:1", *arguments)
    (line,) = [line for line in lines if "Docker manifests" in line]
    assert "skopeo from 1.10" in line
    lines = written(tmp_path, HTML, "--image", "fmt-html:1", *arguments, "--force", "--quiet")
    assert lines == []


def test_layouts_with_oci_manifests_state_none(tmp_path):
    assert not [line for line in written(tmp_path, HTML, "--to", "oci", "out") if "Docker manifests" in line]


@each("skopeo")
def test_skopeo_reads_docker_manifests_from_1_10_on(tmp_path, skopeo):
    written(tmp_path, HTML, "--image", "fmt-html:1", "--to", "oci", "out", "--as", "docker")
    done = subprocess.run([skopeo, "inspect", "oci:out:1"], cwd=tmp_path, capture_output=True, check=False)
    assert (done.returncode == 0) == (version(skopeo) >= (1, 10))


@each("umoci")
def test_umoci_does_not_read_docker_manifests(tmp_path, umoci):
    for folder, options in (("oci", ()), ("docker", ("--as", "docker"))):
        written(tmp_path, HTML, "--image", "fmt-html:1", "--to", "oci", folder, *options)
        done = subprocess.run(
            [umoci, "stat", "--image", f"{folder}:1", "--json"], cwd=tmp_path, capture_output=True, check=False
        )
        assert (done.returncode == 0) == (folder == "oci")


@each("podman")
def test_podman_4_3_does_not_read_docker_manifests(tmp_path, podman):
    if not re.search(r"version 4\.[0-3]\.", call(podman, "--version")):
        pytest.skip("podman after 4.3 reads them")
    written(tmp_path, HTML, "--image", "fmt-html:1", "--to", "oci", "out", "--as", "docker")
    with tempfile.TemporaryDirectory() as short:  # podman refuses long paths
        store = ["--root", f"{short}/store", "--runroot", f"{short}/run", "--storage-driver", "vfs"]
        command = [podman, *store, "pull", "--quiet", "oci:out:1"]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "no descriptor found" in done.stderr

"""The archives of the matrix: those of the fixtures, what imgconv writes from them, and what engines save.

python tests/peer/matrix_archives.py FOLDER    lay them out below FOLDER
"""

from __future__ import annotations

import shutil
import sys
import tarfile
from pathlib import Path

import fixtures

import convert
from convert.errors import ImgconvError

#: Sources of which every target is written: one of each kind of producer and content.
SOURCES = (
    "images/docker-save-two-images.tar.gz",
    "images/docker25-graph-driver-unpacked",
    "images/containerd-alpine-3.14.tar",
    "images/containerd-busybox-attestation.tar",
    "images/kaniko-busybox.tar",
    "images/oci-containers-image-identical-refs",
    "images/oci-zstd-layers.tar",
    "images/oci-sylabs-manifest-list",
    "images/oci-mirror-schema2-single",
    "images/docker-save-unnamed.tar.xz",
    "images/oci-unnamed.tar.gz",
    "cases/index-one-platform-present.tar",
)
TARGETS = ("docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive")


def targets(source, folder):
    """Write every target of a source into `folder`; return what could not be written."""
    unfit = []
    for target in TARGETS:
        name = f"{source.name.partition('.')[0]}--{target.replace('@', '')}" + ("" if target == "oci" else ".tar")
        if (folder / name).exists():
            continue
        try:
            convert.convert(source, folder / name, to=target)
        except ImgconvError as error:
            unfit.append((source.name, target, str(error)))
    return unfit


def archive_of(folder, path):
    """Write a folder as a plain tar: docker, podman and containerd take no folder."""
    with tarfile.open(path, "w") as archive:
        for each in sorted(folder.rglob("*")):
            archive.add(each, each.relative_to(folder).as_posix(), recursive=False)


def partial(source, name, folder, victims):
    """Write a layout without the blobs of which `victims` is true, as a folder and as a tar."""
    if (folder / name).exists():
        return
    shutil.copytree(source, folder / name)
    for blob in (folder / name / "blobs").rglob("*"):
        if blob.is_file() and victims(blob):
            blob.unlink()
    archive_of(folder / name, folder / f"{name}.tar")


def main(folder, fixtures):
    """Lay out what is not there yet."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in SOURCES:
        for line in targets(fixtures / name, folder):
            sys.stdout.write(" ".join(line) + "\n")
    for path in sorted((fixtures / "images").iterdir()) + sorted((fixtures / "cases").iterdir()):
        if path.is_dir() and not (folder / f"{path.name}--folder.tar").exists():
            archive_of(path, folder / f"{path.name}--folder.tar")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) > 2 else fixtures.ROOT)

"""What many tests need: paths, the formats, and the command line in a process of its own."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import subprocess
import sys
import tarfile
from pathlib import Path

import zstandard

ROOT = Path(__file__).parents[1]
MATCH = ROOT / "testdata" / "match" / "archives"
READ = ROOT / "testdata" / "read"
REFUSE = ROOT / "testdata" / "refuse"

FORMATS = ["docker-save", "docker-save@25", "docker-save@29", "docker-oci", "crane", "oci", "oci-archive"]
TARS = [name for name in FORMATS if name != "oci"]

COMMAND = [sys.executable, "-P", "-c", "from convert.cli import main; main()"]


WRAPPERS = {
    "gzip": gzip.compress,
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": zstandard.ZstdCompressor().compress,
}


def run(*arguments, **options):
    """Run the command line in a process of its own."""
    options.setdefault("stdout", subprocess.PIPE)
    options.setdefault("stderr", subprocess.PIPE)
    options.setdefault("timeout", 120)
    if "input" not in options:
        options.setdefault("stdin", subprocess.DEVNULL)
    return subprocess.run([*COMMAND, *map(str, arguments)], check=False, **options)


def without_repositories(path):
    """Return a compressed archive as a plain tar without its `repositories`."""
    out = io.BytesIO()
    with tarfile.open(path) as old, tarfile.open(fileobj=out, mode="w") as new:
        for member in old:
            if member.name != "repositories":
                new.addfile(member, old.extractfile(member) if member.isreg() else None)
    return out.getvalue()


def tar_of(files):
    """Return a tar of files, given by name."""
    output = io.BytesIO()
    with tarfile.open(fileobj=output, mode="w") as archive:
        for name, data in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return output.getvalue()

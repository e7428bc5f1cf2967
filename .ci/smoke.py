"""Run the main job of the installed imgconv: `python .ci/smoke.py`.

For an environment that has the wheel and its dependencies and nothing else. Converts an archive
of testdata to three formats, validates the results and compares one digest with a recorded one.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1] / "testdata" / "match" / "archives" / "docker20-html.tar.gz"
FORMATS = ("docker-save", "crane", "oci")
#: The digest of a push by crane built with Go 1.26 (README.md). The C core compresses the layers.
PUSHED = "sha256:f8086de062ee4ef3853efafcfdcfce37dfcb280d0d8cc241e50b14da62374292"


def imgconv(*arguments: str) -> str:
    """Run the command, and return its standard output."""
    command = [sys.executable, "-I", "-m", "convert", *arguments]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout


def main() -> None:
    """Run everything; the first failure ends the process with its status."""
    with tempfile.TemporaryDirectory() as folder:
        results = [str(Path(folder, form)) for form in FORMATS]
        for form, result in zip(FORMATS, results, strict=True):
            imgconv(str(SOURCE), "--to", form, result, "--quiet")
        imgconv("validate", *results)
        ids = {imgconv("id", source).split()[0] for source in (str(SOURCE), *results)}
        if len(ids) != 1:
            sys.exit(f"a conversion changed the image ID: {', '.join(sorted(ids))}")
        pushed = imgconv("digest", str(SOURCE), "--as", "crane@go1.26").split()[-1]
        if pushed != PUSHED:
            sys.exit(f"wrong digest of a push: {pushed} instead of {PUSHED}")
    print(f"imgconv {version('imgconv')} works on Python {sys.version.split()[0]}, {sys.platform}")


if __name__ == "__main__":
    main()

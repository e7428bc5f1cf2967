"""A gallery of the pages that `--html` writes, made from `testdata/`: `python website/page_gallery.py FOLDER`.

The same archives give the same bytes, on every machine.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import shlex
from pathlib import Path
from typing import NamedTuple

from convert.cli.main import run

ROOT = Path(__file__).parents[1]
INDEX = "index.md"


class Entry(NamedTuple):
    """One page: its file, what it shows, the command line without `--html`, and the exit status."""

    name: str
    about: str
    command: str
    status: int


ENTRIES = (
    Entry(
        "inspect-shared.html",
        "Seven images of two archives: which layers they share, what updates cost, the digests of pushes",
        "inspect testdata/match/archives/docker20-multi.tar.gz testdata/match/archives/docker20-html.tar.gz",
        0,
    ),
    Entry(
        "inspect-waste.html",
        "A file that a later layer overwrites: hidden bytes, waste, the largest files of each layer",
        "inspect testdata/read/docker-save-overwrite-file.tar.gz",
        0,
    ),
    Entry(
        "inspect-damaged.html",
        "A layout that lacks a layer: what could be read of it",
        "inspect testdata/refuse/damaged-oci-layer-blob-missing.tar.gz",
        0,
    ),
    Entry(
        "diff-images.html",
        "Two archives with different images: what differs first, the files, what an update costs",
        "diff testdata/match/archives/docker20-duplayer.tar.gz testdata/match/archives/docker20-html.tar.gz",
        1,
    ),
    Entry(
        "diff-config.html",
        "One image, saved by Docker 20 and exported by containerd: the same layers, and why the digest differs",
        "diff testdata/match/archives/docker20-html.tar.gz testdata/match/archives/containerd29-export.tar.gz",
        1,
    ),
    Entry(
        "validate.html",
        "A sound archive and two damaged ones: findings where they belong, and which to mend first",
        "validate testdata/match/archives/docker20-html.tar.gz testdata/refuse/skopeo-centos6-gzip.tar.gz "
        "testdata/refuse/damaged-oci-layer-blob-missing.tar.gz",
        1,
    ),
    Entry(
        "doctor.html",
        "Where archives of several tools load, under which names, and what helps where they do not",
        "doctor testdata/match/archives/docker20-html.tar.gz testdata/match/archives/containerd29-export.tar.gz "
        "testdata/read/oci-zstd-layers.tar.gz testdata/read/bazel-bundle-two-images-bare-tags.tar.gz",
        1,
    ),
)


def write(folder: Path) -> None:
    """Write every page of the gallery into a folder, which exists."""
    folder = folder.resolve()
    with contextlib.chdir(ROOT):
        for entry in ENTRIES:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(printed):
                status = run([*shlex.split(entry.command), "--html", str(folder / entry.name)])
            if status != entry.status:
                raise RuntimeError(f"imgconv {entry.command} ended with {status}: {printed.getvalue()}")


def page() -> str:
    """Return the page that lists the others, as Markdown."""
    rows = [f"| [{entry.about}]({entry.name}) | `imgconv {entry.command} --html FILE` |" for entry in ENTRIES]
    return "\n".join(
        [
            "# Gallery",
            "",
            "Pages that [`--html`](../reports.md) writes, made from archives of real tools in the folder `testdata/`",
            "of the repository. Each is one file that loads nothing else. `python website/page_gallery.py FOLDER`",
            "makes them.",
            "",
            "| page | made by |",
            "|---|---|",
            *rows,
            "",
        ]
    )


def main() -> None:
    """Write the gallery."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write the pages")
    given = parser.parse_args()
    given.folder.mkdir(parents=True, exist_ok=True)
    write(given.folder)
    (given.folder / INDEX).write_text(page())


if __name__ == "__main__":
    main()

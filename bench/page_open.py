"""Measure how long a browser takes to open a page of `--html`: from the start of the navigation to load and to paint.

    python bench/page_open.py [--layers 1000] [--opens 11] [--chromium PATH]

The page is that of `inspect` for one archive with so many layers, made by this imgconv. Each open is a new process of
the browser with a new profile, so nothing is cached; the first is not counted. Prints the median and the range.
Under 1 s is wanted. Chromium, or what IMGCONV_CHROMIUM names, is driven by playwright.
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
import os
import shutil
import statistics
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

#: Waits for the first paint of content, which may come after the load event.
_TIMES = """() => new Promise((done) => {
  const load = performance.getEntriesByType("navigation")[0].loadEventEnd;
  new PerformanceObserver((list) => done([load, list.getEntriesByName("first-contentful-paint")[0].startTime]))
    .observe({type: "paint", buffered: true});
})"""


def write_archive(path: Path, layers: int) -> None:
    """Write a docker-save archive with so many small layers, each with a step of its history."""
    tars = [_tar({f"etc/step-{number}": f"{number}\n".encode() * 50}) for number in range(layers)]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": {},
        "rootfs": {"type": "layers", "diff_ids": ["sha256:" + hashlib.sha256(each).hexdigest() for each in tars]},
        "history": [
            {"created": "2026-01-01T00:00:00Z", "created_by": f"RUN make && make install PREFIX=/usr/local {number}"}
            for number in range(layers)
        ],
    }
    names = [f"{number:064x}/layer.tar" for number in range(layers)]
    listed = [{"Config": "config.json", "RepoTags": ["example.com/app:1"], "Layers": names}]
    path.write_bytes(
        _tar(
            dict(zip(names, tars, strict=True))
            | {"config.json": json.dumps(config).encode(), "manifest.json": json.dumps(listed).encode()}
        )
    )


def _tar(files: dict[str, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def write_page(folder: Path, imgconv: str, layers: int) -> Path:
    """Write the page of an archive with so many layers."""
    archive, page = folder / "archive.tar", folder / "page.html"
    write_archive(archive, layers)
    subprocess.run([imgconv, "inspect", str(archive), "--html", str(page), "-q"], check=True)
    return page


def open_page(chromium: str, page: Path) -> tuple[float, float]:
    """Open a page in a new browser; return the milliseconds to the load event and to the first paint."""
    with sync_playwright() as driver:
        arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = driver.chromium.launch(executable_path=chromium, args=arguments)
        opened = browser.new_page(viewport={"width": 1280, "height": 900})
        opened.goto(page.as_uri(), wait_until="load")
        load, paint = opened.evaluate(_TIMES)
        browser.close()
    return load, paint


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, default=1000)
    parser.add_argument("--opens", type=int, default=11)
    parser.add_argument("--chromium", default=os.environ.get("IMGCONV_CHROMIUM") or shutil.which("chromium"))
    parser.add_argument("--imgconv", default=str(Path(sys.executable).with_name("imgconv")))
    given = parser.parse_args()
    if given.chromium is None:
        parser.error("chromium is not installed; --chromium names one")
    with tempfile.TemporaryDirectory() as name:
        page = write_page(Path(name), given.imgconv, given.layers)
        size = page.stat().st_size
        found = [open_page(given.chromium, page) for _ in range(given.opens + 1)][1:]
    print(f"{given.layers} layers, {size / 1e6:.1f} MB, {given.opens} opens, load average {os.getloadavg()[0]:.2f}")
    for what, times in zip(("load event", "first paint"), zip(*found, strict=True), strict=True):
        print(f"{what}: median {statistics.median(times):.0f} ms ({min(times):.0f} to {max(times):.0f})")


if __name__ == "__main__":
    main()

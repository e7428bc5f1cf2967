"""The gallery of pages on the site: complete, safe, and the same bytes on every run."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from blocks import ROOT
from report.html.pages import check

GALLERY = ROOT / "website" / "page_gallery.py"


def made(folder, seed):
    subprocess.run(
        [sys.executable, str(GALLERY), str(folder)],
        env={**os.environ, "PYTHONHASHSEED": seed, "TZ": "Asia/Tokyo" if seed == "2" else "UTC", "COLUMNS": "40"},
        cwd=folder.parent,
        check=True,
        timeout=300,
    )
    return {path.name: path.read_bytes() for path in sorted(folder.iterdir())}


def test_every_page_of_the_gallery_is_listed_and_safe(tmp_path):
    found = made(tmp_path / "gallery", "1")
    index = found.pop("index.md").decode()
    reports = {check(raw).data["report"] for raw in found.values()}
    assert reports == {"page-inspect", "page-diff", "page-validate", "page-doctor"}
    assert all(f"]({name})" in index for name in found)
    assert index.count(".html)") == len(found)


@pytest.mark.slow
def test_the_gallery_is_the_same_on_every_run(tmp_path):
    assert made(tmp_path / "one", "1") == made(tmp_path / "two", "2")

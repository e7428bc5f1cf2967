"""The C extension, the tag of its wheel and the man pages; everything else is in pyproject.toml.

Packages, sources and headers are found in the tree, so that none can be missing from the build or the sdist.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

from setuptools import Extension, find_packages, setup

sys.path.insert(0, str(Path(__file__).parent))
from convert.cli.man import write_pages

CORE = Path("convert/_native")
VERSION = tomllib.loads(Path("pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
#: The day of the last release; the man pages must not depend on the day on which they are made.
RELEASED = re.search(r"^## .*\((\d{4}-\d{2}-\d{2})\)", Path("CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

setup(
    packages=sorted([*find_packages(include=["convert", "convert.*"]), "convert.schemas"]),
    # The stable ABI: one wheel for a platform serves this Python and all later ones.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
    data_files=[
        ("share/man/man1", write_pages("build/man", VERSION, RELEASED[1] if RELEASED else "2026-11-30")),
    ],
    ext_modules=[
        Extension(
            "convert._native._binding",
            sources=sorted(path.as_posix() for path in CORE.rglob("*.c")),
            depends=sorted(path.as_posix() for path in CORE.rglob("*.h")),
            include_dirs=[CORE.as_posix()],
            define_macros=[("Py_LIMITED_API", "0x030B0000")],
            py_limited_api=True,
            # No -march: the same bytes and nearly the same speed everywhere. Go rounds every
            # floating-point operation, so a compiler must not fuse them.
            extra_compile_args=["-std=c11", "-O3", "-ffp-contract=off", "-fvisibility=hidden"],
        ),
    ],
)

"""The C extension and the tag of its wheel; everything else about the package is in pyproject.toml.

Sources and headers are found by name, so that none can be missing from the build or the sdist.
"""

from __future__ import annotations

from pathlib import Path

from setuptools import Extension, setup

CORE = Path("convert/_native")

setup(
    # The stable ABI: one wheel for a platform serves this Python and all later ones.
    options={"bdist_wheel": {"py_limited_api": "cp311"}},
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

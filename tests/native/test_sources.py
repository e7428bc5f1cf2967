"""The C sources: warnings, names, the comment at the head of each file, the build list, the format."""

from __future__ import annotations

import os
import re
import runpy
import shutil
import subprocess
import sys
import sysconfig
import types
from pathlib import Path
from typing import Any

import pytest

from convert.cli import man

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
CORE = ROOT / "convert/_native"
SOURCES = sorted(CORE.rglob("*.c"))
ALGORITHMS = [path for path in SOURCES if path.name != "binding.c"]
HEADERS = sorted(CORE.rglob("*.h"))
PROGRAMS = [*sorted(HERE.glob("*.c")), *sorted((ROOT / "tests/fuzz/native").glob("*.c"))]
FAMILIES = sorted(path.name for path in CORE.iterdir() if path.is_dir() and any(path.glob("*.c")))
WARNINGS = ["-Wall", "-Wextra", "-Wshadow", "-Wconversion", "-Werror"]
STANDARD = ["-std=c11", "-ffp-contract=off", f"-I{CORE}"]
BINDING = [f"-isystem{sysconfig.get_paths()['include']}", "-DPy_LIMITED_API=0x030B0000"]


def flags_of(path: Path) -> list[str]:
    if path.name == "binding.c":
        return [*STANDARD, *BINDING]
    return [*STANDARD, *(["-D_POSIX_C_SOURCE=200809L"] if path in PROGRAMS else [])]


@pytest.mark.parametrize("compiler", ["cc", "clang"])
@pytest.mark.parametrize("path", [*SOURCES, *PROGRAMS], ids=lambda path: str(path.relative_to(ROOT)))
def test_sources_compile_without_a_warning(compiler: str, path: Path) -> None:
    if shutil.which(compiler) is None:
        pytest.skip(f"there is no {compiler} on PATH")
    command = [compiler, *flags_of(path), *WARNINGS, "-O1", "-fsyntax-only", str(path)]
    built = subprocess.run(command, capture_output=True, text=True, check=False)
    if "Python.h" in built.stderr or "zlib.h" in built.stderr:
        pytest.skip("needs the headers of Python and zlib")
    assert built.returncode == 0, built.stderr


@pytest.mark.parametrize("path", HEADERS, ids=lambda path: str(path.relative_to(CORE)))
def test_headers_compile_alone(path: Path) -> None:
    if shutil.which("cc") is None:
        pytest.skip("there is no cc on PATH")
    command = ["cc", *STANDARD, "-fsyntax-only", "-x", "c", "-"]
    text = f'#include "{path.relative_to(CORE)}"\n'
    built = subprocess.run(command, input=text, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stderr


def test_names_begin_with_their_folder_and_nothing_is_variable(tmp_path: Path) -> None:
    for needed in ("cc", "nm"):
        if shutil.which(needed) is None:
            pytest.skip(f"there is no {needed} on PATH")
    found = 0
    for path in ALGORITHMS:
        obj = tmp_path / "a.o"
        # Without -fpic, constants that contain addresses are read-only too.
        subprocess.run(["cc", *STANDARD, "-fno-pic", "-O0", "-c", str(path), "-o", str(obj)], check=True)
        listed = subprocess.run(["nm", "-P", "--defined-only", str(obj)], capture_output=True, text=True, check=True)
        symbols = [tuple(line.split()[:2]) for line in listed.stdout.splitlines()]
        prefix = "registry" if path.parent == CORE else path.parent.name
        external = [name.removeprefix("_") for name, kind in symbols if kind.isupper()]
        assert [name for name in external if not name.startswith(f"{prefix}_")] == [], path
        assert [name for name, kind in symbols if kind in "BbCDdGgSs"] == [], path
        found += len(external)
    assert found > 40


@pytest.mark.parametrize("path", [*ALGORITHMS, *HEADERS], ids=lambda path: str(path.relative_to(CORE)))
def test_algorithms_know_nothing_of_python_and_allocate_nothing(path: Path) -> None:
    text = path.read_text()
    assert "#include <Python.h>" not in text
    assert re.search(r"\b(malloc|calloc|realloc|free)\(", text) is None


@pytest.mark.parametrize("family", FAMILIES)
def test_each_source_says_what_it_does_and_why_its_bytes_are_right(family: str) -> None:
    for path in sorted((CORE / family).glob("*.c")):
        head = path.read_text().partition("*/")[0]
        assert head.startswith("/*\n"), path
        assert "\n * Algorithm: " in head, path
        assert "\n * Why the bytes are " in head, path


def test_nothing_is_missing_from_the_build(monkeypatch: pytest.MonkeyPatch) -> None:
    made: dict[str, Any] = {}
    stand_in = types.ModuleType("setuptools")
    stand_in.Extension = lambda name, **given: (name, given)  # type: ignore[attr-defined]
    stand_in.find_packages = lambda **_: ["convert"]  # type: ignore[attr-defined]
    stand_in.setup = lambda **given: made.update(given)  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "setuptools", stand_in)
    monkeypatch.chdir(ROOT)
    # The man pages are written below build/.
    monkeypatch.setattr(man, "write_pages", lambda *_: [])
    runpy.run_path(str(ROOT / "setup.py"))
    [(name, given)] = made["ext_modules"]
    assert name == "convert._native._binding"
    assert given["sources"] == [str(path.relative_to(ROOT)) for path in SOURCES]
    assert given["depends"] == [str(path.relative_to(ROOT)) for path in HEADERS]
    included = {line for path in SOURCES for line in re.findall(r'#include "(.*)"', path.read_text())}
    assert included <= {str(path.relative_to(CORE)) for path in HEADERS}


def test_the_format_is_that_of_clang_format() -> None:
    path = os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]])
    program = shutil.which("clang-format", path=path)
    if program is None:
        pytest.skip("there is no clang-format; the extra `test` installs it")
    requirement = re.search(r'"clang-format==([0-9.]+)"', (ROOT / "pyproject.toml").read_text())
    assert requirement is not None
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout
    if f"version {requirement[1]}" not in version:
        pytest.skip(f"needs clang-format {requirement[1]}: releases differ in what they write")
    command = [program, "--style=file", "--dry-run", "--Werror", *map(str, [*SOURCES, *HEADERS, *PROGRAMS])]
    checked = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert checked.returncode == 0, checked.stderr

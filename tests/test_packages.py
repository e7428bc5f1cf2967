"""The sdist contains the complete repository, the wheel what it needs to run, and that runs without a compiler."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tomllib
import venv
import zipfile
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

from convert.cli.man import pages

ROOT = Path(__file__).parents[1]
PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = PYPROJECT["project"]
#: What setuptools adds to an sdist.
GENERATED = re.compile(r"PKG-INFO|setup\.cfg|imgconv\.egg-info/.*")
#: What the wheel has besides the package.
METADATA = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE", "top_level.txt"}
#: Where the wheel has the man pages.
MAN = f"imgconv-{PROJECT['version']}.data/data/share/man/man1/"
BINDING = "convert/_native/_binding.abi3.so"


def repository():
    """Return the files of the repository: those that Git tracks, or those of an unpacked sdist."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False)
    names = [name for name in listed.stdout.split("\0") if name]
    if not names:
        sources = ROOT / "imgconv.egg-info" / "SOURCES.txt"
        if not sources.exists():
            pytest.skip("neither Git nor SOURCES.txt lists the files of this folder")
        names = [name for name in sources.read_text().splitlines() if not GENERATED.fullmatch(name)]
    return {name for name in names if (ROOT / name).is_file()}


def test_every_folder_with_modules_is_a_package():
    folders = {path.parent for path in (ROOT / "convert").rglob("*.py")}
    assert not {folder for folder in folders if not (folder / "__init__.py").exists()}


def test_the_addresses_of_the_project_are_below_one():
    home = PROJECT["urls"]["Homepage"]
    assert all(address == home or address.startswith(f"{home}/") for address in PROJECT["urls"].values())


def setuptools_that_fits():
    """Skip where the build back end is not installed: the tests use no network, so none is fetched."""
    for asked in map(Requirement, PYPROJECT["build-system"]["requires"]):
        try:
            found = Version(importlib.metadata.version(asked.name))
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{asked.name} is not installed")
        if not asked.specifier.contains(found):
            pytest.skip(f"{asked} is needed, {found} is installed")
    if importlib.util.find_spec("build") is None:
        pytest.skip("build is not installed")


def build(files, folder):
    """Build the sdist, and the wheel from the sdist, outside the tree; return their paths."""
    source, output = folder / "source", folder / "dist"
    for name in files:
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(ROOT / name, source / name)
    command = [sys.executable, "-P", "-m", "build", "--no-isolation", "--outdir", str(output), str(source)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    (sdist,), (wheel,) = output.glob("*.tar.gz"), output.glob("*.whl")
    return sdist, wheel


def check_sdist(sdist, files):
    with tarfile.open(sdist) as archive:
        names = {member.name.partition("/")[2] for member in archive if member.isfile()}
        modes = {member.name.partition("/")[2]: member.mode for member in archive if member.isfile()}
    assert {name for name in names if not GENERATED.fullmatch(name)} == files
    assert {name for name in files if os.access(ROOT / name, os.X_OK)} == {
        name for name in files if modes[name] & 0o100
    }


def check_wheel(wheel, files):
    assert re.fullmatch(r"imgconv-[\d.]+-cp311-abi3-\w+\.whl", wheel.name)
    with zipfile.ZipFile(wheel) as archive:
        names = set(archive.namelist())
        (metadata,) = (name for name in names if name.endswith("/METADATA"))
        tags = archive.read(metadata.replace("METADATA", "WHEEL")).decode()
        manual = {name.removeprefix(MAN): archive.read(name).decode() for name in names if name.startswith(MAN)}
    code = {name for name in files if re.fullmatch(r"convert/(?:.*\.(?:pyi?|html|css|js)|py\.typed)", name)}
    schemas = {f"convert/{name}" for name in files if re.fullmatch(r"schemas/.*\.(?:py|json)", name)}
    info = {metadata.replace("METADATA", name) for name in METADATA}
    assert names == code | schemas | info | {BINDING} | {MAN + name for name in manual}
    date = manual["imgconv.1"].split()[3]
    assert manual == pages(PROJECT["version"], date)
    assert "Root-Is-Purelib: false" in tags
    assert {"convert/py.typed", "convert/_native/_binding.pyi", "convert/schemas/defs.json"} <= names


def requirements():
    """Return the installed distributions that imgconv needs to run, and theirs."""
    found, waiting = {}, [Requirement(text) for text in PROJECT["dependencies"]]
    while waiting:
        asked = waiting.pop()
        name = canonicalize_name(asked.name)
        if name in found or (asked.marker and not asked.marker.evaluate({"extra": ""})):
            continue
        found[name] = importlib.metadata.distribution(name)
        waiting += [Requirement(text) for text in found[name].requires or ()]
    return found.values()


def install(wheel, folder):
    """Install the wheel and only what it requires, with no compiler on PATH; return Python and its environment."""
    venv.create(folder, with_pip=False, symlinks=True)
    python = folder / "bin" / "python"
    shell = {**os.environ, "PATH": str(folder / "bin")}
    shell.pop("PYTHONPATH", None)
    assert not any(shutil.which(name, path=shell["PATH"]) for name in ("cc", "gcc", "clang", "c++", "ld"))
    (packages,) = (folder / "lib").glob("python*/site-packages")
    for each in requirements():
        for file in each.files or ():
            if ".." not in file.parts and "__pycache__" not in file.parts:
                (packages / file).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(file.locate(), packages / file)
    pip = [sys.executable, "-P", "-m", "pip", "--python", str(python), "install", "-q", "--no-index", "--no-deps"]
    subprocess.run([*pip, str(wheel)], env=shell, check=True)
    return python, shell


def test_packages_are_complete_and_run_without_a_compiler(tmp_path):
    """One test, because several would build several times: each worker of pytest-xdist has its own fixtures."""
    setuptools_that_fits()
    files = repository()
    sdist, wheel = build(files, tmp_path)
    check_sdist(sdist, files)
    check_wheel(wheel, files)
    python, shell = install(wheel, tmp_path / "environment")

    def run(*command, **options):
        done = subprocess.run(
            [*map(str, command)], env=shell, cwd=tmp_path, capture_output=True, text=True, check=False, **options
        )
        assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
        return done.stdout

    where = run(python, "-I", "-c", "import convert; print(convert.__file__, convert.__version__)").split()
    assert where[0].startswith(str(tmp_path / "environment"))
    assert where[1] == PROJECT["version"]
    assert run(tmp_path / "environment" / "bin" / "imgconv", "--version") == f"imgconv {PROJECT['version']}\n"
    assert (tmp_path / "environment" / "share" / "man" / "man1" / "imgconv-convert.1").is_file()
    assert f"imgconv {PROJECT['version']} works" in run(python, ROOT / ".ci" / "smoke.py")

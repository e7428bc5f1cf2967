"""Fixtures that are not in the repository: looked up in a manifest, verified before use.

`tests/fixtures.json` lists each with its size and SHA-256. They are in `../shared` beside the repository, or
in the folder that IMGCONV_FIXTURES names. A test that uses one calls `get()`, which skips the test and
reports exactly what is missing or different.

    python tests/fixtures.py             list what is missing or different
    python tests/fixtures.py --update    write the manifest from the fixtures that are there
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import stat
import sys
from dataclasses import dataclass
from pathlib import Path

MANIFEST = Path(__file__).with_name("fixtures.json")
ROOT = Path(os.environ.get("IMGCONV_FIXTURES") or MANIFEST.parents[2] / "shared")
#: The folders of fixtures; each entry directly below one is a fixture.
FOLDERS = ("cases", "images", "vectors")


@dataclass(frozen=True, slots=True)
class Fixture:
    """A file, or a folder with all of its files.

    `size` counts the bytes of all files. `sha256` is that of the file; for a folder, that of its listing:
    for each file, ordered by path, its SHA-256, two spaces, its path below the folder, and a newline.
    """

    size: int
    sha256: str
    files: int = 1


def describe(path: Path) -> Fixture:
    """Return what a fixture is on the disk.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it holds something that is neither a file nor a folder.
    """
    if not path.is_dir():
        return Fixture(path.stat().st_size, _digest(path))
    listing, size, files = hashlib.sha256(), 0, 0
    for each in sorted(path.rglob("*"), key=lambda each: each.relative_to(path).as_posix()):
        mode = each.lstat().st_mode
        if stat.S_ISDIR(mode):
            continue
        if not stat.S_ISREG(mode):
            raise ValueError(f"{each} is neither a file nor a folder")
        listing.update(f"{_digest(each)}  {each.relative_to(path).as_posix()}\n".encode())
        size, files = size + each.stat().st_size, files + 1
    return Fixture(size, listing.hexdigest(), files)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@functools.cache
def manifest() -> dict[str, Fixture]:
    """Return the fixtures by path, relative to ROOT."""
    return {path: Fixture(**fields) for path, fields in json.loads(MANIFEST.read_bytes()).items()}


def names(folder: str) -> list[str]:
    """Return the names of the fixtures in a folder, without pages that describe them."""
    found = [path.removeprefix(f"{folder}/") for path in manifest() if path.startswith(f"{folder}/")]
    return [name for name in found if not name.endswith(".md")]


@functools.cache
def problem(name: str) -> str | None:
    """Return why a fixture cannot be used: not there, or different. None if it is as the manifest says.

    Raises:
        KeyError: the manifest does not list it.
    """
    wanted, path = manifest()[name], ROOT / name
    try:
        found = describe(path)
    except FileNotFoundError:
        return f"fixture {name} is missing: {path} does not exist"
    except (OSError, ValueError) as error:
        return f"fixture {name} cannot be used: {error}"
    if found != wanted:
        return f"fixture {name} is different: {path} is {_shown(found)}, not {_shown(wanted)}"
    return None


def _shown(fixture: Fixture) -> str:
    return f"{fixture.size} bytes in {fixture.files} files with sha256 {fixture.sha256}"


def get(name: str) -> Path:
    """Return the path of a fixture after verifying it, or skip the test that asks for it."""
    if reason := problem(name):
        import pytest  # the fuzzers run without it

        pytest.skip(reason)
    return ROOT / name


def present(folder: str) -> list[Path]:
    """Return the fixtures of a folder that are as the manifest says."""
    return [ROOT / folder / name for name in names(folder) if problem(f"{folder}/{name}") is None]


def update() -> None:
    """Write the manifest from the fixtures that are there."""
    found = {
        f"{folder}/{path.name}": describe(path) for folder in FOLDERS for path in sorted((ROOT / folder).iterdir())
    }
    lines = []
    for path, fixture in found.items():
        fields = {"size": fixture.size, "sha256": fixture.sha256}
        fields |= {"files": fixture.files} if (ROOT / path).is_dir() else {}
        lines.append(f" {json.dumps(path)}: {json.dumps(fields)}")
    MANIFEST.write_text("{\n" + ",\n".join(lines) + "\n}\n")


def main() -> int:
    """List what is missing or different, or write the manifest."""
    if sys.argv[1:] == ["--update"]:
        update()
        return 0
    reasons = [reason for name in manifest() if (reason := problem(name))]
    print("\n".join([*reasons, f"{len(manifest()) - len(reasons)} of {len(manifest())} fixtures can be used"]))  # noqa: T201
    return 1 if reasons else 0


if __name__ == "__main__":
    sys.exit(main())

"""Records of measurements: one JSON document for each run, kept in bench/records.

A record has the keys `kind`, `date`, `commit`, `machine`, `tools`, `input`, `notes` and `rows`. What a row
holds depends on the kind; bench/records/README.md describes each. A record is never overwritten: a second
one of the same kind and day gets a number. The pages show the newest of each kind (bench/figures.py).
"""

from __future__ import annotations

import datetime as dt
import json
import platform
import re
import subprocess
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = Path(__file__).parent / "records"
#: Name of a record: date, kind, and a number from the second of its day on.
NAME = re.compile(r"(\d{4}-\d\d-\d\d)-([a-z]+(?:-[a-z]+)*?)(?:-(\d+))?\.json")


@dataclass(frozen=True, slots=True)
class Record:
    """What one run of a benchmark or a campaign found."""

    kind: str
    date: str
    #: The commit that was measured; None if it is not known.
    commit: str | None
    machine: dict[str, Any]
    #: Version of each other tool, by name.
    tools: dict[str, str]
    #: What was measured: sizes in bytes, by name.
    input: dict[str, Any]
    notes: list[str]
    rows: list[dict[str, Any]] = field(default_factory=list)


def read(path: Path) -> Record:
    """Read a record.

    Raises:
        ValueError: its keys are not those of a record, or its name is not that of its date and kind.
    """
    name = NAME.fullmatch(path.name)
    try:
        record = Record(**json.loads(path.read_bytes()))
    except TypeError as error:
        raise ValueError(f"{path}: not a record: {error}") from error
    if name is None or (name[1], name[2]) != (record.date, record.kind):
        raise ValueError(f"{path}: a record of {record.date} must be named {record.date}-{record.kind}[-NUMBER].json")
    return record


def paths(kind: str | None = None, folder: Path = FOLDER) -> list[Path]:
    """Return the records of a kind, or all, oldest first."""
    found = []
    for path in folder.glob("*.json"):
        name = NAME.fullmatch(path.name)
        if name is None:
            raise ValueError(f"{path}: not named DATE-KIND[-NUMBER].json")
        if kind in (None, name[2]):
            found.append((name[1], int(name[3] or 1), name[2], path))
    return [path for *_, path in sorted(found)]


def newest(kind: str, folder: Path = FOLDER) -> Record:
    """Return the newest record of a kind.

    Raises:
        LookupError: there is none.
    """
    found = paths(kind, folder)
    if not found:
        raise LookupError(f"{folder} has no record of kind {kind!r}")
    return read(found[-1])


def write(record: Record, folder: Path = FOLDER) -> Path:
    """Write a record beside those that exist; return its path."""
    folder.mkdir(parents=True, exist_ok=True)
    path, number = folder / f"{record.date}-{record.kind}.json", 1
    while path.exists():
        number += 1
        path = folder / f"{record.date}-{record.kind}-{number}.json"
    path.write_text(dumps(record))
    return path


def dumps(record: Record) -> str:
    """Return a record as JSON, one line for each key and each row, so that changes are readable."""
    document = asdict(record)
    rows = document.pop("rows")
    lines = [f" {json.dumps(key)}: {json.dumps(value, ensure_ascii=False)},\n" for key, value in document.items()]
    items = ",\n".join("  " + json.dumps(row, ensure_ascii=False) for row in rows)
    return "{\n" + "".join(lines) + ' "rows": [\n' + items + "\n ]\n}\n"


def new(
    kind: str,
    rows: list[dict[str, Any]],
    *,
    machine: dict[str, Any],
    tools: dict[str, str] | None = None,
    input: dict[str, Any] | None = None,  # noqa: A002 - the key's name
    notes: list[str] | None = None,
) -> Record:
    """Return a record of today and of the commit that is checked out."""
    date = f"{dt.datetime.now(dt.UTC):%Y-%m-%d}"
    return Record(kind, date, commit(), machine, tools or {}, input or {}, notes or [], rows)


def commit(folder: Path = ROOT) -> str | None:
    """Return the commit that is checked out, with `-dirty` behind it if tracked files were changed."""
    command = ["git", "-C", str(folder), "describe", "--always", "--abbrev=40", "--dirty", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout.strip() or None


def system() -> str:
    """Return the operating system and its main version, in general terms: Linux 6.18."""
    return f"{platform.system()} {general(platform.release())}".strip()


def general(release: str) -> str:
    """Return the first two numbers of a version."""
    found = re.match(r"\d+(\.\d+)?", release)
    return found[0] if found else ""

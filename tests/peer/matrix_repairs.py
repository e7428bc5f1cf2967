"""Repair what a consumer refuses with `--for`, load the result there, and compare it with what was said.

    python tests/peer/matrix_repairs.py OUTCOMES.json REPAIRS.json FOLDER ARCHIVE…

For each archive that a consumer refused by OUTCOMES.json (matrix.py), the result of `--for` is written below FOLDER,
loaded into the real consumer, and its names and IDs compared with those that imgconv said. REPAIRS.json keeps what
was done: a run continues where it was ended. Consumers are found as matrix.py finds them.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from peer import matrix

import convert
from convert.errors import ImgconvError


def repair(archive, consumer, dest):
    """Write the result of `--for`; return the line that says what was chosen, or why nothing helps."""
    lines = []
    for path in (dest, dest.with_suffix("")):
        shutil.rmtree(path, ignore_errors=True)
        path.unlink(missing_ok=True)
    try:
        convert.convert(archive, dest, consumers=[str(consumer)], warn=lines.append)
    except ImgconvError as error:
        return None, f"{error.exit_status}: {error.message}"
    return dest, next(str(line) for line in lines if line.code == "chosen-for-consumers")


def key_of(path):
    """Return the digest of a file, or of a folder's files."""
    digest = hashlib.sha256()
    for each in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if each.is_file():
            digest.update(each.name.encode() + each.read_bytes())
    return digest.hexdigest()


def main(outcomes, record, folder, *archives):
    """Repair and load what was refused."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    record = Path(record)
    done = json.loads(record.read_text()) if record.exists() else {}
    refused = json.loads(Path(outcomes).read_text())
    drivers = matrix.consumers()
    loaded = {}
    only = [each for each in os.environ.get("IMGCONV_MATRIX_ONLY", "").split(",") if each]
    for name, driver in drivers.items():
        if only and not any(name.startswith(each) for each in only):
            continue
        consumer, way = matrix.consumer_of(name)
        rows = done.setdefault(name, {})
        for archive in map(Path, archives):
            outcome = refused.get(name, {}).get("archives", {}).get(archive.name)
            if outcome is None or outcome["loads"] or archive.name in rows:
                continue
            dest, what = repair(archive, consumer, folder / f"{os.getpid()}.tar")
            row = rows[archive.name] = {"what": what}
            if dest is not None:
                key = (name, key_of(dest))
                if key not in loaded:
                    loaded[key] = driver.load(dest.resolve()).document()
                said = matrix.judge(name, dest)
                row["loads"] = loaded[key]["loads"]
                row["wrong"] = list(matrix.differences(name, dest, loaded[key]))
                row["said"] = said.verdict.value
                # skopeo's other transports are not the one that was chosen.
                row["other way"] = bool(way) and not said.verdict.fits
        matrix.save(record, done)
        rows = done[name].values()
        repaired = sum(row.get("loads", False) for row in rows)
        wrong = sum(bool(row.get("wrong")) or (row.get("loads") is False and not row["other way"]) for row in rows)
        matrix.say(f"{name}: {len(rows)} refused, {repaired} repaired and loaded, {wrong} wrong")


if __name__ == "__main__":
    main(*sys.argv[1:])

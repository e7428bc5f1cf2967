"""Measure what a thin archive holds besides new layers (docs/thin.md#size), for every target.

    python bench/thin_size.py ARCHIVE…             print a table: median and maximum of each figure
    python bench/thin_size.py --each ARCHIVE…      print each archive too

Each archive is converted into the full form and two thin ones: one whose receiver has all of its layers, and
one whose receiver lacks the top layer of each image. All figures are bytes for each image:

- added: the mark and what it makes index.json longer by; all else is in the full archive too;
- beside: the thin archive, less the bytes of the blobs that it holds (configs, manifests, layers). It is the sum of
  `documents` (index.json, manifest.json, repositories, oci-layout), `v1` (v1 metadata), `mark` and `framing`
  (headers, padding and end of the tar).

A layout in a folder has no framing.
"""

from __future__ import annotations

import argparse
import collections
import json
import statistics
import tarfile
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import record
import tables
from measuring import machine

import convert
from convert.errors import ImgconvError

if TYPE_CHECKING:
    from collections.abc import Iterator

TARGETS = ("docker-save", "docker-save@25", "docker-save@29", "docker-oci", "oci", "oci-archive")
KEPT = ("no layer", "top layers")
FIGURES = ("added", "beside", "documents", "v1", "mark", "framing")
_CACHE = ".imgconv-layers.json"
_DOCUMENTS = {"index.json", "manifest.json", "repositories", "oci-layout", _CACHE}
_MARK_MEMBER, _MARK = ".imgconv-needs.json", "dev.imgconv.needs"


@dataclass(frozen=True, slots=True)
class Part:
    """One member of a tar or file of a folder: its content (b"" for links), and its bytes with what frames them."""

    content: bytes
    span: int


def parts(path: Path) -> tuple[dict[str, Part], int]:
    """Return the parts of an archive or layout by name, and its size in bytes."""
    if path.is_dir():
        files = {str(each.relative_to(path)): each.read_bytes() for each in path.rglob("*") if each.is_file()}
        found = {name: Part(content, len(content)) for name, content in files.items()}
        return found, sum(part.span for part in found.values())
    found = {}
    with tarfile.open(path) as tar:
        for each in tar:
            content = tar.extractfile(each).read() if each.isreg() else b""  # type: ignore[union-attr] # a file
            end = each.offset_data + -(-len(content) // 512) * 512
            found[each.name] = Part(content, end - each.offset)
    return found, path.stat().st_size


def marks(held: dict[str, Part]) -> int:
    """Return the bytes of the marks: of the member with its framing, or of the annotations with their punctuation."""
    size = held[_MARK_MEMBER].span if _MARK_MEMBER in held else 0
    if "index.json" in held:
        index = json.loads(held["index.json"].content)
        plain = json.loads(held["index.json"].content)
        for entry in plain["manifests"]:
            entry.get("annotations", {}).pop(_MARK, None)
        size += len(json.dumps(index, separators=(",", ":"))) - len(json.dumps(plain, separators=(",", ":")))
    return size


def figures(thin: Path, full: Path) -> dict[str, int]:
    """Return the figures of one thin archive."""
    held, size = parts(thin)
    whole, _ = parts(full)
    # A link of the full archive is the file itself where the file that it leads to is left out.
    nothing = Part(b"", 0)
    added = {
        name: part.span - whole.get(name, nothing).span
        for name, part in held.items()
        if name != _CACHE and (name not in whole or whole[name].content)
    }
    mark = marks(held)
    documents = sum(len(part.content) for name, part in held.items() if name in _DOCUMENTS)
    if _MARK_MEMBER not in held:
        documents -= mark
    v1 = blobs = 0
    for name, part in held.items():
        if name in _DOCUMENTS or name == _MARK_MEMBER:
            continue
        if name.endswith(("/VERSION", "/json")) or _is_v1(part.content):
            v1 += len(part.content)
        else:
            blobs += len(part.content)
    beside = size - blobs
    return {
        "added": sum(added.values()),
        "beside": beside,
        "documents": documents,
        "v1": v1,
        "mark": mark,
        "framing": beside - documents - v1 - mark,
    }


def _is_v1(content: bytes) -> bool:
    """Whether a blob is v1 metadata, which docker-save@25 has as blobs that nothing refers to."""
    if content[:1] != b"{":
        return False
    try:
        document = json.loads(content)
    except ValueError:
        return False
    return "rootfs" not in document and "id" in document


def have(full: Path, to: str, without: Path) -> int:
    """Write an inventory of all layers but the top one of each image; return the number of images."""
    document = convert.inspect(full).document
    images = [image["layers"][:-1] for image in document["images"]]
    if "docker-save" in to:
        text = json.dumps([{"RootFS": {"Layers": [layer["diff_id"] for layer in layers]}} for layers in images])
    else:
        tops = {image["layers"][-1]["digest"] for image in document["images"] if image["layers"]}
        text = json.dumps([layer["digest"] for layers in images for layer in layers if layer["digest"] not in tops])
    without.write_text(text)
    return len({image["image_id"] for image in document["images"]})


def measure(source: Path, folder: Path) -> Iterator[tuple[str, str, dict[str, float]]]:
    """Yield target, what is kept, and the figures for each image."""
    for to in TARGETS:
        full, thin, inventory = folder / f"full-{to}", folder / f"thin-{to}", folder / "have.json"
        try:
            convert.convert(source, full, to=to, force=True)
            count = have(full, to, inventory)
        except ImgconvError:
            continue
        for kept, without in zip(KEPT, (full, inventory), strict=True):
            if without == inventory and inventory.read_text() == "[]":
                continue
            report = convert.convert(source, thin, to=to, force=True, without=[str(without)])
            if report.needs:
                yield to, kept, {name: value / count for name, value in figures(thin, full).items()}


def summary(found: dict[tuple[str, str], list[dict[str, float]]]) -> list[dict[str, Any]]:
    """Return the rows of the record."""
    rows = []
    for (to, kept), each in found.items():
        columns = {name: [row[name] for row in each] for name in FIGURES}
        shown = {
            name: {"median": round(statistics.median(column)), "maximum": round(max(column))}
            for name, column in columns.items()
        }
        rows.append({"target": to, "kept": kept, "archives": len(each), "figures": shown})
    return rows


def main() -> None:
    """Print the table."""
    given = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    given.add_argument("archives", nargs="+", type=Path)
    given.add_argument("--each", action="store_true", help="print each archive too")
    given.add_argument("--record", action="store_true", help="add the table to bench/records")
    options = given.parse_args()
    found: dict[tuple[str, str], list[dict[str, float]]] = collections.defaultdict(list)
    for source in options.archives:
        with tempfile.TemporaryDirectory() as folder:
            for to, kept, row in measure(source, Path(folder)):
                found[to, kept].append(row)
                if options.each:
                    print(to, kept, source.name, {name: round(value) for name, value in row.items()})
    result = record.new("thin-size", summary(found), machine=machine())
    print(tables.render(result))
    if options.record:
        print(record.write(result))


if __name__ == "__main__":
    main()

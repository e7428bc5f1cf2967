"""Reading golden vectors (golden/README.md)."""

from __future__ import annotations

from pathlib import Path

GOLDEN = Path(__file__).parent / "golden"


def read_vectors(name: str) -> dict[str, tuple[str, dict[int, tuple[int, str]]]]:
    """Return, for each input, its sha256 and, for each level, size and sha256 of the output."""
    vectors: dict[str, tuple[str, dict[int, tuple[int, str]]]] = {}
    for line in (GOLDEN / name).read_text().splitlines():
        words = line.split()
        if words[0] == "#":
            continue
        if len(words) == 2:
            levels: dict[int, tuple[int, str]] = {}
            vectors[words[0]] = (words[1], levels)
        else:
            levels[int(words[0])] = (int(words[1]), words[2])
    return vectors

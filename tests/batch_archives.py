"""Small archives in any number, and tables of batches that can be compared."""

from __future__ import annotations

import hashlib
import json
import random

from support import tar_of

from convert import batch


def archive(seed: int, size: int = 20_000) -> bytes:
    """Return a docker-save archive with one image of one layer; others have other seeds."""
    source = random.Random(seed)
    layer = tar_of({f"file{seed}": source.randbytes(size // 2), "zeros": bytes(size // 2)})
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{hashlib.sha256(layer).hexdigest()}"]},
        }
    ).encode()
    name = f"{hashlib.sha256(config).hexdigest()}.json"
    manifest = json.dumps([{"Config": name, "RepoTags": [f"app{seed}:1"], "Layers": ["layer.tar"]}]).encode()
    return tar_of({name: config, "layer.tar": layer, "manifest.json": manifest})


def write_archives(folder, count: int, size: int = 20_000) -> None:
    """Write archives into a folder; every tenth is damaged."""
    folder.mkdir()
    for seed in range(count):
        data = archive(seed, size)
        if seed % 10 == 3:
            data = data[: len(data) // 2]
        (folder / f"{seed:05}.tar").write_bytes(data)


def table_of(journal) -> list[dict]:
    """Return the rows of a journal without what every run has another value for."""
    rows = [row.document() for row in batch.read_journal(journal).values()]
    for row in rows:
        row.pop("seconds")
        row.pop("mtime")
    return rows

"""What an update from one image to another costs, from documents of `inspect`."""

from __future__ import annotations

from typing import Any

Document = dict[str, Any]


def update_cost(old: Document, new: Document) -> Document:
    """Return how many layers of `new` a machine lacks that has `old`, and their bytes as `new` stores them.

    A layer whose content `old` has in other bytes is transferred again by a registry, which knows layers by the
    digest of what is stored; it counts as recompressed. Where one of both has no digest, because it stores the layer
    uncompressed, the content decides: the same tool compresses it to the same bytes.
    """
    stored: dict[str, set[str | None]] = {}
    for layer in old["layers"]:
        stored.setdefault(layer["diff_id"], set()).add(layer["digest"])
    counts = {kind: [0, 0, 0] for kind in ("kept", "recompressed", "new")}
    uncompressed = False
    seen: set[str] = set()
    for layer in new["layers"]:
        if layer["diff_id"] in seen:
            continue
        seen.add(layer["diff_id"])
        there = stored.get(layer["diff_id"])
        if there is None:
            kind = "new"
            uncompressed = uncompressed or layer["compression"] in {None, "none"}
        else:
            kind = "kept" if layer["digest"] is None or layer["digest"] in there or None in there else "recompressed"
        counts[kind][0] += 1
        counts[kind][1] += layer["size"] or 0
        counts[kind][2] += layer["size"] is None
    return {
        **{kind: {"layers": layers, "bytes": size} for kind, (layers, size, _) in counts.items()},
        "unknown_sizes": sum(unknown for _, _, unknown in counts.values()),
        "uncompressed": uncompressed,
    }

"""Layers that a layout already holds: DiffID to digest, for each profile.

Written beside the blobs where other tools do not look, so that adding a second
image compresses only what the first did not have. An entry was proved when it
was made: that profile turned a layer of that DiffID into that blob.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert import documents
from convert.digest import Digest
from convert.errors import InputError
from convert.limits import MAX_DOCUMENT_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Beside `blobs/`; image-spec names no file that starts with a dot.
NAME: Final = ".imgconv-layers.json"
_VERSION: Final = 1


@dataclass(slots=True)
class KnownLayers:
    """What is known: profile name and DiffID to digest and size of the blob."""

    layers: dict[tuple[str, Digest], tuple[Digest, int]] = field(default_factory=dict)

    def find(self, profile: str, diff_id: Digest) -> tuple[Digest, int] | None:
        """Return digest and size of what `profile` makes of a layer."""
        return self.layers.get((profile, diff_id))

    def add(self, profile: str, diff_id: Digest, digest: Digest, size: int) -> None:
        """Remember what was made in this run."""
        self.layers[profile, diff_id] = (digest, size)

    def document(self) -> bytes:
        """Return the file: compact and sorted, the same for the same layers."""
        profiles: dict[str, dict[str, Any]] = {}
        for (profile, diff_id), (digest, size) in sorted(self.layers.items()):
            profiles.setdefault(profile, {})[str(diff_id)] = {"digest": str(digest), "size": size}
        return json.dumps({"version": _VERSION, "profiles": profiles}, separators=(",", ":")).encode()


def read(layout: str) -> KnownLayers:
    """Read what a layout folder knows; nothing where the file is absent or not ours.

    The file only saves work: damage to it is no reason to stop.
    """
    try:
        with open(os.path.join(layout, NAME), "rb") as file:
            raw = file.read(MAX_DOCUMENT_SIZE + 1)
        return KnownLayers(dict(_entries(documents.parse(raw, where=layout, member=NAME))))
    except (OSError, InputError, TypeError, KeyError, AttributeError):
        return KnownLayers()


def _entries(value: Any) -> Iterator[tuple[tuple[str, Digest], tuple[Digest, int]]]:
    if not isinstance(value, dict) or value.get("version") != _VERSION:
        return
    for profile, layers in value["profiles"].items():
        for diff_id, blob in layers.items():
            if isinstance(blob["size"], int):
                yield (profile, Digest.parse(diff_id)), (Digest.parse(blob["digest"]), blob["size"])

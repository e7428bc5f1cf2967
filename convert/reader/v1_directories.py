"""Match the v1 directories of an archive that also has a `manifest.json` to its images.

podman and skopeo store layers outside the v1 directories and put links there, so
only `repositories`, the links and the `parent` of each `json` identify them
(docs/formats-oci.md#archives-of-podman-and-skopeo).
"""

from __future__ import annotations

import re
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from convert.errors import InputError
from convert.jsonio import strict

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from convert.model.blob import Blob
    from convert.model.image import Layer
    from convert.reader.document import Reading

_LAYER: Final = re.compile(r"(?:\./)?([0-9a-f]{64})/layer\.tar\Z")
#: A v1 ID.
V1_ID: Final = re.compile(r"[0-9a-f]{64}\Z")
#: Directories that are searched for one untagged image; empty layers are shared by many.
_MOST_TOPS: Final = 100


def follow_parents(top: str, count: int, parent: Callable[[str], str | None]) -> list[str]:
    """Follow `parent` from a top v1 ID; lowest first, nothing unless the chain has `count` IDs.

    `parent` returns the ID of the layer below, None for the lowest.
    """
    chain: list[str] = []
    v1_id: str | None = top
    while v1_id and V1_ID.match(v1_id) and len(chain) < count:
        chain.append(v1_id)
        v1_id = parent(v1_id)
    return chain[::-1] if len(chain) == count and not v1_id else []


class V1Folders:
    """Reads each directory and document once, for all images."""

    def __init__(self, reading: Reading) -> None:
        """Nothing is read yet."""
        self._reading = reading
        self._parents: dict[str, str | None] = {}

    def ids(self, paths: Sequence[str], layers: Sequence[Layer], tags: Sequence[str]) -> tuple[str, ...] | None:
        """Return an image's own v1 IDs where every layer has one (64 hex), lowest first.

        `paths` are the names of the layers in `manifest.json`, `tags` the RepoTags.

        Raises:
            InputError: `repositories` or a `json` on the way is damaged.
        """
        if not paths:
            return None
        matches = [_LAYER.match(path) for path in paths]
        if all(matches):
            return tuple(match.group(1) for match in matches if match)
        named = self._chains(self._named(tags), layers)
        if named:
            return named[0]
        # Nothing names them: only the one stack of directories that can be the image's is.
        held = self._chains(self._held(layers[-1]), layers)
        return held[0] if len(held) == 1 else None

    def _chains(self, tops: Sequence[str], layers: Sequence[Layer]) -> list[tuple[str, ...]]:
        """Return the stacks under these v1 IDs that hold just these layers."""
        found = []
        for top in dict.fromkeys(tops):
            chain = self._chain(top, len(layers))
            if chain and all(self._layer(v1_id) is layer.blob for v1_id, layer in zip(chain, layers, strict=True)):
                found.append(tuple(chain))
        return found

    def _held(self, layer: Layer) -> list[str]:
        """Return the v1 IDs with this layer on top."""
        return self._folders_of.get(layer.blob, []) if layer.blob is not None else []

    def _named(self, tags: Sequence[str]) -> list[str]:
        """Return the v1 IDs that `repositories` gives to these names."""
        table = self._table if isinstance(self._table, dict) else {}
        tops = []
        for text in tags:
            repository, _, tag = text.rpartition(":")
            named = table.get(repository)
            top = named.get(tag) if isinstance(named, dict) else None
            if isinstance(top, str) and V1_ID.match(top):
                tops.append(top)
        return tops

    @cached_property
    def _table(self) -> Any:
        if self._reading.tree.find("repositories") is None:
            return None
        return self._reading.parse(self._reading.read("repositories"), "repositories")

    @cached_property
    def _folders_of(self) -> dict[Blob, list[str]]:
        """The v1 IDs whose `layer.tar` are the same bytes, by blob."""
        found: dict[Blob, list[str]] = {}
        for name in self._reading.tree.names():
            v1_id, _, rest = name.partition("/")
            if rest != "json" or not V1_ID.match(v1_id):
                continue
            try:
                blob = self._layer(v1_id)
            except InputError:
                continue  # no image names it
            held = found.setdefault(blob, []) if blob is not None else []
            if len(held) < _MOST_TOPS:
                held.append(v1_id)
        return found

    def _chain(self, top: str, count: int) -> list[str]:
        """Return the directories under a top v1 ID, lowest first; nothing unless there are `count` with a `json`."""
        chain = follow_parents(top, count, self._parent)
        return chain if all(self._exists(v1_id) for v1_id in chain) else []

    def _exists(self, v1_id: str) -> bool:
        return self._reading.tree.find(f"{v1_id}/json") is not None

    def _parent(self, v1_id: str) -> str | None:
        if not self._exists(v1_id):
            return None
        if v1_id not in self._parents:
            member = f"{v1_id}/json"
            value = self._reading.parse(self._reading.read(member), member)
            parent = None
            if isinstance(value, dict):
                parent = strict.lookup(value, "parent", where=self._reading.file, member=member)
            self._parents[v1_id] = parent if isinstance(parent, str) and parent else None
        return self._parents[v1_id]

    def _layer(self, v1_id: str) -> Blob | None:
        return self._reading.tree.find(f"{v1_id}/layer.tar")

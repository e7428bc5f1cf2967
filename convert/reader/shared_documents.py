"""The documents of one source, for all readings of it: each is read, verified and parsed once."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convert.limits import MAX_KEPT_DOCUMENTS_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable

    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostics
    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.model.image_set import Name


@dataclass(slots=True)
class SharedDocuments:
    """What readings of one source have in common.

    Pushers read one source each in its own way, and each reading counts against the limits by itself. Only what
    was accepted is kept: a fault is found again by each reading, which reports it. Without `keeps`, there is only one
    reading, for which most documents need not be kept.
    """

    keeps: bool = False
    #: Configs by their members; `find_config` compares the bytes.
    _configs: dict[str, Config] = field(default_factory=dict)
    #: The names of each element of `manifest.json`, with the warnings about them.
    names: dict[int, tuple[tuple[Name, ...], Diagnostics]] = field(default_factory=dict)
    _raw: dict[str, bytes] = field(default_factory=dict)
    _verified: dict[str, tuple[Digest, int | None]] = field(default_factory=dict)
    _values: dict[Hashable, tuple[bytes, Any]] = field(default_factory=dict)
    _size: int = 0

    def read(self, tree: Tree, member: str) -> bytes:
        """Return a document's bytes; beyond `MAX_KEPT_DOCUMENTS_SIZE` they are read each time.

        Raises:
            InputError: as `Tree.read`.
        """
        raw = self._raw.get(member)
        if raw is None:
            raw = tree.read(member)
            self._size += len(raw)
            if self.keeps and self._size <= MAX_KEPT_DOCUMENTS_SIZE:
                self._raw[member] = raw
        return raw

    def is_verified(self, raw: bytes, digest: Digest, size: int | None, member: str) -> bool:
        """Return whether these very bytes of a member have been verified against a digest and a size."""
        return self._raw.get(member) is raw and self._verified.get(member) == (digest, size)

    def note_verified(self, raw: bytes, digest: Digest, size: int | None, member: str) -> None:
        """Take note that bytes were verified."""
        if self._raw.get(member) is raw:
            self._verified[member] = (digest, size)

    def value(self, raw: bytes, member: str, parse: Callable[[], Any]) -> Any:
        """Return the JSON value of a document, which `parse` returns the first time.

        Raises:
            FormatError: as `parse`.
        """
        known = self._values.get(member)
        if known is None or known[0] != raw:
            known = self._values[member] = (raw, parse())
        return known[1]

    def find_config(self, raw: bytes, member: str) -> Config | None:
        """Return the config that a member was parsed to, if it had these bytes."""
        found = self._configs.get(member)
        return found if found is not None and found.raw == raw else None

    def add_config(self, config: Config, member: str) -> None:
        """Keep the config of a member."""
        if self.keeps:
            self._configs[member] = config

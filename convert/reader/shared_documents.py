"""The documents of one source, for all readings of it: each is read, verified and parsed once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.limits import MAX_KEPT_DOCUMENTS_SIZE

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostics
    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.model.image_set import Name


class SharedDocuments:
    """What readings of one source have in common.

    Pushers read one source each in its own way, and each reading counts against the limits by itself. Only what
    was accepted is kept: a fault is found again by each reading, which reports it.
    """

    __slots__ = ("_configs", "_keeps", "_raw", "_size", "_values", "_verified", "names")

    def __init__(self, *, keeps: bool = False) -> None:
        """Without `keeps`, there is only one reading, for which most documents need not be kept."""
        self._keeps = keeps
        #: The names of each element of `manifest.json`, with the warnings about them.
        self.names: dict[int, tuple[tuple[Name, ...], Diagnostics]] = {}
        #: Configs by their members; `find_config` compares the bytes.
        self._configs: dict[str, Config] = {}
        self._raw: dict[str, bytes] = {}
        self._verified: dict[str, tuple[Digest, int | None]] = {}
        self._values: dict[str, tuple[bytes, Any]] = {}
        self._size = 0

    def read(self, tree: Tree, member: str) -> bytes:
        """Return a document's bytes; beyond `MAX_KEPT_DOCUMENTS_SIZE` they are read each time.

        Raises:
            InputError: as `Tree.read`.
        """
        raw = self._raw.get(member)
        if raw is None:
            raw = tree.read(member)
            self._size += len(raw)
            if self._keeps and self._size <= MAX_KEPT_DOCUMENTS_SIZE:
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
        if self._keeps:
            self._configs[member] = config

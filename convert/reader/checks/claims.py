"""What the documents of a source state about its blobs."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from convert.model.blob import Blob
    from convert.reader.checks.documents import Checked

_BLOB: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)\Z")
_DIR_BLOB: Final = re.compile(r"(?:([a-z0-9]+)-)?([0-9a-f]{64,})(?:\.manifest\.json)?\Z")


@dataclass(frozen=True, slots=True)
class Claim:
    """What a document states about a blob, and where.

    `diff_ids` are those of which the blob has to be one. `rule` is what is broken
    where digest or size are others; a claim under `layer-sources` describes a
    form that need not be the one that is there, unless the layer is `foreign`:
    then readers refuse another form, and the finding is an error. `layer` is true
    for a file system layer, which is a tar.
    """

    named_by: str
    place: str | None = None
    digest: Digest | None = None
    size: int | None = None
    diff_ids: tuple[Digest, ...] = ()
    media_type: str | None = None
    rule: str | None = None
    layer: bool = False
    foreign: bool = False

    @property
    def by(self) -> str:
        """Where it is stated."""
        return f"{self.named_by} at {self.place}" if self.place else self.named_by


@dataclass(slots=True, eq=False)
class ClaimedBlob:
    """One blob and the claims about it."""

    blob: Blob
    member: str
    claims: dict[Claim, None] = field(default_factory=dict)


class Claims:
    """The claims about all blobs of a source; no blob is read here."""

    def __init__(self, checked: Checked) -> None:
        """Start without claims."""
        self._checked = checked
        self._blobs: dict[Blob, ClaimedBlob] = {}
        self._unnamed: list[tuple[str, Blob]] = []
        self._form = _BLOB

    def add(self, blob: Blob, member: str, claim: Claim) -> None:
        """Add what a document states about a blob."""
        self._blobs.setdefault(blob, ClaimedBlob(blob, member)).claims.setdefault(claim)

    def add_own_names(self, *, is_dir: bool = False) -> None:
        """Claim the digests in the names of blobs whose digest no document gives; report unnamed blobs.

        To be called when every document was read. `is_dir`: the blobs are named as in a `dir:` folder.
        """
        self._form = _DIR_BLOB if is_dir else _BLOB
        for name in self._checked.tree.names():
            if not self._form.match(name.removeprefix("./")) or (blob := self._checked.find(name)) is None:
                continue
            claimed = self._blobs.get(blob)
            if claimed is None:
                self._unnamed.append((name, blob))
            elif not any(claim.digest is not None for claim in claimed.claims) and (claim := self._own_name(name)):
                self.add(blob, name, claim)
        for name, _ in self._unnamed:
            self._checked.findings.add("unreferenced", "no document names it", member=name)

    def named(self) -> Collection[ClaimedBlob]:
        """Return the blobs that documents name."""
        return self._blobs.values()

    def unnamed(self) -> Iterator[ClaimedBlob]:
        """Yield the blobs that no document names; there may be hundreds of thousands."""
        for name, blob in self._unnamed:
            claim = self._own_name(name)
            if claim is not None:
                yield ClaimedBlob(blob, name, {claim: None})

    def _own_name(self, name: str) -> Claim | None:
        """Return what the name of a blob states about it."""
        match = self._form.match(name.removeprefix("./"))
        try:
            return Claim("its name", digest=Digest(match[1] or "sha256", match[2])) if match else None
        except FormatError:
            return None

"""Which tags of a registry's storage a finding affects."""

from __future__ import annotations

import heapq
import re
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError, UnsafeInputError
from convert.limits import MAX_INDEX_DEPTH, MAX_STORED_TAGS
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from convert.reader.checks.stored_blobs import StoredBlobs
    from convert.reader.checks.stored_manifests import StoredManifest

_BLOB: Final = re.compile(r"blobs/([a-z0-9]+)/([0-9a-f]+)\Z")
#: Names that are kept of each finding.
MOST_NAMES: Final = 100
#: Pairs of a manifest and a finding that are kept; the names of a storage with more are incomplete.
_MOST_REACHED: Final = 2_000_000


class RegistryNames:
    """The tags of a storage, and which repository has a manifest without one."""

    def __init__(self) -> None:
        """Start without tags."""
        self._tags: list[tuple[str, str, int]] = []
        self._repositories: dict[int, str] = {}
        self._repository = ""
        self._own_tags: dict[int, list[str]] = {}

    def begin(self, repository: str) -> None:
        """Take tags and manifests of this repository from now on."""
        self._repository = repository
        self._own_tags = {}

    def add_tag(self, tag: str, number: int) -> None:
        """Take a tag that names a manifest.

        Raises:
            UnsafeInputError: there are too many.
        """
        if len(self._tags) >= MAX_STORED_TAGS:
            raise UnsafeInputError(
                f"the storage has more than {MAX_STORED_TAGS} tags",
                code="too-many-names",
                hint="check one repository at a time: registry:ROOT/REPOSITORY",
            )
        self._tags.append((self._repository, tag, number))
        self._own_tags.setdefault(number, []).append(f"{self._repository}:{tag}")

    def add_revision(self, number: int) -> None:
        """Take a manifest that the repository links."""
        self._repositories.setdefault(number, self._repository)

    def of(self, manifest: int, digest: Digest) -> tuple[list[str], int]:
        """Return the first tags by which the repository names a manifest, and their number; without one its digest."""
        names = self._own_tags.get(manifest) or [f"{self._repository}@{digest}"]
        return names[:MOST_NAMES], len(names)

    def namer(
        self, blobs: StoredBlobs, manifests: Mapping[int, StoredManifest | None], members: Iterable[str | None]
    ) -> Callable[[str], tuple[Sequence[str], int] | None]:
        """Return a function that gives the first names that lead to one of `members`, a blob, and how many do."""
        wanted: dict[int, str] = {}
        for member in members:
            match = _BLOB.match(member or "")
            if match:
                try:
                    wanted[blobs.number(Digest(match[1], match[2]))] = match[0]
                except FormatError:
                    continue
        reached = _reached(set(wanted), manifests)
        tags: dict[int, list[tuple[int, str]]] = {}
        counts: dict[int, int] = {}
        for position, (repository, tag, number) in enumerate(self._tags):
            if number in reached:
                counts[number] = counts.get(number, 0) + 1
                if counts[number] <= MOST_NAMES:
                    tags.setdefault(number, []).append((position, f"{repository}:{tag}"))
        position = len(self._tags)
        for number, repository in self._repositories.items():
            if number in reached and number not in tags:
                tags[number] = [(position, f"{repository}@{blobs.digest(number)}")]
        names: dict[str, tuple[list[str], int]] = {}
        leading: dict[int, list[int]] = {}
        for manifest, numbers in reached.items():
            for number in numbers if manifest in tags else ():
                leading.setdefault(number, []).append(manifest)
        for number, sources in leading.items():
            tagged = [source for source in sources if source in counts]
            # A manifest without a tag counts only where no tag leads there.
            chosen = tagged or sources
            first = heapq.nsmallest(MOST_NAMES, (entry for source in chosen for entry in tags[source]))
            names[wanted[number]] = [name for _, name in first], sum(counts.get(source, 1) for source in chosen)
        return names.get


def _reached(wanted: set[int], manifests: Mapping[int, StoredManifest | None]) -> dict[int, set[int]]:
    """Return, for each manifest, which of some blobs it is or leads to."""
    reached: dict[int, set[int]] = {number: {number} for number in wanted}
    if not wanted:
        return reached
    room = _MOST_REACHED
    for number, manifest in manifests.items():
        direct = wanted.intersection(manifest.parts) if manifest is not None and room > 0 else None
        if direct:
            reached.setdefault(number, set()).update(direct)
            room -= len(direct)
    for _ in range(MAX_INDEX_DEPTH):
        grown = False
        for number, manifest in manifests.items():
            for child in manifest.children if manifest is not None else ():
                below = reached.get(child)
                if below and room > 0 and not below <= reached.setdefault(number, set()):
                    reached[number] |= below
                    room -= len(below)
                    grown = True
        if not grown:
            break
    return reached

"""The links of a registry's storage: what each repository has, and what its tags name."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.errors import InputError, StorageError, UnsafeInputError
from convert.limits import MAX_STORED_PARTS
from convert.model.digest import Digest
from convert.reader.findings import MAX_FINDINGS, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from convert.archive.registry_storage import RegistryStorage
    from convert.reader.checks.registry_names import RegistryNames
    from convert.reader.checks.stored_blobs import StoredBlobs
    from convert.reader.checks.stored_manifests import StoredManifest, StoredManifests
    from convert.reader.findings import Findings

#: The tag under which clients list what refers to a manifest, where a registry does not (OCI distribution-spec,
#: "Referrers Tag Schema").
_REFERRERS: Final = re.compile(r"(sha256|sha512)-([0-9a-f]+)\Z")


class RegistryLinks:
    """Checks the links of repositories, one repository after the other.

    A registry may be writing: what a list did not have is looked for once more before it is reported.
    """

    def __init__(
        self,
        storage: RegistryStorage,
        blobs: StoredBlobs,
        manifests: StoredManifests,
        names: RegistryNames,
        findings: Findings,
    ) -> None:
        """Nothing is checked yet."""
        self._storage = storage
        self._blobs = blobs
        self._manifests = manifests
        self._names = names
        self._findings = findings
        self._compared = 0
        self._unlinked = 0

    def _count(self, number: int) -> None:
        """Count what is compared in all repositories: a small storage can link one large manifest very often.

        Raises:
            UnsafeInputError: it is too much.
        """
        self._compared += number
        if self._compared > MAX_STORED_PARTS:
            raise UnsafeInputError(
                f"the manifests of all repositories name more than {MAX_STORED_PARTS} blobs", code="too-many-layers"
            )

    def check(self, repository: str) -> None:
        """Check everything in a repository.

        Raises:
            UnsafeInputError: there is too much of it.
        """
        storage = self._storage
        self._names.begin(repository)
        tags = {tag: self._tag(repository, tag) for tag in storage.tags(repository)}
        layers = self._linked(repository, storage.layers(repository), storage.layer_path)
        revisions = self._linked(repository, storage.revisions(repository), storage.revision_path)
        for linked in layers | revisions:
            self._blobs.mark_linked(linked)
        for tag, number in tags.items():
            if number is not None:
                self._check_tag(repository, tag, number, revisions)
        found = self._read(repository, sorted(revisions))
        self._check_parts(repository, found, layers, revisions)
        self._check_stale(repository, found, layers)
        self._check_referrers(repository, tags, found)

    def check_one(self, repository: str, tag: str, digest: Digest | None) -> None:
        """Check the links of one manifest, by its tag or digest, and of what it leads to."""
        self._names.begin(repository)
        number = self._tag(repository, tag) if tag else None
        if number is None and digest is not None:
            number = self._blobs.number(digest)
        if number is None:
            return
        if tag:
            self._check_tag(repository, tag, number, set())
        found: dict[int, StoredManifest | None] = {}
        pending = [number]
        while pending:
            each = pending.pop()
            if each not in found:
                found.update(self._read(repository, [each]))
                manifest = found[each]
                pending += manifest.children if manifest is not None else ()
        self._check_parts(repository, found, set(), set())

    # -- links -----------------------------------------------------------------

    def _link(self, repository: str, path: str, digest: Digest) -> bool:
        """Return whether there is a link; report one with another content."""
        try:
            got = self._storage.read_link(path)
        except (InputError, StorageError) as error:
            if isinstance(error, InputError) and error.code == "missing-link":
                return False
            self._report_link(error, path, repository)
            return True
        if got != digest:
            self._findings.add(
                "registry-link", f"holds {got}, its path states {digest}", member=path, names=[repository]
            )
        return True

    def _report_link(self, error: InputError | StorageError, path: str, name: str) -> None:
        """Report a link that cannot be read."""
        rule = "duplicate-member" if error.code == "duplicate-member" else "registry-link"
        self._findings.add(rule, error.message, member=path, names=[name], severity=Severity.ERROR)

    def _linked(self, repository: str, digests: Iterable[Digest], path_of: Callable[[str, Digest], str]) -> set[int]:
        """Return the numbers of what a repository links; a deleted link leaves an empty folder."""
        return {
            self._blobs.number(digest)
            for digest in digests
            if self._link(repository, path_of(repository, digest), digest)
        }

    def _tag(self, repository: str, tag: str) -> int | None:
        """Return the number of the manifest that a tag names; None where its link is broken."""
        path = self._storage.tag_path(repository, tag)
        try:
            digest = self._storage.read_link(path)
        except (InputError, StorageError) as error:
            if isinstance(error, InputError) and error.code == "missing-link":
                self._findings.add("registry-tag", error.message, member=path, names=[f"{repository}:{tag}"])
            else:
                self._report_link(error, path, f"{repository}:{tag}")
            return None
        number = self._blobs.number(digest)
        self._names.add_tag(tag, number)
        return number

    def _check_tag(self, repository: str, tag: str, number: int, revisions: set[int]) -> None:
        storage, digest, name = self._storage, self._blobs.digest(number), f"{repository}:{tag}"
        revision = storage.revision_path(repository, digest)
        if number not in revisions and not self._link(repository, revision, digest):
            if storage.has_file(storage.tag_path(repository, tag)):
                message = f"names {digest}, which the repository does not link as a manifest"
                self._findings.add("registry-tag", message, member=storage.tag_path(repository, tag), names=[name])
            # The manifest may be there all the same.
            self._manifests.manifest(digest)
            self._blobs.mark_named(number)
        listed = False
        for each in storage.tag_index(repository, tag):
            listed |= self._link(repository, storage.tag_index_path(repository, tag, each), each) and each == digest
        path = storage.tag_index_path(repository, tag, digest)
        if not listed and not storage.has_file(path):
            self._findings.add("registry-tag-index", "is missing", member=path, names=[name])

    # -- manifests -------------------------------------------------------------

    def _read(self, repository: str, numbers: Iterable[int]) -> dict[int, StoredManifest | None]:
        found: dict[int, StoredManifest | None] = {}
        for number in numbers:
            self._blobs.mark_named(number)
            self._names.add_revision(number)
            digest = self._blobs.digest(number)
            found[number] = self._manifests.manifest(digest)
            path = self._storage.revision_path(repository, digest)
            if found[number] is None and not self._blobs.exists(number) and self._storage.has_file(path):
                message = f"is not there, {path} links it as a manifest"
                self._findings.add("missing", message, member=self._blobs.member(number))
        return found

    def _check_parts(
        self, repository: str, found: dict[int, StoredManifest | None], layers: set[int], revisions: set[int]
    ) -> None:
        """Check that a repository links all that its manifests name."""
        storage, blobs = self._storage, self._blobs
        for number, manifest in found.items():
            if manifest is None:
                continue
            self._count(len(manifest.parts) + len(manifest.children))
            for part in manifest.parts:
                if part in layers or self._unlinked > MAX_FINDINGS:
                    continue
                path = storage.layer_path(repository, blobs.digest(part))
                if not blobs.exists(part) or self._link(repository, path, blobs.digest(part)):
                    continue
                self._report_unlinked("registry-layer", repository, number, part, path)
            for child in manifest.children:
                if child in revisions or self._unlinked > MAX_FINDINGS:
                    continue
                path = storage.revision_path(repository, blobs.digest(child))
                if self._link(repository, path, blobs.digest(child)):
                    continue
                if blobs.exists(child):
                    self._report_unlinked("registry-revision", repository, number, child, path)
                else:
                    self._unlinked += 1
                    message = f"is not in the source, {blobs.member(number)} lists it"
                    self._findings.add("absent-child", message, member=blobs.member(child), severity=Severity.WARNING)
            if manifest.subject >= 0 and not blobs.exists(manifest.subject):
                message = f"refers to {blobs.digest(manifest.subject)}, which is not in the source"
                self._findings.add("absent-subject", message, member=blobs.member(number), place="subject")

    def _report_unlinked(self, rule: str, repository: str, manifest: int, named: int, path: str) -> None:
        if not self._storage.has_file(self._storage.revision_path(repository, self._blobs.digest(manifest))):
            return  # deleted since it was read
        self._unlinked += 1
        names, count = self._names.of(manifest, self._blobs.digest(manifest))
        message = f"is missing, so that the registry does not serve {self._blobs.digest(named)}"
        self._findings.add(rule, message, member=path, names=names, name_count=count)

    def _check_stale(self, repository: str, found: dict[int, StoredManifest | None], layers: set[int]) -> None:
        """Report links to what is gone: garbage collection before distribution 3 leaves such links behind."""
        needed = {part for manifest in found.values() if manifest is not None for part in manifest.parts}
        for number in sorted(layers - needed):
            if not self._blobs.exists(number):
                path = self._storage.layer_path(repository, self._blobs.digest(number))
                message = f"links {self._blobs.digest(number)}, which is not there"
                self._findings.add("registry-stale-link", message, member=path, names=[repository])

    def _check_referrers(
        self, repository: str, tags: dict[str, int | None], found: dict[int, StoredManifest | None]
    ) -> None:
        """Compare the tags that list referrers with the manifests that state a subject."""
        subjects: dict[int, list[int]] = {}
        for number, manifest in found.items():
            if manifest is not None and manifest.subject >= 0:
                subjects.setdefault(manifest.subject, []).append(number)
        for tag, listed in tags.items():
            match = _REFERRERS.match(tag)
            index = found.get(listed) if listed is not None else None
            if match is None or index is None or not index.is_index:
                continue
            try:
                subject = self._blobs.number(Digest(match[1], match[2]))
            except InputError:
                continue
            self._count(len(index.children))
            children = set(index.children)
            for child in sorted(children):
                below = found.get(child)
                if below is not None and below.subject != subject:
                    message = f"does not refer to {match[1]}:{match[2]}, though {tag} lists it"
                    self._add_referrer(repository, tag, child, message)
            for number in subjects.get(subject, ()):
                if number not in children:
                    message = f"refers to {match[1]}:{match[2]}, and {tag} does not list it"
                    self._add_referrer(repository, tag, number, message)

    def _add_referrer(self, repository: str, tag: str, number: int, message: str) -> None:
        self._findings.add("referrers", message, member=self._blobs.member(number), names=[f"{repository}:{tag}"])

"""The storage of a registry, shown as an OCI layout of what is selected in it.

So every command reads it with the reader of layouts. The members are `oci-layout`, an `index.json`
that is made from the tags, and the blobs under their digests.
"""

from __future__ import annotations

import json
import re
import shlex
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from convert.archive.blob import MemoryBlob
from convert.archive.member import Member
from convert.archive.registry_blob import StoredBlob
from convert.archive.registry_manifest import ManifestHead, read_head
from convert.archive.registry_selection import Selection
from convert.archive.registry_storage import RegistryStorage
from convert.archive.tree import Tree
from convert.diagnostics import Dropped
from convert.errors import (
    AbsentBlobError,
    FormatError,
    InputError,
    NoImageError,
    SelectionError,
    UnsafeInputError,
)
from convert.jsonio import strict
from convert.limits import MAX_ALL_IMAGES, MAX_DOCUMENT_SIZE, MAX_LISTED
from convert.model import mediatype
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.member import Kind
    from convert.model.blob import Blob

_INDEX: Final = "index.json"
_LAYOUT: Final = "oci-layout"
_REF_NAME: Final = "org.opencontainers.image.ref.name"
_BLOB: Final = re.compile(r"blobs/(sha256)/([0-9a-f]{64})\Z|blobs/(sha512)/([0-9a-f]{128})\Z")
#: Tags that an error lists.
_MOST: Final = 8


@dataclass(frozen=True, slots=True)
class _Top:
    """One entry of the layout: its name, "" for none, and the manifest."""

    name: str
    digest: Digest


def open_registry(tree: Tree, text: str) -> RegistryTree:
    """Return the storage in a tree, which is closed with it, and what `text` selects there.

    Raises:
        UsageError: `text` is not a selection.
        SelectionError: it selects nothing.
        InputError: the tree is not the storage of a registry.
    """
    try:
        return RegistryTree(tree, Selection.parse(text))
    except BaseException:
        tree.close()
        raise


class RegistryTree(Tree):
    """A storage as a layout. What was selected is found when it is opened, everything else when it is asked for."""

    is_folder = True
    is_registry = True

    def __init__(self, base: Tree, selection: Selection) -> None:
        """Show what is selected in the storage in `base`, which is closed with this tree.

        Raises:
            SelectionError: the repository, tag or manifest does not exist.
            InputError: `base` is not the storage of a registry.
        """
        super().__init__(base.where)
        self.base = base
        # What is found in the tar is found in the storage.
        self.warnings = base.warnings
        self.selection = selection
        root = shlex.quote(base.where) if base.is_folder else "ROOT"
        base.link_hint = f"to read what the links lead to: tar chf - -C {root} . | imgconv registry:-{selection} ..."
        self.storage = RegistryStorage(base, self._ignore)
        self._stored: dict[str, StoredBlob | None] = {}
        self._heads: dict[Digest, ManifestHead] = {}
        self._listed = 0
        self._check_selection()

    def _ignore(self, path: str, text: str) -> None:
        self._warn(f"{path} {text}; it is ignored", code="registry-ignored", member=path)

    def _check_selection(self) -> None:
        storage, chosen = self.storage, self.selection
        if not storage.has_repositories():
            raise NoImageError(
                "the storage has no repositories, so nothing states which blobs are images",
                code="no-repositories",
                file=self.where,
                hint="a copy of it needs the folder docker/registry/v2/repositories too",
            )
        if not chosen.repository:
            return
        if not storage.has_repository(chosen.repository):
            raise SelectionError(f"no repository {chosen.repository}", code="no-such-image", file=self.where)
        if chosen.tag and not storage.has_tag(chosen.repository, chosen.tag):
            tags = storage.tags(chosen.repository)
            more = f" and {len(tags) - _MOST} more" if len(tags) > _MOST else ""
            raise SelectionError(
                f"no tag {chosen.tag} in repository {chosen.repository}",
                code="no-such-image",
                file=self.where,
                hint=f"it has {', '.join(tags[:_MOST])}{more}" if tags else "it has no tags",
            )
        if chosen.digest and not storage.has_file(storage.revision_path(chosen.repository, chosen.digest)):
            raise SelectionError(
                f"no manifest {chosen.digest} in repository {chosen.repository}", code="no-such-image", file=self.where
            )

    # -- members ---------------------------------------------------------------

    def names(self) -> Sequence[str]:
        """Return the names of the documents; blobs are found by their digests."""
        return ("blobs", _INDEX, _LAYOUT)

    def children(self, folder: str) -> list[tuple[str, Kind]]:
        """Return the documents; blobs are not listed."""
        return [("blobs", "dir"), (_INDEX, "file"), (_LAYOUT, "file")] if not folder else []

    def member(self, name: str) -> Member | None:
        """Return a member of the layout."""
        if name == "blobs":
            return Member(name, "dir", 0)
        blob = self.find(name)
        return Member(name, "file", blob.size or 0) if blob is not None else None

    def find(self, name: str) -> Blob | None:
        """Return a document or a blob.

        Raises:
            InputError: the blob is not a regular file, or the tags cannot be listed.
        """
        if name == _LAYOUT:
            return MemoryBlob(b'{"imageLayoutVersion":"1.0.0"}', name)
        if name == _INDEX:
            return self._index
        match = _BLOB.match(name)
        if match is None:
            return None
        if name not in self._stored:
            path = self.storage.blob_path(Digest(match[1] or match[3], match[2] or match[4]))
            self._stored[name] = self._find(path, name)
        return self._stored[name]

    def _find(self, path: str, name: str) -> StoredBlob | None:
        try:
            blob = self.base.find(path)
        except InputError as error:
            error.member = name  # as the documents call it
            raise
        return StoredBlob(self.base, path, name, blob) if blob is not None else None

    def _blob(self, name: str, member: Member) -> Blob:
        raise NotImplementedError("find() makes the blobs of a registry")

    def _check_name(self, path: str) -> None:
        """Do nothing: a layout of digests has one blob of a name."""

    def check_unchanged(self) -> None:
        """Raise `InputError` if a blob that was found is not the same any more."""
        self.base.check_unchanged()

    def close(self) -> None:
        """Close the storage."""
        self.base.close()

    # -- index.json --------------------------------------------------------------

    @property
    def unresolved(self) -> Sequence[tuple[str, InputError]]:  # type: ignore[override]
        """Names whose manifest cannot be found, with the reason."""
        return self._tops[1]

    @cached_property
    def _index(self) -> MemoryBlob:
        tops, _ = self._tops
        descriptors = [
            {
                "mediaType": media_type,
                "digest": str(top.digest),
                "size": size,
                **({"annotations": {_REF_NAME: top.name}} if top.name else {}),
            }
            for top, media_type, size in tops
        ]
        document = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX, "manifests": descriptors}
        raw = json.dumps(document, separators=(",", ":")).encode()
        if len(raw) > MAX_DOCUMENT_SIZE:
            raise self._too_many_tags()
        return MemoryBlob(raw, _INDEX)

    def _too_many_tags(self) -> UnsafeInputError:
        return UnsafeInputError(
            f"more than {MAX_ALL_IMAGES} tags, or with names that are too long, are not read at once",
            code="too-many-images",
            file=self.where,
            hint="select a repository: registry:ROOT/REPOSITORY",
        )

    @cached_property
    def _tops(self) -> tuple[list[tuple[_Top, str, int]], list[tuple[str, InputError]]]:
        """The selected manifests with media type and size, and the names whose manifest cannot be found."""
        chosen = self.selection
        found: list[tuple[_Top, str, int]] = []
        faults: list[tuple[str, InputError]] = []
        if chosen.digest is not None:
            self._add(_Top("", chosen.digest), found)
        elif chosen.tag:
            # The one thing that was asked for: a fault in it is not about a part of the source.
            self._add(self._top(chosen.repository, chosen.tag, set()), found)
        else:
            for repository in [chosen.repository] if chosen.repository else self.storage.repositories():
                self._add_repository(repository, found, faults)
        if not found and not faults:
            raise NoImageError(
                "no repository has a tag in this storage",
                code="no-tags",
                file=self.where,
                hint="registry:ROOT/REPOSITORY@DIGEST selects a manifest; Harbor may have tags only in its database",
            )
        return found, faults

    def _top(self, repository: str, tag: str, named: set[str]) -> _Top:
        """Return what a tag names, if the repository has such a manifest; add it to `named` if it has not, too.

        Raises:
            FormatError: a link is missing or damaged.
        """
        digest = self.storage.read_link(self.storage.tag_path(repository, tag))
        named.add(str(digest))
        self._check_revision(repository, digest)
        return _Top(f"{repository}:{tag}", digest)

    def _check_revision(self, repository: str, digest: Digest) -> None:
        path = self.storage.revision_path(repository, digest)
        if not self.base.is_folder:
            self.base.find(path)  # raises if members of a tar differ
        if not self.storage.has_file(path):
            raise FormatError(
                f"is missing, so that the registry does not serve manifest {digest} of {repository}",
                code="missing-link",
                file=self.where,
                member=path,
            )

    def _add(self, top: _Top, found: list[tuple[_Top, str, int]]) -> ManifestHead:
        """Add a manifest to those that are shown.

        Raises:
            InputError: it is not there, or cannot be read.
        """
        if len(found) >= MAX_ALL_IMAGES:
            raise self._too_many_tags()
        name = f"blobs/{top.digest.algorithm}/{top.digest.hex}"
        blob = self.find(name)
        if blob is None:
            raise AbsentBlobError(
                f"is missing, though {top.name or 'a repository'} names it", file=self.where, member=name
            )
        head = self._head(top.digest)
        found.append((top, head.media_type, blob.size or 0))
        return head

    def _head(self, digest: Digest) -> ManifestHead:
        if digest not in self._heads:
            name = f"blobs/{digest.algorithm}/{digest.hex}"
            self._heads[digest] = read_head(strict.parse(self.read(name), where=self.where, member=name))
        return self._heads[digest]

    def _add_repository(
        self, repository: str, found: list[tuple[_Top, str, int]], faults: list[tuple[str, InputError]]
    ) -> None:
        """Add the tags of a repository, and what refers to them."""
        shown: set[str] = set()
        named: set[str] = set()
        pending: list[ManifestHead] = []
        for tag in self.storage.tags(repository):
            try:
                top = self._top(repository, tag, named)
                head = self._add(top, found)
            except UnsafeInputError as error:
                if error.code == "too-many-images":
                    raise
                faults.append((f"{repository}:{tag}", error))
            except InputError as error:
                faults.append((f"{repository}:{tag}", error))
            else:
                if str(top.digest) not in shown:
                    shown.add(str(top.digest))
                    pending.append(head)
        for head in pending:
            self._show_children(head, shown)
        self._add_referrers(repository, shown, named, found)

    def _show_children(self, head: ManifestHead, shown: set[str]) -> list[str]:
        """Add to `shown` what an index leads to; return what is new."""
        new: list[str] = []
        heads = [head]
        while heads:
            children = heads.pop().children
            self._listed += len(children)
            if self._listed > MAX_LISTED:
                raise UnsafeInputError(
                    f"its indexes list more than {MAX_LISTED} manifests, those of several repositories each time",
                    code="too-many-manifests",
                    file=self.where,
                )
            for text in children:
                if text not in shown:
                    shown.add(text)
                    new.append(text)
                    below = self._try_head(text)
                    if below is not None and below.children:
                        heads.append(below)
        return new

    def _try_head(self, text: str) -> ManifestHead | None:
        """Return what a manifest states, None if it cannot be read: the reader of layouts reports that."""
        try:
            digest = Digest.parse(text)
            return self._head(digest)
        except InputError:
            return None

    def _add_referrers(
        self, repository: str, shown: set[str], named: set[str], found: list[tuple[_Top, str, int]]
    ) -> None:
        """Add the manifests without a tag that refer to one that is shown; report the others.

        Those in `named` have a tag, whose fault is reported.
        """
        others = {str(digest): digest for digest in self.storage.revisions(repository) if str(digest) not in shown}
        about: dict[str, list[str]] = {}
        for text in others:
            head = self._try_head(text)
            if head is not None and head.subject is not None:
                about.setdefault(head.subject, []).append(text)
        pending = sorted(about.keys() & shown)
        while pending:
            for text in about.pop(pending.pop(), ()):
                if text not in shown:
                    shown.add(text)
                    new = self._show_children(self._add(_Top("", others[text]), found), shown)
                    pending += [each for each in (text, *new) if each in about]
        left = others.keys() - shown - named
        if left:
            what = "1 manifest without a tag is" if len(left) == 1 else f"{len(left)} manifests without a tag are"
            text = f"{repository}: {what} not read; registry:ROOT/{repository}@DIGEST selects one"
            self.warnings.append(Dropped(text, what="manifest", of=repository))

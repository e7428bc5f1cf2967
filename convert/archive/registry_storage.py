"""The files of a registry's storage, of Docker's registry and of those built on it (Harbor, GitLab).

Paths and links are those of distribution's registry/storage/paths.go. A link is a file that holds
the digest of a manifest or blob, nothing else. Links in the sense of a file system are not part of
a storage.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, BinaryIO, Final

from convert.errors import FormatError, InputError, UnknownFormatError, UnsafeInputError, shortened
from convert.limits import MAX_LINK_SIZE, MAX_REPOSITORY_PARTS
from convert.model.digest import Digest
from convert.model.reference import is_repository, is_tag

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from convert.archive.tree import Tree

#: Where a storage may begin below ROOT, the volume of a registry first.
PREFIXES: Final = ("docker/registry/v2", "registry/v2", "v2", "")
REPOSITORIES: Final = "repositories"
BLOBS: Final = "blobs"
_SPECIAL: Final = frozenset({"_manifests", "_layers", "_uploads"})
_HEX: Final = {"sha256": re.compile(r"[0-9a-f]{64}\Z"), "sha512": re.compile(r"[0-9a-f]{128}\Z")}
_LISTED: Final = re.compile(
    r"(.*(?:_manifests/tags|_manifests/revisions/[^/]+|_layers/[^/]+|blobs/[^/]+))/(.+)", re.DOTALL
)
#: Registries before distribution 3 write a link in place, so that it is empty for a moment.
_PAUSE: Final = 0.05
_MOST_PAUSES: Final = 100
#: How far the storage is looked for in a tar, which may have been made of a folder above it.
_MOST_DEEP: Final = 6
_MOST_FOLDERS: Final = 1000


def _split(path: str) -> tuple[str, str]:
    """Divide the path of a link or blob at the folder that holds many of them."""
    match = _LISTED.match(path)
    return (match[1], match[2]) if match else ("", path)


class RegistryStorage:
    """The links and blobs of one storage.

    `on_odd` is called with the path of what a registry does not serve (a folder without a valid name,
    a symbolic link) and with what is wrong with it.
    """

    def __init__(self, tree: Tree, on_odd: Callable[[str, str], None]) -> None:
        """Find where the storage begins in a tree.

        Raises:
            UnknownFormatError: there is none.
            UnsafeInputError: a symbolic link leads to it.
        """
        self.tree = tree
        self.on_odd = on_odd
        self._prefix = self._find_prefix()
        self._pauses = _MOST_PAUSES

    def _find_prefix(self) -> str:
        tree = self.tree
        for prefix in PREFIXES:
            root = f"{prefix}/" if prefix else ""
            # A layout has a folder `blobs` too.
            if tree.children(root + REPOSITORIES) or (tree.children(root + BLOBS) and not tree.member("oci-layout")):
                return root
        if not tree.is_folder:
            folders = [""]
            for folder in folders:  # which grows
                if tree.children(f"{folder}{PREFIXES[0]}"):
                    return f"{folder}{PREFIXES[0]}/"
                if folder.count("/") < _MOST_DEEP and len(folders) < _MOST_FOLDERS:
                    folders += [f"{folder}{name}/" for name, kind in tree.children(folder.rstrip("/")) if kind == "dir"]
        for prefix in PREFIXES[:-1]:
            parts = prefix.split("/")
            for count in range(1, len(parts) + 1):
                folder = "/".join(parts[:count])
                member = tree.member(folder)
                if member is not None and member.kind == "symlink":
                    raise UnsafeInputError(
                        f"its link to '{member.link}' is not followed",
                        code="link-outside",
                        file=tree.where,
                        member=folder,
                        hint="give the folder that it leads to as ROOT" if tree.is_folder else tree.link_hint,
                    )
        raise UnknownFormatError(
            "this is not the storage of a registry: it has no docker/registry/v2",
            code="not-registry-storage",
            file=self.tree.where,
            hint="ROOT is the folder that a registry's configuration calls rootdirectory, or a tar of it",
        )

    # -- paths -----------------------------------------------------------------

    def open_blob(self, digest: Digest) -> BinaryIO | None:
        """Open a blob of which nothing is kept; None as for `Tree.open_listed`."""
        return self.tree.open_listed(*_split(self.blob_path(digest)))

    def blob_size(self, digest: Digest) -> int | None:
        """Return the bytes of a blob that `open_blob` opens."""
        return self.tree.size_listed(*_split(self.blob_path(digest)))

    def blob_path(self, digest: Digest) -> str:
        """Return the path of a blob's bytes."""
        return f"{self._prefix}{BLOBS}/{digest.algorithm}/{digest.hex[:2]}/{digest.hex}/data"

    def layer_path(self, repository: str, digest: Digest) -> str:
        """Return the path of the link by which a repository has a blob."""
        return f"{self._repository(repository)}/_layers/{digest.algorithm}/{digest.hex}/link"

    def revision_path(self, repository: str, digest: Digest) -> str:
        """Return the path of the link by which a repository has a manifest."""
        return f"{self._repository(repository)}/_manifests/revisions/{digest.algorithm}/{digest.hex}/link"

    def tag_path(self, repository: str, tag: str) -> str:
        """Return the path of the link of a tag."""
        return f"{self._tags(repository)}/{tag}/current/link"

    def tag_index_path(self, repository: str, tag: str, digest: Digest) -> str:
        """Return the path of the link by which a tag remembers a manifest that it once named."""
        return f"{self._tags(repository)}/{tag}/index/{digest.algorithm}/{digest.hex}/link"

    def _repository(self, repository: str) -> str:
        return f"{self._prefix}{REPOSITORIES}/{repository}"

    def _tags(self, repository: str) -> str:
        return f"{self._repository(repository)}/_manifests/tags"

    # -- lists -----------------------------------------------------------------

    def has_repositories(self) -> bool:
        """Return whether there is anything in `repositories`."""
        return bool(self.tree.children(self._prefix + REPOSITORIES))

    def repositories(self) -> Iterator[str]:
        """Yield the names of all repositories, each before those below it."""
        folders = [""]
        while folders:
            folder = folders.pop()
            path = self._repository(folder) if folder else self._prefix + REPOSITORIES
            below = []
            held = set()
            for name, kind in self.tree.children(path):
                if folder and name in _SPECIAL:
                    held.add(name)
                elif kind != "dir":
                    self.on_odd(f"{path}/{name}", f"is a {kind}, not the folder of a repository")
                else:
                    below.append(f"{folder}/{name}" if folder else name)
            if held & {"_manifests", "_layers"}:
                if is_repository(folder):
                    yield folder
                else:
                    self.on_odd(path, "is not a valid name of a repository")
            for name in reversed(below):
                if name.count("/") < MAX_REPOSITORY_PARTS:
                    folders.append(name)
                else:
                    self.on_odd(self._repository(name), "is nested deeper than any repository")

    def has_repository(self, repository: str) -> bool:
        """Return whether there is a repository of this name."""
        return any(name in {"_manifests", "_layers"} for name, _ in self.tree.children(self._repository(repository)))

    def tags(self, repository: str) -> list[str]:
        """Return the tags of a repository."""
        found = []
        path = self._tags(repository)
        for name, kind in self.tree.children(path):
            if kind != "dir":
                self.on_odd(f"{path}/{name}", f"is a {kind}, not the folder of a tag")
            elif is_tag(name):
                found.append(name)
            else:
                self.on_odd(f"{path}/{name}", "is not a valid tag")
        return found

    def has_tag(self, repository: str, tag: str) -> bool:
        """Return whether there is a tag, whatever its link leads to."""
        member = self.tree.member(f"{self._tags(repository)}/{tag}")
        return member is not None

    def revisions(self, repository: str) -> Iterator[Digest]:
        """Yield the digests under which a repository lists manifests."""
        return self._digests(f"{self._repository(repository)}/_manifests/revisions")

    def layers(self, repository: str) -> Iterator[Digest]:
        """Yield the digests under which a repository lists blobs."""
        return self._digests(f"{self._repository(repository)}/_layers")

    def tag_index(self, repository: str, tag: str) -> Iterator[Digest]:
        """Yield the digests that a tag lists as those of its present and earlier manifests."""
        return self._digests(f"{self._tags(repository)}/{tag}/index")

    def blobs(self) -> Iterator[Digest]:
        """Yield the digests of all blobs, by the names of their folders."""
        for algorithm in self._algorithms(self._prefix + BLOBS):
            path = f"{self._prefix}{BLOBS}/{algorithm}"
            for start, kind in self.tree.children(path):
                if kind != "dir":
                    self.on_odd(f"{path}/{start}", f"is a {kind}, not a folder of blobs")
                    continue
                for digest in self._digests_of(f"{path}/{start}", algorithm):
                    if digest.hex.startswith(start):
                        yield digest
                    else:
                        self.on_odd(f"{path}/{start}/{digest.hex}", "is in the folder of other blobs")

    def _digests(self, path: str) -> Iterator[Digest]:
        for algorithm in self._algorithms(path):
            yield from self._digests_of(f"{path}/{algorithm}", algorithm)

    def _algorithms(self, path: str) -> Iterator[str]:
        for name, kind in self.tree.children(path):
            if name in _HEX and kind == "dir":
                yield name
            else:
                self.on_odd(f"{path}/{name}", "is not a folder of digests")

    def _digests_of(self, path: str, algorithm: str) -> Iterator[Digest]:
        for name, kind in self.tree.children(path):
            if kind == "dir" and _HEX[algorithm].match(name):
                yield Digest(algorithm, name)
            else:
                self.on_odd(f"{path}/{name}", "is not a folder whose name is a digest")

    # -- links -----------------------------------------------------------------

    def has_file(self, path: str) -> bool:
        """Return whether there is a file now, whatever was seen before."""
        if self.tree.size_listed(*_split(path)) is not None:
            return True
        self.tree.forget(path)
        try:
            return self.tree.find(path) is not None
        except InputError as error:
            return error.code == "duplicate-member"
        finally:
            self.forget(path)

    def forget(self, path: str) -> None:
        """Keep nothing about a file of which there are many."""
        self.tree.forget(path)
        self.tree.forget(path.rpartition("/")[0])

    def read_link(self, path: str) -> Digest:
        """Return the digest in a link now, whatever was seen before.

        Raises:
            FormatError: the file does not exist, or holds something else than a digest.
            UnsafeInputError: it is a FIFO or a device, or a link leads to it.
        """
        found = self._read_quickly(path)
        if found is not None:
            return found
        self.forget(path)
        try:
            return self._read_link(path)
        except InputError as error:
            if not self.tree.is_folder or error.code == "missing-link" or not self._pauses:
                raise
        finally:
            self.forget(path)
        # A registry may have been writing it.
        self._pauses -= 1
        time.sleep(_PAUSE)
        try:
            return self._read_link(path)
        finally:
            self.forget(path)

    def _read_quickly(self, path: str) -> Digest | None:
        """Return the digest in a link; None for a link with a fault."""
        stream = self.tree.open_listed(*_split(path))
        if stream is None:
            return None
        with stream:
            raw = stream.read(MAX_LINK_SIZE)
        algorithm, _, digits = raw.decode("latin-1").partition(":")
        known = _HEX.get(algorithm)
        return Digest(algorithm, digits) if known is not None and known.match(digits) else None

    def _read_link(self, path: str) -> Digest:
        member = self.tree.member(path)
        if member is not None and member.size > MAX_LINK_SIZE:
            raise self._no_digest(path, f"holds {member.size} bytes, and a digest has at most {MAX_LINK_SIZE}")
        if self.tree.find(path) is None:
            raise FormatError("is missing", code="missing-link", file=self.tree.where, member=path)
        raw = self.tree.read(path, MAX_LINK_SIZE)
        try:
            return Digest.parse(raw.decode())
        except (FormatError, UnicodeDecodeError):
            text = shortened(ascii(raw.decode("latin-1")), 80)
            raise self._no_digest(path, f"holds {text}, which is not a digest" if raw else "is empty") from None

    def _no_digest(self, path: str, text: str) -> FormatError:
        return FormatError(text, code="invalid-link", file=self.tree.where, member=path)

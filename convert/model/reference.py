"""Image references: `[domain/]path[:tag][@digest]`, by Docker's rules.

Grammar and normalisation are those of distribution/reference (v0.6, `Parse`,
`ParseNormalizedNamed`, `FamiliarString`), which Docker and containerd use: the same names are
accepted, with the same meaning.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Self

from convert.errors import FormatError
from convert.model.digest import Digest

DEFAULT_DOMAIN: Final = "docker.io"
DEFAULT_TAG: Final = "latest"

_LEGACY_DOMAIN: Final = "index.docker.io"
_OFFICIAL: Final = "library/"
#: Maximum number of characters of a path, without the domain (`RepositoryNameTotalLengthMax`).
_MAX_PATH: Final = 255

_LABEL: Final = r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?"
# IPv6 without zone; whether the address is valid is not checked.
_DOMAIN: Final = rf"(?:{_LABEL}(?:\.{_LABEL})*|\[[a-fA-F0-9:]+\])(?::[0-9]+)?"
_PART: Final = r"[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*"
_PATH: Final = rf"{_PART}(?:/{_PART})*"
_TAG: Final = r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}"
_DIGEST: Final = r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}"

_IMAGE_ID: Final = re.compile(r"[a-f0-9]{64}")
_TAG_ONLY: Final = re.compile(_TAG)
_NAME: Final = re.compile(rf"(?:(?P<domain>{_DOMAIN})/)?(?P<path>{_PATH})")
_REFERENCE: Final = re.compile(_NAME.pattern + rf"(?::(?P<tag>{_TAG}))?(?:@(?P<digest>{_DIGEST}))?")
_ARCHIVE_SUFFIXES: Final = (
    ".tar",
    ".tgz",
    ".txz",
    ".tbz",
    ".tbz2",
    ".tzst",
    ".gz",
    ".xz",
    ".bz2",
    ".zst",
    ".json",
    ".oci",
)


@dataclass(frozen=True, slots=True)
class Reference:
    """The name of an image, normalised: two spellings of one name are equal.

    `domain` is the registry (`docker.io` by default), `path` the repository in it (with `library/`
    for Docker's official images). `domain` is empty only if the first part of a name has a dot but
    is not a host name (`my_host.example/app`), as in distribution/reference.
    """

    domain: str
    path: str
    tag: str | None = None
    digest: Digest | None = None

    def __post_init__(self) -> None:
        """Refuse values that `parse` cannot return."""
        match = _NAME.fullmatch(self.repository)
        if not match or (match["domain"] or "", match["path"]) != (self.domain, self.path):
            raise FormatError(f"{_shown(self.repository)} is not a valid repository name", code="invalid-image-name")
        if len(self.path) > _MAX_PATH:
            raise FormatError(
                f"repository name {_shown(self.path)} has more than {_MAX_PATH} characters", code="invalid-image-name"
            )
        if self.tag is not None and not is_tag(self.tag):
            raise FormatError(f"{_shown(self.tag)} is not a valid tag", code="invalid-image-name")

    def __str__(self) -> str:
        """Return the familiar form, as Docker prints it."""
        return self.familiar

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a reference as a user or an archive spells it.

        `busybox` gives `docker.io/library/busybox`, without a tag.

        Raises:
            FormatError: not a reference; 64 hex digits, which are an image ID; a digest of an
                algorithm other than sha256 and sha512.
        """
        if not text:
            raise FormatError("an image name is empty", code="invalid-image-name")
        if _IMAGE_ID.fullmatch(text):
            raise FormatError(f"{_shown(text)} is an image ID, not an image name", code="invalid-image-name")
        domain, rest = _split_domain(text)
        match = _REFERENCE.fullmatch(f"{domain}/{rest}")
        if not match:
            repository = rest.partition("@")[0].partition(":")[0]
            if repository != repository.lower():
                raise FormatError(
                    f"{_shown(text)} is not a valid image name: the repository must be in lower case",
                    code="invalid-image-name",
                )
            raise FormatError(f"{_shown(text)} is not a valid image name", code="invalid-image-name")
        digest = Digest.parse(match["digest"]) if match["digest"] else None
        return cls(match["domain"] or "", match["path"], match["tag"], digest)

    @property
    def repository(self) -> str:
        """The full name without tag and digest: `docker.io/library/busybox`."""
        return f"{self.domain}/{self.path}" if self.domain else self.path

    @property
    def full(self) -> str:
        """The full name, `docker.io/library/busybox:1`, as in `io.containerd.image.name`."""
        return self.repository + self._rest

    @property
    def familiar_repository(self) -> str:
        """The short name without tag and digest: `busybox`, `a/b`, `localhost:5000/x`."""
        if self.domain != DEFAULT_DOMAIN:
            return self.repository
        official = self.path.removeprefix(_OFFICIAL)
        return self.path if "/" in official else official

    @property
    def familiar(self) -> str:
        """The short name, `busybox:1`, as in RepoTags.

        As in Docker, a repository of docker.io whose first part looks like a domain
        (`docker.io/a.b/c`) loses its domain too, and the result is parsed as another name.
        """
        return self.familiar_repository + self._rest

    @property
    def _rest(self) -> str:
        return (f":{self.tag}" if self.tag is not None else "") + (f"@{self.digest}" if self.digest is not None else "")

    def with_tag(self, tag: str | None) -> Self:
        """Return the reference with another tag.

        Raises:
            FormatError: `tag` is invalid.
        """
        return replace(self, tag=tag)

    def with_default_tag(self) -> Self:
        """Return the reference with the tag `latest` if it has neither tag nor digest."""
        return self if self.tag is not None or self.digest is not None else replace(self, tag=DEFAULT_TAG)


def is_tag(text: str) -> bool:
    """Return whether `text` is a tag: up to 128 of `A-Za-z0-9_.-`, not starting with `.` or `-`."""
    return _TAG_ONLY.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Return whether `text` is the name of a repository, with or without a domain, in the storage of a registry."""
    return len(text) <= _MAX_PATH and _NAME.fullmatch(text) is not None


def looks_like_image_name(text: str) -> bool:
    """Return whether a SOURCE that does not exist is probably meant as the name of an image.

    Every file name in lower case is also a reference; one that ends like an archive (`image.tar`)
    is meant as a file.
    """
    try:
        reference = Reference.parse(text)
    except FormatError:
        return False
    return reference.tag is not None or reference.digest is not None or not text.endswith(_ARCHIVE_SUFFIXES)


def _split_domain(text: str) -> tuple[str, str]:
    """Split into domain and rest, as `splitDockerDomain` does."""
    first, slash, rest = text.partition("/")
    # A part before a slash that cannot be a user name on Docker Hub is a domain.
    is_domain = slash and (first == "localhost" or any(char in first for char in ".:") or first != first.lower())
    domain, rest = (first, rest) if is_domain else (DEFAULT_DOMAIN, text)
    if domain == _LEGACY_DOMAIN:
        domain = DEFAULT_DOMAIN
    if domain == DEFAULT_DOMAIN and "/" not in rest:
        rest = _OFFICIAL + rest
    return domain, rest


def _shown(text: str) -> str:
    """Return a name for a message, quoted and shortened."""
    longest = 100
    return "'" + (text if len(text) <= longest else text[:longest] + "…") + "'"

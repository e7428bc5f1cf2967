"""The files of a `dir:` folder of skopeo and podman (containers/image directory/directory_transport.go)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from convert.model.digest import Digest

#: The file with the only image manifest, or with the index.
MANIFEST: Final = "manifest.json"
#: The file with the version of the transport; folders from before 2018 lack it.
VERSION: Final = "version"
#: What the version file holds; 1.2 states that a digest is not sha256.
VERSION_TEXT: Final = re.compile(rb"Directory Transport Version: (\d{1,9})\.(\d{1,9})\n")
#: The newest version that skopeo reads.
NEWEST_VERSION: Final = (1, 2)

_HEX: Final = r"[0-9a-f]{64}|[a-z0-9]+-[0-9a-f]{64,128}"
#: Blobs, the manifests that an index lists, and signatures.
BLOB: Final = re.compile(rf"(?:{_HEX})\Z")
CHILD: Final = re.compile(rf"(?:{_HEX})\.manifest\.json\Z")
SIGNATURE: Final = re.compile(rf"(?:(?:{_HEX})\.)?signature-\d+\Z")


def blob_file(digest: Digest) -> str:
    """Return the file of a config, a layer or another blob."""
    return digest.hex if digest.algorithm == "sha256" else f"{digest.algorithm}-{digest.hex}"


def child_file(digest: Digest) -> str:
    """Return the file of a manifest that an index lists."""
    return f"{blob_file(digest)}.manifest.json"


def version_text(*, sha256_only: bool) -> bytes:
    """Return what skopeo writes as the version."""
    return b"Directory Transport Version: 1.%d\n" % (1 if sha256_only else 2)

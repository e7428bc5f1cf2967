"""What every writer is given besides the images.

A writer is a pure function: it turns an `ImageSet` into the members of an
archive and opens nothing. Whatever needs bytes (compressing, hashing, copying)
belongs to the caller, who hands it in here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.model.blob import Blob, Content
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Layer

#: How v1 layer IDs are made; `keep` takes the source's where every layer has one.
V1Scheme = Literal["docker", "chain-free", "skopeo", "keep"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The caller's side of a writer.

    `content` gives exactly the bytes to write for a layer: uncompressed for the
    two docker-save forms, as `Layer.stored` describes them for the others.
    `blob` gives those of anything else that a descriptor names, verified against
    it. `layer_digest` is the digest of a layer as a registry would store it; only
    `chain-free` v1 IDs ask for it. `warn` takes one line for each thing that is
    left out or changed. `uname` is the user and group name in the headers of
    docker-save: empty in Docker's own builds, `root` in Debian's. `layer_mode` is the
    file mode of layer blobs in docker-save@25 and docker-save@29. `place` is the
    destination, for messages that tell how to address what is written.
    """

    content: Callable[[Layer], Content]
    blob: Callable[[Blob, Descriptor], Content]
    layer_digest: Callable[[Layer], Digest]
    warn: Callable[[str], None]
    v1_ids: V1Scheme = "docker"
    add_repositories: bool = False
    uname: str = ""
    layer_mode: int = 0o644
    place: str = ""

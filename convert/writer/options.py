"""What every writer gets besides the images.

A writer is a pure function: it turns an `ImageSet` into the members of an
archive and opens nothing. Whatever needs bytes (compressing, hashing, copying)
belongs to the caller, who passes it in here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convert.diagnostics import Diagnostic
    from convert.model.blob import Blob, Content
    from convert.model.descriptor import Descriptor
    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet

#: How v1 layer IDs are computed; `keep` uses those of the source where every layer has one.
V1Scheme = Literal["docker", "chain-free", "skopeo", "keep"]


# The image names that containers/image takes in oci: and oci-archive: (ValidateImageName in its oci/internal).
_OCI_WORD: Final = r"[A-Za-z0-9]+(?:(?:[-._:@+]|--)[A-Za-z0-9]+)*"
_OCI_IMAGE: Final = re.compile(rf"{_OCI_WORD}(?:/{_OCI_WORD})*", re.ASCII)
# In docker-archive: IMAGE is a Docker reference, and one with a digest is refused.
_DOCKER_IMAGE: Final = re.compile(r"[^@]+")


class Transport(NamedTuple):
    """How skopeo, podman and buildah address a format: `NAME:PATH:IMAGE`.

    `is_folder`: PATH is a folder, and IMAGE selects one of several images in it.
    `images` matches what the tools accept as IMAGE.
    """

    name: str
    images: re.Pattern[str]
    is_folder: bool = False


DOCKER_ARCHIVE: Final = Transport("docker-archive", _DOCKER_IMAGE)
OCI_ARCHIVE: Final = Transport("oci-archive", _OCI_IMAGE)
OCI_LAYOUT: Final = Transport("oci", _OCI_IMAGE, is_folder=True)
#: A folder that holds one image, which has no name.
DIR: Final = Transport("dir", re.compile(r"(?!)"), is_folder=True)


@dataclass(frozen=True, slots=True)
class LeftOut:
    """What a thin archive leaves out (docs/thin.md).

    `blobs` are the layers that a layout leaves out, by digest; those of docker-save@25 by DiffID.
    `runs` is the number of layers from the bottom that docker-save leaves out, by image ID. `marks`
    are the values of the annotation `NEEDS` by the digest of a top-level manifest or index, and
    `document` is the last member of the docker-save formats, b"" for none.
    """

    blobs: frozenset[Digest] = frozenset()
    runs: Mapping[Digest, int] = field(default_factory=dict)
    marks: Mapping[Digest, str] = field(default_factory=dict)
    document: bytes = b""

    @property
    def is_empty(self) -> bool:
        """Whether nothing is left out."""
        return not self.marks and not self.document


def no_layer_digest(layer: Layer) -> Digest:
    """Refuse to return a digest, for `WriteOptions.layer_digest` where no v1 ID needs one.

    Raises:
        ValueError: in any case.
    """
    raise ValueError(f"the digest of layer {layer.diff_id} is not computed")


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteOptions:
    """The options of a writer.

    `content` returns exactly the bytes to write for a layer: uncompressed for the
    docker-save formats, as `Layer.stored` describes them for the others.
    `blob` returns those of anything else that a descriptor names, verified against
    it. `layer_digest` returns the digest of a layer as a registry would store it;
    only `chain-free` v1 IDs need it. `warn` takes one line for each thing that is
    dropped or changed. `uname` is the user and group name in the headers of
    docker-save: empty in Docker's own builds, `root` in Debian's. `layer_mode` is the
    file mode of layer blobs in docker-save@25 and docker-save@29. `transport` and
    `place`, the path of the destination (empty if it has none), are for messages that
    show how to address the result. `existing` are the images of the layout that the result is added to.
    `left_out` is what a thin archive leaves out.
    """

    content: Callable[[Layer], Content]
    blob: Callable[[Blob, Descriptor], Content]
    layer_digest: Callable[[Layer], Digest]
    warn: Callable[[Diagnostic], None]
    place: str
    v1_ids: V1Scheme = "docker"
    add_repositories: bool = False
    uname: str = ""
    layer_mode: int = 0o644
    transport: Transport = DOCKER_ARCHIVE
    existing: ImageSet | None = None
    left_out: LeftOut = field(default_factory=LeftOut)

    @property
    def has_folders(self) -> bool:
        """Whether a tar of a layout has members for its folders; readers create them, so a thin archive has none."""
        return self.left_out.is_empty

    @property
    def has_v1_metadata(self) -> bool:
        """Whether the docker-save formats have v1 metadata and `repositories`.

        Only engines before 1.10 read them, and those need every layer, so a thin archive has them only on request.
        """
        return self.left_out.is_empty or self.add_repositories

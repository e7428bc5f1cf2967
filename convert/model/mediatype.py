"""Media types of manifests, configs and layers, and their properties.

Sources: image-spec media-types.md; distribution's schema 2 manifest.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.codec.compression import Compression

if TYPE_CHECKING:
    from collections.abc import Sequence

OCI_INDEX: Final = "application/vnd.oci.image.index.v1+json"
OCI_MANIFEST: Final = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG: Final = "application/vnd.oci.image.config.v1+json"
OCI_LAYER: Final = "application/vnd.oci.image.layer.v1.tar"
OCI_LAYER_GZIP: Final = OCI_LAYER + "+gzip"
OCI_LAYER_ZSTD: Final = OCI_LAYER + "+zstd"
OCI_NONDISTRIBUTABLE: Final = "application/vnd.oci.image.layer.nondistributable.v1.tar"

OCI_EMPTY: Final = "application/vnd.oci.empty.v1+json"

DOCKER_MANIFEST_LIST: Final = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_MANIFEST: Final = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_CONFIG: Final = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER: Final = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_LAYER_GZIP: Final = DOCKER_LAYER + ".gzip"
DOCKER_LAYER_ZSTD: Final = DOCKER_LAYER + ".zstd"
DOCKER_FOREIGN: Final = "application/vnd.docker.image.rootfs.foreign.diff.tar"

INDEXES: Final = frozenset({OCI_INDEX, DOCKER_MANIFEST_LIST})
MANIFESTS: Final = frozenset({OCI_MANIFEST, DOCKER_MANIFEST})
IMAGE_CONFIGS: Final = frozenset({OCI_CONFIG, DOCKER_CONFIG})

#: Layer media type -> compression that it claims.
_LAYERS: Final = {
    OCI_LAYER: Compression.NONE,
    OCI_LAYER_GZIP: Compression.GZIP,
    OCI_LAYER_ZSTD: Compression.ZSTD,
    OCI_NONDISTRIBUTABLE: Compression.NONE,
    OCI_NONDISTRIBUTABLE + "+gzip": Compression.GZIP,
    OCI_NONDISTRIBUTABLE + "+zstd": Compression.ZSTD,
    DOCKER_LAYER: Compression.NONE,
    DOCKER_LAYER_GZIP: Compression.GZIP,
    DOCKER_LAYER_ZSTD: Compression.ZSTD,
    DOCKER_FOREIGN: Compression.NONE,
    DOCKER_FOREIGN + ".gzip": Compression.GZIP,
    DOCKER_FOREIGN + ".zstd": Compression.ZSTD,
}


#: Compressions that a layer's media type can name.
COMPRESSIONS: Final = frozenset(_LAYERS.values())


def is_layer(media_type: str) -> bool:
    """Return whether this is the type of a file system layer."""
    return media_type in _LAYERS


def layer_compression(media_type: str) -> Compression | None:
    """Return the compression that a layer type claims; None for other types."""
    return _LAYERS.get(media_type)


def is_nondistributable(media_type: str) -> bool:
    """Return whether layers of this type are non-distributable."""
    return media_type in _LAYERS and media_type.startswith((OCI_NONDISTRIBUTABLE, DOCKER_FOREIGN))


def may_be_absent(media_type: str, urls: Sequence[str] = ()) -> bool:
    """Return whether a layout may lack the blob of such a layer.

    image-spec allows this for non-distributable layers and for blobs that can be fetched from
    `urls` (layer.md, "Non-Distributable Layers"; descriptor.md).
    """
    return is_nondistributable(media_type) or bool(urls)


def is_docker(media_type: str) -> bool:
    """Return whether this is one of Docker's types rather than OCI's."""
    return media_type.startswith("application/vnd.docker.")


def layer_type(compression: Compression, *, docker: bool, foreign: bool = False) -> str:
    """Return the layer media type for one of `COMPRESSIONS`; `foreign` means non-distributable."""
    if docker:
        return (DOCKER_FOREIGN if foreign else DOCKER_LAYER) + (f".{compression}" if compression else "")
    return (OCI_NONDISTRIBUTABLE if foreign else OCI_LAYER) + (f"+{compression}" if compression else "")

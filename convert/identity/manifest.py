"""Serialise manifests as each tool does; recognise the manifests that `docker save` generates.

The digest of a manifest covers its bytes, so key order and spacing matter as much as the digests
inside (docs/profiles.md#manifests-that-tools-write).
"""

from __future__ import annotations

import dataclasses
import json
from typing import TYPE_CHECKING, Any, Final

from convert.codec.compression import Compression
from convert.errors import NotRepresentableError
from convert.identity.descriptor_json import docker_fields, ggcr_fields, oci_fields
from convert.jsonio.go_encode import dumps, sorted_map
from convert.model import mediatype
from convert.model.config import Config
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.model.image import Image

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from convert.model.image import Manifest

_ENGINE_INDENT: Final = "   "


def oci_manifest(config: bytes | Config, layers: Sequence[Descriptor]) -> bytes:
    """Return an OCI image manifest: compact, no newline (docs/contract.md#layouts-and-re-created-manifests).

    Each layer gets OCI's media type for the compression of its own type.
    """
    return dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.OCI_MANIFEST,
            "config": oci_fields(_config(config, mediatype.OCI_CONFIG)),
            "layers": [oci_fields(_layer(layer, oci_layer_type(layer.media_type))) for layer in layers],
        }
    )


def docker_manifest(config: bytes | Config, layers: Sequence[Descriptor]) -> bytes:
    """Return the schema 2 manifest that crane pushes for a tarball: compact, no newline.

    Raises:
        NotRepresentableError: a zstd layer, for which schema 2 has no media type.
    """
    return dumps(_schema2(config, layers))


def docker_push_manifest(config: bytes | Config, layers: Sequence[Descriptor]) -> bytes:
    """Return the schema 2 manifest of `docker push` from the classic store.

    Indented by three spaces (distribution manifest/schema2, `FromStruct`).

    Raises:
        NotRepresentableError: a zstd layer.
    """
    return dumps(_schema2(config, layers), indent=_ENGINE_INDENT)


def crane_manifest(config: bytes | Config, layers: Sequence[Descriptor]) -> bytes:
    """Return the manifest that crane pushes for a tarball, with its layers' types as given.

    crane gives every layer the gzip type and copies the descriptors of `LayerSources`
    (go-containerregistry pkg/v1/tarball/image.go).
    """
    return dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.DOCKER_MANIFEST,
            "config": docker_fields(_config(config, mediatype.DOCKER_CONFIG)),
            "layers": [ggcr_fields(layer) for layer in layers],
        }
    )


def containerd_import_manifest(config: bytes | Config, layers: Sequence[Descriptor]) -> bytes:
    """Return the manifest that containerd creates when it imports a docker archive.

    Schema 2 in OCI's key order; every layer has the gzip type
    (containerd core/images/archive/importer.go, `resolveLayers`).
    """
    return dumps(
        {
            "schemaVersion": 2,
            "mediaType": mediatype.DOCKER_MANIFEST,
            "config": oci_fields(_config(config, mediatype.DOCKER_CONFIG)),
            "layers": [
                oci_fields(
                    Descriptor(
                        mediatype.DOCKER_LAYER_GZIP
                        if mediatype.layer_compression(layer.media_type)
                        else mediatype.DOCKER_LAYER,
                        layer.digest,
                        layer.size,
                    )
                )
                for layer in layers
            ],
        }
    )


def containers_image_manifest(old: Manifest, layers: Sequence[Descriptor]) -> bytes:
    """Return the manifest that containers/image writes for an image whose layers changed: compact, no newline.

    It decodes the manifest into a Go struct, replaces the layers and encodes it again: fields that the struct
    does not have are dropped, and `mediaType` is written if it was there (manifest/oci.go,
    manifest/docker_schema2.go). Docker's struct has no annotations.
    """
    given = json.loads(old.raw)
    config = dataclasses.replace(old.config, extra={})
    document: dict[str, Any] = {"schemaVersion": given.get("schemaVersion", 0)}
    if old.media_type == mediatype.DOCKER_MANIFEST:
        document |= {"mediaType": given.get("mediaType", ""), "config": docker_fields(config)}
        return dumps(document | {"layers": [docker_fields(layer) for layer in layers]})
    if given.get("mediaType"):
        document["mediaType"] = given["mediaType"]
    if old.artifact_type:
        document["artifactType"] = old.artifact_type
    document |= {"config": oci_fields(config), "layers": [oci_fields(layer) for layer in layers]}
    if old.subject is not None:
        document["subject"] = oci_fields(dataclasses.replace(old.subject, extra={}))
    if old.annotations:
        document["annotations"] = sorted_map(old.annotations)
    return dumps(document)


def others(config: bytes | Config, layers: Sequence[Descriptor]) -> Iterator[bytes]:
    """Yield the manifests of tools that imgconv imitates nowhere else, to recognise them by digest.

    `layers` have OCI's types. In order: go-containerregistry on an OCI base, buildkit
    with OCI's and with Docker's types (two spaces), umoci (no mediaType, a newline).
    """
    oci_config, docker_config = _config(config, mediatype.OCI_CONFIG), _config(config, mediatype.DOCKER_CONFIG)
    docker = [Descriptor(docker_layer_type(layer.media_type), layer.digest, layer.size) for layer in layers]
    oci: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_MANIFEST}
    yield dumps(oci | {"config": ggcr_fields(oci_config), "layers": [ggcr_fields(layer) for layer in layers]})
    ordered = {"config": oci_fields(oci_config), "layers": [oci_fields(layer) for layer in layers]}
    yield dumps(oci | ordered, indent="  ")
    typed = {"config": oci_fields(docker_config), "layers": [oci_fields(layer) for layer in docker]}
    yield dumps({"schemaVersion": 2, "mediaType": mediatype.DOCKER_MANIFEST} | typed, indent="  ")
    yield dumps({"schemaVersion": 2} | ordered) + b"\n"


def docker_save_25_manifest(config: bytes | Config, layers: Sequence[tuple[Digest, int]]) -> bytes:
    """Return the manifest that `docker save` of Docker 25 and later generates.

    `layers` are DiffIDs with the sizes of the uncompressed layers. The bytes are those of 29.7.2
    (moby daemon/internal/image/tarexport/save.go).
    """
    return dumps(_save_25(_config(config, mediatype.OCI_CONFIG), layers))


def is_generated(manifest: bytes, config: Config) -> bool:
    """Return whether a release of `docker save` generates this manifest from the config.

    A generated manifest was never in a registry and its digest identifies nothing
    (docs/contract.md#rules-of-identity, rule 2). The sizes of the layers are taken from the
    manifest itself; everything else must follow from config and DiffIDs. Three forms exist: that
    of 25.0.6, 26.0.1 and later; that with a platform on the config (25.0.1 to 25.0.5, 26.0.0); and
    that of 25.0.0, which also lacks layers (moby/moby#47065). `manifest` was checked by
    `strict.parse`.
    """
    sizes = _layer_sizes(manifest)
    descriptor = _config(config, mediatype.OCI_CONFIG)
    with_platform = dataclasses.replace(descriptor, platform=image_platform(config))
    if not sizes and manifest == dumps(_save_25(with_platform, ())):
        return True
    if len(sizes) != len(config.diff_ids):
        return False
    layers = list(zip(config.diff_ids, sizes, strict=True))
    return any(manifest == dumps(_save_25(form, layers)) for form in (descriptor, with_platform))


def made_up_image(manifest: Manifest, config: Config) -> Image:
    """Return the image of a generated manifest: its config, without layers.

    `manifest.json`, which lists the same config, locates the layers.
    """
    return Image(config=config, layers=(), manifest=dataclasses.replace(manifest, generated=True))


def oci_index(
    children: Sequence[Descriptor],
    *,
    annotations: Mapping[str, str] | None = None,
    artifact_type: str | None = None,
    subject: Descriptor | None = None,
) -> bytes:
    """Return an OCI image index: compact, no newline, keys in the order of image-spec's Go type."""
    document: dict[str, Any] = {"schemaVersion": 2, "mediaType": mediatype.OCI_INDEX}
    if artifact_type:
        document["artifactType"] = artifact_type
    document["manifests"] = [oci_fields(child) for child in children]
    if subject is not None:
        document["subject"] = oci_fields(subject)
    if annotations:
        document["annotations"] = sorted_map(annotations)
    return dumps(document)


def docker_manifest_list(children: Sequence[Descriptor]) -> bytes:
    """Return a Docker manifest list: compact, no newline, keys as in crane's manifests."""
    manifests = []
    for child in children:
        fields = docker_fields(child)
        platform = oci_fields(child).get("platform")
        manifests.append(fields | ({"platform": platform} if platform is not None else {}))
    return dumps({"schemaVersion": 2, "mediaType": mediatype.DOCKER_MANIFEST_LIST, "manifests": manifests})


def oci_layer_type(media_type: str) -> str:
    """Return OCI's media type for a layer of any supported type."""
    return _family_type(media_type, mediatype.OCI_LAYER, mediatype.OCI_NONDISTRIBUTABLE, "+")


def docker_layer_type(media_type: str) -> str:
    """Return Docker's media type for a layer of any supported type.

    Raises:
        NotRepresentableError: zstd, for which schema 2 has no media type.
    """
    if mediatype.layer_compression(media_type) == Compression.ZSTD:
        msg = "a Docker schema 2 manifest cannot hold zstd layers"
        raise NotRepresentableError(
            msg,
            code="zstd-in-docker-manifest",
            hint="omit --manifest-type docker, or compress with gzip: --recompress --compress docker",
        )
    return _family_type(media_type, mediatype.DOCKER_LAYER, mediatype.DOCKER_FOREIGN, ".")


def _family_type(media_type: str, plain: str, foreign: str, joint: str) -> str:
    compression = mediatype.layer_compression(media_type)
    if compression is None:
        msg = f"{media_type!r} is not a layer type"
        raise ValueError(msg)
    base = foreign if mediatype.is_nondistributable(media_type) else plain
    return base + (joint + compression if compression else "")


def _config(config: bytes | Config, media_type: str) -> Descriptor:
    """Return a descriptor of a config; a parsed config, which manifests may share, is not hashed again."""
    if isinstance(config, Config):
        return Descriptor(media_type, config.digest, len(config.raw))
    return Descriptor(media_type, Digest.of(config), len(config))


def _layer(layer: Descriptor, media_type: str) -> Descriptor:
    return Descriptor(media_type, layer.digest, layer.size, urls=layer.urls)


def _schema2(config: bytes | Config, layers: Sequence[Descriptor]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": mediatype.DOCKER_MANIFEST,
        "config": docker_fields(_config(config, mediatype.DOCKER_CONFIG)),
        "layers": [docker_fields(layer) | {"mediaType": docker_layer_type(layer.media_type)} for layer in layers],
    }


def _save_25(config: Descriptor, layers: Sequence[tuple[Digest, int]]) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": mediatype.OCI_MANIFEST,
        "config": oci_fields(config),
        "layers": [oci_fields(Descriptor(mediatype.OCI_LAYER, digest, size)) for digest, size in layers],
    }


def _layer_sizes(manifest: bytes) -> list[int]:
    """Return the layer sizes in a manifest; empty if it has another structure."""
    document = json.loads(manifest)
    layers = document.get("layers") if isinstance(document, dict) else None
    sizes = [layer.get("size") for layer in layers if isinstance(layer, dict)] if isinstance(layers, list) else []
    return [size for size in sizes if isinstance(size, int) and size >= 0]


def image_platform(config: Config) -> dict[str, Any]:
    """Return the platform that moby 25's `Image.Platform` reads from the config."""
    platform: dict[str, Any] = {key: config.field(key) or "" for key in ("architecture", "os")}
    for key in ("os.version", "os.features", "variant"):
        value = config.field(key)
        if value:
            platform[key] = value
    return platform

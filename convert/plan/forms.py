"""Decide in which form each layer is written: as stored, uncompressed or compressed by a profile."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Literal, NamedTuple

from convert.codec.compression import Compression
from convert.layer.verify import compression_of
from convert.model.form import Form
from convert.model.image import Image, Layer, Manifest

if TYPE_CHECKING:
    from convert.model.image_set import ImageSet

ManifestType = Literal["oci", "docker", "keep"]


class Recipe(NamedTuple):
    """What decides about layers and manifests: the target and the options.

    `uncompressed`: the target holds uncompressed layers (docker-save). `manifests`: it
    holds manifests (OCI, docker-oci). `recompress` and `manifest_type` are the
    options of those names.
    """

    uncompressed: bool
    manifests: bool
    recompress: bool = False
    manifest_type: ManifestType = "keep"


def real_manifest(image: Image) -> Manifest | None:
    """Return the manifest of an image, None if it has none or only one that `docker save` generates."""
    return image.manifest if image.manifest and not image.manifest.generated else None


def decide_form(image: Image, layer: Layer, recipe: Recipe) -> Form:
    """Return the form in which one layer is written; its first bytes may be read.

    The layers of an image with a manifest are kept as stored. Without a manifest,
    compressed layers are kept and uncompressed ones are compressed by the profile.
    bzip2 and xz have no media type, so such layers are compressed again
    (docs/contract.md#rules-of-identity).
    """
    if recipe.uncompressed:
        return Form.PLAIN
    if recipe.recompress:
        return Form.ENCODED
    if real_manifest(image) is not None:
        return Form.STORED
    stored = layer.blob is None or compression_of(layer.blob) in {Compression.GZIP, Compression.ZSTD}
    return Form.STORED if stored else Form.ENCODED


def decide_forms(images: ImageSet, recipe: Recipe) -> dict[Layer, Form]:
    """Return the form in which each layer is written."""
    return {layer: decide_form(image, layer, recipe) for image, layer in images.layers()}


def decide_registry_forms(images: ImageSet) -> dict[Layer, Form]:
    """Return the forms in which a registry would store the layers of images without their manifests.

    Images inside an index do not count (docs/contract.md#v1-ids: chain-free).
    """
    recipe = Recipe(uncompressed=False, manifests=False)
    found = [entry.node for entry in images.entries if isinstance(entry.node, Image)]
    bare = [dataclasses.replace(image, manifest=None) for image in dict.fromkeys(found)]
    return {layer: decide_form(image, layer, recipe) for image in bare for layer in image.layers}

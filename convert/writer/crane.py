"""Write crane's tarball: config, compressed layers, `manifest.json`, nothing else.

Source of the format: go-containerregistry pkg/v1/tarball/write.go (docs/formats-crane.md#tarballs).
crane writes several images in random order; here they are in source order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.archive.tar_writer import Item
from convert.codec.compression import Compression
from convert.diagnostics import Diagnostic
from convert.identity.descriptor_json import docker_fields
from convert.model import mediatype
from convert.writer.address import report_archive
from convert.writer.manifest_json import ManifestItem, manifest_json
from convert.writer.naming import single_images
from convert.writer.repositories import additions

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.descriptor import Descriptor
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.writer.naming import NamedImage
    from convert.writer.options import WriteOptions

NAME: Final = "crane"

_MODE: Final = 0o644
#: Media types for which crane writes another suffix than `.tar.gz`.
_SUFFIXES: Final = {
    mediatype.OCI_LAYER_ZSTD: ".tar.zst",
    mediatype.OCI_LAYER: ".tar",
    mediatype.OCI_NONDISTRIBUTABLE: ".tar",
    mediatype.DOCKER_LAYER: ".tar",
}


def items(images: ImageSet, options: WriteOptions) -> Iterator[Item]:
    """Yield the members in crane's order; every layer must know its descriptor.

    Raises:
        NotRepresentableError: no image, several platforms under one name, or one
            name for two images.
        UsageError: `repositories` is requested and no image has a name.
    """
    named = single_images(images, NAME, options.warn)
    report_archive(named, options)
    if any(_is_zstd(layer) for one in named for layer in one.image.layers):
        text = "the result has zstd layers, which crane pushes as gzip and Docker reads since 23 (--recompress)"
        options.warn(Diagnostic(text, code="zstd-layers"))
    written: set[str] = set()
    for one in named:
        yield Item(_config_name(one), "file", _MODE, content=one.image.config.raw)
        for layer in one.image.layers:
            name = _layer_name(layer)
            if name not in written:
                written.add(name)
                yield Item(name, "file", _MODE, content=options.content(layer))
    listed = sorted((_listed(one) for one in named), key=lambda item: ",".join(item.repo_tags or ()))
    yield Item("manifest.json", "file", _MODE, content=manifest_json(listed))
    if options.add_repositories:
        yield from additions(named, options, names=written, existing=None, member_of=_layer_name).append


def _listed(one: NamedImage) -> ManifestItem:
    return ManifestItem(
        config=_config_name(one),
        repo_tags=[reference.familiar for reference in one.references] or None,
        layers=[_layer_name(layer) for layer in one.image.layers],
        layer_sources={
            layer.diff_id: _source_fields(_stored(layer))
            for layer in one.image.layers
            if mediatype.is_nondistributable(_stored(layer).media_type)
        },
    )


def _config_name(one: NamedImage) -> str:
    return str(one.image.image_id)


def _layer_name(layer: Layer) -> str:
    stored = _stored(layer)
    return stored.digest.hex + _SUFFIXES.get(stored.media_type, ".tar.gz")


def _is_zstd(layer: Layer) -> bool:
    return mediatype.layer_compression(_stored(layer).media_type) == Compression.ZSTD


def _stored(layer: Layer) -> Descriptor:
    if layer.stored is None:
        msg = f"layer {layer.diff_id} was not given a descriptor before it was written"
        raise ValueError(msg)
    return layer.stored


def _source_fields(stored: Descriptor) -> dict[str, Any]:
    """Return a descriptor in ggcr's order (pkg/v1/manifest.go, struct Descriptor)."""
    fields = docker_fields(stored)
    if stored.annotations:
        fields["annotations"] = dict(sorted(stored.annotations.items()))
    return fields

"""What to know about a result: images that some tool refuses, and options that had no effect."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.diagnostics import Diagnostic, Dropped
from convert.limits import MAX_DOCKER_LAYERS
from convert.model import mediatype
from convert.model.form import Form

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from convert.model.image_set import ImageSet
    from convert.writer.options import V1Scheme
    from convert.writer.registry import Target


def about(images: ImageSet, wanted: Target) -> Iterator[Diagnostic]:
    """Yield a line for each image that the target holds and some reader of it refuses."""
    yield from _opaque(images)
    yield from _too_deep(images, wanted)
    yield from _incomplete(images, wanted)


def _opaque(images: ImageSet) -> Iterator[Diagnostic]:
    """Report each image whose layers cannot be unpacked; they are kept as they are."""
    for image in images.opaque_images():
        types = ", ".join(image.opaque_types) or "no DiffIDs"
        text = f"image {image.manifest.config.digest}: its layers cannot be unpacked ({types}); kept as they are"
        yield Diagnostic(text, code="layers-kept-unread", image_id=str(image.manifest.config.digest))


def _too_deep(images: ImageSet, wanted: Target) -> Iterator[Diagnostic]:
    """Warn of images that Docker's graph drivers refuse to load."""
    if wanted.index_fields:
        return
    for image in images.images():
        if len(image.layers) > MAX_DOCKER_LAYERS:
            text = (
                f"image {image.image_id} has {len(image.layers)} layers; Docker with a graph driver loads at most "
                f"{MAX_DOCKER_LAYERS} (max depth exceeded)"
            )
            yield Diagnostic(text, code="too-many-layers-for-docker", image_id=str(image.image_id))


def _incomplete(images: ImageSet, wanted: Target) -> Iterator[Diagnostic]:
    """Warn of OCI manifests over configs that lack what image-spec requires of them (config.md, "Properties")."""
    if not wanted.manifests:
        return
    for image in images.images():
        if image.manifest is not None and image.manifest.config.media_type == mediatype.OCI_CONFIG:
            fields = {"os": image.platform.os, "architecture": image.platform.architecture}
            missing = " and no ".join(name for name, value in fields.items() if not value)
            if missing:
                text = (
                    f"image {image.image_id} is not a valid OCI image: its config names no {missing}, "
                    "and configs are never changed"
                )
                yield Diagnostic(text, code="config-without-platform", image_id=str(image.image_id))


def without_effect(compress: str, done: Iterable[Form], wanted: Target, v1_ids: V1Scheme | None) -> Iterator[Dropped]:
    """Report a `--compress` that no layer went through."""
    forms = list(done)
    if not forms or Form.ENCODED in forms or Form.COMPRESSED_TWICE in forms or v1_ids == "chain-free":
        return
    if wanted.uncompressed:
        why = f"{wanted.name} holds uncompressed layers"
    else:
        why = "every layer is kept as it is; add --recompress to compress them"
    yield Dropped(
        f"--compress {compress} has no effect: {why}",
        what="compress",
        of="--compress",
        number=len(forms),
        code="compress-without-effect",
    )

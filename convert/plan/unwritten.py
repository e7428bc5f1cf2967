"""Find layers that a thin archive is sure to leave out before any layer is read (docs/thin.md#verification).

The archive needs the size of such a layer (docker-save@25), or its digest where the source has it uncompressed and
the target compressed. What the receiver has must be verified in any case, so the layer of the base that stands for
it is read for that, and the layer of the source is not.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.layer.ingested import was_ingested
from convert.model.form import Form
from convert.plan.forms import decide_form
from convert.plan.thin import plan_docker_save

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.digest import Digest
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base, BaseLayer
    from convert.plan.forms import Recipe
    from convert.writer.registry import Target


def find_unwritten(
    images: ImageSet, forms: Mapping[Layer, Form], base: Base, recipe: Recipe, target: Target
) -> dict[Layer, BaseLayer | None]:
    """Return layers of which only the size or the digest is needed, each with the layer of the base to read for it.

    None stands for the layer itself, where only an inventory has it. `forms` are those of the layers of
    `images`. The images must be those of the result, as far as their layers go.
    """
    if target.layer_sizes_first:
        plan = plan_docker_save(images, base, target)
        held = {one.layer.diff_id: one for one in plan.by_diff_id}
        unwritten = (layer for _, layer in images.layers() if layer.diff_id in plan.left_out.blobs)
        return {layer: held.get(layer.diff_id) for layer in unwritten}
    return dict(_find_encoded(images, forms, base, recipe, target)) if target.manifests else {}


def _find_encoded(
    images: ImageSet, forms: Mapping[Layer, Form], base: Base, recipe: Recipe, target: Target
) -> dict[Layer, BaseLayer]:
    """Return the layers that are encoded and that the same encoder gives of a layer of the base.

    Whether the base has other layers may depend on digests that are not known yet; here it does not have them.
    """
    stand_ins: dict[Layer, BaseLayer] = {}
    for _, layer in images.layers():
        other = base.by_diff_id.get(layer.diff_id)
        if other is None or forms[layer] is not Form.ENCODED or layer.blob is None or was_ingested(layer.blob):
            continue
        if decide_form(other.image, other.layer, recipe) is Form.ENCODED:
            stand_ins[layer] = other

    def is_held(layer: Layer) -> bool:
        stored = layer.stored if forms[layer] is Form.STORED else None
        return layer in stand_ins or (
            stored is not None and (stored.digest in base.by_digest or stored.digest in base.listed_blobs)
        )

    needed: set[Digest] = set()
    for image in images.images():
        held = [is_held(layer) for layer in image.layers]
        # As in `plan_layout`: Docker takes the longest run from the bottom.
        length = held.index(False) if target.manifest_json and False in held else len(held)
        needed.update(layer.diff_id for layer in image.layers[length:])
    return {layer: other for layer, other in stand_ins.items() if layer.diff_id not in needed}

"""What is in layers, as parts of the document of `inspect --files` (docs/layers.md)."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.layer.contents.read import Contents
    from convert.layer.contents.results import LayerContents, LayerUse, PathSize
    from convert.model.image import Image

Document = dict[str, Any]


def image_contents(image: Image, contents: Contents | None) -> Document | None:
    """Return what the layers of an image hold together; None if that was not asked for, or is over a limit."""
    found = contents.images.get(image) if contents is not None else None
    if found is None:
        return None
    hidden = sum(use.overwritten_size + use.deleted_size for use in found.layers)
    return {
        "size": found.size,
        "upper_size": found.upper_size,
        "hidden_size": hidden,
        "hidden_percent": percent(hidden, found.size),
        "waste": found.waste,
        "waste_percent": percent(found.waste, found.upper_size),
        "efficiency": found.efficiency,
        "wasted_paths": found.wasted_paths,
        "wasted": [{"path": each.path, "count": each.count, "size": each.size} for each in found.wasted],
        "largest_hidden": dataclasses.asdict(found.largest_hidden) if found.largest_hidden is not None else None,
        "complete": found.complete,
    }


def layer_contents(image: Image, contents: Contents | None) -> list[Document | None]:
    """Return what each layer of an image holds; None where that is not known."""
    if contents is None:
        return [None] * len(image.layers)
    found = contents.images.get(image)
    uses: Sequence[LayerUse | None] = found.layers if found is not None else [None] * len(image.layers)
    return [
        _layer(there, use) if (there := contents.layers.get(layer)) is not None else None
        for layer, use in zip(image.layers, uses, strict=True)
    ]


def percent(part: int, whole: int) -> float | None:
    """Return a part in percent, with two decimals; None of nothing."""
    return round(100 * part / whole, 2) if whole else None


def has_all(contents: Contents, images: Sequence[Image]) -> bool:
    """Return whether every image was compared."""
    return all(image in contents.images for image in images)


def _layer(found: LayerContents, use: LayerUse | None) -> Document:
    return {
        "files": found.files,
        "folders": found.folders,
        "links": found.links,
        "others": found.others,
        "whiteouts": found.whiteouts,
        "opaques": found.opaques,
        "size": found.size,
        "largest_files": _sizes(found.largest_files),
        "largest_folders": _sizes(found.largest_folders),
        "hidden": _hidden(found, use) if use is not None else None,
        "left_out": found.left_out,
        "complete": found.complete,
    }


def _hidden(found: LayerContents, use: LayerUse) -> Document:
    size = use.overwritten_size + use.deleted_size
    return {
        "overwritten_files": use.overwritten_files,
        "overwritten_size": use.overwritten_size,
        "deleted_files": use.deleted_files,
        "deleted_size": use.deleted_size,
        "size": size,
        "percent": percent(size, found.size),
        "waste": use.waste,
    }


def _sizes(found: Sequence[PathSize]) -> list[Document]:
    return [{"path": each.path, "size": each.size} for each in found]

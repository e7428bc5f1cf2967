"""Layers in the form in which they will be written (`transcode.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from convert.model.blob import Content
    from convert.model.form import Form
    from convert.model.image import Layer


@dataclass(slots=True)
class FinishedLayers:
    """Layers as they will be written.

    `layers` maps each layer of the source to the finished one; `forms` and `contents` state of
    a finished layer what became of it, and give the bytes to write where there are any.
    """

    layers: dict[Layer, Layer] = field(default_factory=dict)
    contents: dict[Layer, Content] = field(default_factory=dict)
    forms: dict[Layer, Form] = field(default_factory=dict)

    def content(self, layer: Layer) -> Content:
        """Return the bytes to write for a finished layer."""
        return self.contents[layer]

"""Layers in the form in which they will be written (`transcode.py`)."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from convert.model.form import Form
from convert.model.image import Layer

if TYPE_CHECKING:
    from convert.model.blob import Content
    from convert.model.digest import Digest


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

    def written_name(self, layer: Layer) -> Digest:
        """Return the digest that names the bytes of a layer of the source in the result."""
        done = self.layers[layer]
        return done.diff_id if done.stored is None or self.forms[done] is Form.PLAIN else done.stored.digest

    def stand_for(self, layer: Layer, other: Layer) -> None:
        """Use what became of `other` for `layer`, which has the same DiffID."""
        done = self.layers[other]
        result = Layer(layer.diff_id, done.blob, done.stored if done is not other else None)
        self.layers[layer] = result
        self.forms[result] = self.forms[done]
        if done in self.contents:
            self.contents[result] = self.contents[done]

    def forget(self, layer: Layer) -> None:
        """Forget a layer that is not one of the source."""
        done = self.layers.pop(layer)
        self.forms.pop(done)
        self.contents.pop(done, None)

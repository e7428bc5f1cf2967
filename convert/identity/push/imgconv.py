"""imgconv itself: the layout that it writes, pushed unchanged."""

from __future__ import annotations

from typing import TYPE_CHECKING, NoReturn

from convert.identity.push.tool import Contents, PushTool, View

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.codec.compression import Compression
    from convert.model.descriptor import Descriptor
    from convert.model.form import Form
    from convert.model.image import Image
    from convert.model.image_set import SourceFormat

_UNCHANGED = "imgconv pushes the result of its conversion unchanged"


class Imgconv(PushTool):
    """Convert to a layout, which is pushed unchanged."""

    name = "imgconv"

    def view(self, contents: Contents) -> View:
        """Read the complete source."""
        del contents
        return View.ALL

    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Push everything unchanged."""
        del source_format
        return True

    def ignores_descriptor(self, descriptor: Descriptor) -> NoReturn:
        """Never called."""
        raise NotImplementedError(_UNCHANGED)

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Never called."""
        raise NotImplementedError(_UNCHANGED)

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> NoReturn:
        """Never called."""
        raise NotImplementedError(_UNCHANGED)

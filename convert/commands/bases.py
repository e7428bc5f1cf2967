"""The archives of `--with` and the archives and inventories of `--without` in a conversion (docs/thin.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from convert.errors import UsageError
from convert.layer.verify import PlainContent
from convert.writer.options import LeftOut

if TYPE_CHECKING:
    import contextlib
    from collections.abc import Mapping, Sequence

    from convert.commands.convert_run import ConversionRun
    from convert.commands.thin import BaseReader
    from convert.layer.finished import FinishedLayers
    from convert.model.blob import Content
    from convert.model.form import Form
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.writer.destination import Destination


class Bases(NamedTuple):
    """What gives a thin source its layers, and what the receiver of the result has; None without these options."""

    source: BaseReader | None = None
    receiver: BaseReader | None = None

    def fill(self, run: ConversionRun, images: ImageSet, out: Destination) -> ImageSet:
        """Return the images with the layers that their source lacks, if `--with` was given.

        Raises:
            InputError: the base lacks a layer, or is damaged.
            StorageError: the staging area cannot be written to.
        """
        return images if self.source is None else self.source.fill(images, out.staging, run.progress.advance)

    def unwritten_layers(self, run: ConversionRun, images: ImageSet, forms: Mapping[Layer, Form]) -> dict[Layer, Layer]:
        """Return layers of which a thin result has the size or digest but not the bytes, each with what to read for it.

        That is the layer of the base that the receiver has, or else the layer itself.
        """
        if self.receiver is None:
            return {}
        return self.receiver.unwritten_layers(images, forms, run.recipe, run.target)

    def leave_out(
        self, run: ConversionRun, images: ImageSet, layers: FinishedLayers
    ) -> tuple[LeftOut, Sequence[Content]]:
        """Return what the result leaves out and what has to be verified for it; record it in the changes of the run.

        Raises:
            InputError: a base of `--without` does not hold what it says.
        """
        if self.receiver is None:
            return LeftOut(), ()
        plan, relies_on = self.receiver.leave_out(images, layers, run.recipe, run.target, run.profile)
        run.changes.needs += plan.needs
        if run.options.verify == "full":
            names = plan.left_out.blobs
            unread = {
                (layer.blob, layer.diff_id): PlainContent(layer, run.context)
                for layer in layers.layers
                if layer.blob is not None and layers.written_name(layer) in names
            }
            relies_on += [content for content in unread.values() if not content.verified]
        return plan.left_out, relies_on


def open_bases(run: ConversionRun, stack: contextlib.ExitStack) -> Bases:
    """Open what `--with` and `--without` name; it is closed with `stack`.

    Raises:
        UsageError: an argument does not fit.
        InputError: an archive is damaged, or an inventory is not one.
        StorageError: it cannot be read.
    """
    options = run.options
    if not options.with_ and not options.without:
        return Bases()
    from convert.commands.thin import BaseReader  # noqa: PLC0415 - start-up time: thin archives are rare
    from convert.plan.base import open_base  # noqa: PLC0415

    def opened(texts: Sequence[str], *, needs_layers: bool) -> BaseReader | None:
        if not texts:
            return None
        base = open_base(texts, run.sources, stack, run.warn, needs_layers=needs_layers)
        return BaseReader(base, run.pool, run.context)

    receiver = opened(options.without, needs_layers=False)
    if receiver is not None and not run.target.uncompressed and not receiver.base.has_blob_lists:
        raise UsageError(
            f"the inventory names no blobs, which {run.target.name} needs",
            code="inventory-without-blobs",
            hint="imgconv inspect --json of the receiver's archives, its manifests or a list of its blobs name them",
        )
    return Bases(opened(options.with_, needs_layers=True), receiver)

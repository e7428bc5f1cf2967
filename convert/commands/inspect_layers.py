"""What `inspect` finds by reading layers, and its document."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from convert.reader.producer import producer
from convert.report.inspect import inspect_document, layers_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.archive.open import Source
    from convert.codec.identify import Origin
    from convert.errors import ImgconvError
    from convert.layer.contents.read import Contents
    from convert.layer.examine import LayerFacts
    from convert.layer.stored_digests import StoredDigests
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.progress import Progress


class Examined(NamedTuple):
    """What was found in the layers; None for what was not asked for."""

    facts: Mapping[Layer, LayerFacts] | None = None
    encoders: Mapping[Layer, Origin] | None = None
    contents: Contents | None = None

    @property
    def problems(self) -> list[ImgconvError]:
        """The faults of layers, each text once."""
        found: dict[str, ImgconvError] = {}
        for each in self.facts.values() if self.facts else ():
            if each.problem is not None:
                found.setdefault(str(each.problem), each.problem)
        return list(found.values())


def examine(
    images: ImageSet,
    layers: StoredDigests,
    *,
    verify: bool,
    encoders: bool,
    files: bool,
    jobs: int | None,
    path: str,
    progress: Progress,
) -> Examined:
    """Read the layers as the options of `inspect` ask for."""
    if not verify and not encoders and not files:
        return Examined()
    from convert.layer.examine import examine_layers, identify_encoders  # noqa: PLC0415 - only if layers are read
    from convert.layer.pool import Pool  # noqa: PLC0415
    from convert.limits import usable_cores  # noqa: PLC0415

    facts: Mapping[Layer, LayerFacts] | None = None
    origins = contents = None
    with Pool(jobs or usable_cores()) as pool:
        if files:
            from convert.layer.contents.read import read_contents  # noqa: PLC0415

            # It verifies the layers too, in the same reading.
            contents = read_contents(list(images.images()), layers, file=path, cancel=pool.cancel, progress=progress)
            facts = contents.facts
        elif verify:
            facts = examine_layers(layers_of(images), layers, pool, file=path, progress=progress)
        if encoders:
            origins = identify_encoders(layers_of(images), pool, progress)
    return Examined(facts, origins, contents)


def describe(
    opened: Source,
    images: ImageSet,
    layers: StoredDigests,
    problems: Sequence[ImgconvError],
    found: Examined,
    earlier: dict[str, Any] | None = None,
) -> dict[str, Any]:
    """Return the document of `inspect --json`; `earlier` is that of these images before layers were read."""
    return inspect_document(
        opened,
        images,
        layers,
        problems,
        producer=producer(opened.tree, images),
        facts=found.facts,
        encoders=found.encoders,
        contents=found.contents,
        earlier=earlier,
    )

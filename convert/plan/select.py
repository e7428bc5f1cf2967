"""Select images, platforms and names of a source (docs/contract.md#selecting).

Pure: an `ImageSet` goes in, a smaller one comes out.
"""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING

from convert.errors import SelectionError
from convert.model.image_set import Entry, Name
from convert.plan.find_errors import find_errors
from convert.plan.select_image import identifying_digests, select_by_image
from convert.plan.select_platform import select_by_platform
from convert.plan.select_spelling import select_by_spelling

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.diagnostics import Diagnostic
    from convert.errors import ImgconvError
    from convert.model.descriptor import Descriptor
    from convert.model.image_set import ImageSet
    from convert.model.platform import Platform
    from convert.model.reference import Reference
    from convert.reader.sink import Fault


def select_images(
    images: ImageSet,
    *,
    spelling: str = "",
    reference: str = "",
    selectors: Sequence[str] = (),
    platforms: Sequence[Platform] = (),
    faults: Sequence[Fault] = (),
    warn: Callable[[Diagnostic], None],
    damaged: bool = False,
) -> ImageSet:
    """Keep what a SOURCE's spelling, `--image` and `--platform` ask for.

    `spelling` and `reference` are skopeo's transport and what follows the path. A
    fault counts only if what is asked for needs the damaged part (docs/contract.md#selecting).
    With `damaged`, an image that is there in part is returned, as `inspect` shows it.

    Raises:
        SelectionError: nothing fits, or more than may.
        InputError: what is asked for is damaged.
    """
    lost = next(_errors_hiding_images(images, faults), None) if faults and not reference and not selectors else None
    if lost is not None:
        raise lost
    if reference:
        images = select_by_spelling(images, spelling, reference, faults)
    images = select_by_image(images, selectors, faults)
    images = select_by_platform(images, platforms, warn, faults)
    error = next(iter(find_errors(images, faults)), None)
    if error is not None and not damaged:
        raise error
    return images


def _errors_hiding_images(images: ImageSet, faults: Sequence[Fault]) -> Iterator[ImgconvError]:
    """Yield the errors that hide an image, so that no entry stands for it."""
    there = {digest for node in images.nodes() for digest in identifying_digests(node)}
    for fault in faults:
        if fault.part is None or (fault.part.item and fault.part.digest not in there):
            yield fault.error


def replace_names(images: ImageSet, tags: Sequence[Reference]) -> ImageSet:
    """Replace all names of the one image there is by `tags`.

    Raises:
        SelectionError: there is not exactly one image.
    """
    if not tags:
        return images
    nodes = {entry.node for entry in images.entries if entry.node is not None}
    if len(nodes) != 1:
        raise SelectionError(
            f"--tag names one image, and {len(nodes)} are selected",
            code="tag-for-several-images",
            hint="pick one with --image",
        )
    node = next(iter(nodes))
    descriptor: Descriptor | None = next(entry.descriptor for entry in images.entries if entry.node is node)
    entries = tuple(Entry(node, Name(tag.with_default_tag(), None), descriptor) for tag in dict.fromkeys(tags))
    return dataclasses.replace(images, entries=entries)

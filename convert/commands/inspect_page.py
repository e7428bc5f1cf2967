"""What the page of `inspect` shows besides its document: the contents of layers, and the digests of pushes."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from convert.commands.digest import DigestOptions, digest_opened
from convert.commands.inspect_layers import describe, examine
from convert.errors import ImgconvError, UnsafeInputError
from convert.limits import MAX_PAGE_LAYERS, MAX_SHOWN
from convert.report.digest import document as digest_document
from convert.report.inspect_sources import PagePart, Pushes
from convert.report.uploads import find_uploads

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.open import Source
    from convert.commands.inspect_layers import Examined
    from convert.layer.stored_digests import StoredDigests
    from convert.model.image_set import ImageSet
    from convert.progress import Progress
    from convert.reader.shared_documents import SharedDocuments


def page_part(
    opened: Source,
    images: ImageSet,
    layers: StoredDigests,
    problems: Sequence[ImgconvError],
    found: Examined,
    *,
    source: str,
    selection: tuple[Sequence[str], Sequence[str]],
    jobs: int | None,
    progress: Progress,
    earlier: dict[str, Any],
    documents: SharedDocuments,
) -> PagePart:
    """Return what a page shows of a source that is open.

    Args:
        opened: the source.
        images: what was selected of it.
        layers: the digests of stored layers that are known.
        problems: the faults of what was selected, without those of layers.
        found: what was found in the layers before.
        source: the SOURCE of the command line.
        selection: the values of `--image` and of `--platform`.
        jobs: the number of CPU cores to use, all if None.
        progress: takes counts of bytes.
        earlier: the document of the same images.
        documents: those of the source that were read before.
    """
    if found.contents is None:
        read = examine(
            images, layers, verify=True, encoders=False, files=True, jobs=jobs, path=opened.path, progress=progress
        )
        found = read._replace(encoders=found.encoders)
    document = describe(opened, images, layers, [*problems, *found.problems], found, earlier)
    if too_many := _too_many(document["images"]):
        return PagePart(document, Pushes(error=too_many))
    options = DigestOptions(images=selection[0], platforms=selection[1], jobs=jobs)
    with contextlib.ExitStack() as stack:
        try:
            report = digest_opened(opened, options, stack, source=source, progress=progress, documents=documents)
        except ImgconvError as error:
            return PagePart(document, Pushes(error=error))
    return PagePart(document, Pushes(digest_document(report), find_uploads(report)))


def _too_many(images: Sequence[dict[str, Any]]) -> ImgconvError | None:
    """Return why a page has no digests of pushes: each image, and each layer of it, is looked at once for each tool."""
    hint = "--image picks one; imgconv digest prints those of all"
    if len(images) > MAX_SHOWN:
        text = f"a page has those of at most {MAX_SHOWN} images, and this source has {len(images)}"
        return UnsafeInputError(text, code="too-many-images", hint=hint)
    layers = sum(len(image["layers"]) for image in images)
    if layers > MAX_PAGE_LAYERS:
        text = f"a page has those of images with at most {MAX_PAGE_LAYERS} layers together, and these have {layers}"
        return UnsafeInputError(text, code="too-many-layers", hint=hint)
    return None

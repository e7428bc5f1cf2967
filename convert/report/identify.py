"""The `--json` document of `id` as a plain dict, and the parts that it shares with that of `inspect`.

Keys are always there; null means that the source lacks the value, or that the bytes were not read.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.diagnostics import Diagnostic, Diagnostics
from convert.identity.engine_id import UNREAD, Engine, engine_id, image_id, manifest_digest
from convert.model.image import config_of
from convert.report.manifests import digest_text

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.open import Source
    from convert.errors import ImgconvError
    from convert.identity.engine_id import LayerDigests, NamedImage
    from convert.model.image_set import ImageSet
    from convert.report.manifests import Document

#: Raised when a key of a document of `id` or `inspect` changes its meaning or goes away.
VERSION: Final = 2


def id_document(
    source: Source,
    images: ImageSet,
    items: Sequence[NamedImage],
    layers: LayerDigests,
    problems: Sequence[ImgconvError],
) -> Document:
    """Return what `imgconv id --json` prints about `items`, the things asked for."""
    notes = Diagnostics()
    return {
        "report": "id",
        "version": VERSION,
        "source": source_part(source, images),
        "images": [
            identity_part(item) | {"engines": engines_part(item, images, layers, notes)}
            for item in items
            if item.is_image
        ],
        "notes": [note.entry() for note in notes],
        "warnings": [warning.entry() for warning in images.warnings],
        "problems": [problem_part(error) for error in problems],
    }


def source_part(source: Source, images: ImageSet) -> Document:
    """Return where the images come from."""
    return {"path": source.path, "format": images.format, "wrapper": source.compression or None}


def problem_part(error: ImgconvError) -> Document:
    """Return what a document states about an error."""
    return {"code": error.code, "member": error.member, "message": error.message, "hint": error.hint}


def identity_part(item: NamedImage) -> Document:
    """Return what names one image."""
    described = item.claimed
    index = item.index
    return {
        "names": list(item.texts),
        "image_id": digest_text(image_id(item.node)),
        "manifest_digest": digest_text(
            manifest_digest(item.node)
            if item.node is not None
            else (described.digest if described is not None else None)
        ),
        "index_digest": digest_text(index.digest if index is not None else None),
        "platform": item.platform_text,
        "present": config_of(item.node) is not None,
    }


def engines_part(item: NamedImage, images: ImageSet, layers: LayerDigests, notes: Diagnostics) -> Document:
    """Return the ID that each engine shows for an image; `notes` takes the reasons for those that are unknown."""
    shown: Document = {}
    for engine in Engine:
        digest, why = engine_id(item, engine, images.format, layers)
        shown[engine.value] = digest_text(digest)
        if why:
            text = f"no ID for containerd: {why}"
            if why == UNREAD:
                text += " (id --engine containerd and inspect --verify do)"
            notes.append(Diagnostic(text, code="no-containerd-id"))
    return shown

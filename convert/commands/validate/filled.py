"""Check the layers that a source lacks and `--with` gives (docs/thin.md#reading)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.commands.thin import Absent
from convert.commands.verify_output import verify_layer
from convert.errors import AbsentBlobError, InputError
from convert.layer.base_blob import BaseBlob
from convert.layer.context import ReadContext, ReadOptions
from convert.layer.pool import Pool
from convert.limits import MAX_LAYER_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.model.image import Image, Layer
    from convert.model.image_set import ImageSet
    from convert.plan.base import Base
    from convert.reader.findings import Findings
    from convert.reader.sink import Fault


def check_filled(images: ImageSet, absent: Sequence[Fault], base: Base, findings: Findings, jobs: int) -> None:
    """Verify each layer that `base` gives, and make a note of the finding that it is missing.

    `absent` are the layers that the reader of `images` missed.

    Raises:
        StorageError: the base cannot be read.
    """
    filler = Absent(base, findings.file, any_form=True)
    errors: dict[str, InputError | None] = {}
    with Pool(jobs) as pool:

        def check(item: tuple[str, Layer]) -> tuple[str, InputError | None]:
            member, layer = item
            try:
                filled = filler.layer(layer)
                if filled.blob is not None:
                    file = filled.blob.file if isinstance(filled.blob, BaseBlob) else findings.file
                    context = ReadContext(ReadOptions(MAX_LAYER_SIZE, file=file), cancel=pool.cancel)
                    verify_layer(filled, filled.blob, context, full=True)
            except InputError as error:
                return member, error
            return member, None

        for member, error in pool.map(check, _missing(images, absent)):
            errors[member] = errors.get(member) or error
    good = sorted(member for member, error in errors.items() if error is None)
    for rule in ("missing", "left-out"):
        findings.excuse(rule, good, other="filled", message="is not in the source, --with gives it")
    for member, error in errors.items():
        if error is not None:
            where = f"{error.file}: " if error.file not in {None, findings.file} else ""
            rule = "missing" if isinstance(error, AbsentBlobError) else "damaged"
            findings.add(rule, f"{where}{error.message}", member=member)


def _missing(images: ImageSet, absent: Sequence[Fault]) -> list[tuple[str, Layer]]:
    """Return the layers that are missing, each with the member that would hold it."""
    members: dict[object, list[str]] = {}
    for fault in absent:
        if fault.part is not None and fault.part.digest is not None and fault.error.member:
            members.setdefault(fault.part.digest, []).append(fault.error.member)
    found: dict[tuple[str, Layer], None] = {}
    for image in images.images():
        layers = [layer for layer in image.layers if layer.is_missing]
        for digest in _digests(image):
            # A reader reports what an image lacks in the order of its layers.
            if layers and len(members.get(digest, ())) == len(layers):
                found.update(dict.fromkeys(zip(members[digest], layers, strict=True)))
                break
    return list(found)


def _digests(image: Image) -> Iterator[object]:
    yield image.image_id
    if image.manifest is not None:
        yield image.manifest.digest

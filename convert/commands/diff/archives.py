"""Compare two archives or layouts that stay open: what `diff` and its command are made of."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from convert.archive.open import open_source
from convert.archive.transport import STDIN
from convert.commands.common import Options, ignore
from convert.commands.diff.ignoring import IGNORABLE, compared_ignoring
from convert.commands.diff.images import compare
from convert.commands.diff.layer_pairs import LayerPairs
from convert.errors import SelectionError, UsageError, shortened, suggestion
from convert.layer.context import BlobProgress, ReadContext, ReadOptions
from convert.plan.read_selection import read_selection
from convert.report.comparison import By, other_layers
from convert.report.diff import document

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.archive.open import Source
    from convert.commands.common import Path, Warn
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.progress import Progress
    from convert.report.comparison import Difference, FileDifference


@dataclass(frozen=True, slots=True, kw_only=True)
class DiffOptions(Options):
    """The options of `diff` (docs/contract.md#commands).

    Attributes:
        by: what has to be the same: image IDs, DiffIDs, or manifest digests.
        files: also compare the files of layers that differ, which reads those layers.
        ignore: what does not count: `timestamps`, `owner`, `order`; layers that differ are read.
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits, in both archives; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        with_: archives that hold the layers which a thin A or B lacks (docs/thin.md).
        page: find what the page of `--html` shows besides: the files of layers that differ, which reads
            those layers.
    """

    by: By = By.ID
    files: bool = False
    ignore: Sequence[str] = ()
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    with_: Sequence[str] = ()
    page: bool = False


@dataclass(frozen=True, slots=True)
class OpenDiff:
    """Two compared archives that are still open, so that the files of their layers can be read."""

    a: Source
    b: Source
    images: tuple[ImageSet, ImageSet]
    options: DiffOptions
    difference: Difference
    layer_pairs: LayerPairs

    def files(self, a: Layer | None, b: Layer | None) -> Iterator[FileDifference]:
        """Yield the files that differ between two layers, by path; None is a layer without files.

        Raises:
            InputError: a layer is damaged, or images repeat layers too many times.
            NotRepresentableError: a layer is not in its archive.
        """
        return self.layer_pairs.files(a, b)

    def document(self) -> dict[str, Any]:
        """Return the document that `--json` prints; reads layers if files are compared."""
        files = self.files if self.options.files else None
        return document(self.difference, self.options.by, (self.a.path, self.b.path), files, self.options.ignore)


def check_ignore(options: DiffOptions) -> None:
    """Refuse values of `ignore` that do not exist, and manifest digests beside them.

    Raises:
        UsageError: there is one.
    """
    for value in options.ignore:
        if value not in IGNORABLE:
            raise UsageError(
                f"ignore takes {', '.join(IGNORABLE)}, not {shortened(value, 60)!r}",
                code="invalid-option-value",
                hint=suggestion(value, IGNORABLE).rstrip() or None,
            )
    if options.ignore and options.by is By.DIGEST:
        raise UsageError("a digest covers everything, so --by digest ignores nothing", code="incompatible-options")


@contextlib.contextmanager
def open_diff(
    a: Path, b: Path, options: DiffOptions, *, warn: Warn = ignore, progress: Progress | None = None
) -> Iterator[OpenDiff]:
    """Compare two archives and keep them open; errors as `diff`.

    For callers that show the files of layers one by one, instead of keeping all of them.
    """
    paths = os.fspath(a), os.fspath(b)
    if paths == (STDIN, STDIN):
        raise UsageError("A and B cannot both be standard input", code="incompatible-options")
    check_ignore(options)
    with contextlib.ExitStack() as stack:
        left, right = (stack.enter_context(open_source(path)) for path in paths)
        sets = [
            read_selection(
                opened,
                options.images,
                options.platforms,
                warn=_prefixed(opened.path, warn),
                accepts_absent=bool(options.with_),
            )
            for opened in (left, right)
        ]
        if options.with_:
            from convert.commands.thin import open_absent  # noqa: PLC0415 - start-up time: thin archives are rare

            sets = [
                open_absent(options.with_, path, stack, warn)(images) for path, images in zip(paths, sets, strict=True)
            ]
        found = compare(sets[0], sets[1])
        if not found.images and options.by is not By.DIGEST:
            raise SelectionError(
                "neither has an image to compare", code="nothing-to-compare", hint="--by digest compares artifacts"
            )
        shown = BlobProgress(progress)
        if options.files:
            shown.progress.expect(_compared_bytes(found))
        contexts = (
            ReadContext(ReadOptions(file=left.path), progress=shown),
            ReadContext(ReadOptions(file=right.path), progress=shown),
        )
        layer_pairs = LayerPairs(contexts, options.ignore)
        if options.ignore:
            found = dataclasses.replace(
                found, images=tuple(compared_ignoring(one, options.ignore, layer_pairs) for one in found.images)
            )
        yield OpenDiff(left, right, (sets[0], sets[1]), options, found, layer_pairs)
        for opened in (left, right):
            opened.tree.check_unchanged()


def _compared_bytes(difference: Difference) -> int:
    """Return the size of all layers whose files are compared, as they are stored."""
    layers = (layer for one in difference.images for pair in other_layers(one) for layer in pair if layer is not None)
    return sum(blob.size or 0 for blob in {layer.blob for layer in layers} if blob is not None)


def _prefixed(path: str, warn: Warn) -> Warn:
    """Return what names the archive in warnings about it."""
    return lambda text: warn(text.within(path))

"""Read a source and select what the options of a command ask for."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from convert.errors import (
    FormatError,
    InputError,
    NotRepresentableError,
    SelectionError,
    UsageError,
)
from convert.model.platform import Platform
from convert.model.reference import Reference
from convert.plan import dropped, push
from convert.plan.select import replace_names, select_images
from convert.reader.detect import holds_something, read
from convert.reader.sink import CollectingSink, Sink

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.archive.open import Source
    from convert.diagnostics import Diagnostic
    from convert.identity.push.pushers import Pusher
    from convert.model.image_set import ImageSet
    from convert.plan.edit.edits import Edits


def read_selection(
    opened: Source,
    images: Sequence[str] = (),
    platforms: Sequence[str] = (),
    *,
    tags: Sequence[str] = (),
    pusher: Pusher | None = None,
    edits: Edits | None = None,
    warn: Callable[[Diagnostic], None],
) -> ImageSet:
    """Read a source, as `pusher` does if there is one, and keep what `--image` and `--platform` ask for.

    `edits` change what was selected. `tags` replace the names of the one image that is left.

    Raises:
        SelectionError: the options fit nothing, or more than they may.
        UsageError: a platform or a tag is malformed, or the pusher cannot read the source.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
    """
    wanted = [Platform.parse(text) for text in platforms]
    names = [parse_tag(text) for text in tags]
    with naming_source(opened.path):
        # With a selection, only faults of what is selected count.
        collects = images or wanted or opened.reference_text or (edits and (edits.drop or edits.prune))
        sink = CollectingSink() if collects else Sink()
        found = read(opened.tree, sink=sink) if pusher is None else push.read_as(pusher, opened, warn, sink=sink)
        for warning in found.warnings:
            warn(warning)
        selected = select_images(
            found,
            spelling=opened.spelling,
            reference=opened.reference_text,
            selectors=images,
            platforms=wanted,
            faults=edits.counting(sink.faults) if edits is not None else sink.faults,
            warn=warn,
            damaged=bool(edits and edits.drop),
        )
        for line in dropped.find_dropped(found, selected, is_selection=True):
            warn(line)
        for line in dropped.find_dropped_attestations(found, selected):
            warn(line)
        if edits:
            from convert.plan.edit.edits import apply_edits  # noqa: PLC0415 - start-up time

            selected = apply_edits(selected, edits, sink.faults)
        if not holds_something(selected):
            raise SelectionError("no manifest of what is selected is in the source", code="no-such-image")
        return replace_names(selected, names)


def parse_tag(text: str) -> Reference:
    """Return the name that a `--tag` gives.

    Raises:
        UsageError: malformed, without a tag, or with a digest.
    """
    try:
        reference = Reference.parse(text).with_default_tag()
    except FormatError as error:
        raise UsageError(f"--tag {text!r}: {error.message}", code="invalid-tag") from None
    if reference.tag is None or reference.digest is not None:
        raise UsageError(
            f"--tag {text!r} needs a tag and no digest", code="invalid-tag", hint="as in --tag example.com/app:1.0"
        )
    return reference


@contextlib.contextmanager
def naming_source(path: str) -> Iterator[None]:
    """Name the source in errors about it that come from code without its name."""
    try:
        yield
    except (InputError, SelectionError, NotRepresentableError) as error:
        error.file = error.file or path
        raise

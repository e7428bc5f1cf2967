"""Select the one image that a command is about."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.diagnostics import Dropped
from convert.errors import NoImageError, NotRepresentableError, SelectionError
from convert.model.image import Artifact, Image, Index, config_of
from convert.model.walk import child_platform, leaves
from convert.plan.labels import entry_label
from convert.plan.read_selection import read_selection
from convert.reader.detect import holds_something

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.archive.open import Source
    from convert.commands.common import Warn
    from convert.diagnostics import Diagnostic
    from convert.model.image_set import Entry, ImageSet

#: Images or platforms that one message lists.
_MOST: Final = 8


def select_one(
    opened: Source, ref: str | None, platforms: Sequence[str], warn: Warn, *, accepts_absent: bool = False
) -> ImageSet:
    """Read a source and select the one image or index that REF and `--platform` name.

    With `accepts_absent`, its layers need not be in the source.

    Raises:
        SelectionError: there is none, or more than one.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
    """

    def warn_of_faults(line: Diagnostic) -> None:
        # What a selection leaves behind matters only to a result with less in it.
        if not isinstance(line, Dropped):
            warn(line)

    asked = [ref] if ref is not None else []
    found = read_selection(opened, asked, platforms, warn=warn_of_faults, accepts_absent=accepts_absent)
    if not holds_something(found):
        raise NoImageError("the source holds no image", file=opened.path)
    entries = {_identity(entry): entry for entry in reversed(found.entries) if entry.node is not None}
    if len(entries) != 1:
        labels = [entry_label(entry) for entry in reversed(entries.values())]
        raise SelectionError(
            f"the source holds {len(labels)} images: {_listed(labels)}",
            code="several-images",
            file=opened.path,
            hint="name one as REF",
        )
    return found


def only_node(images: ImageSet) -> Image | Artifact | Index:
    """Return the node of a set that `select_one` gave."""
    node = next(entry.node for entry in images.entries if entry.node is not None)
    if not isinstance(node, Image | Artifact | Index):
        raise SelectionError("it is not an image", code="no-image-selected")
    return node


def only_platform(images: ImageSet) -> Image | Artifact:
    """Return the image of one platform; an artifact is an image whose layers cannot be unpacked.

    Raises:
        SelectionError: it is of several platforms, or not an image.
    """
    node = only_node(images)
    if not isinstance(node, Index):
        if config_of(node) is None:
            raise SelectionError("it is not an image", code="no-image-selected")
        return node
    present: dict[Image | Artifact, str] = {}
    for child in leaves(node):
        platform = child_platform(child)
        if platform is not None and isinstance(child.node, Image | Artifact) and config_of(child.node) is not None:
            present.setdefault(child.node, platform.full)
    if not present:
        raise NotRepresentableError("no image of the index is in the source", code="no-image-selected")
    if len(present) > 1:
        raise SelectionError(
            f"it holds {len(present)} platforms: {_listed(list(present.values()))}",
            code="several-platforms",
            hint="pick one with --platform",
        )
    return next(iter(present))


def _identity(entry: Entry) -> object:
    return entry.node.image_id if isinstance(entry.node, Image) and entry.node.manifest is None else entry.node


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _MOST} more" if len(labels) > _MOST else ""
    return ", ".join(labels[:_MOST]) + more

"""`--out` of a batch: a template with `{stem}` and `{index}` besides the fields of images (docs/batch.md#outputs)."""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING, Final

from convert.archive.transport import path_of
from convert.commands.batch.addresses import is_url, without_credentials
from convert.errors import ImgconvError, UsageError
from convert.plan.template import FIELDS, Filled, Template, refuse_collisions

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The fields of an item, which are known before its source is read.
ITEM_FIELDS: Final = ("stem", "index")
#: Suffixes that a stem is without, also two of them: `app.tar.gz`.
_SUFFIX: Final = re.compile(r"(?:\.tar)?\.(?:gz|tgz|zst|tzst|zstd|xz|txz|bz2|tbz2?)\Z|\.tar\Z", re.IGNORECASE)
ALL_FIELDS: Final = (*ITEM_FIELDS, *FIELDS)


def stem_of(source: str) -> str:
    """Return the file name of a source without the suffix of an archive."""
    try:
        path = source if is_url(source) else path_of(source)
    except ImgconvError:  # the item will state it
        path = source
    name = os.path.basename(re.sub(r"[?#].*", "", path, flags=re.DOTALL) if is_url(source) else path.rstrip("/"))
    return _SUFFIX.sub("", name) or name or "source"


class Outputs:
    """Where the output of each item goes."""

    def __init__(self, template: str | None, command: str, *, force: bool = False) -> None:
        """Check a template.

        Raises:
            UsageError: it is malformed, or does not fit the command.
        """
        self._template: Template | None = None
        if template is None:
            if command == "convert":
                raise UsageError(
                    "convert needs --out TEMPLATE",
                    code="missing-argument",
                    hint="--out 'out/{stem}.tar' or 'out/{name}_{tag}.tar'",
                )
            return
        if not template:
            raise UsageError("--out is empty", code="empty-argument")
        self._template = Template.parse(template, ALL_FIELDS)
        of_images = self._template.fields & set(FIELDS)
        if of_images and command != "convert":
            field = min(of_images)
            raise UsageError(
                f"{{{field}}} is a field of images, and {command} writes one document for each source",
                code="invalid-template",
                hint="fields: {stem}, {index}",
            )
        if of_images and force and not self._template.fields & set(ITEM_FIELDS):
            raise UsageError(
                "with --force the result of one source could replace that of another",
                code="incompatible-options",
                hint="add {stem} or {index} to the template",
            )

    def fill(self, sources: Sequence[str]) -> list[tuple[str | None, tuple[str, ...]]]:
        """Return the output of each source, its fields of images still to be filled in, and the folders to create.

        Raises:
            UsageError: two outputs would be one.
        """
        template = self._template
        if template is None:
            return [(None, ())] * len(sources)
        values = [{"stem": stem_of(source), "index": str(number)} for number, source in enumerate(sources, 1)]
        bound = [template.bind(each) for each in values]
        if not template.fields & set(FIELDS):
            # A source that is given twice is one item.
            results: dict[tuple[str, str], Filled] = {}
            for source, (text, _), each in zip(sources, bound, values, strict=True):
                label = without_credentials(source) if is_url(source) else source
                results.setdefault((source, text), Filled(label, text, each))
            refuse_collisions(results.values(), template.fields)
        return [(text, tuple(folders)) for text, folders in bound]

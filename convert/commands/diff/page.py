"""What a page about two archives shows: the comparison, both archives, and the files that differ."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING

from convert.archive.transport import STDIN, path_of
from convert.commands.inspect import inspect
from convert.errors import ImgconvError, InputError, NotRepresentableError
from convert.layer.stored_digests import StoredDigests
from convert.limits import MAX_PAGE_LAYERS, MAX_SHOWN
from convert.report.comparison import By, other_layers
from convert.report.diff import document
from convert.report.diff_files import MAX_KEPT, Compared, ComparedFiles, Side
from convert.report.inspect import inspect_document

if TYPE_CHECKING:
    from convert.commands.diff.archives import DiffOptions, OpenDiff


def page_parts(opened: OpenDiff) -> Compared:
    """Return what the page of a comparison shows.

    The layers that differ are read. What is wrong with one is in the result, because the page shows the rest.

    Raises:
        StorageError: an archive cannot be read.
    """
    compared: list[ComparedFiles] = []
    left = MAX_KEPT
    pairs = 0
    for number, one in enumerate(opened.difference.images):
        others = list(other_layers(one))
        pairs += bool(others)
        for mine, its in others:
            found = ComparedFiles(
                number,
                str(mine.diff_id) if mine is not None else None,
                str(its.diff_id) if its is not None else None,
            )
            if pairs > MAX_SHOWN:
                # A page has no room for so many.
                found.problem = (
                    "too-many-images",
                    f"the files of {MAX_SHOWN} pairs of images are compared, and not of more",
                )
                compared.append(found)
                continue
            if len(compared) >= MAX_PAGE_LAYERS:
                # One line stands for the rest of the image.
                found.problem = (
                    "too-many-layers",
                    f"the files of {MAX_PAGE_LAYERS} pairs of layers are compared, not of this and those after it",
                )
                compared.append(found)
                break
            try:
                found.take(opened.files(mine, its), min(MAX_SHOWN, left))
            except (InputError, NotRepresentableError) as error:
                found.problem = error.code, str(error)
            left -= len(found.files)
            compared.append(found)
    a, b = (
        Side(source.path, inspect_document(source, images, StoredDigests(may_read=False), ()))
        for source, images in zip((opened.a, opened.b), opened.images, strict=True)
    )
    options = opened.options
    whole = document(opened.difference, options.by, (a.path, b.path), None, options.ignore)
    return Compared((a, b), whole, compared, _words(options))


def failed_parts(a: str, b: str, error: ImgconvError) -> Compared:
    """Return what the page shows if the archives could not be compared: each as far as it can be read by itself.

    Standard input cannot be read again.
    """
    sides = []
    for path in (a, b):
        side = Side(path)
        try:
            side.inspected = inspect(path).document if path_of(path) != STDIN else None
        except ImgconvError as own:
            side.error = own
        sides.append(side)
    if not any(side.error for side in sides):
        # The fault was found where `inspect` does not look.
        place = 1 if error.file == b and a != b else 0
        sides[place].error = error
    return Compared((sides[0], sides[1]))


def _words(options: DiffOptions) -> list[str]:
    """Return the options as words of a command line."""
    words = ["--by", options.by.value] if options.by is not By.ID else []
    for name, values in (
        ("--ignore", options.ignore),
        ("--image", options.images),
        ("--platform", options.platforms),
        ("--with", options.with_),
    ):
        for value in values:
            words += [name, shlex.quote(value)]
    return words

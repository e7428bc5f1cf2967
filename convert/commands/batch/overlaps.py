"""Outputs of a batch that would replace what the run reads or writes: a source, a list, the journal.

An output with fields of images is not known before its source is read; `kept.py` finds what it could be.
"""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from convert.archive.stream_sink import STDOUT, names_descriptor
from convert.archive.transport import path_of
from convert.commands.batch.addresses import is_url, protocol_of, without_credentials
from convert.errors import ImgconvError, UsageError, shortened
from convert.plan.template import FIELDS, Template, is_template

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.commands.batch.item import Item

#: Protocols of URLs that name a file of this machine.
_LOCAL: Final = frozenset({"file", "local"})


def refuse_overlaps(items: Iterable[Item], taken: Taken) -> None:
    """Refuse an output that is taken, or is inside a folder that is.

    Raises:
        UsageError: there is one, or an output is standard output.
    """
    for item in items:
        output = item.target or item.output
        if output is None:
            continue
        if output == STDOUT or (not is_url(output) and names_descriptor(output)):
            raise UsageError(
                "--out is a template of files, not a stream",
                code="incompatible-options",
                hint="without --out, rows go to standard output",
            )
        if taken.has(output):
            raise overlap_error(output)


def overlap_error(output: str) -> UsageError:
    """Return the error for an output that is taken."""
    return UsageError(
        f"the output {shortened(without_credentials(output))!r} is something that this batch reads, or its journal, "
        "or is inside one",
        code="destination-overlaps-source",
        hint="write to another folder: --out 'out/{stem}'",
    )


class Taken:
    """What the run reads or writes: files and folders that no output may be, by their real paths, and URLs."""

    def __init__(self, texts: Iterable[str]) -> None:
        """Take sources, lists and journals as they are given; nothing needs to be there."""
        self.paths: set[str] = set()
        self.addresses: set[str] = set()
        #: Whether one of the files has another name too.
        self.has_links = False
        self.folders: set[str] = set()
        self._files: set[tuple[int, int]] = set()
        for text in texts:
            self._add(text)

    def _add(self, text: str) -> None:
        path = local_path(text)
        if path is None:
            self.addresses.add(text)
            return
        self.paths.add(path)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return
        if stat.S_ISDIR(status.st_mode):
            self.folders.add(path)
            return
        self._files.add((status.st_dev, status.st_ino))
        self.has_links |= status.st_nlink > 1

    def has(self, output: str) -> bool:
        """Return whether an output is taken, or is inside a folder that is; of a template its first folders."""
        if is_template(output):
            # Its fields do not matter for where it begins.
            output = head_of(Template.parse(output, FIELDS))[0]
            path = local_path(output)
            return path is not None and self.holds(path)
        path = local_path(output)
        if path is None:
            return output in self.addresses
        return path in self.paths or self.holds(path) or self.has_file(path)

    def holds(self, path: str) -> bool:
        """Return whether a real path is a folder that is taken, or is inside one."""
        while self.folders and path not in {"/", ""}:
            if path in self.folders:
                return True
            path = os.path.dirname(path)
        return False

    def has_file(self, path: str) -> bool:
        """Return whether a path is another name of a file that is taken."""
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return False
        return (status.st_dev, status.st_ino) in self._files


def head_of(template: Template) -> tuple[str, tuple[tuple[str, ...], ...]]:
    """Return the folder in which all results of a template are, and the components below it."""
    count = next(number for number, component in enumerate(template.components) if len(component) > 1)
    head = "/".join(component[0] for component in template.components[:count])
    return head or ("/" if count else os.curdir), template.components[count:]


def local_path(text: str) -> str | None:
    """Return the real path of a source or output, None if it is not on this machine."""
    if is_url(text):
        if protocol_of(text) not in _LOCAL:
            return None
        text = text.partition("://")[2]
    else:
        try:
            text = path_of(text)
        except ImgconvError:
            return None
    try:
        return os.path.realpath(text)
    except ValueError:  # NUL in it
        return None

"""Outputs of a batch that would replace what the run reads or writes: a source, a list, the journal."""

from __future__ import annotations

import os
import stat
from typing import TYPE_CHECKING, Final

from convert.archive.stream_sink import STDOUT, names_descriptor
from convert.archive.transport import path_of
from convert.commands.batch.addresses import is_url, protocol_of, without_credentials
from convert.errors import ImgconvError, UsageError, shortened
from convert.plan.template import is_template

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from convert.commands.batch.item import Item

#: Protocols of URLs that name a file of this machine.
_LOCAL: Final = frozenset({"file", "local"})


def refuse_overlaps(items: Iterable[Item], others: Sequence[str]) -> None:
    """Refuse an output that is a source of the same batch, is inside one, or is one of `others`.

    An output with fields of images is not known before its source is read; `convert` checks it then
    against its own source, and replaces nothing without `--force`.

    Raises:
        UsageError: there is one, or an output is standard output.
    """
    items = list(items)
    if all(item.output is None for item in items):
        return
    taken = _Taken()
    for item in items:
        taken.add(item.address or item.source)
    for text in others:
        taken.add(text)
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
            raise UsageError(
                f"the output {shortened(without_credentials(output))!r} is something that this batch reads, or its "
                "journal, or is inside one",
                code="destination-overlaps-source",
                hint="write to another folder: --out 'out/{stem}'",
            )


class _Taken:
    """Files and folders that no output may be."""

    def __init__(self) -> None:
        self._paths: set[str] = set()
        self._folders: set[str] = set()
        self._files: set[tuple[int, int]] = set()
        self._addresses: set[str] = set()

    def add(self, text: str) -> None:
        path = _local_path(text)
        if path is None:
            self._addresses.add(text)
            return
        self._paths.add(path)
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return
        self._files.add((status.st_dev, status.st_ino))
        if stat.S_ISDIR(status.st_mode):
            self._folders.add(path)

    def has(self, output: str) -> bool:
        path = _local_path(output)
        if path is None:
            return output in self._addresses
        if is_template(output):
            return False
        if path in self._paths or self._is_inside(path):
            return True
        try:
            status = os.stat(path)
        except (OSError, ValueError):
            return False
        return (status.st_dev, status.st_ino) in self._files

    def _is_inside(self, path: str) -> bool:
        while self._folders and path not in {"/", ""}:
            path = os.path.dirname(path)
            if path in self._folders:
                return True
        return False


def _local_path(text: str) -> str | None:
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

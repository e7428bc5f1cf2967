"""SOURCES of a batch: paths, patterns, lists and URLs."""

from __future__ import annotations

import glob
import os
import sys
from typing import TYPE_CHECKING, Final

from convert.archive.transport import STDIN
from convert.commands.batch.addresses import is_url, is_url_pattern, without_credentials
from convert.errors import StorageError, UsageError, quoted
from convert.limits import MAX_BATCH_ITEMS, MAX_LIST_SIZE

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import BinaryIO

_LIST: Final = "@"


def expand_sources(sources: Iterable[str], *, stdin: BinaryIO | None = None) -> list[str]:
    """Return the sources that SOURCES name, in their order.

    A pattern stands for the paths that it fits, sorted; `@FILE` and `-` for the lines of a list, each
    a path or URL taken as it is. A list with NUL bytes has NUL at the end of each name instead.

    Raises:
        UsageError: a pattern fits nothing, a list is too long, or a name cannot be a source.
        StorageError: a list cannot be read.
    """
    found: list[str] = []
    for text in sources:
        for source in _expand(text, stdin):
            if len(found) == MAX_BATCH_ITEMS:
                raise UsageError(
                    f"more than {MAX_BATCH_ITEMS} sources", code="too-many-items", hint="split the list, or use shards"
                )
            found.append(source)
    if not found:
        raise UsageError("no source is given", code="missing-argument")
    return found


def lists_of(sources: Iterable[str]) -> list[str]:
    """Return the files of the lists among SOURCES."""
    return [text.removeprefix(_LIST) for text in sources if text.startswith(_LIST)]


def _expand(text: str, stdin: BinaryIO | None) -> Iterator[str]:
    if text == STDIN:
        stream = stdin if stdin is not None else sys.stdin.buffer
        if stream.isatty():
            raise UsageError(
                "standard input is a terminal", code="terminal-input", hint="pipe a list of sources into it"
            )
        yield from _lines(stream, "standard input")
    elif text.startswith(_LIST):
        path = text.removeprefix(_LIST)
        if is_url(path):
            raise UsageError(f"{without_credentials(path)}: a list is a file, not a URL", code="invalid-option-value")
        try:
            with open(path, "rb") as stream:
                yield from _lines(stream, path)
        except ValueError as error:  # NUL in it
            raise StorageError("no such file or folder: a path cannot hold NUL", code="not-found", file=path) from error
        except OSError as error:
            raise StorageError.from_os(error, file=path, doing="reading the list") from error
    elif not text:
        raise UsageError("a SOURCE is empty", code="empty-argument")
    elif is_url_pattern(text) if is_url(text) else glob.has_magic(text) and not _exists(text):
        yield from _matches(text)
    else:
        yield text


def _exists(path: str) -> bool:
    try:
        return os.path.lexists(path)
    except ValueError:
        return False


def _matches(pattern: str) -> Iterator[str]:
    """Yield what a pattern fits."""
    if is_url(pattern):
        from convert.commands.batch.remote import match_url  # noqa: PLC0415 - only with the extra

        found = match_url(pattern)
    else:
        found = sorted(glob.glob(pattern, recursive=True))
    if not found:
        shown = without_credentials(pattern) if is_url(pattern) else pattern
        raise UsageError(f"the pattern {quoted(shown)} fits nothing", code="pattern-without-match")
    yield from found


def _lines(stream: BinaryIO, where: str) -> Iterator[str]:
    """Yield the names of a list."""
    data = stream.read(MAX_LIST_SIZE + 1)
    if len(data) > MAX_LIST_SIZE:
        raise UsageError(
            f"the list has more than {MAX_LIST_SIZE} bytes", code="too-many-items", file=where, hint="split it"
        )
    lines = data.split(b"\0" if b"\0" in data else b"\n")
    if all(line.endswith(b"\r") for line in lines if line):
        lines = [line.removesuffix(b"\r") for line in lines]
    for line in lines:
        if line:
            name = os.fsdecode(line)
            # In a list it is the name of a file; commands would read standard input.
            yield os.path.join(os.curdir, name) if name == STDIN else name

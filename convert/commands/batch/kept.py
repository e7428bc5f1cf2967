"""What an output with fields of images must not become: sources, lists and the journal of its batch.

Such an output is known when its source has been read, in some process that does not know the other sources. So each
item holds those of them that the template could give.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from convert.commands.batch.addresses import is_url, without_credentials
from convert.commands.batch.outputs import ALL_FIELDS
from convert.commands.batch.overlaps import head_of, local_path, overlap_error
from convert.errors import StorageError, UsageError
from convert.limits import MAX_KEPT
from convert.plan.template import Template, is_template

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from convert.commands.batch.item import Item
    from convert.commands.batch.overlaps import Taken


def kept_of(text: str | None, taken: Taken) -> tuple[str, ...]:
    """Return the paths and URLs that `--out` could give and that are taken, or lead to what is.

    Raises:
        UsageError: there are too many.
        StorageError: the folder of the outputs cannot be listed.
    """
    if text is None or not is_template(text):
        return ()
    head, components = head_of(Template.parse(text, ALL_FIELDS))
    patterns = [_pattern(component) for component in components]
    folder = local_path(head)
    if folder is None:
        begin = re.escape(without_credentials(head))
        whole = re.compile("/".join([begin, *(each.pattern for each in patterns)]))
        addresses = map(without_credentials, taken.addresses)
        found = {address for address in addresses if whole.fullmatch(re.sub(r"[?#].*", "", address))}
    else:
        found = set(_fitting(folder, patterns, taken))
        top = os.path.abspath(head.partition("://")[2] if is_url(head) else head)
        found.update(_linked(top, patterns, taken))
    if len(found) > MAX_KEPT:
        raise UsageError(
            f"more than {MAX_KEPT} sources could be outputs of {text!r}",
            code="destination-overlaps-source",
            hint="write to another folder: --out 'out/{name}'",
        )
    return tuple(sorted(found))


def check_kept(item: Item) -> Callable[[str], None] | None:
    """Return a function that refuses the paths and URLs that an item must not write to; None if it may all."""
    if not item.kept:
        return None
    kept = {path.casefold() for path in item.kept}

    def check(output: str) -> None:
        path = local_path(output)
        if path is None:
            names = [re.sub(r"[?#].*", "", without_credentials(output))]
        else:
            spelled = output.partition("://")[2] if is_url(output) else output
            names = [*_with_parents(path), *_with_parents(os.path.abspath(spelled))]
        # Not all file systems tell upper case from lower case.
        if not kept.isdisjoint(name.casefold() for name in names):
            raise overlap_error(output)

    return check


def _with_parents(path: str) -> Iterator[str]:
    """Yield a path and the folders that it is in."""
    while path not in {"/", ""}:
        yield path
        path = os.path.dirname(path)


def _pattern(component: Sequence[str]) -> re.Pattern[str]:
    """Return what fits every name that a component of a template gives, whatever its fields are.

    Without a value, a field can take the text between it and the next one with it; and a name does not begin with `-`
    or `.`.
    """
    if len(component) == 1:
        return re.compile(re.escape(component[0]))
    begin = "[^/]*" if component[0][:1] in {"-", "."} else re.escape(component[0]) + "[^/]*"
    return re.compile(begin + re.escape(component[-1]), re.IGNORECASE)


def _fitting(folder: str, patterns: Sequence[re.Pattern[str]], taken: Taken) -> Iterator[str]:
    """Yield what is taken and what results below a folder can be, or be inside of."""
    start = os.path.join(folder, "")
    for path in taken.paths:
        if path.startswith(start):
            parts = path.removeprefix(start).split("/")
            is_possible = len(parts) == len(patterns) or (len(parts) < len(patterns) and path in taken.folders)
            if is_possible and all(map(re.Pattern.fullmatch, patterns, parts)):
                yield path


def _linked(top: str, patterns: Sequence[re.Pattern[str]], taken: Taken) -> Iterator[str]:
    """Yield the paths that results can have and that are links to what is taken, or lead through links to it."""
    folders = [(top, False)]
    for depth, pattern in enumerate(patterns):
        is_last = depth == len(patterns) - 1
        below: list[tuple[str, bool]] = []
        for folder, through_link in folders:
            for entry in _entries(folder):
                if pattern.fullmatch(entry.name) is None:
                    continue
                linked = through_link or entry.is_symlink()
                if linked and _is_taken(entry.path, taken):
                    yield entry.path
                elif not is_last:
                    if entry.is_dir():
                        below.append((entry.path, linked))
                elif taken.has_links and taken.has_file(entry.path):
                    yield entry.path
        folders = below


def _is_taken(path: str, taken: Taken) -> bool:
    real = os.path.realpath(path)
    return real in taken.paths or taken.holds(real)


def _entries(folder: str) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except (FileNotFoundError, NotADirectoryError):  # which the items will state
        return []
    except OSError as error:
        raise StorageError.from_os(error, file=folder, doing="listing the folder of the outputs") from error

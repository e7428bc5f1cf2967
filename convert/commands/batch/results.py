"""The output of one item. It appears whole, and running an item again never fails for what it wrote before."""

from __future__ import annotations

import contextlib
import dataclasses
import os
import stat
import tempfile
from typing import TYPE_CHECKING, Any, Final

from convert import cancel
from convert.archive import folders, temporary
from convert.archive.output_file import OutputFile
from convert.commands.batch.addresses import is_url
from convert.commands.batch.kept import check_kept
from convert.commands.batch.stamps import path_stamp
from convert.commands.convert import convert, convert_checked
from convert.errors import DestinationExistsError, StorageError
from convert.limits import CHUNK
from convert.plan.template import FIELDS, Template, is_template
from convert.report.json_text import bounded_text
from convert.writer.layer_cache import NAME as LAYER_CACHE

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from convert.commands.batch.item import Item
    from convert.commands.common import Warn
    from convert.commands.convert_options import ConvertOptions
    from convert.report.convert import ConversionReport

_DOCUMENT: Final = "document.json"


@contextlib.contextmanager
def document_output(item: Item, output: str) -> Iterator[Callable[[Any], int]]:
    """Check the output of an item before its work begins, and give what writes its document there.

    That takes what the command prints with `--json`, and returns the size. A document that is there is replaced.

    Raises:
        UnsafeInputError: the document is larger than `--json` prints.
        UsageError: something else than a regular file is there.
        StorageError: the folder cannot be written to, or writing failed.
    """
    if is_url(output):
        yield lambda document: _upload(item.target or output, bounded_text(document))
        return
    sources = () if item.address else (item.source,)
    with _created(item.folders) as created, OutputFile(output, sources=sources) as file:

        def write(document: Any) -> int:
            size = file.write(text.encode() for text in bounded_text(document))
            created.clear()
            return size

        yield write


def _upload(url: str, texts: Iterable[str]) -> int:
    from convert.commands.batch import remote  # noqa: PLC0415 - only with the extra

    with _staging(tempfile.gettempdir()) as folder:
        path = os.path.join(folder, _DOCUMENT)
        with open(path, "xb") as file:
            size = sum(file.write(text.encode()) for text in texts)
        remote.upload(path, url, force=True)
    return size


def convert_item(source: str, item: Item, options: ConvertOptions, warn: Warn) -> tuple[ConversionReport, int]:
    """Convert the source of an item; return the report and the size of all results.

    Without `--force`, a result that is there already with the same bytes counts as written: an earlier
    run may have ended before it could note that.

    Raises:
        UsageError, InputError, StorageError: as `convert`.
    """
    output = item.output or ""
    if is_url(output):
        return _convert_to_url(source, item, options, warn)
    with _created(item.folders) as created:
        try:
            report = convert_checked([source], output, options, warn, None, check_kept(item))
        except DestinationExistsError as error:
            if options.force or options.append or error.code != DestinationExistsError.default_code:
                raise
            if is_template(output):
                error.hint = f"if it is the result of another source, add {{stem}} or {{index}} to --out; {error.hint}"
            report = _convert_and_compare(source, output, options, warn, error)
        created.clear()
    return report, sum(path_stamp(result.path).size or 0 for result in report.results)


def _convert_and_compare(
    source: str, output: str, options: ConvertOptions, warn: Warn, refusal: DestinationExistsError
) -> ConversionReport:
    """Convert beside the output; move results to where nothing is, and accept those that are there and the same.

    Raises:
        DestinationExistsError: another result is there.
    """
    head, tail = _split(output)
    with _staging(head or os.curdir) as folder:
        report = convert(source, _joined(folder, tail), options, warn=warn)
        pairs = [(result.path, os.path.join(head, os.path.relpath(result.path, folder))) for result in report.results]
        missing = []
        for built, final in pairs:
            if not os.path.lexists(final):
                missing.append((built, final))
            elif not _are_same(built, final):
                raise refusal
        for built, final in missing:
            _move(built, final, refusal)
        return _renamed(report, output, [final for _, final in pairs])


def _convert_to_url(source: str, item: Item, options: ConvertOptions, warn: Warn) -> tuple[ConversionReport, int]:
    """Convert to a temporary file for each result, then write these to the URL."""
    from convert.commands.batch import remote  # noqa: PLC0415 - only with the extra

    output = item.output or ""
    shown, tail = _split(output)
    head = _split(item.target)[0] if item.target else shown
    with _staging(tempfile.gettempdir()) as folder:
        report = convert(source, _joined(folder, tail), dataclasses.replace(options, force=False), warn=warn)
        size, names, check = 0, [], check_kept(item)
        for result in report.results:
            if check is not None:
                check(f"{head}/{os.path.relpath(result.path, folder)}")
        for result in report.results:
            name = os.path.relpath(result.path, folder)
            size += path_stamp(result.path).size or 0
            remote.upload(result.path, f"{head}/{name}", force=options.force)
            names.append(f"{shown}/{name}")
        return _renamed(report, output, names), size


def _split(output: str) -> tuple[str, str]:
    """Return the folder of an output before the first field, and what is left of it.

    The folder is as it is spelled in the file system, without the escapes of a template.
    """
    if not is_template(output):
        head, _, tail = output.rpartition("/")
        return (head or "/") if output.startswith("/") else head, tail
    parts = output.split("/")
    template = Template.parse(output, FIELDS)
    first = next(number for number, each in enumerate(template.components) if len(each) > 1)
    head = "/".join(each[0] for each in template.components[:first])
    return (head or "/") if output.startswith("/") else head, "/".join(parts[first:])


def _joined(folder: str, tail: str) -> str:
    """Return an output in another folder."""
    if is_template(tail):
        folder = folder.replace("{", "{{").replace("}", "}}")
    return os.path.join(folder, tail)


def _renamed(report: ConversionReport, output: str, paths: Sequence[str]) -> ConversionReport:
    results = tuple(dataclasses.replace(result, path=path) for result, path in zip(report.results, paths, strict=True))
    return dataclasses.replace(report, destination=output, results=results)


def _are_same(one: str, other: str) -> bool:
    """Return whether two files, or two layouts, have the same bytes."""
    kinds = [stat.S_IFMT(os.lstat(path).st_mode) for path in (one, other)]
    if kinds[0] != kinds[1]:
        return False
    if stat.S_ISDIR(kinds[0]):
        names = [sorted(set(os.listdir(path)) - {LAYER_CACHE}) for path in (one, other)]
        return names[0] == names[1] and all(
            _are_same(os.path.join(one, name), os.path.join(other, name)) for name in names[0]
        )
    if not stat.S_ISREG(kinds[0]) or os.path.getsize(one) != os.path.getsize(other):
        return False
    with open(one, "rb") as first, open(other, "rb") as second:
        while data := first.read(CHUNK):
            cancel.check()
            if second.read(len(data)) != data:
                return False
    return True


def _move(built: str, final: str, refusal: DestinationExistsError) -> None:
    """Put a result in place, where nothing may be."""
    folder, name = os.path.split(final)
    os.makedirs(folder or os.curdir, exist_ok=True)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
    fds = [os.open(path or os.curdir, flags) for path in (os.path.dirname(built), folder)]
    try:
        folders.rename_new(fds[0], os.path.basename(built), fds[1], name)
        folders.sync_folder(fds[1])
    except FileExistsError:
        raise refusal from None
    except OSError as error:
        raise StorageError.from_os(error, file=final, doing="putting it in place") from error
    finally:
        for fd in fds:
            os.close(fd)


@contextlib.contextmanager
def _staging(parent: str) -> Iterator[str]:
    """Create a temporary folder and yield its path; later runs remove those of killed ones."""
    try:
        above = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise StorageError.from_os(error, file=parent, doing="opening the folder") from error
    try:
        temporary.remove_stale(above)
        try:
            name, fd = temporary.make_folder(above)
        except OSError as error:
            raise StorageError.from_os(error, file=parent, doing="creating a folder") from error
        try:
            yield os.path.join(parent, name)
        finally:
            with contextlib.suppress(OSError):
                temporary.remove_folder(above, name, fd)
            os.close(fd)
    finally:
        os.close(above)


@contextlib.contextmanager
def _created(wanted: Sequence[str]) -> Iterator[list[str]]:
    """Create folders and yield the new ones; what is left in the list is removed again at the end."""
    created: list[str] = []
    try:
        for folder in wanted:
            try:
                os.mkdir(folder)
            except FileExistsError:
                continue
            except OSError as error:
                raise StorageError.from_os(error, file=folder, doing="creating the folder") from error
            created.append(folder)
        yield created
    finally:
        for folder in reversed(created):
            with contextlib.suppress(OSError):
                os.rmdir(folder)


def remove_leftovers(item: Item) -> None:
    """Remove the temporary files that a killed worker left beside the output of an item."""
    if item.output is None or is_url(item.output):
        return
    with contextlib.suppress(Exception):
        fd = os.open(_split(item.output)[0] or os.curdir, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            temporary.remove_stale(fd)
        finally:
            os.close(fd)

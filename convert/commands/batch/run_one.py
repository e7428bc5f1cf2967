"""Run one item of a batch and return its row: the unit that every engine calls.

Nothing is shared between two calls, and nothing that goes wrong with a source is raised.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import time
from functools import cache
from typing import TYPE_CHECKING, Any, Final

from convert.archive import transport
from convert.archive.named_streams import named_stream
from convert.commands.batch.addresses import is_url, scrubbed
from convert.commands.batch.stamps import stamp_of
from convert.errors import ImgconvError, StorageError, UsageError, shortened
from convert.limits import MAX_ITEM_NOTES
from convert.plan.template import is_template
from convert.report.batch import Row, Stamp

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from convert.commands.batch.item import Item
    from convert.commands.common import Warn

    #: Writes the document that a function returns; returns its size, None without output.
    Write = Callable[[Callable[[], Any]], int | None]

#: The exit status of a fault of imgconv itself (docs/contract.md#exit-status).
_BUG: Final = 70
_NO_MEMORY: Final = "out of memory"
#: The message of CPython if the system cannot start a thread (Modules/_threadmodule.c).
_NO_THREAD: Final = "start new thread"


@dataclasses.dataclass(slots=True)
class Outcome:
    """What a command gave. `written` counts the bytes of the output, None without one."""

    exit: int = 0
    code: str | None = None
    message: str | None = None
    digests: tuple[Mapping[str, Any], ...] = ()
    written: int | None = None


def run_one(item: Item) -> Row:
    """Run an item and return its row.

    It may run in any thread or process that sees the paths of the item, several times too: an output
    appears whole or not at all, and one that is there already with the same bytes counts as written.

    Raises:
        Cancelled: a signal requested the end of the process; nothing is left of the item.
    """
    begin = time.monotonic()
    stamp = Stamp(is_remote=bool(item.address))
    notes: list[str] = []

    def warn(text: str) -> None:
        if len(notes) < MAX_ITEM_NOTES:
            notes.append(str(text))

    try:
        with _there(item) as (source, here), _output(here) as write:
            stamp = stamp_of(here)
            outcome = _RUNS[here.command](source, here, warn, write)
    except ImgconvError as error:
        outcome = Outcome(error.exit_status, error.code, str(error))
    except OSError as error:
        found = StorageError.from_os(error)
        outcome = Outcome(found.exit_status, found.code, str(found))
    except MemoryError:
        outcome = Outcome(StorageError.exit_status, "memory", _NO_MEMORY)
    except ImportError as error:  # a library cannot be mapped, or the installation is incomplete
        text = f"cannot load a part of imgconv or of its libraries: {shortened(str(error))}"
        outcome = Outcome(StorageError.exit_status, "storage", text)
    except RuntimeError as error:
        if _NO_THREAD in str(error):
            text = "cannot start a thread: the system's limit is reached"
            outcome = Outcome(StorageError.exit_status, "storage", text)
        else:
            outcome = _bug(error)
    except Exception as error:  # noqa: BLE001 - one item never ends the run
        outcome = _bug(error)
    return row_of(item, outcome, stamp, time.monotonic() - begin, tuple(notes))


def row_of(item: Item, outcome: Outcome, stamp: Stamp, seconds: float, notes: tuple[str, ...] = ()) -> Row:
    """Return the row of an item."""
    message = outcome.message
    for url in filter(None, (item.address, item.target)):
        message = scrubbed(message, url) if message else message
        notes = tuple(scrubbed(note, url) for note in notes)
    return Row(
        item.key,
        item.source,
        stamp,
        item.command,
        item.words,
        _version(),
        outcome.exit,
        outcome.code,
        outcome.digests,
        item.output,
        outcome.written,
        seconds,
        message,
        notes,
    )


@contextlib.contextmanager
def _there(item: Item) -> Any:
    """Yield the name by which the command opens the source, and the item with paths that lead to it from here."""
    if item.address:
        from convert.commands.batch.remote import RemoteStream  # noqa: PLC0415 - only with the extra

        with named_stream(item.source, lambda: RemoteStream(item.address)):  # type: ignore[arg-type,return-value] # typeshed's BinaryIO is not a base of RawIOBase
            yield item.source, _located(item)
        return
    if item.source == transport.STDIN:
        raise UsageError("standard input cannot be a source of a batch", hint="- is a list of sources")
    here = _located(item)
    yield here.source, here


def _located(item: Item) -> Item:
    """Return an item whose paths begin in the folder of this process."""
    if os.path.realpath(item.folder) == os.path.realpath(os.curdir):
        return item
    source = item.source
    if not item.address:
        spelling, path, reference = transport.parse(source)
        path = os.path.join(item.folder, path)
        between = "/" if spelling == transport.REGISTRY else ":"
        source = f"{spelling}:{path}" if spelling else path
        source += f"{between}{reference}" if reference else ""
    output = item.output
    if output is not None and not is_url(output):
        folder = item.folder.replace("{", "{{").replace("}", "}}") if is_template(output) else item.folder
        output = os.path.join(folder, output)
    made = tuple(os.path.join(item.folder, each) for each in item.folders)
    return dataclasses.replace(item, source=source, output=output, folders=made)


@cache
def _version() -> str:
    from importlib.metadata import version  # noqa: PLC0415 - only here

    return version("imgconv")


def _bug(error: Exception) -> Outcome:
    text = f"internal error: {type(error).__name__}: {shortened(str(error))} (a bug in imgconv)"
    return Outcome(_BUG, None, text)


# -- the commands -------------------------------------------------------------------------


def _on_one_core(item: Item) -> Any:
    """Return the options of an item; the items of a batch share the cores already."""
    options = item.options
    if getattr(options, "jobs", 0) is None:
        return dataclasses.replace(options, jobs=1)  # type: ignore[call-arg] # not all have it
    return options


@contextlib.contextmanager
def _output(item: Item) -> Iterator[Write]:
    """Give what writes the document of a command to the output of an item, and returns its size.

    It does nothing without output; `convert` writes its result itself.
    """
    if item.output is None or item.command == "convert":
        yield lambda _: None
        return
    from convert.commands.batch.results import document_output  # noqa: PLC0415 - start-up time

    with document_output(item, item.output) as write:
        yield lambda document: write(document())


def _validate(source: str, item: Item, warn: Warn, write: Write) -> Outcome:
    from convert.commands.validate import validate  # noqa: PLC0415 - only the command that runs
    from convert.report.validate import document  # noqa: PLC0415

    del warn
    verdict = validate(source, _on_one_core(item))
    counted = [found for found in verdict.findings if found.counts]
    outcome = Outcome(verdict.status)
    if counted:
        outcome.code = counted[0].rule
        more = f" (and {len(counted) - 1} more findings)" if len(counted) > 1 else ""
        outcome.message = f"{counted[0]}{more}"
    elif verdict.error is not None:
        outcome.message = verdict.error
    outcome.written = write(lambda: document([verdict]))
    return outcome


def _digest(source: str, item: Item, warn: Warn, write: Write) -> Outcome:
    from convert.commands.digest import digest  # noqa: PLC0415 - only the command that runs
    from convert.report.digest import rows, streamed_document  # noqa: PLC0415

    report = digest(source, _on_one_core(item), warn=warn)
    digests = tuple(
        {key: push[key] for key in ("names", "platform", "image_id", "digest", "pusher")} for push in rows(report)
    )
    return Outcome(digests=digests, written=write(lambda: streamed_document(report)))


def _reported(
    status: int, error: ImgconvError | None, digests: tuple[dict[str, Any], ...], written: int | None
) -> Outcome:
    """Return the outcome of a command that reports its first error instead of raising it."""
    if error is None:
        return Outcome(status, digests=digests, written=written)
    return Outcome(status, error.code, str(error), digests, written)


def _identify(source: str, item: Item, warn: Warn, write: Write) -> Outcome:
    from convert.commands.identify import identify  # noqa: PLC0415 - only the command that runs

    options = dataclasses.replace(item.options, details=item.output is not None)  # type: ignore[call-arg] # of `id`
    report = identify(source, options, warn=warn)  # type: ignore[arg-type] # as above
    digests = tuple(
        {
            "names": list(image.names),
            "platform": image.platform or None,
            "image_id": str(image.id) if image.id is not None else None,
            "digest": None,
        }
        for image in report.images
    )
    error = report.problems[0] if report.problems else report.failure
    return _reported(report.status, error, digests, write(lambda: report.document))


def _inspect(source: str, item: Item, warn: Warn, write: Write) -> Outcome:
    from convert.commands.inspect import inspect  # noqa: PLC0415 - only the command that runs

    report = inspect(source, _on_one_core(item), warn=warn)
    digests = tuple(
        {
            "names": image["names"],
            "platform": image["platform"],
            "image_id": image["image_id"],
            "digest": image["manifest_digest"],
        }
        for image in report.document["images"]
    )
    error = report.problems[0] if report.problems else None
    return _reported(report.status, error, digests, write(lambda: report.document))


def _convert(source: str, item: Item, warn: Warn, _write: Write) -> Outcome:
    from convert.commands.batch.results import convert_item  # noqa: PLC0415 - only the command that runs

    report, written = convert_item(source, item, _on_one_core(item), warn)
    digests = tuple(
        {
            "names": list(image.names),
            "platform": None,
            "image_id": str(image.image_id) if image.image_id is not None else None,
            "digest": str(image.manifest_digest) if image.manifest_digest is not None else None,
            "output": result.path,
        }
        for result in report.results
        for image in result.images
    )
    return Outcome(digests=digests, written=written)


_RUNS: Final[Mapping[str, Callable[[str, Item, Warn, Write], Outcome]]] = {
    "validate": _validate,
    "digest": _digest,
    "id": _identify,
    "inspect": _inspect,
    "convert": _convert,
}

"""Say where an archive loads: `doctor`."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.archive.open import open_source
from convert.commands.common import Options, options_of
from convert.consumers.consumer import newest, parse_consumers
from convert.consumers.contents import Contents
from convert.consumers.damage import mend_first
from convert.consumers.diagnose import diagnose
from convert.errors import InputError
from convert.model.platform import Platform
from convert.progress import Silent
from convert.report.doctor import DoctorReport

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from convert.commands.common import Path
    from convert.commands.keywords import DoctorFields
    from convert.consumers.consumer import Consumer
    from convert.progress import Progress


@dataclass(frozen=True, slots=True, kw_only=True)
class DoctorOptions(Options):
    """The options of `doctor` (docs/doctor.md).

    Attributes:
        consumers: the programs to ask about, each `NAME` or `NAME@VERSION`; every one in the
            newest version that was tried if empty.
        platform: the platform of the machine on which they run, `OS/ARCH[/VARIANT]`.
    """

    consumers: Sequence[str] = ()
    platform: str = "linux/amd64"


def doctor(
    source: Path,
    options: DoctorOptions | None = None,
    *,
    progress: Progress | None = None,
    **fields: Unpack[DoctorFields],
) -> DoctorReport:
    """Return where an archive loads, under which names, and if it does not, why and what helps.

    Faults of the source are reasons or the report's `problem`, never raised. Layers are read
    where a verdict depends on their bytes.

    Args:
        source: a file, a folder, `-` for standard input, or one of skopeo's spellings.
        options: which consumers; see `DoctorOptions`.
        progress: takes counts of the bytes of layers as they are stored; called from any thread.
        fields: the fields of `DoctorOptions`, instead of `options`.

    Raises:
        UsageError: there are no rules for a consumer, or the platform is malformed.
        StorageError: the source cannot be read.
    """
    given = options_of(DoctorOptions, options, dict(fields))
    platform = Platform.parse(given.platform)
    consumers = parse_all(given.consumers)
    path = os.fspath(source)
    try:
        with open_source(path) as opened:
            path = opened.path
            shown = progress or Silent()
            contents = Contents(opened, platform, shown.advance)
            images, _ = contents.reading
            # A verdict may depend on any layer; each is read once.
            shown.expect(sum({blob: blob.size or 0 for blob in images.blobs()}.values()))
            found = diagnose(contents, consumers or newest())
            return DoctorReport(path, images.format, platform, mend_first(contents, found))
    except InputError as error:
        error.file = error.file or path
        return DoctorReport(path, None, platform, (), error)


def parse_all(texts: Sequence[str]) -> tuple[Consumer, ...]:
    """Return the consumers that texts name, each of them several separated by commas.

    Raises:
        UsageError: there are no rules for one.
    """
    return tuple(dict.fromkeys(consumer for text in texts for consumer in parse_consumers(text)))

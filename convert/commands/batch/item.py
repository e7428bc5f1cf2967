"""One item of a batch: a source, a command with its options, and where its output goes."""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass, field, fields
from enum import Enum
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from convert.commands.common import Options

#: The commands that a batch can run.
COMMANDS: Final = ("validate", "digest", "id", "inspect", "convert")
#: Fields whose option has another name.
_NAMES: Final = {
    "consumers": "for",
    "images": "image",
    "platforms": "platform",
    "pusher": "as",
    "pushers": "as",
    "tags": "tag",
    "with_": "with",
}
#: Fields that never change a result: they belong neither to the options of a row nor to its key.
_WITHOUT_EFFECT: Final = frozenset({"jobs", "details", "page"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item: picklable, so that any engine can send it to where `run_one` runs.

    Attributes:
        source: the source as given, without the credentials of a URL.
        command: a key of `COMMANDS`.
        options: the options of that command.
        output: the path or URL to write, also a template of `convert`, without credentials; None for none.
        folders: folders to create for the output, the outermost first.
        folder: the folder in which paths that are not absolute begin.
        kept: absolute paths and URLs that a template of images must not become: sources, lists and
            the journal of the batch.
        address: the URL with its credentials, "" for a path; kept out of the representation.
        target: the same for the output.
    """

    source: str
    command: str
    options: Options
    output: str | None = None
    folders: tuple[str, ...] = ()
    folder: str = field(default_factory=os.getcwd)
    kept: tuple[str, ...] = field(default=(), repr=False)
    address: str = field(default="", repr=False)
    target: str = field(default="", repr=False)

    @property
    def words(self) -> tuple[str, ...]:
        """The options as words of the command line."""
        return option_words(self.options)

    @property
    def key(self) -> str:
        """What identifies the item in a journal: SHA-256 of source, command, options and output."""
        parts = (self.source, self.command, *self.words, "" if self.output is None else f"\n{self.output}")
        text = b"".join(b"%d:%s" % (len(part), part) for part in map(os.fsencode, parts))
        return hashlib.sha256(text).hexdigest()


def options_type(command: str) -> type[Options]:
    """Return the class of the options of a command; its module is imported only then."""
    if command == "validate":
        from convert.commands.validate import ValidateOptions  # noqa: PLC0415 - start-up time

        return ValidateOptions
    if command == "digest":
        from convert.commands.digest import DigestOptions  # noqa: PLC0415 - start-up time

        return DigestOptions
    if command == "id":
        from convert.commands.identify import IdentifyOptions  # noqa: PLC0415 - start-up time

        return IdentifyOptions
    if command == "inspect":
        from convert.commands.inspect import InspectOptions  # noqa: PLC0415 - start-up time

        return InspectOptions
    from convert.commands.convert_options import ConvertOptions  # noqa: PLC0415 - start-up time

    return ConvertOptions


def option_words(options: Options) -> tuple[str, ...]:
    """Return options as words of the command line, in the order of the fields: the same for the same options."""
    words: list[str] = []
    for each in fields(options):
        value = getattr(options, each.name)
        if value == each.default or each.name in _WITHOUT_EFFECT:
            continue
        name = "--" + _NAMES.get(each.name, each.name.replace("_", "-"))
        if each.name == "refs":
            words += value
        elif isinstance(value, bool):
            words.append(name)
        elif isinstance(value, tuple):
            words += [word for one in value for word in (name, one)]
        else:
            words += [name, str(value.value if isinstance(value, Enum) else value)]
    return tuple(words)

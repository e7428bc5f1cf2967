"""The rows of `batch`, one for each item, and their JSON (schemas/report-batch-row.json)."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.report.json_text import chunks

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

#: Exit statuses up to this one are answers: a negative one is not a failure.
_LAST_ANSWER: Final = 1
_TEXT: Final = (str,)
_OPTIONAL_TEXT: Final = (str, type(None))
_OPTIONAL_NUMBER: Final = (int, float, type(None))
#: The exit statuses that a row may have; 70 is an error in imgconv.
_STATUSES: Final = frozenset({0, 1, 2, 3, 4, 70})
#: The keys of a row with the types of their values; a row has `mtime` or `etag`.
_KEYS: Final[dict[str, tuple[type, ...]]] = {
    "key": _TEXT,
    "source": _TEXT,
    "size": (int, type(None)),
    "mtime": _OPTIONAL_NUMBER,
    "etag": _OPTIONAL_TEXT,
    "command": _TEXT,
    "options": (list,),
    "version": _TEXT,
    "exit": (int,),
    "code": _OPTIONAL_TEXT,
    "digests": (list,),
    "output": _OPTIONAL_TEXT,
    "bytes": (int, type(None)),
    "seconds": (int, float),
}


@dataclass(frozen=True, slots=True)
class Stamp:
    """By what a later run sees that a source is still the same: its size, and its time or etag.

    All are None for a source that is not there. `is_remote` is whether it has an `etag` instead of an `mtime`.
    """

    size: int | None = None
    mtime: float | None = None
    etag: str | None = None
    is_remote: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """What became of one item.

    Attributes:
        key: identifies the item: source, command, options and output.
        source: the source as given, without the credentials of a URL.
        stamp: size and time of the source before it was read.
        command: what was done with it.
        options: the options of the command, as words of the command line.
        version: of imgconv.
        exit: the exit status that the command alone would have.
        code: of the error or of the first finding (docs/codes.md, docs/validate.md); None for exit status 0.
        digests: the digests that the command found or wrote, an object for each image.
        output: the path or URL that was to be written, None if there is none.
        bytes: how many bytes were written to the output, None if nothing was.
        seconds: how long it took.
        message: the error in one line; not in the JSON.
        notes: lines about what was accepted, dropped or changed; not in the JSON.
    """

    key: str
    source: str
    stamp: Stamp
    command: str
    options: tuple[str, ...]
    version: str
    exit: int
    code: str | None
    digests: tuple[Mapping[str, Any], ...]
    output: str | None
    bytes: int | None
    seconds: float
    message: str | None = None
    notes: tuple[str, ...] = ()

    @property
    def failed(self) -> bool:
        """Whether the command ended without an answer; findings of `validate` are one."""
        return self.exit > _LAST_ANSWER

    def document(self) -> dict[str, Any]:
        """Return the row as it is written to a journal."""
        stamp = self.stamp
        return {
            "key": self.key,
            "source": self.source,
            "size": stamp.size,
            **({"etag": stamp.etag} if stamp.is_remote else {"mtime": stamp.mtime}),
            "command": self.command,
            "options": list(self.options),
            "version": self.version,
            "exit": self.exit,
            "code": self.code,
            "digests": [dict(each) for each in self.digests],
            "output": self.output,
            "bytes": self.bytes,
            "seconds": round(self.seconds, 6),
        }

    def line(self) -> str:
        """Return the row as a line of JSON, without its newline."""
        return "".join(chunks(self.document(), indent=False))

    @classmethod
    def from_document(cls, document: object) -> Row:
        """Return the row that a journal holds; keys that this version does not know are ignored.

        Raises:
            ValueError: it is not a row.
        """
        if not isinstance(document, dict):
            raise ValueError("not an object")  # noqa: TRY004 - a wrong value, whatever its type
        stamps = document.keys() & {"mtime", "etag"}
        if len(stamps) != 1:
            raise ValueError("a row has one of mtime and etag")
        for key, kinds in _KEYS.items():
            if key in {"mtime", "etag"} - stamps:
                continue
            if key not in document:
                raise ValueError(f"{key} is missing")
            value = document[key]
            if not isinstance(value, kinds) or isinstance(value, bool):
                text = f"{key} has a value of the wrong type"
                raise ValueError(text)  # noqa: TRY004 - as above
        if document["exit"] not in _STATUSES:
            raise ValueError("exit is not an exit status of a source")
        if not all(isinstance(word, str) for word in document["options"]):
            raise ValueError("options are not all texts")
        if not all(isinstance(each, dict) for each in document["digests"]):
            raise ValueError("digests are not all objects")
        stamp = Stamp(document["size"], document.get("mtime"), document.get("etag"), is_remote="etag" in document)
        return cls(
            document["key"],
            document["source"],
            stamp,
            document["command"],
            tuple(document["options"]),
            document["version"],
            document["exit"],
            document["code"],
            tuple(document["digests"]),
            document["output"],
            document["bytes"],
            document["seconds"],
        )


@dataclass(slots=True)
class Summary:
    """The rows of a run, counted.

    Attributes:
        total: items of the run.
        earlier: those that an earlier run has done.
        status: the highest exit status, also of those.
        codes: how many failed, by code.
    """

    total: int
    earlier: int = 0
    ended: int = 0
    negative: int = 0
    failed: int = 0
    status: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(cls, total: int, earlier: Iterable[Row]) -> Summary:
        """Return the state before the first item of a run of `total` items."""
        summary = cls(total)
        for row in earlier:
            summary.earlier += 1
            summary.add(row)
        return summary

    def add(self, row: Row) -> None:
        """Count a row."""
        self.ended += 1
        self.status = max(self.status, row.exit)
        if row.failed:
            self.failed += 1
            self.codes[row.code or str(row.exit)] += 1
        elif row.exit:
            self.negative += 1

    def text(self) -> str:
        """Return the summary as one line."""
        parts = [f"{self.total} items", f"{self.ended - self.failed} done"]
        if self.negative:
            parts[-1] += f" ({self.negative} with exit status 1)"
        failed = f"{self.failed} failed"
        if self.codes:
            failed += " (" + ", ".join(f"{code} {count}" for code, count in sorted(self.codes.items())) + ")"
        parts.append(failed)
        if self.ended < self.total:
            parts.append(f"{self.total - self.ended} not begun or not ended")
        if self.earlier:
            parts.append(f"{self.earlier} from an earlier run")
        return ", ".join(parts)

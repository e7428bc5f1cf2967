"""The error tree: what went wrong, where, and the exit status it stands for.

Errors carry data (`file`, `member`, `hint`); the one line a user sees is made
from it by `str()`. A bug is never an `ImgconvError`: it stays a traceback.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Printable for Python, yet nothing is seen of them: fillers, joiners, variation selectors, an empty Braille cell.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: What log processors obey anywhere in a line: GitHub `##[`, Azure `##vso[`, TeamCity `##teamcity[`.
_COMMAND: Final = re.compile(r"#(?=#[A-Za-z]*\[)")


def printable(text: str) -> str:
    r"""Return `text` with everything escaped that a terminal or a log of CI would obey or hide.

    Names out of an archive reach terminals and logs through errors and tables. A raw
    escape sequence there could rewrite the screen, a bidi mark the order of what is read, and
    `##[` gives the log processor a command. `\n` becomes `\\n`, ESC becomes `\\x1b`.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    if not text.isascii():
        text = _INVISIBLE.sub(lambda match: _escape(match[0]), text)
    return _COMMAND.sub(r"\\x23", text) if "##" in text else text


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def quoted(name: str, *, column: bool = True) -> str:
    r"""Return a name from a source as it stands in a line, in double quotes where the line could be taken apart.

    That is: where it holds what separates the line's parts (blanks of columns, `: ` of places), where
    it begins like an option, a command of CI (`::set-output`) or one of our own marks (`<none>`), and
    where something in it is escaped. In quotes `"` and `\` are escaped too.
    """
    shown = printable(name)
    whole = name and (name[0].isalnum() or name[0] in "._/") and shown == name
    apart = any(char in name for char in " \\") if column else name.endswith(" ") or ": " in name or "  " in name
    if whole and not apart and '"' not in name:
        return name
    return '"' + printable(name.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def names_text(names: Iterable[str]) -> str:
    """Return the names of one image as they stand in a line; `<none>` for none."""
    return " ".join(quoted(name) for name in names) or "<none>"


def suggestion(word: str, known: Collection[str]) -> str:
    """Return "did you mean 'x'? " if one of the known words is spelled like `word`, else ""."""
    import difflib  # noqa: PLC0415 - only for errors

    word = word[:100].lower()
    close = [each for each in known if word and each.startswith(word)] or difflib.get_close_matches(word, known, n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def shortened(text: str, most: int = 1000) -> str:
    """Return `text`, cut in the middle if it is long: a hostile name may be megabytes."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


class ImgconvError(Exception):
    """Base of every error that is not a bug in imgconv.

    `file` is the path as the user gave it, `member` the archive member or blob
    inside it, `hint` what the user can do about it.
    """

    exit_status: ClassVar[int] = 3

    def __init__(
        self,
        message: str,
        *,
        file: str | None = None,
        member: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep the parts; the text is made by `str()`."""
        super().__init__(message)
        self.message = message
        self.file = file
        self.member = member
        self.hint = hint

    def __str__(self) -> str:
        """Return one clear line: file, member, what is wrong, what to do."""
        # A fault of the file as a whole, such as its compression, may name the file as its member.
        places = dict.fromkeys(place for place in (self.file, self.member) if place)
        text = ": ".join((*(quoted(shortened(place), column=False) for place in places), shortened(self.message)))
        if self.hint:
            text += f" ({self.hint})"
        return printable(text)


class UsageError(ImgconvError):
    """The request cannot be met as it was made."""

    exit_status = 2


class SelectionError(UsageError):
    """No image or platform fits the request, or more than one does."""


class NotRepresentableError(UsageError):
    """The target format cannot hold what was asked to be put into it."""


class DestinationExistsError(UsageError):
    """The destination holds something already."""


class InputError(ImgconvError):
    """The source is at fault: damaged, hostile, unsupported or no image."""

    exit_status = 3


class UnknownFormatError(InputError):
    """The source is no image archive or layout that imgconv knows."""


class NoImageError(InputError):
    """The source is well formed but holds no image: its lists are empty, or name only what is absent."""


class FormatError(InputError):
    """A document or structure in the source breaks its format's rules."""


class TruncatedError(FormatError):
    """The source ends before its own structure says it should."""


class DigestMismatchError(InputError):
    """Bytes do not match the digest or size by which the source names them."""

    def __init__(
        self,
        message: str,
        *,
        wanted: str = "",
        got: str = "",
        size: int | None = None,
        file: str | None = None,
        member: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep what was wanted and what was found beside the usual parts."""
        super().__init__(message, file=file, member=member, hint=hint)
        self.wanted = wanted
        self.got = got
        self.size = size


class UnsafeInputError(InputError):
    """The source tries to leave its bounds: paths, links, limits."""


class UnsupportedError(InputError):
    """The source is sound but uses something imgconv does not read."""


class StorageError(ImgconvError):
    """Reading or writing failed: no such file, permission, disk full."""

    exit_status = 4

    @classmethod
    def from_os(cls, error: OSError, *, file: str | None = None, doing: str = "") -> StorageError:
        """Return the one-line form of an `OSError`; `doing` says what was tried."""
        reason = error.strerror or str(error)
        return cls(f"{doing}: {reason}" if doing else reason, file=file or error.filename)

"""The error tree: what went wrong, where, and the exit status it stands for.

Errors carry a stable code and data (`file`, `member`, `hint`); `str()` makes the one
line that a user sees. A bug is never an `ImgconvError`: it stays a traceback.
"""

from __future__ import annotations

import errno
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
#: Codes of what an `OSError` reports; others are `storage`.
_SYSTEM_CODES: Final = {
    errno.ENOENT: "not-found",
    errno.EACCES: "permission-denied",
    errno.EPERM: "permission-denied",
    errno.EROFS: "permission-denied",
    errno.ENOSPC: "disk-full",
    errno.EDQUOT: "disk-full",
    errno.EMFILE: "too-many-open-files",
    errno.ENFILE: "too-many-open-files",
    errno.EIO: "device-error",
}


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

    `code` identifies the kind of fault and never changes (docs/codes.md lists all);
    messages may. `file` is the path as the user gave it, `member` the archive member
    or blob inside it, `hint` what the user can do about it.
    """

    exit_status: ClassVar[int] = 3
    #: The code of an error that was raised without one.
    default_code: ClassVar[str] = "invalid-input"

    def __init__(
        self,
        message: str,
        *,
        code: str | None = None,
        file: str | None = None,
        member: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep the parts; the text is made by `str()`."""
        super().__init__(message)
        self.code = code or self.default_code
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
    default_code = "usage"


class SelectionError(UsageError):
    """No image or platform fits the request, or more than one does."""

    default_code = "no-match"


class NotRepresentableError(UsageError):
    """The target format cannot hold what was asked to be put into it."""

    default_code = "not-representable"


class DestinationExistsError(UsageError):
    """The destination holds something already."""

    default_code = "destination-exists"


class InputError(ImgconvError):
    """The source is at fault: damaged, hostile, unsupported or no image."""

    exit_status = 3


class UnknownFormatError(InputError):
    """The source is no image archive or layout that imgconv knows."""

    default_code = "not-an-image"


class NoImageError(InputError):
    """The source is well formed but holds no image: its lists are empty, or name only what is absent."""

    default_code = "no-image"


class FormatError(InputError):
    """A document or structure in the source breaks its format's rules."""

    default_code = "invalid-document"


class TruncatedError(FormatError):
    """The source ends before its own structure says it should."""

    default_code = "truncated"


class DigestMismatchError(InputError):
    """Bytes do not match the digest or size by which the source names them."""

    default_code = "digest-mismatch"

    def __init__(
        self,
        message: str,
        *,
        wanted: str = "",
        got: str = "",
        size: int | None = None,
        code: str | None = None,
        file: str | None = None,
        member: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Keep what was wanted and what was found beside the usual parts."""
        super().__init__(message, code=code, file=file, member=member, hint=hint)
        self.wanted = wanted
        self.got = got
        self.size = size


class UnsafeInputError(InputError):
    """The source tries to leave its bounds: paths, links, limits."""

    default_code = "unsafe-input"


class UnsupportedError(InputError):
    """The source is sound but uses something imgconv does not read."""

    default_code = "unsupported"


class StorageError(ImgconvError):
    """Reading or writing failed: no such file, permission, disk full."""

    exit_status = 4
    default_code = "storage"

    @classmethod
    def from_os(cls, error: OSError, *, file: str | None = None, doing: str = "") -> StorageError:
        """Return the one-line form of an `OSError`; `doing` says what was tried."""
        reason = error.strerror or str(error)
        code = _SYSTEM_CODES.get(error.errno or 0)
        return cls(f"{doing}: {reason}" if doing else reason, code=code, file=file or error.filename)

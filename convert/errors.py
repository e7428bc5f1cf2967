"""The errors of imgconv and their exit statuses.

Errors carry a stable code and data (`file`, `member`, `hint`), from which `str()` creates the line
that a user sees. A bug is never an `ImgconvError`; it ends with a traceback.
"""

from __future__ import annotations

import errno
import re
from typing import TYPE_CHECKING, ClassVar, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable

#: Characters that are printable for Python but invisible: fillers, variation selectors, an empty Braille cell.
_INVISIBLE: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: Commands that log processors detect anywhere in a line: GitHub `##[`, Azure `##vso[`, TeamCity `##teamcity[`.
_COMMAND: Final = re.compile(r"#(?=#[A-Za-z]*\[)")
#: Codes for values of `errno`; all others are `storage`.
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
    r"""Return `text` with everything escaped that a terminal or a CI log would interpret or hide.

    Names from an archive reach terminals and logs through errors and tables. There, an escape
    sequence could rewrite the screen, a bidi mark could reorder the text, and `##[` is a command
    for the log processor. `\n` becomes `\\n`, ESC becomes `\\x1b`.
    """
    if not text.isprintable():
        text = "".join(char if char.isprintable() else _escape(char) for char in text)
    if not text.isascii():
        text = _INVISIBLE.sub(lambda match: _escape(match[0]), text)
    return _COMMAND.sub(r"\\x23", text) if "##" in text else text


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "backslashreplace").decode("ascii")


def quoted(name: str, *, column: bool = True) -> str:
    r"""Return a name from a source for use in a line, in double quotes if it would be ambiguous.

    This is the case if it contains a separator of the line (blanks between columns, `: ` after
    places), if it begins like an option, a CI command (`::set-output`) or a mark such as `<none>`,
    and if a part of it is escaped. In quotes, `"` and `\` are escaped too.
    """
    shown = printable(name)
    unescaped = name and (name[0].isalnum() or name[0] in "._/") and shown == name
    separable = any(char in name for char in " \\") if column else name.endswith(" ") or ": " in name or "  " in name
    if unescaped and not separable and '"' not in name:
        return name
    return '"' + printable(name.replace("\\", "\\\\").replace('"', '\\"')) + '"'


def names_text(names: Iterable[str]) -> str:
    """Return the names of one image for use in a line; `<none>` for none."""
    return " ".join(quoted(name) for name in names) or "<none>"


def suggestion(word: str, valid: Collection[str]) -> str:
    """Return "did you mean 'x'? " if one of the valid words is spelled like `word`, else ""."""
    import difflib  # noqa: PLC0415 - only for errors

    word = word[:100].lower()
    close = [each for each in valid if word and each.startswith(word)] or difflib.get_close_matches(word, valid, n=1)
    return f"did you mean {close[0]!r}? " if close else ""


def shortened(text: str, most: int = 1000) -> str:
    """Return `text`, cut in the middle if it is long: a hostile name may be megabytes."""
    return text if len(text) <= most else f"{text[: most // 2]}…{text[-most // 2 :]}"


class ImgconvError(Exception):
    """Base of every error that is not a bug in imgconv.

    `code` identifies the kind of error and never changes (docs/codes.md lists all codes); messages
    may. `file` is the path as the user gave it, `member` the archive member or blob in it, and
    `hint` what the user can do.
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
        """Store the parts, from which `str()` creates the text."""
        super().__init__(message)
        self.code = code or self.default_code
        self.message = message
        self.file = file
        self.member = member
        self.hint = hint

    def __str__(self) -> str:
        """Return one clear line: file, member, what is wrong, what to do."""
        # An error of the file itself, such as its compression, may have the file as its member.
        places = dict.fromkeys(place for place in (self.file, self.member) if place)
        text = ": ".join((*(quoted(shortened(place), column=False) for place in places), shortened(self.message)))
        if self.hint:
            text += f" ({self.hint})"
        return printable(text)


class UsageError(ImgconvError):
    """The request is invalid or cannot be fulfilled."""

    exit_status = 2
    default_code = "usage"


class SelectionError(UsageError):
    """No image or platform matches the request, or more than one does."""

    default_code = "no-match"


class NotRepresentableError(UsageError):
    """The target format cannot represent the requested content."""

    default_code = "not-representable"


class DestinationExistsError(UsageError):
    """The destination already exists."""

    default_code = "destination-exists"


class InputError(ImgconvError):
    """The source is damaged, hostile, unsupported or not an image."""

    exit_status = 3


class UnknownFormatError(InputError):
    """The source is not an image archive or layout that imgconv supports."""

    default_code = "not-an-image"


class NoImageError(InputError):
    """The source is well formed but contains no image: its lists are empty, or everything they list is absent."""

    default_code = "no-image"


class FormatError(InputError):
    """A document or structure in the source violates its format."""

    default_code = "invalid-document"


class AbsentBlobError(FormatError):
    """A blob or layer that a document names is not in the source."""

    default_code = "missing-blob"


class TruncatedError(FormatError):
    """The source ends before its structure is complete."""

    default_code = "truncated"


class DigestMismatchError(InputError):
    """Bytes do not match the digest or size in the source."""

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
        """Also store the expected and the actual digest, and the actual size."""
        super().__init__(message, code=code, file=file, member=member, hint=hint)
        self.wanted = wanted
        self.got = got
        self.size = size


class UnsafeInputError(InputError):
    """The source exceeds a limit, or uses unsafe paths or links."""

    default_code = "unsafe-input"


class UnsupportedError(InputError):
    """The source is valid but uses a feature that imgconv does not support."""

    default_code = "unsupported"


class StorageError(ImgconvError):
    """Reading or writing failed: no such file, permission, disk full."""

    exit_status = 4
    default_code = "storage"

    @classmethod
    def from_os(cls, error: OSError, *, file: str | None = None, doing: str = "") -> StorageError:
        """Return an error for an `OSError`; `doing` describes the failed operation."""
        reason = error.strerror or str(error)
        code = _SYSTEM_CODES.get(error.errno or 0)
        return cls(f"{doing}: {reason}" if doing else reason, code=code, file=file or error.filename)

"""The error tree: what went wrong, where, and the exit status it stands for.

Errors carry data (`file`, `member`, `hint`); the one line a user sees is made
from it by `str()`. A bug is never an `ImgconvError`: it stays a traceback.
"""

from __future__ import annotations

from typing import ClassVar


def printable(text: str) -> str:
    r"""Return `text` with control characters, bidi marks and surrogates escaped.

    Names out of an archive reach terminals through errors and tables; a raw
    escape sequence there could rewrite the screen. `\n` becomes `\\n`, ESC
    becomes `\\x1b`.
    """
    return "".join(
        char if char.isprintable() else char.encode("unicode_escape", "backslashreplace").decode("ascii")
        for char in text
    )


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
        places = [place for place in (self.file, self.member) if place]
        text = ": ".join(shortened(part) for part in (*places, self.message))
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

"""What was accepted with a remark: each said once, and not a million of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Self

from convert.limits import MAX_REMARKS

if TYPE_CHECKING:
    from collections.abc import Iterable


class Remarks(list[str]):
    """A list in which a text stands once, and which ends where nobody reads on.

    A hostile archive can be wrong in as many ways as it has members: looking a
    text up must not depend on how many there are, nor what is kept of them.
    """

    __slots__ = ("_seen",)

    def __init__(self, texts: Iterable[str] = ()) -> None:
        """Begin with `texts`."""
        super().__init__()
        self._seen: set[str] = set()
        self.extend(texts)

    def __contains__(self, text: object) -> bool:
        """Tell whether a text was said, or would not be because there are so many."""
        return text in self._seen or len(self) > MAX_REMARKS

    def append(self, text: str, /) -> None:
        """Add a text that is not there yet; past the limit, one that says so."""
        if text in self:
            return
        if len(self) == MAX_REMARKS:
            text = f"more than {MAX_REMARKS} remarks; the others are left out"
        self._seen.add(text)
        super().append(text)

    def extend(self, texts: Iterable[str], /) -> None:
        """Add each."""
        for text in texts:
            self.append(text)

    def __iadd__(self, texts: Iterable[str], /) -> Self:  # type: ignore[override,misc] # a list takes any iterable too
        """Add each."""
        self.extend(texts)
        return self


class Dropped(str):
    """A line about something that the result does not hold, with the facts that `--json` gives.

    `what` is its kind, `of` the name or digest of what it belonged to, `number` how
    many there were.
    """

    __slots__ = ("number", "of", "what")

    what: str
    of: str
    number: int

    def __new__(cls, text: str, *, what: str, of: str, number: int = 1) -> Self:
        """Return the line."""
        line = super().__new__(cls, text)
        line.what, line.of, line.number = what, of, number
        return line

    def entry(self) -> dict[str, str | int]:
        """Return the entry of `--json` (schemas/report-convert.json, "dropped")."""
        return {"what": self.what, "of": self.of, "count": self.number, "message": str(self)}

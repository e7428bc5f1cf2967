"""What several consumers ask about one archive, found out once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self, TypeVar

from convert.consumers.values import UnknownError
from convert.errors import FormatError
from convert.model.reference import Reference

if TYPE_CHECKING:
    from collections.abc import Callable

_T = TypeVar("_T")


class Answers:
    """Keeps what was found out about an archive, which may have 100,000 names."""

    def __init__(self) -> None:
        """Nothing was asked yet."""
        self._references: dict[str, Reference | None] = {}
        self._answers: dict[Callable[..., Any], Any] = {}

    def reference(self, text: str) -> Reference | None:
        """Return a name of the archive, None if it is not valid."""
        if text not in self._references:
            try:
                self._references[text] = Reference.parse(text)
            except FormatError:
                self._references[text] = None
        return self._references[text]

    def ask(self, question: Callable[[Self], _T]) -> _T:
        """Return what a function says of this archive, which is called once.

        Raises:
            UnknownError: as the function does.
        """
        if question not in self._answers:
            try:
                self._answers[question] = question(self)
            except UnknownError as error:
                self._answers[question] = error
        answer = self._answers[question]
        if isinstance(answer, UnknownError):
            raise UnknownError(*answer.args)
        found: _T = answer
        return found

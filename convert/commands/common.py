"""What the functions of all commands share: how they take options and report warnings."""

from __future__ import annotations

from dataclasses import dataclass, fields
from enum import Enum
from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

from convert.diagnostics import Dropped
from convert.errors import UsageError, shortened, suggestion

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Sequence

    from convert.diagnostics import Diagnostic

    #: A path of a file or folder, or what else a SOURCE or DEST of the command line may be.
    Path = str | os.PathLike[str]
    #: Takes one line about something that was accepted, dropped or changed.
    Warn = Callable[[Diagnostic], None]

O = TypeVar("O", bound="Options")  # noqa: E741 - an options class


def ignore(_: str) -> None:
    """Ignore a warning."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """Base of all options classes: checks the values of the fields by their declared types.

    An enum field also takes the value of a member, as the command line spells it. A field of
    several strings takes any iterable of them and stores a tuple.
    """

    #: Field -> the words that it takes, if they are a `Literal`.
    choices: ClassVar[dict[str, tuple[str, ...]]] = {}

    def __post_init__(self) -> None:
        """Check every field.

        Raises:
            UsageError: a field has a value that it does not take.
        """
        for field in fields(self):
            value = getattr(self, field.name)
            # Annotations are strings, because their names are imported by type checkers only.
            declared = str(field.type)
            if value is None and declared.endswith("| None"):
                continue
            if declared.startswith("Sequence["):
                object.__setattr__(self, field.name, _strings(field.name, value))
            elif isinstance(field.default, Enum):
                object.__setattr__(self, field.name, _member(field.name, value, type(field.default)))
            elif declared.startswith("bool"):
                _check_type(field.name, value, bool, "True or False")
            elif declared.startswith("int"):
                _check_type(field.name, value, int, "a positive integer")
                if isinstance(value, bool) or value < 1:
                    raise _invalid(field.name, "a positive integer", value)
            elif not declared.startswith("Path"):
                _check_type(field.name, value, str, "a string")
                if field.name in self.choices:
                    _check_choice(field.name, value, self.choices[field.name])


def _invalid(name: str, wanted: str, value: object, hint: str | None = None) -> UsageError:
    return UsageError(
        f"{name} takes {wanted}, not {shortened(repr(value), 100)}", code="invalid-option-value", hint=hint or None
    )


def _check_type(name: str, value: object, kind: type, wanted: str) -> None:
    if not isinstance(value, kind):
        raise _invalid(name, wanted, value)


def _strings(name: str, value: Iterable[str]) -> tuple[str, ...]:
    wanted = "a sequence of strings"
    if isinstance(value, str | bytes):
        raise UsageError(f"{name} takes {wanted}, not one string", code="invalid-option-value")
    try:
        found = tuple(value)
    except TypeError as error:
        raise _invalid(name, wanted, value) from error
    for each in found:
        if not isinstance(each, str):
            raise _invalid(name, wanted, value)
    return found


def _member(name: str, value: object, kind: type[Enum]) -> Enum:
    if isinstance(value, kind):
        return value
    values = [member.value for member in kind]
    _check_type(name, value, str, f"one of {', '.join(values)}")
    _check_choice(name, str(value), values)
    return kind(value)


def _check_choice(name: str, value: str, valid: Sequence[str]) -> None:
    if value not in valid:
        hint = suggestion(value, valid).rstrip()
        raise _invalid(name, f"one of {', '.join(valid)}", value, hint)


def options_of(kind: type[O], options: O | None, keywords: dict[str, Any]) -> O:
    """Return the options that a caller gave, as a value or as its fields.

    Raises:
        TypeError: both were given, a field that `kind` does not have, or a value of another class.
        UsageError: a field has a value that it does not take.
    """
    if options is None:
        return kind(**keywords)
    if keywords:
        raise TypeError(f"give {kind.__name__} or its fields as keywords, not both")
    if not isinstance(options, kind):
        raise TypeError(f"options takes a {kind.__name__}, not {type(options).__name__}")
    return options


class UniqueWarnings:
    """Passes each line on once, and keeps all of them in order."""

    def __init__(self, warn: Warn) -> None:
        """`warn` takes the lines."""
        self._warn = warn
        # A dict: looking a line up must not depend on how many there are.
        self.lines: dict[Diagnostic, None] = {}
        #: Those about something that the result does not hold.
        self.dropped: list[Dropped] = []

    def __call__(self, text: Diagnostic) -> None:
        """Take a line."""
        if text not in self.lines:
            self.lines[text] = None
            if isinstance(text, Dropped):
                self.dropped.append(text)
            self._warn(text)

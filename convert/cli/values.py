"""The types of values on the command line, and how a shell completes them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import click

from convert.errors import shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from click.shell_completion import CompletionItem

    Type = click.ParamType[Any]
else:
    Type = click.ParamType  # click before 8.3 has no type parameter

_SIZE: Final = re.compile(r"([0-9]{1,18})\s*([kmgt]?)(i?b?)\Z", re.IGNORECASE)
_UNITS: Final = {"": 1, "k": 1 << 10, "m": 1 << 20, "g": 1 << 30, "t": 1 << 40}


class Size(Type):
    """A number of bytes: 1000, 64G, 512MiB (k, M, G and T are powers of 1024)."""

    name = "SIZE"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int:
        """Return the bytes."""
        if isinstance(value, int):
            return value
        match = _SIZE.match(str(value))
        if match is None or int(match.group(1)) == 0:
            self.fail(
                f"invalid size {shortened(str(value), 60)!r}; give bytes, or a number with K, M, G or T", param, ctx
            )
        return int(match.group(1)) * _UNITS[match.group(2).lower()]


class OneOf(Type):
    """A choice of words; the error for another word suggests a similar one."""

    name = "choice"

    def __init__(self, kind: str, choices: Sequence[str]) -> None:
        """`kind` describes the choices in errors."""
        self.kind = kind
        self.choices = tuple(choices)

    def get_metavar(self, param: click.Parameter, ctx: click.Context | None = None) -> str:  # noqa: ARG002 - click's signature
        """Return the choices in click's form."""
        return f"[{'|'.join(self.choices)}]"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """Return the chosen word."""
        text = str(value)
        if text not in self.choices:
            hint = suggestion(text, self.choices)
            self.fail(
                f"{shortened(text)!r} is not one of {', '.join(self.choices)}{'; ' + hint.rstrip() if hint else ''}",
                param,
                ctx,
            )
        return text

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Return the choices that begin with `incomplete`."""
        del ctx, param
        return _items([(word, "") for word in self.choices], incomplete)


class Known(Type):
    """A word that a command looks up, with its own error for another one; shells complete those that it knows."""

    def __init__(self, name: str, words: Callable[[], Iterable[tuple[str, str]]]) -> None:
        """`words` gives the known words with their descriptions, and imports what it needs."""
        self.name = name
        self._words = words

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Return the known words that begin with `incomplete`."""
        del ctx, param
        return _items(self._words(), incomplete)


class KnownList(Known):
    """Several known words with commas between them."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Return the known words for the last of `incomplete`, with what is before it."""
        before, comma, last = incomplete.rpartition(",")
        found = super().shell_complete(ctx, param, last)
        for item in found:
            item.value = f"{before}{comma}{item.value}"
        return found


class File(Type):
    """A path, taken as it is."""

    name = "FILE"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        """Let the shell complete a path."""
        del ctx, param
        from click.shell_completion import CompletionItem

        return [CompletionItem(incomplete, type="file")]


def _items(words: Iterable[tuple[str, str]], incomplete: str) -> list[CompletionItem[str]]:
    from click.shell_completion import CompletionItem

    return [CompletionItem(word, help=about or None) for word, about in words if word.startswith(incomplete)]


def _formats() -> Iterable[tuple[str, str]]:
    from convert.writer.registry import TARGETS

    return [(name, "") for name in TARGETS]


def _profiles() -> Iterable[tuple[str, str]]:
    from convert.codec.profile import all_profiles

    found = list(all_profiles())
    aliases = [(alias, profile.name) for profile in found for alias in profile.aliases]
    return [*aliases, *((profile.name, profile.made_by) for profile in found)]


def _pushers() -> Iterable[tuple[str, str]]:
    from convert.identity.push.pushers import PUSHERS

    return [(name, pusher.releases) for pusher in PUSHERS for name in dict.fromkeys((*pusher.aliases, pusher.name))]


def _consumers() -> Iterable[tuple[str, str]]:
    from convert.consumers.consumer import PROGRAMS

    return [(program.name, program.call) for program in PROGRAMS.values()]


def _platforms() -> Iterable[tuple[str, str]]:
    common = ("amd64", "arm64", "arm/v7", "arm/v6", "386", "ppc64le", "s390x", "riscv64", "loong64")
    return [*((f"linux/{name}", "") for name in common), ("windows/amd64", "")]


#: A path.
FILE: Final = File()
#: A value of `--to`.
FORMAT: Final = Known("FORMAT", _formats)
#: A value of `--compress`.
PROFILE: Final = Known("PROFILE", _profiles)
#: A value of `--as`.
PUSHER: Final = Known("PUSHER", _pushers)
#: A value of `--platform`; any other is accepted too.
PLATFORM: Final = Known("OS/ARCH[/VARIANT]", _platforms)
#: A value of `--for`; each of its words may also have a version.
CONSUMERS: Final = KnownList("CONSUMER", _consumers)
SIZE: Final = Size()

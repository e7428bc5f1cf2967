"""Links between pages: the repository's become the site's."""

from __future__ import annotations

import html
import posixpath
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

#: A link or picture: what is in front of the address, the address, its section.
LINK = re.compile(r"(\]\()([^)\s#]*)(#[^)\s]*)?(\))")
FENCED = re.compile(r"(^ *```.*?^ *```[^\n]*$)", re.MULTILINE | re.DOTALL)


#: Code with an escaped bar in a row of a table: GitHub removes the backslash, the generator shows it.
BARRED = re.compile(r"`([^`\n]*\\\|[^`\n]*)`")


def without_escaped_bars(text: str) -> str:
    """Return a page whose tables have code with bars as HTML."""

    def one(found: re.Match[str]) -> str:
        return f"<code>{html.escape(found[1].replace(chr(92) + '|', '|'), quote=False).replace('|', '&#124;')}</code>"

    lines = text.splitlines(keepends=True)
    return "".join(BARRED.sub(one, line) if line.startswith("|") else line for line in lines)


def relinked(text: str, change: Callable[[str], str]) -> str:
    """Return a page with every address between pages changed; blocks of code stay."""

    def one(found: re.Match[str]) -> str:
        address, section = found[2], found[3] or ""
        if not address or "://" in address or address.startswith("mailto:"):
            return found[0]
        return f"{found[1]}{change(address)}{section if '://' not in change(address) else ''}{found[4]}"

    parts = FENCED.split(text)
    return "".join(part if number % 2 else LINK.sub(one, part) for number, part in enumerate(parts))


def resolver(source: str, target: str, placed: dict[str, str], home: str) -> Callable[[str], str]:
    """Return how the addresses on a page change.

    Args:
        source: the page in the repository.
        target: the page on the site.
        placed: where each file of the repository is on the site.
        home: the address of the repository, for files that the site does not hold.
    """

    def change(address: str) -> str:
        path = posixpath.normpath(posixpath.join(posixpath.dirname(source), address))
        if path in placed:
            return posixpath.relpath(placed[path], posixpath.dirname(target) or ".")
        return f"{home}/blob/main/{path}"

    return change

"""URLs among sources and outputs, and how they are shown: never with credentials."""

from __future__ import annotations

import os
import re
from typing import Final

#: A URL of fsspec; `simplecache::s3://…` is a chain of them.
_URL: Final = re.compile(r"(?:[a-z][a-z0-9+.-]*::)*[a-z][a-z0-9+.-]*://", re.IGNORECASE)
#: Names and passwords before a host; the second form is a password with a slash in it, which is not a port.
_USER: Final = re.compile(r"(://)([^/?#]*|[^/?#@:]*:(?![0-9]+/)[^@]*(?:@[^/?#@]*)*)@")
#: What follows a question mark or number sign: signatures and tokens.
_QUERY: Final = re.compile(r"([?#]).*", re.DOTALL)
#: A URL in a text, up to a space or quote.
_WORD: Final = re.compile(r"[a-z][a-z0-9+.-]*://[^\s'\"]+", re.IGNORECASE)
HIDDEN: Final = "***"


def is_url(text: str) -> bool:
    """Return whether a source or output is a URL; a path that exists takes precedence."""
    if _URL.match(text) is None:
        return False
    try:
        return not os.path.lexists(text)
    except ValueError:  # NUL in it
        return True


def holds_url(text: str) -> bool:
    """Return whether a URL stands behind a prefix such as `oci:`; a path that exists takes precedence."""
    try:
        return _URL.search(text) is not None and not os.path.lexists(text)
    except ValueError:  # NUL in it
        return True


def is_url_pattern(url: str) -> bool:
    """Return whether a URL is a pattern; a question mark begins its query."""
    return not {"*", "["}.isdisjoint(_USER.sub("", _QUERY.sub("", url)))


def protocol_of(url: str) -> str:
    """Return the protocol of a URL, the last one of a chain: `s3`."""
    return url.partition("://")[0].rpartition("::")[2].lower()


def without_credentials(url: str) -> str:
    """Return a URL as it may be shown and stored: without names, passwords, queries and fragments."""
    return _QUERY.sub(rf"\1{HIDDEN}", _USER.sub(rf"\1{HIDDEN}@", url))


def scrubbed(text: str, url: str) -> str:
    """Return a text of somebody else about a URL without what `without_credentials` takes out of it."""
    secrets = {url: without_credentials(url)}
    for match in _USER.finditer(url):
        secrets[match[2]] = HIDDEN
        secrets.update((part, HIDDEN) for part in match[2].split(":"))
    if (found := _QUERY.search(url)) is not None:
        query = found[0][1:]
        secrets[query] = HIDDEN
        values = (pair.partition("=")[2] or pair for pair in re.split("[&;?#]", query))
        secrets.update((value, HIDDEN) for value in values)
    for secret in sorted(filter(None, secrets), key=len, reverse=True):
        text = text.replace(secret, secrets[secret])
    return _WORD.sub(lambda found: without_credentials(found[0]), text)

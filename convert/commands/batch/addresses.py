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
_ENCODED: Final = re.compile(rb"%([0-9A-Fa-f]{2})")
HIDDEN: Final = "***"
#: Characters from which on a secret is taken out of a text wherever it stands, and where it stands as a word.
_LONG: Final = 8
_SHORT: Final = 3


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
    """Return a text of somebody else about a URL without what `without_credentials` takes out of it.

    A short secret is taken out only where it stands as a word, or with what stands beside it in the URL:
    the letters of most words would be gone otherwise.
    """
    text = text.replace(url, without_credentials(url))
    wholes, secrets = _secrets(url)
    for whole in sorted(wholes, key=len, reverse=True):
        text = _as_word(whole).sub(HIDDEN, text)
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _LONG:
            text = text.replace(secret, HIDDEN)
        elif len(secret) >= _SHORT:
            text = _as_word(secret).sub(HIDDEN, text)
    return _WORD.sub(lambda found: without_credentials(found[0]), text)


def _as_word(text: str) -> re.Pattern[str]:
    """Return the pattern of a text that is not part of a longer word."""
    before = r"(?<![^\W_])" if text[0].isalnum() else ""
    behind = r"(?![^\W_])" if text[-1].isalnum() else ""
    return re.compile(before + re.escape(text) + behind)


def _decoded(text: str) -> str:
    """Return a part of a URL without percent-encoding."""
    raw = text.encode("utf-8", "surrogatepass")
    return _ENCODED.sub(lambda found: bytes([int(found[1], 16)]), raw).decode("utf-8", "replace")


def _secrets(url: str) -> tuple[set[str], set[str]]:
    """Return the parts of a URL that are secret with their delimiters, and the secrets in them.

    Both as the URL spells them and decoded, as libraries do.
    """
    wholes, secrets = set(), set()
    for match in _USER.finditer(url):
        name, _, password = match[2].partition(":")
        wholes.add(f"{match[2]}@")
        if name and password:
            wholes.add(match[2])
        # A name alone is a token; one beside a password may be the key of an account.
        secrets.add(password or name)
        if len(name) >= _LONG:
            secrets.add(name)
    if (found := _QUERY.search(url)) is not None:
        wholes.add(found[0])
        secrets.update(pair.partition("=")[2] or pair for pair in re.split("[&;?#]", found[0]))
    wholes |= {_decoded(whole) for whole in wholes}
    secrets |= {_decoded(secret) for secret in secrets} | {_decoded(secret.replace("+", " ")) for secret in secrets}
    return wholes - {"@", ":", "?", "#"}, secrets

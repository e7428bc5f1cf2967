"""Values in the documents of an archive, of the types that Go programs decode.

A Go program refuses a document in which a field has another type than its struct, where it decodes this field. Which
fields a consumer decodes depends on its version, so another type makes every verdict on the document unknown.
"""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError
from convert.jsonio import strict
from convert.model.walk import platform_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.platform import Platform

_INT64: Final = 1 << 63
_PLATFORM_TEXTS: Final = ("os", "architecture", "variant", "os.version")


class UnknownError(Exception):
    """No rule says what a consumer makes of this; the text is the reason."""


def get(value: Any, name: str) -> Any:
    """Return the value that Go decodes into the field `name`.

    Raises:
        UnknownError: two keys mean the same.
    """
    if not isinstance(value, dict):
        return None
    try:
        return strict.lookup(value, name)
    except FormatError as error:
        raise UnknownError(error.message) from None


def text(value: Any, name: str) -> str:
    """Return a text, "" where there is none.

    Raises:
        UnknownError: it is something else.
    """
    found = get(value, name)
    if found is not None and not isinstance(found, str):
        msg = f"{name} is not a text"
        raise UnknownError(msg)
    return found or ""


def listed(value: Any, name: str) -> list[Any]:
    """Return a list, an empty one where there is none.

    Raises:
        UnknownError: it is something else.
    """
    found = get(value, name)
    if found is not None and not isinstance(found, list):
        msg = f"{name} is not a list"
        raise UnknownError(msg)
    return found or []


def texts(value: Any, name: str) -> list[str]:
    """Return a list of texts, an empty one where there is none.

    Raises:
        UnknownError: it is something else.
    """
    found = listed(value, name)
    if not all(isinstance(each, str) for each in found):
        msg = f"{name} is not a list of texts"
        raise UnknownError(msg)
    return found


def obj(value: Any, name: str) -> Mapping[str, Any] | None:
    """Return an object, None where there is none.

    Raises:
        UnknownError: it is something else.
    """
    found = get(value, name)
    if found is not None and not isinstance(found, dict):
        msg = f"{name} is not an object"
        raise UnknownError(msg)
    return found


def size(value: Any) -> int:
    """Return the size that a descriptor states, 0 where it states none.

    Raises:
        UnknownError: it is not a number of bytes.
    """
    found = get(value, "size")
    if found is None:
        return 0
    if not isinstance(found, int) or isinstance(found, bool) or not 0 <= found < _INT64:
        msg = "size is not a number of bytes"
        raise UnknownError(msg)
    return found


def annotation_texts(value: Any) -> dict[str, str]:
    """Return the annotations of a descriptor.

    Raises:
        UnknownError: they are not an object of texts.
    """
    found = obj(value, "annotations") or {}
    if not all(each is None or isinstance(each, str) for each in found.values()):
        msg = "annotations have a value that is not a text"
        raise UnknownError(msg)
    return {key: each or "" for key, each in found.items()}


def platform(value: Any) -> Platform | None:
    """Return the platform of a descriptor, None where it has none.

    Raises:
        UnknownError: it, or a member of it, has another type.
    """
    found = obj(value, "platform")
    if found is None:
        return None
    for name in _PLATFORM_TEXTS:
        text(found, name)
    for name in ("os.features", "features"):
        texts(found, name)
    return platform_of(found)


def data(value: Any) -> bytes | None:
    """Return the content that a descriptor embeds, None without.

    Raises:
        UnknownError: it is not base64.
    """
    found = text(value, "data")
    try:
        return base64.b64decode(found, validate=True) if found else None
    except ValueError:
        msg = "data is not base64"
        raise UnknownError(msg) from None

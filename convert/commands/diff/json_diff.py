"""Compare two JSON values key by key."""

from __future__ import annotations

import re
from itertools import islice, zip_longest
from typing import TYPE_CHECKING, Any, Final

from convert.limits import MAX_DIFFERENCES
from convert.report.comparison import ABSENT, KeyDifference, shown

if TYPE_CHECKING:
    from collections.abc import Iterator

_PLAIN_KEY: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_-]*\Z")


def differences(a: Any, b: Any, path: str = "") -> Iterator[KeyDifference]:
    """Yield the places in which two JSON values differ, in A's order, what only B has last.

    Arrays are compared behind their common beginning and before their common
    end, so that one element more is one difference.
    """
    if isinstance(a, dict) and isinstance(b, dict):
        for key in [*a, *(key for key in b if key not in a)]:
            yield from differences(a.get(key, ABSENT), b.get(key, ABSENT), _below(path, key))
    elif isinstance(a, list) and isinstance(b, list):
        yield from _arrays(a, b, path)
    elif not _equal(a, b):
        yield KeyDifference(path, a, b)


def first_differences(a: Any, b: Any) -> tuple[tuple[KeyDifference, ...], int]:
    """Return as many differences as a person can look at, and how many more there are."""
    found = tuple(islice(differences(a, b), MAX_DIFFERENCES))
    return found, _count(a, b) - len(found) if len(found) == MAX_DIFFERENCES else 0


def _count(a: Any, b: Any) -> int:
    """Count what `differences` yields, without making a path for each of a million."""
    if isinstance(a, dict) and isinstance(b, dict):
        return sum(_count(a.get(key, ABSENT), b.get(key, ABSENT)) for key in a.keys() | b.keys())
    if isinstance(a, list) and isinstance(b, list):
        _, left, right = _middle(a, b)
        return sum(_count(one, other) for one, other in zip_longest(left, right, fillvalue=ABSENT))
    return not _equal(a, b)


def _arrays(a: list[Any], b: list[Any], path: str) -> Iterator[KeyDifference]:
    head, left, right = _middle(a, b)
    for number, (one, other) in enumerate(zip_longest(left, right, fillvalue=ABSENT)):
        yield from differences(one, other, f"{path}[{head + number}]")


def _middle(a: list[Any], b: list[Any]) -> tuple[int, list[Any], list[Any]]:
    """Return how many elements two arrays have in common at their beginning, and the rest before their common end."""
    shorter = min(len(a), len(b))
    head = 0
    while head < shorter and _equal(a[head], b[head]):
        head += 1
    tail = 0
    while tail < shorter - head and _equal(a[-1 - tail], b[-1 - tail]):
        tail += 1
    return head, a[head : len(a) - tail], b[head : len(b) - tail]


def _equal(a: Any, b: Any) -> bool:
    # In JSON, true is not a number, and 1.0 differs from 1.
    if isinstance(a, dict) and isinstance(b, dict):
        return a.keys() == b.keys() and all(_equal(value, b[key]) for key, value in a.items())
    if isinstance(a, list) and isinstance(b, list):
        return len(a) == len(b) and all(map(_equal, a, b))
    return type(a) is type(b) and bool(a == b)


def _below(path: str, key: str) -> str:
    if not _PLAIN_KEY.match(key):
        return f"{path}[{shown(key)}]"
    return f"{path}.{key}" if path else key

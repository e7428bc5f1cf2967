"""Documents of an archive, read with tolerance: each fault is a finding, and the rest is still looked at."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, InputError, UnsafeInputError, UnsupportedError
from convert.jsonio import schema, strict
from convert.limits import MAX_ALL_DOCUMENTS_SIZE, MAX_ALL_LAYERS, MAX_ALL_VALUES, MAX_DOCUMENT_VALUES
from convert.reader.findings import split_place

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from convert.archive.tree import Tree
    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.reader.findings import Findings


#: Who refuses a document for a finding of its schema, by place and message.
_REFUSED: Final[dict[tuple[str | None, str], str]] = {("rootfs", "missing"): "dockerd, containerd, umoci, crane"}


@dataclass(slots=True)
class Checked:
    """The source being checked, and what was read of it.

    `configs` are those that were checked, by digest and media type: a small
    archive may name one a hundred thousand times. All documents together are
    bounded as they are for every reader.
    """

    tree: Tree
    findings: Findings
    configs: dict[tuple[Digest, str | None], Config | None] = field(default_factory=dict)
    _parsed: tuple[bytes | None, Any] = (None, None)
    _size: int = 0
    _values: int = 0
    _layers: int = 0

    def find(self, name: str, *, place: str | None = None) -> Blob | None:
        """Return the bytes behind a name, None if absent or not to be had; the latter is a finding."""
        try:
            return self.tree.find(name)
        except (UnsafeInputError, FormatError, UnsupportedError) as error:
            rule = "unsafe" if isinstance(error, UnsafeInputError) else "damaged"
            if rule != "damaged" or not self.findings.blames(name):
                self.findings.add(rule, error.message, member=name, place=place)
            return None

    def exists(self, name: str) -> bool:
        """Tell whether anything lies under a name, sound or not."""
        try:
            return self.tree.find(name) is not None
        except InputError:
            return True

    def raw(self, name: str) -> bytes | None:
        """Return a document's bytes, None if there are none to be had.

        Raises:
            UnsafeInputError: all documents together are too large.
        """
        if self.find(name) is None:
            return None
        if self._size > MAX_ALL_DOCUMENTS_SIZE:
            raise UnsafeInputError(f"its documents have more than {MAX_ALL_DOCUMENTS_SIZE} bytes")
        try:
            raw = self.tree.read(name)
        except InputError as error:
            self.findings.add("unsafe", error.message, member=name)
            return None
        self._size += len(raw)
        return raw

    def count_layers(self, count: int) -> None:
        """Note that an image has so many layers.

        Raises:
            UnsafeInputError: all images together have too many.
        """
        self._layers += count
        if self._layers > MAX_ALL_LAYERS:
            raise UnsafeInputError(f"its images have more than {MAX_ALL_LAYERS} layers")

    def parse(self, raw: bytes, member: str) -> Any:
        """Return a document's value, None if it is no sound JSON (or null).

        Raises:
            UnsafeInputError: all documents together have too many values.
        """
        if raw is self._parsed[0]:
            return self._parsed[1]
        self._values += raw.count(b",") + raw.count(b"[") + raw.count(b"{")
        if self._values > MAX_ALL_VALUES:
            raise UnsafeInputError(f"its documents have more than {MAX_ALL_VALUES} values")
        value = self._parse(raw, member)
        self._parsed = raw, value
        return value

    def _parse(self, raw: bytes, member: str) -> Any:
        try:
            return strict.parse(raw, where=self.findings.file, member=member)
        except FormatError as error:
            rule = "duplicate-key" if _repeats_a_key(raw) else "json"
            self.findings.add(rule, error.message, member=member)
            return None

    def view(self, raw: bytes, member: str, schema_name: str) -> View | None:
        """Return a document that is an object, held against its schema."""
        value = self.parse(raw, member)
        if value is None and self.findings.blames(member):
            return None
        self.meet(value, member, schema_name)
        return View(value, self, member) if isinstance(value, dict) else None

    def meet(self, value: Any, member: str, schema_name: str) -> None:
        """Hold a value against a schema."""
        for line in schema.findings(value, schema_name):
            place, message = split_place(line)
            self.findings.add("schema", message, member=member, place=place, refused_by=_REFUSED.get((place, message)))


def _repeats_a_key(raw: bytes) -> bool:
    """Tell whether a refused document is JSON but for keys that occur twice."""
    if raw.count(b",") > MAX_DOCUMENT_VALUES or raw.startswith(b"\xef\xbb\xbf"):
        return False
    repeated = False

    def pairs(items: list[tuple[str, Any]]) -> None:
        nonlocal repeated
        repeated = repeated or len({key for key, _ in items}) != len(items)

    try:
        json.loads(raw.decode(), object_pairs_hook=pairs)
    except (ValueError, RecursionError):
        return False
    return repeated


@dataclass(frozen=True, slots=True)
class View:
    """One JSON object; what has the wrong type reads as absent, for the schema said so already."""

    value: Mapping[str, Any]
    checked: Checked
    member: str
    at: str = ""

    def place(self, key: str) -> str:
        """Return the path of a key in its document."""
        return f"{self.at}.{key}" if self.at else key

    def get(self, key: str) -> Any:
        """Return a value, its key in any letter case; a note says so."""
        warnings: list[str] = []
        try:
            found = strict.lookup(self.value, key, warnings=warnings)
        except FormatError:
            return self.value.get(key)
        for warning in warnings:
            self.checked.findings.add("letter-case", warning, member=self.member, place=self.at or None)
        return found

    def text(self, key: str) -> str | None:
        """Return a string."""
        found = self.get(key)
        return found if isinstance(found, str) else None

    def integer(self, key: str) -> int | None:
        """Return a whole number."""
        found = self.get(key)
        return found if type(found) is int else None

    def texts(self, key: str) -> list[str]:
        """Return the strings of an array."""
        return [item for item in self.items(key) if isinstance(item, str)]

    def items(self, key: str) -> list[Any]:
        """Return an array."""
        found = self.get(key)
        return found if isinstance(found, list) else []

    def objects(self, key: str) -> Iterator[View]:
        """Yield the objects of an array."""
        for number, item in enumerate(self.items(key)):
            if isinstance(item, dict):
                yield View(item, self.checked, self.member, f"{self.place(key)}[{number}]")

    def object(self, key: str) -> View | None:
        """Return an object."""
        found = self.get(key)
        return View(found, self.checked, self.member, self.place(key)) if isinstance(found, dict) else None

    def all_objects(self) -> Iterator[tuple[str, View | None]]:
        """Yield every key, which is data here, and the object under it, None if it is none."""
        for key, value in self.value.items():
            yield key, View(value, self.checked, self.member, self.place(key)) if isinstance(value, dict) else None

    def keys(self) -> list[str]:
        """Return the keys as they are spelled."""
        return list(self.value)

    def spelled(self, key: str) -> bool:
        """Tell whether a key is there with a value, in any letter case."""
        return any(strict.same_key(name, key) and value is not None for name, value in self.value.items())

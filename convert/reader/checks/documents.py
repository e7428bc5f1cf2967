"""Read the documents of a source for all their faults: each is a finding, and the rest is still read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, InputError, UnsafeInputError, UnsupportedError
from convert.jsonio import schema, strict
from convert.reader.document import Reading
from convert.reader.fields import Document, Fields
from convert.reader.findings import split_place

if TYPE_CHECKING:
    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostic
    from convert.model.blob import Blob
    from convert.model.config import Config
    from convert.model.digest import Digest
    from convert.reader.findings import Findings


#: Who refuses a document for a finding of its schema, by place and message.
_REFUSED: Final[dict[tuple[str | None, str], str]] = {("rootfs", "missing"): "dockerd, containerd, umoci, crane"}


class Checked:
    """The source being checked, and what was read of it.

    `configs` are those that were checked, by digest and media type: a small
    archive may name one a hundred thousand times. The limits on all documents
    together are those of every reader.
    """

    def __init__(self, tree: Tree, findings: Findings) -> None:
        """Nothing is read yet."""
        self.tree = tree
        self.findings = findings
        self.configs: dict[tuple[Digest, str | None], Config | None] = {}
        self._reading = Reading(tree, findings.file)
        self._parsed: tuple[bytes | None, Any] = (None, None)

    def find(self, name: str, *, place: str | None = None) -> Blob | None:
        """Return the bytes behind a name, None if absent or unreachable; the latter is a finding."""
        try:
            return self.tree.find(name)
        except (UnsafeInputError, FormatError, UnsupportedError) as error:
            rule = "unsafe" if isinstance(error, UnsafeInputError) else "damaged"
            # A document that is made of others can have a fault that is theirs.
            if rule != "damaged" or not self.findings.blames(error.member or name):
                self.findings.add(rule, error.message, member=name, place=place)
            return None

    def exists(self, name: str) -> bool:
        """Return whether there is anything under a name, valid or not."""
        try:
            return self.tree.find(name) is not None
        except InputError:
            return True

    def raw(self, name: str) -> bytes | None:
        """Return a document's bytes, None if it cannot be read.

        Raises:
            UnsafeInputError: all documents together are too large.
        """
        if self.find(name) is None:
            return None
        self._reading.check_size()
        try:
            return self._reading.read(name)
        except InputError as error:
            self.findings.add("unsafe", error.message, member=name)
            return None

    def parse(self, raw: bytes, member: str) -> Any:
        """Return a document's value, None if it is not valid JSON (or null).

        Raises:
            UnsafeInputError: all documents together have too many values.
        """
        if raw is not self._parsed[0]:
            value = None
            try:
                value = self._reading.parse(raw, member)
            except FormatError as error:
                self._reading.count_values(raw)
                rule = "duplicate-key" if error.code == "duplicate-json-key" else "json"
                self.findings.add(rule, error.message, member=member)
            self._parsed = raw, value
        return self._parsed[1]

    def view(self, raw: bytes, member: str, schema_name: str) -> View | None:
        """Return a document that is an object, checked against its schema."""
        value = self.parse(raw, member)
        if value is None and self.findings.blames(member):
            return None
        self.check_schema(value, member, schema_name)
        return self.fields(value, member) if isinstance(value, dict) else None

    def check_schema(self, value: Any, member: str, schema_name: str) -> None:
        """Check a value against a schema."""
        for line in schema.findings(value, schema_name):
            place, message = split_place(line)
            self.findings.add("schema", message, member=member, place=place, refused_by=_REFUSED.get((place, message)))

    def fields(self, value: dict[str, Any], member: str, path: str = "") -> View:
        """Return an object that stands at `path` in a document that was checked against its schema."""
        return View(value, _CheckedDocument(self.findings.file, member, value, "", [], findings=self.findings), path)


@dataclass(frozen=True, slots=True, kw_only=True)
class _CheckedDocument(Document):
    """A document that was checked against its schema."""

    findings: Findings


class View(Fields):
    """One JSON object of a document that may break its schema.

    A value of the wrong type reads as absent, because the schema's finding reports it.
    """

    __slots__ = ()

    _document: _CheckedDocument

    def get(self, key: str) -> Any:
        """Return a value, its key in any letter case, which a note reports."""
        warnings: list[Diagnostic] = []
        try:
            found = strict.lookup(self._value, key, warnings=warnings)
        except FormatError:
            # The schema's finding reports the two spellings.
            return self._value.get(key)
        for warning in warnings:
            self._document.findings.add("letter-case", warning, member=self.member, place=self.path or None)
        return found

    def has(self, key: str) -> bool:
        """Return whether a key is there with a value other than null, in any letter case."""
        return any(strict.same_key(name, key) and value is not None for name, value in self._value.items())

    def _refuse(self, key: str, expected: str) -> None:
        """Read the value as absent."""

    def _below(self, value: Any, path: str) -> View | None:
        return View(value, self._document, path) if isinstance(value, dict) else None

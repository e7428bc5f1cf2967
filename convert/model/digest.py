"""Digests: `algorithm:hex`, the identifier of a blob (image-spec, descriptor.md)."""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import Final

from convert.errors import FormatError

_LENGTHS: Final = {"sha256": 64, "sha512": 128}
_HEX: Final = re.compile(r"[0-9a-f]+\Z")


@dataclass(frozen=True, slots=True, order=True)
class Digest:
    """A valid digest: supported algorithm, lower-case hex, correct length.

    Unlike the text of an unparsed digest, it is safe to use as a path component.
    """

    algorithm: str
    hex: str

    def __post_init__(self) -> None:
        """Refuse values that `parse` would refuse."""
        length = _LENGTHS.get(self.algorithm)
        if length is None:
            msg = f"digest algorithm '{self.algorithm}' is not supported (sha256 and sha512 are)"
            raise FormatError(msg, code="unsupported-digest-algorithm")
        if len(self.hex) != length or not _HEX.match(self.hex):
            text = f"{self.algorithm}:{self.hex}"
            msg = f"'{text}' is not a valid digest: {self.algorithm} needs {length} lower-case hex digits"
            raise FormatError(msg, code="invalid-digest")

    def __str__(self) -> str:
        """Return the `algorithm:hex` form."""
        return f"{self.algorithm}:{self.hex}"

    @classmethod
    def parse(cls, text: str) -> Digest:
        """Read `sha256:<64 hex>` or `sha512:<128 hex>`.

        Raises:
            FormatError: anything else, including upper-case hex.
        """
        algorithm, colon, hexa = text.partition(":")
        if not colon:
            msg = f"'{text}' is not a valid digest: expected algorithm:hex"
            raise FormatError(msg, code="invalid-digest")
        return cls(algorithm, hexa)

    @classmethod
    def of(cls, data: bytes | bytearray | memoryview) -> Digest:
        """Return the sha256 digest of `data`."""
        return cls("sha256", hashlib.sha256(data).hexdigest())

    @classmethod
    def from_hex(cls, hexa: str) -> Digest:
        """Return the sha256 digest with these 64 hex digits.

        Raises:
            FormatError: not 64 lower-case hex digits.
        """
        return cls("sha256", hexa)

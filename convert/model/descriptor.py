"""Content descriptors."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from convert.errors import FormatError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.digest import Digest


@dataclass(frozen=True, slots=True)
class Descriptor:
    """A content descriptor (image-spec descriptor.md).

    `extra` contains fields that imgconv does not use but preserves.
    """

    media_type: str
    digest: Digest
    size: int
    urls: tuple[str, ...] = ()
    annotations: Mapping[str, str] = field(default_factory=dict)
    data: bytes | None = None
    platform: Mapping[str, Any] | None = None
    artifact_type: str | None = None
    extra: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Refuse impossible sizes and embedded data."""
        if self.size < 0:
            msg = f"descriptor of {self.digest} has negative size {self.size}"
            raise FormatError(msg, code="negative-size")

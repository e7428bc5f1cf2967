"""What `registry:ROOT[/REPOSITORY[:TAG|@DIGEST]]` selects."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from convert.errors import FormatError, UsageError
from convert.model.digest import Digest
from convert.model.reference import is_repository, is_tag

_SELECTION: Final = re.compile(r"(?P<repository>[^:@]*)(?::(?P<tag>[^:@]+)|@(?P<digest>.+))?", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Selection:
    """What is read of a storage: everything, a repository, or one manifest by its tag or digest."""

    repository: str = ""
    tag: str = ""
    digest: Digest | None = None

    @classmethod
    def parse(cls, text: str) -> Selection:
        """Read `REPOSITORY[:TAG|@DIGEST]`, or nothing.

        Raises:
            UsageError: it is neither.
        """
        match = _SELECTION.fullmatch(text)
        if match is not None and (not text or is_repository(match["repository"])):
            tag = match["tag"] or ""
            if not tag or is_tag(tag):
                try:
                    return cls(match["repository"], tag, Digest.parse(match["digest"]) if match["digest"] else None)
                except FormatError:
                    pass
        raise UsageError(
            f"{text!r} is not REPOSITORY[:TAG|@DIGEST]",
            code="invalid-registry-selection",
            hint="as in registry:/srv/registry/team/app:1",
        )

    def __str__(self) -> str:
        """Return what stands behind ROOT."""
        reference = f":{self.tag}" if self.tag else f"@{self.digest}" if self.digest else ""
        return f"/{self.repository}{reference}" if self.repository else ""

    @property
    def is_manifest(self) -> bool:
        """Whether one manifest is selected."""
        return bool(self.tag or self.digest)

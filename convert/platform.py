"""Platforms: `os/arch[/variant]`, as `--platform` and indexes spell them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from convert.errors import UsageError

_PART: Final = re.compile(r"[A-Za-z0-9_.-]+\Z")
# The tables below are those of containerd/platforms (database.go).
_SYSTEMS: Final = {"macos": "darwin"}
_ARCHITECTURES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
# These names of an architecture fix the variant, whatever stands beside them.
_WITH_VARIANT: Final = {"i386": ("386", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6")}
_VARIANTS: Final = {
    "arm": {"5": "v5", "6": "v6", "7": "v7", "8": "v8"},
    "arm64": {"8": "v8", "v8.0": "v8", "9": "v9", "9.0": "v9", "v9.0": "v9"},
}
# The variant that an absent one means: image-spec image-index.md gives arm64 = v8;
# containerd takes arm = v7 and amd64 = v1.
_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on; empty strings where the source is silent."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    def __str__(self) -> str:
        """Return `os/arch[/variant]`."""
        return "/".join(part for part in (self.os or "unknown", self.architecture or "unknown", self.variant) if part)

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read what a user gives to `--platform`.

        Raises:
            UsageError: not `OS/ARCH` or `OS/ARCH/VARIANT`.
        """
        parts = text.split("/")
        if len(parts) not in {2, 3} or not all(_PART.match(part) for part in parts):
            msg = f"{text!r} is no platform"
            raise UsageError(msg, hint="give OS/ARCH or OS/ARCH/VARIANT, as linux/amd64 or linux/arm/v7")
        os, architecture, *rest = parts
        return cls(*_canonical(os, architecture, rest[0] if rest else ""))

    @property
    def normalised(self) -> tuple[str, str, str]:
        """(os, architecture, variant) in containerd's spelling, with the default variant filled in."""
        os, architecture, variant = _canonical(self.os, self.architecture, self.variant)
        return (os, architecture, variant or _DEFAULT_VARIANTS.get(architecture, ""))

    def matches(self, other: Platform) -> bool:
        """Tell whether an image for `other` is what someone asking for `self` means.

        `linux/arm` asks for v7, `linux/arm64` for v8 (containerd/platforms). A
        Windows `os_version` is compared only where both name one.
        """
        if self.normalised != other.normalised:
            return False
        if self.os != "windows" or not self.os_version or not other.os_version:
            return True
        return self.os_version == other.os_version


def _canonical(os: str, architecture: str, variant: str) -> tuple[str, str, str]:
    """Return the three parts in containerd's spelling; an absent variant stays absent."""
    os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
    if architecture in _WITH_VARIANT:
        architecture, variant = _WITH_VARIANT[architecture]
    architecture = _ARCHITECTURES.get(architecture, architecture)
    return (_SYSTEMS.get(os, os), architecture, _VARIANTS.get(architecture, {}).get(variant, variant))

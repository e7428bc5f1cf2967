"""Platforms: `os/arch[/variant]`, as `--platform` and indexes spell them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from typing import Final

from convert.errors import UsageError

_PART: Final = re.compile(r"[A-Za-z0-9_.-]+\Z")
# `windows(10.0.17763)`: the OS version as containerd and docker spell it; %XX stands for a byte.
_VERSIONED: Final = re.compile(r"([A-Za-z0-9_.-]+)(?:\(((?:[A-Za-z0-9_.-]|%[0-9A-Fa-f]{2})*)\))?\Z")
_PLAIN: Final = re.compile(r"[A-Za-z0-9_.-]\Z")
_ESCAPES: Final = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
# `windows/amd64:10.0.17763`, as crane spells it.
_VERSION_BEHIND: Final = re.compile(r"([^:()]+):([A-Za-z0-9_.-]+)\Z")
# The tables below are those of containerd/platforms (database.go).
_SYSTEMS: Final = {"macos": "darwin"}
_ARCHITECTURES: Final = {"x86_64": "amd64", "x86-64": "amd64", "aarch64": "arm64"}
# These architecture names imply the variant and override any other.
_WITH_VARIANT: Final = {"i386": ("386", ""), "armhf": ("arm", "v7"), "armel": ("arm", "v6")}
_VARIANTS: Final = {
    "arm": {"5": "v5", "6": "v6", "7": "v7", "8": "v8"},
    "arm64": {"8": "v8", "v8.0": "v8", "9": "v9", "9.0": "v9", "v9.0": "v9"},
}
# The default variants: v8 for arm64 by image-spec image-index.md; v7 for arm and v1 for amd64 by
# containerd.
_DEFAULT_VARIANTS: Final = {"arm64": "v8", "arm": "v7", "amd64": "v1"}


@dataclass(frozen=True, slots=True)
class Platform:
    """What an image runs on; empty strings where the source is silent."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""
    # Cached, because many images may share a config with long texts.
    _text: str = field(default="", init=False, repr=False, compare=False)

    def __str__(self) -> str:
        """Return `os/arch[/variant]`."""
        if not self._text:
            parts = (self.os or "unknown", self.architecture or "unknown", self.variant)
            object.__setattr__(self, "_text", "/".join(part for part in parts if part))
        return self._text

    @property
    def full(self) -> str:
        """`os(version)/arch[/variant]`: all that distinguishes platforms, as `parse` reads it."""
        if not self.os_version:
            return str(self)
        version = "".join(char if _PLAIN.match(char) else _escaped(char) for char in self.os_version)
        return str(replace(self, os=f"{self.os or 'unknown'}({version})"))

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read what a user gives to `--platform`.

        The version of the system may follow its name, as containerd and docker
        spell it, or the complete text, as crane does.

        Raises:
            UsageError: not `OS/ARCH` or `OS/ARCH/VARIANT`, with or without a version.
        """
        behind = _VERSION_BEHIND.match(text)
        head, *parts = (behind[1] if behind else text).split("/")
        versioned = (_PART if behind else _VERSIONED).match(head)
        if versioned is None or len(parts) not in {1, 2} or not all(_PART.match(part) for part in parts):
            hint = "give OS/ARCH or OS/ARCH/VARIANT, as linux/amd64, linux/arm/v7 or windows(10.0.17763)/amd64"
            raise UsageError(f"'{text}' is not a platform", code="invalid-platform", hint=hint)
        os, version = (head, behind[2]) if behind else (versioned[1], _unescaped(versioned[2] or ""))
        return cls(*_canonical(os, parts[0], parts[1] if len(parts) > 1 else ""), version)

    @property
    def normalised(self) -> tuple[str, str, str]:
        """(os, architecture, variant) in containerd's spelling, with the default variant filled in."""
        os, architecture, variant = _canonical(self.os, self.architecture, self.variant)
        return (os, architecture, variant or _DEFAULT_VARIANTS.get(architecture, ""))

    def matches(self, other: Platform) -> bool:
        """Return whether an image for `other` satisfies a request for `self`.

        `linux/arm` requests v7 and `linux/arm64` v8 (containerd/platforms). `os_version` is compared
        only if it is given on each side; `10.0.17763` requests any revision of that build, such as
        `10.0.17763.4974`.
        """
        if self.normalised != other.normalised:
            return False
        if not self.os_version or not other.os_version:
            return True
        return f"{other.os_version}.".startswith(f"{self.os_version}.")


def _canonical(os: str, architecture: str, variant: str) -> tuple[str, str, str]:
    """Return the three parts in containerd's spelling; an absent variant stays absent."""
    os, architecture, variant = os.lower(), architecture.lower(), variant.lower()
    if architecture in _WITH_VARIANT:
        architecture, variant = _WITH_VARIANT[architecture]
    architecture = _ARCHITECTURES.get(architecture, architecture)
    return (_SYSTEMS.get(os, os), architecture, _VARIANTS.get(architecture, {}).get(variant, variant))


def _escaped(char: str) -> str:
    return "".join(f"%{byte:02X}" for byte in char.encode("utf-8", "surrogateescape"))


def _unescaped(text: str) -> str:
    return _ESCAPES.sub(lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "surrogateescape"), text)

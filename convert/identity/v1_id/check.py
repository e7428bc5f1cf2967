"""Compare the v1 `json` file of an archive with the one that its scheme produces."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError
from convert.identity.docker_v1_struct import V1_IMAGE, Engine
from convert.jsonio import strict
from convert.jsonio.go_encode import dumps

if TYPE_CHECKING:
    from convert.identity.chain_id import V1Entry

#: The keys that determine how a container runs; engines and tools differ in the other keys.
_RUNS: Final = (
    "Cmd",
    "Domainname",
    "Entrypoint",
    "Env",
    "ExposedPorts",
    "Hostname",
    "Labels",
    "OnBuild",
    "StopSignal",
    "User",
    "Volumes",
    "WorkingDir",
)
_SYSTEM: Final = ("architecture", "os")


def json_fault(raw: bytes, entry: V1Entry, *, top: bool) -> str:
    """Return how the bytes of a v1 `json` deviate from those of its scheme, "" if they agree.

    `id` and `parent` must be those of the entry. The file of the top layer must also have the
    platform and the config of the image, in any spelling that Docker decodes to the same value.
    """
    try:
        found, wanted = _read(raw), _read(entry.json)
    except FormatError as error:
        return error.message
    for key in ("id", "parent"):
        if found.get(key, "") != wanted.get(key, ""):
            return f"{key} is '{found.get(key, '')}', expected '{wanted.get(key, '')}'"
    return _config_fault(found, wanted) if top else ""


def config_fault(raw: bytes, entry: V1Entry) -> str:
    """Return how the top layer's `json` deviates from the image's config, which `entry` contains.

    `id` and `parent` are not compared. Return "" if they agree or the bytes cannot be read.
    """
    try:
        return _config_fault(_read(raw), _read(entry.json))
    except FormatError:
        return ""


def _config_fault(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    for key in _SYSTEM:
        if found.get(key, "") != wanted.get(key, ""):
            return f"{key} is '{found.get(key, '')}', the image's config has '{wanted.get(key, '')}'"
    ours, theirs = found.get("config") or {}, wanted.get("config") or {}
    for key in _RUNS:
        if (ours.get(key) or theirs.get(key)) and dumps(ours.get(key)) != dumps(theirs.get(key)):
            return f"config.{key} is not that of the image's config"
    return ""


def _read(raw: bytes) -> dict[str, Any]:
    """Return a document as Docker decodes it."""
    return V1_IMAGE[Engine.DOCKER_29].read(strict.parse(raw, where="", member=""), "")

"""The structs into which go-containerregistry, crane's library, decodes documents.

It decodes a config before it pushes a tarball, so a field of the wrong type fails the push even
if nothing else reads it. It also re-encodes descriptors (pkg/v1/config.go, manifest.go and
platform.go; docs/formats-crane.md#how-crane-reads-a-tarball).
"""

from __future__ import annotations

from typing import Any, Final

from convert.errors import FormatError
from convert.jsonio import go_struct, go_values
from convert.jsonio.go_struct import Field, Omit, Struct
from convert.model.digest import Digest

_strings, _string, _boolean, _integer = go_values.strings, go_values.string, go_values.boolean, go_values.integer


def _hashes(value: Any, at: str) -> list[str] | None:
    """Read a slice of `Hash`, which supports only sha256 (pkg/v1/hash.go); the spelling was checked before."""
    texts = go_values.strings(value, at)
    for index, text in enumerate(texts or ()):
        if not text.startswith("sha256:"):
            raise FormatError(f"{at}[{index}]: only sha256 is supported", code="digest-not-sha256")
    return texts


def _hash(value: Any, at: str) -> None:
    """Check one `Hash`, for which null is an empty string.

    Raises:
        FormatError: not a digest, or one of an algorithm that go-containerregistry does not support.
    """
    text = go_values.string(value, at)
    try:
        digest = Digest.parse(text)
    except FormatError as error:
        msg = f"{at}: {error.message}"
        raise FormatError(msg, code=error.code) from None
    if digest.algorithm != "sha256":
        raise FormatError(f"{at}: only sha256 is supported, found {digest}", code="digest-not-sha256")


#: `Platform`: architecture and os are always written.
PLATFORM: Final = Struct(
    (
        Field("architecture", _string),
        Field("os", _string),
        Field("os.version", _string, Omit.EMPTY),
        Field("os.features", _strings, Omit.EMPTY),
        Field("variant", _string, Omit.EMPTY),
        Field("features", _strings, Omit.EMPTY),
    )
)

#: `Descriptor` (pkg/v1/manifest.go); only types are checked.
DESCRIPTOR: Final = Struct(
    (
        Field("mediaType", _string),
        Field("size", _integer),
        Field("digest", _hash),
        Field("data", go_values.byte_slice),
        Field("urls", _strings),
        Field("annotations", go_values.string_map),
        Field("platform", PLATFORM.check),
        Field("artifactType", _string),
    )
)


def _layer_sources(value: Any, at: str) -> None:
    """Check a map of `Descriptor` by `Hash`."""
    for key, item in go_values.mapping(value, at).items():
        _hash(key, f"{at}[{key!r}]")
        DESCRIPTOR.check(item, f"{at}[{key!r}]")


#: An element of `manifest.json` (pkg/v1/tarball/image.go); only types are checked.
MANIFEST_ITEM: Final = Struct(
    (
        Field("Config", _string),
        Field("RepoTags", _strings),
        Field("Layers", _strings),
        Field("LayerSources", _layer_sources),
    )
)

_HEALTHCHECK: Final = Struct(
    (
        Field("Test", _strings),
        Field("Interval", _integer),
        Field("Timeout", _integer),
        Field("StartPeriod", _integer),
        Field("Retries", _integer),
    )
)

_SETTINGS: Final = Struct(
    (
        *(
            Field(name, _boolean)
            for name in (
                "AttachStderr", "AttachStdin", "AttachStdout", "OpenStdin", "StdinOnce", "Tty", "ArgsEscaped",
                "NetworkDisabled",
            )
        ),
        *(Field(name, _strings) for name in ("Cmd", "Entrypoint", "Env", "OnBuild", "Shell")),
        *(
            Field(name, _string)
            for name in ("Domainname", "Hostname", "Image", "User", "WorkingDir", "MacAddress", "StopSignal")
        ),
        Field("Healthcheck", _HEALTHCHECK.pointer),
        Field("Labels", go_values.string_map),
        Field("Volumes", go_values.string_set),
        Field("ExposedPorts", go_values.string_set),
    )
)  # fmt: skip

_HISTORY: Final = Struct(
    (
        Field("author", _string),
        Field("created", go_values.time),
        Field("created_by", _string),
        Field("comment", _string),
        Field("empty_layer", _boolean),
    )
)

#: `ConfigFile`; only types are checked, because crane pushes the config's bytes unchanged.
CONFIG: Final = Struct(
    (
        *(
            Field(name, _string)
            for name in ("architecture", "author", "container", "docker_version", "os", "os.version", "variant")
        ),
        Field("created", go_values.time),
        Field("history", go_struct.structs(_HISTORY)),
        Field("rootfs", Struct((Field("type", _string), Field("diff_ids", _hashes))).read),
        Field("config", _SETTINGS.read),
        Field("os.features", _strings),
    )
)

"""The structs into which containers/image, the library of podman, skopeo and buildah, decodes documents.

A field of the wrong type fails the copy even if nothing else reads it.
"""

from __future__ import annotations

import dataclasses
from typing import Any, Final

from convert.identity import docker_structs
from convert.jsonio import go_struct, go_values
from convert.jsonio.go_struct import Field, Struct

#: The config of a docker archive (manifest/docker_schema2.go, `Schema2Image`); a copy of Docker's struct.
DOCKER_CONFIG: Final = docker_structs.CONFIG

_EXECUTION: Final = Struct(
    (
        *(Field(name, go_values.string) for name in ("User", "WorkingDir", "StopSignal")),
        *(Field(name, go_values.string_set) for name in ("ExposedPorts", "Volumes")),
        *(Field(name, go_values.strings) for name in ("Env", "Entrypoint", "Cmd")),
        Field("Labels", go_values.string_map),
        Field("ArgsEscaped", go_values.boolean),
    )
)

_HISTORY: Final = Struct(
    (
        Field("created", go_values.time_pointer),
        *(Field(name, go_values.string) for name in ("created_by", "author", "comment")),
        Field("empty_layer", go_values.boolean),
    )
)

#: A config as image-spec's Go type has it (specs-go/v1/config.go, `Image`).
OCI_CONFIG: Final = Struct(
    (
        Field("created", go_values.time_pointer),
        *(Field(name, go_values.string) for name in ("author", "architecture", "os", "os.version", "variant")),
        Field("os.features", go_values.strings),
        Field("config", _EXECUTION.read),
        Field("rootfs", Struct((Field("type", go_values.string), Field("diff_ids", go_values.strings))).read),
        Field("history", go_struct.structs(_HISTORY)),
    )
)

#: The config of a docker archive that is loaded into containers-storage: it is decoded as both.
LOADED_DOCKER_CONFIG: Final = Struct((*DOCKER_CONFIG.fields, *OCI_CONFIG.fields))

_DESCRIPTOR: Final = Struct(
    (
        Field("mediaType", go_values.string),
        Field("size", go_values.integer),
        Field("digest", go_values.string),
        Field("urls", go_values.strings),
    )
)


def _layer_sources(value: Any, at: str) -> None:
    for key, item in go_values.mapping(value, at).items():
        _DESCRIPTOR.check(item, f"{at}[{key!r}]")


#: An element of `manifest.json` (docker/internal/tarfile/types.go); only types are checked.
MANIFEST_ITEM: Final = dataclasses.replace(
    docker_structs.MANIFEST_ITEM,
    fields=tuple(
        Field("LayerSources", _layer_sources) if field.name == "LayerSources" else field
        for field in docker_structs.MANIFEST_ITEM.fields
    ),
)

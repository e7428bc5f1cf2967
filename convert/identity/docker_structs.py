"""The structs into which Docker's engine decodes an archive for `docker load`.

It decodes all of `manifest.json` before it loads an image, and all of a config before the layers,
so a field of the wrong type fails the load even if nothing else reads it
(moby daemon/internal/image/tarexport, daemon/internal/image/image.go; the same in 20.10).
"""

from __future__ import annotations

from typing import Any, Final

from convert.identity.docker_v1_struct import V1_IMAGE, Engine
from convert.jsonio import go_struct, go_values
from convert.jsonio.go_struct import Field, Struct

#: `Platform` of image-spec.
PLATFORM: Final = Struct(
    (
        *(Field(name, go_values.string) for name in ("architecture", "os", "os.version", "variant")),
        Field("os.features", go_values.strings),
    )
)

#: `distribution.Descriptor`, whose digest is any text.
DESCRIPTOR: Final = Struct(
    (
        Field("mediaType", go_values.string),
        Field("size", go_values.integer),
        Field("digest", go_values.string),
        Field("urls", go_values.strings),
        Field("annotations", go_values.string_map),
        Field("platform", PLATFORM.check),
    )
)


def _layer_sources(value: Any, at: str) -> None:
    for key, item in go_values.mapping(value, at).items():
        DESCRIPTOR.check(item, f"{at}[{key!r}]")


#: An element of `manifest.json`; only types are checked.
MANIFEST_ITEM: Final = Struct(
    (
        Field("Config", go_values.string),
        Field("RepoTags", go_values.strings),
        Field("Layers", go_values.strings),
        Field("Parent", go_values.string),
        Field("LayerSources", _layer_sources),
    )
)

#: The same as containerd reads it (core/images/archive/importer.go).
CONTAINERD_ITEM: Final = Struct(
    (
        Field("Config", go_values.string),
        Field("RepoTags", go_values.strings),
        Field("Layers", go_values.strings),
    )
)

_HISTORY: Final = Struct(
    (
        Field("created", go_values.time),
        *(Field(name, go_values.string) for name in ("author", "created_by", "comment")),
        Field("empty_layer", go_values.boolean),
    )
)

#: A config; only types are checked. 20.10's struct accepts what newer engines do, and a string for `Cmd` too.
CONFIG: Final = Struct(
    (
        *V1_IMAGE[Engine.DOCKER_20].fields,
        Field("rootfs", Struct((Field("type", go_values.string), Field("diff_ids", go_values.strings))).read),
        Field("history", go_struct.structs(_HISTORY)),
        Field("os.version", go_values.string),
        Field("os.features", go_values.strings),
    )
)

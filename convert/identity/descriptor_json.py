"""Descriptors as JSON objects, in the key order of the Go programs that write them."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING, Any, Final

from convert.jsonio.go_encode import sorted_map

if TYPE_CHECKING:
    from collections.abc import Mapping

    from convert.model.descriptor import Descriptor

# image-spec specs-go/v1/descriptor.go, struct Platform.
_PLATFORM_KEYS: Final = ("architecture", "os", "os.version", "os.features", "variant")


def oci_fields(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor in OCI's order: mediaType, digest, size.

    This is the order of image-spec's Go types (specs-go/v1/descriptor.go), which containerd and
    Docker use. Unknown fields follow, sorted.
    """
    fields: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "digest": str(descriptor.digest),
        "size": descriptor.size,
    }
    if descriptor.urls:
        fields["urls"] = list(descriptor.urls)
    if descriptor.annotations:
        fields["annotations"] = sorted_map(descriptor.annotations)
    if descriptor.data is not None:
        fields["data"] = base64.b64encode(descriptor.data).decode()
    if descriptor.platform is not None:
        fields["platform"] = platform_fields(descriptor.platform)
    if descriptor.artifact_type:
        fields["artifactType"] = descriptor.artifact_type
    for key, value in sorted(descriptor.extra.items()):
        fields.setdefault(key, value)
    return fields


def docker_fields(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor in Docker's older order: mediaType, size, digest, urls.

    This is the order of distribution's schema 2 types and of go-containerregistry, which write
    only these fields for a config or a layer.
    """
    fields: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": str(descriptor.digest),
    }
    if descriptor.urls:
        fields["urls"] = list(descriptor.urls)
    return fields


def ggcr_fields(descriptor: Descriptor) -> dict[str, Any]:
    """Return a descriptor in go-containerregistry's order (pkg/v1/manifest.go, `Descriptor`).

    Unknown fields are dropped.
    """
    fields: dict[str, Any] = {
        "mediaType": descriptor.media_type,
        "size": descriptor.size,
        "digest": str(descriptor.digest),
    }
    if descriptor.data:
        fields["data"] = base64.b64encode(descriptor.data).decode()
    if descriptor.urls:
        fields["urls"] = list(descriptor.urls)
    if descriptor.annotations:
        fields["annotations"] = sorted_map(descriptor.annotations)
    if descriptor.platform is not None:
        from convert.identity.ggcr_structs import PLATFORM  # noqa: PLC0415 - start-up time

        fields["platform"] = PLATFORM.read(descriptor.platform, "platform")
    if descriptor.artifact_type:
        fields["artifactType"] = descriptor.artifact_type
    return fields


def platform_fields(platform: Mapping[str, Any]) -> dict[str, Any]:
    """Return a platform object in the order of image-spec's Go type, unknown keys last."""
    fields = {key: platform[key] for key in _PLATFORM_KEYS if key in platform}
    return fields | {key: platform[key] for key in sorted(platform) if key not in fields}

"""The formats that imgconv writes, and what each can hold."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from convert.errors import UsageError, shortened, suggestion
from convert.writer.options import DIR, DOCKER_ARCHIVE, OCI_ARCHIVE, OCI_LAYOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.archive.tar_writer import Item
    from convert.model.image_set import ImageSet
    from convert.writer.options import Transport, WriteOptions


class Writer(Protocol):
    """A module that writes a format."""

    def items(self, images: ImageSet, options: WriteOptions) -> Iterator[Item]:
        """Yield the members of the archive, or the files of the folder, in order."""


@dataclass(frozen=True, slots=True)
class Target:
    """One value of `--to`.

    `uncompressed`: layers are written uncompressed. `manifests`: manifests are carried.
    `layer_sizes_first`: documents before the layers state the sizes of the layers.
    `single_platform`: holds images for one platform each, and nothing else. `single_entry`:
    holds one image, index or artifact, without a name.
    `index_fields`: its `index.json` keeps annotations, artifactType and subject.
    `manifest_json`: it has a `manifest.json`, and can have `repositories`.
    `layer_mode`: file mode of layers in the docker-save@ formats. `can_be_thin`: some
    reader of it looks layers up where it keeps them, so that they can be left out.
    """

    name: str
    module: str
    transport: Transport
    uncompressed: bool = False
    manifests: bool = False
    layer_sizes_first: bool = False
    single_platform: bool = False
    single_entry: bool = False
    index_fields: bool = False
    manifest_json: bool = True
    layer_mode: int = 0o644
    can_be_thin: bool = True

    @property
    def is_folder(self) -> bool:
        """Whether it is a folder; else a tar."""
        return self.transport.is_folder

    @property
    def can_grow(self) -> bool:
        """Whether images can be appended to it."""
        return self.is_folder and not self.single_entry

    @property
    def has_index(self) -> bool:
        """Whether it has an `index.json`."""
        return self.layer_sizes_first or (self.manifests and not self.single_entry)

    @property
    def holds_parents(self) -> bool:
        """Whether its `manifest.json` can name the parent of an image."""
        return self.uncompressed

    def writer(self) -> Writer:
        """Return the module that writes this format, imported when it is needed."""
        return cast("Writer", importlib.import_module(f"convert.writer.{self.module}"))


def _docker_save(name: str, module: str, *, layer_sizes_first: bool, layer_mode: int = 0o644) -> Target:
    return Target(
        name,
        module,
        DOCKER_ARCHIVE,
        uncompressed=True,
        layer_sizes_first=layer_sizes_first,
        single_platform=True,
        layer_mode=layer_mode,
    )


TARGETS: Final = {
    target.name: target
    for target in (
        _docker_save("docker-save", "docker_save", layer_sizes_first=False),
        _docker_save("docker-save@25", "docker_save_25", layer_sizes_first=True),
        # From 29.6.0 on dockerd sets its umask to 0 (moby daemon/command/daemon_unix.go).
        _docker_save("docker-save@29", "docker_save_25", layer_sizes_first=True, layer_mode=0o666),
        Target("docker-oci", "docker_oci", DOCKER_ARCHIVE, manifests=True),
        Target("crane", "crane", DOCKER_ARCHIVE, single_platform=True, can_be_thin=False),
        Target("oci", "oci", OCI_LAYOUT, manifests=True, index_fields=True, manifest_json=False),
        Target("oci-archive", "oci", OCI_ARCHIVE, manifests=True, index_fields=True, manifest_json=False),
        Target("dir", "dir_layout", DIR, manifests=True, single_entry=True, manifest_json=False, can_be_thin=False),
    )
}


#: The name that skopeo and podman have for the format of `docker save`.
_ALIASES: Final = {"docker-archive": "docker-save"}


def target(name: str) -> Target:
    """Return the target with this name or alias.

    Raises:
        UsageError: unknown name; the error lists the valid ones.
    """
    found = TARGETS.get(_ALIASES.get(name, name))
    if found is None:
        hint = suggestion(name, [*TARGETS, *_ALIASES]) + "formats: " + ", ".join(TARGETS)
        raise UsageError(f"unknown format {shortened(name)!r}", code="unknown-format", hint=hint)
    return found


def targets_with_manifests() -> str:
    """Return the names of the targets that carry manifests, for a hint."""
    return ", ".join(name for name, each in TARGETS.items() if each.manifests)

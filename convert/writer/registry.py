"""The formats that are written: their names, and what each wants of its images."""

from __future__ import annotations

import importlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol, cast

from convert.errors import UsageError, shortened, suggestion

if TYPE_CHECKING:
    from collections.abc import Iterator

    from convert.model.image_set import ImageSet
    from convert.writer.dest.tar_file import Item
    from convert.writer.options import WriteOptions


class TarWriter(Protocol):
    """A format module that writes a tar."""

    def items(self, images: ImageSet, options: WriteOptions) -> Iterator[Item]:
        """Yield the members in order."""


@dataclass(frozen=True, slots=True)
class Target:
    """One value of `--to`.

    `plain`: layers are written uncompressed. `manifests`: manifests are carried.
    `sized`: documents that stand before the layers name their sizes.
    `single`: holds images for one platform each and nothing else. `folder`:
    a folder, not a tar. `index_fields`: its `index.json` keeps annotations, artifactType
    and subject. `layer_mode`: file mode of layers in the docker-save@ forms.
    """

    name: str
    module: str
    plain: bool = False
    manifests: bool = False
    sized: bool = False
    single: bool = False
    folder: bool = False
    layer_mode: int = 0o644
    index_fields: bool = False

    @property
    def holds_parents(self) -> bool:
        """Whether its `manifest.json` can name the parent of an image."""
        return self.plain

    def writer(self) -> TarWriter:
        """Return the module that writes this format, imported when it is needed."""
        return cast("TarWriter", importlib.import_module(f"convert.writer.{self.module}"))


TARGETS: Final = {
    target.name: target
    for target in (
        Target("docker-save", "docker_save", plain=True, single=True),
        Target("docker-save@25", "docker_save_25", plain=True, sized=True, single=True),
        # From 29.6.0 on dockerd sets its umask to 0 (moby daemon/command/daemon_unix.go).
        Target("docker-save@29", "docker_save_25", plain=True, sized=True, single=True, layer_mode=0o666),
        Target("docker-oci", "docker_oci", manifests=True),
        Target("crane", "crane", single=True),
        Target("oci", "oci", manifests=True, folder=True, index_fields=True),
        Target("oci-archive", "oci_archive", manifests=True, index_fields=True),
    )
}


#: skopeo's and podman's word for the form that `docker save` writes.
_ALIASES: Final = {"docker-archive": "docker-save"}


def target(name: str) -> Target:
    """Return the target with this name or alias.

    Raises:
        UsageError: there is none; the error lists them.
    """
    found = TARGETS.get(_ALIASES.get(name, name))
    if found is None:
        hint = suggestion(name, [*TARGETS, *_ALIASES]) + "formats: " + ", ".join(TARGETS)
        raise UsageError(f"unknown format {shortened(name)!r}", hint=hint)
    return found

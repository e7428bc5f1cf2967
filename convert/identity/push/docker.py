"""docker: `docker load` and `docker push` with a graph driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.identity import docker_structs
from convert.identity.manifest import docker_push_manifest
from convert.identity.push.tool import PushTool, View
from convert.model import mediatype
from convert.model.form import Form

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.codec.compression import Compression
    from convert.model.config import Config
    from convert.model.descriptor import Descriptor
    from convert.model.image import Image
    from convert.model.image_set import SourceFormat


class Docker(PushTool):
    """`docker load`, then `docker push`."""

    name = "docker"
    config_struct = docker_structs.CONFIG

    def view(self, *, listed: bool, layout: bool, folder: bool) -> View:
        """Read manifest.json; of a source without one, what it would list."""
        del layout, folder
        return View.LISTED if listed else View.ALL

    def condition(self, view: View) -> str:
        """Return the condition for a source without manifest.json, which `docker load` refuses."""
        if view is View.ALL:
            return "docker load refuses a source without manifest.json; the result is what it would push with one"
        return ""

    def pushes_as_stored(self, source_format: SourceFormat) -> bool:
        """Push nothing unchanged: `docker load` keeps no manifests."""
        del source_format
        return False

    def ignores_descriptor(self, descriptor: Descriptor) -> bool:
        """Ignore foreign layers' descriptors, as `docker load` on Linux does."""
        return mediatype.is_nondistributable(descriptor.media_type)

    def layer_forms(
        self, image: Image, compressions: Sequence[Compression], *, as_compressed: bool
    ) -> tuple[Form, ...]:
        """Compress every layer: `docker load` unpacked it."""
        del compressions, as_compressed
        return (Form.ENCODED,) * len(image.layers)

    def manifest(self, config: Config, layers: Sequence[Descriptor]) -> bytes:
        """Return a schema 2 manifest as docker push encodes it."""
        return docker_push_manifest(config, layers)

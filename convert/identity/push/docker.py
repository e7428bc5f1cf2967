"""docker: `docker load` and `docker push` with a graph driver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert.diagnostics import Diagnostic
from convert.identity import docker_structs
from convert.identity.manifest import docker_push_manifest
from convert.identity.push.tool import Contents, PushTool, View, schema2
from convert.model import mediatype
from convert.model.form import Form

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.codec.compression import Compression
    from convert.jsonio.go_struct import Struct
    from convert.model.descriptor import Descriptor
    from convert.model.image import Image, Manifest
    from convert.model.image_set import SourceFormat


class Docker(PushTool):
    """`docker load`, then `docker push`."""

    name = "docker"

    def view(self, contents: Contents) -> View:
        """Read manifest.json; of a source without one, what it would list."""
        return View.LISTED if contents.listed else View.ALL

    def conditions(self, contents: Contents, view: View) -> Iterator[Diagnostic]:
        """Yield the condition for a source without manifest.json, which `docker load` refuses."""
        del contents
        if view is View.ALL:
            text = "docker load refuses a source without manifest.json; the result is what it would push with one"
            yield Diagnostic(text, code="pusher-condition", pusher=self.name)

    def config_struct(self, image: Image) -> Struct:
        """Decode every config."""
        del image
        return docker_structs.CONFIG

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

    def manifest(self, image: Image, layers: Sequence[Descriptor]) -> Manifest:
        """Return a schema 2 manifest as docker push encodes it."""
        return schema2(docker_push_manifest(image.config, layers), image, layers)

"""Write an OCI image layout (image-spec 1.1, image-layout.md): what lies in the folder.

The documents are compact and the same whichever tool wrote the source, as far as
their content is (CONTRACT, "Layouts").
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.formats import _layout

if TYPE_CHECKING:
    from convert.archive.tar_write import Content
    from convert.digest import Digest
    from convert.formats.writing import WriteOptions
    from convert.model import ImageSet

NAME: Final = "oci"


def documents(images: ImageSet, options: WriteOptions) -> tuple[bytes, bytes, dict[Digest, bytes | Content]]:
    """Return `index.json`, `oci-layout`, and the blobs by digest.

    Every image must have a manifest. Nothing is left out: artifacts, attestations
    and what an index names without having it are carried as they are.
    """
    return _layout.documents(images, options)

"""imgconv: convert container-image archives and compute every name of an image, offline.

    import convert

    with convert.open("image.tar") as archive:
        for image in archive.images():
            print(image.image_id, image.config.platform)

    convert.convert("image.tar", "layout", to="oci")
"""

from __future__ import annotations

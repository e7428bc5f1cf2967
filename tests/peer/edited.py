"""Merges, joins, splits and renames for the tools: each written here, with what was said of it."""

from __future__ import annotations

from layouts import GZIP, Layout, digest_of, named, packed, tar_of
from support import MATCH

import convert

#: Four archives of several tools, with names on ten images.
MERGED = ("docker20-multi", "podman-docker-archive", "ggcr-legacy", "legacy-repositories-only")
PREFIXES = "old.example/team/=new.example/other/"


def names_of(report):
    """Return the image ID of each name of a result."""
    return {name: str(image.image_id) for image in report.images for name in image.names}


def merged(tmp_path, form, sources=MERGED, **options):
    """Merge archives."""
    paths = [str(MATCH / f"{name}.tar.gz") for name in sources]
    return convert.convert(paths, tmp_path / "all", to=form, **options)


def many(path, count=20):
    """Write an archive with so many names of one prefix."""
    layout = Layout(path)
    layout.write(*(named(layout.image(f"file{n}"), f"old.example/team/app{n}:{n}.0") for n in range(count)))
    return layout.folder


def joined(tmp_path):
    """Write two single-platform images and join them; return their IDs and the layout."""
    sources = []
    for name, architecture in (("a", "amd64"), ("b", "arm64")):
        layout = Layout(tmp_path / name)
        plain = tar_of(name)
        config = layout.config([digest_of(plain)], architecture=architecture)
        layout.write(named(layout.manifest([layout.blob(packed(plain), GZIP)], [], config=config), f"app:{name}"))
        sources.append(str(layout.folder))
    ids = {str(image.id) for source in sources for image in convert.identify(source).images}
    convert.convert(sources, tmp_path / "joined", to="oci", join="example.com/app:1.0")
    return ids, tmp_path / "joined"

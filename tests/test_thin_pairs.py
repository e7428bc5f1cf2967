"""Thin archives of real images: what is left out and filled again gives the full conversion, byte for byte.

OLD and NEW were built and saved by real engines and tools (testdata/match, and the fixtures of tests/fixtures.json);
both have at least the lowest layer in common.
"""

from __future__ import annotations

import json

import fixtures
import pytest
from support import FORMATS, MATCH
from thin_archives import content

import convert
from convert.errors import NotRepresentableError, UsageError

TARGETS = ["dir", *FORMATS]
FORMS = [form for form in FORMATS if form != "crane"]
#: OLD and NEW; those that are no files of testdata/match are fixtures.
PAIRS = [
    ("docker20-import", "docker20-html"),
    ("docker20-html", "docker20-multi"),
    ("docker20-byid", "docker20-multi"),
    ("docker20-duplayer", "docker20-multi"),
    ("docker20-oddconfig", "docker20-multi"),
    ("docker20-multi", "docker20-parents"),
    ("docker20-import", "docker24-html"),
    ("docker20-html", "docker24-html"),
    ("docker24-html", "docker25-hybrid-html"),
    ("docker25-hybrid-html", "docker29-hybrid-html"),
    ("docker29-hybrid-html", "docker20-multi"),
    ("docker29-hybrid-duplayer", "docker20-multi"),
    ("docker29-hybrid-byid", "docker20-parents"),
    ("docker20-import", "containerd29-export"),
    ("containerd29-export", "docker20-multi"),
    ("containerd29-export", "containerd29-export-multiplatform"),
    ("containerd29-export-multiplatform", "docker29-hybrid-html"),
    ("docker20-import", "podman-oci-archive"),
    ("podman-oci-archive", "docker20-multi"),
    ("podman-docker-archive", "podman-oci-archive"),
    ("skopeo-docker-archive", "docker20-multi"),
    ("docker20-html", "skopeo-docker-archive"),
    ("crane-tarball", "docker20-multi"),
    ("docker29-hybrid-html", "crane-tarball"),
    ("ggcr-legacy", "docker20-multi"),
    ("images/bazel-test-image-2.tar", "images/bazel-bundle-two-images-bare-tags.tar"),
    ("images/bazel-empty-layer-history.tar", "images/bazel-bundle-two-images-bare-tags.tar"),
    ("images/containerd-hello-world-manifest-list.tar", "images/oci-sylabs-manifest-list"),
    ("images/containerd-hello-world-dot-prefix.tar", "images/oci-sylabs-cosign-manifest-list"),
    ("images/docker-save-busybox-jib.tar", "images/jib-busybox-lowercase-keys.tar"),
    ("images/oci-ggcr-gc-index", "images/bazel-bundle-two-images-bare-tags.tar"),
]


def path_of(name):
    return str(fixtures.get(name)) if "/" in name else str(MATCH / f"{name}.tar.gz")


def bytes_of(path):
    """Return what a result holds; the list of layers that its run compressed is no part of it."""
    if not path.is_dir():
        return path.read_bytes()
    return {name: data for name, data in content(path).items() if name != ".imgconv-layers.json"}


def bases(folder, old):
    """Yield OLD as it is, in other forms, and compressed in another way."""
    yield "as it is", old
    for name, given in (("docker-save", {}), ("oci", {}), ("oci-archive", {"compress": "zstd", "recompress": True})):
        path = folder / f"old-{name}"
        try:
            convert.convert(old, path, to=name, **given)
        except NotRepresentableError:
            continue
        yield name + "".join(f" {each}" for each in given.values() if each is not True), str(path)


@pytest.mark.slow
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(("old", "new"), PAIRS)
def test_a_thin_archive_of_a_real_image_is_filled_to_the_very_bytes(tmp_path, old, new, form):
    old, new = path_of(old), path_of(new)
    full, thin = tmp_path / "full", tmp_path / "thin"
    try:
        convert.convert(new, full, to=form)
    except NotRepresentableError as error:
        pytest.skip(f"NEW has no such form: {error}")
    report = convert.convert(new, thin, to=form, without=[old])
    if "docker-save" in form:
        assert report.needs
    for to in TARGETS:
        direct, filled = tmp_path / f"direct-{to}", tmp_path / f"filled-{to}"
        try:
            convert.convert(full, direct, to=to)
        except NotRepresentableError:
            with pytest.raises(NotRepresentableError):
                convert.convert(thin, filled, to=to, with_=[old])
            continue
        convert.convert(thin, filled, to=to, with_=[old])
        assert bytes_of(direct) == bytes_of(filled), to
    for name, base in bases(tmp_path, old):
        # On either side, OLD may be another archive of the same layers.
        filled = tmp_path / f"filled from {name}"
        convert.convert(thin, filled, to=form, with_=[base])
        assert bytes_of(filled) == bytes_of(full), name
        convert.convert(new, tmp_path / f"thin from {name}", to=form, without=[base])
        filled = tmp_path / f"filled again from {name}"
        convert.convert(tmp_path / f"thin from {name}", filled, to=form, with_=[base])
        assert bytes_of(filled) == bytes_of(full), name
        have = tmp_path / "have.json"
        have.write_text(json.dumps(convert.inspect(base).document))
        again = tmp_path / f"thin by inventory of {name}"
        try:
            convert.convert(new, again, to=form, without=[str(have)])
        except UsageError:
            assert not again.exists()
            continue  # an inventory of DiffIDs alone
        filled = tmp_path / f"filled by inventory of {name}"
        convert.convert(again, filled, to=form, with_=[base])
        assert bytes_of(filled) == bytes_of(full), name

"""Read a `dir:` folder of skopeo and podman (containers/image directory/directory_transport.go).

It holds one image manifest or index as `manifest.json`, the manifests that the index lists as `<hex>.manifest.json`,
and every other blob as `<hex>`. No image in it has a name. The version and the signatures beside them are optional.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.diagnostics import Diagnostic
from convert.errors import FormatError, InputError, UnsupportedError
from convert.jsonio import strict
from convert.model import dir_names, mediatype
from convert.model.descriptor import Descriptor
from convert.model.digest import Digest
from convert.reader.fields import Fields
from convert.reader.layout_blobs import LayoutBlobs

if TYPE_CHECKING:
    from collections.abc import Callable

    from convert.archive.tree import Tree
    from convert.model.image_set import ImageSet
    from convert.reader.document import Reading

_SCHEMA_1: Final = 1


def read_dir(reading: Reading) -> ImageSet:
    """Read the image or index of a `dir:` folder.

    Raises:
        FormatError: a document is broken or a blob is missing.
        DigestMismatchError: a document is not what its descriptor names.
        UnsupportedError: a newer version of the folder, or a manifest of schema 1.
    """
    from convert.reader.oci_layout import read_single  # noqa: PLC0415 - start-up time: many archives have no layout

    check_version(reading.tree, reading.file)
    _warn_of_signatures(reading)
    raw = reading.read(dir_names.MANIFEST)
    described = describe_top(reading, raw)
    return read_single(reading, _DirBlobs(reading, described.digest, raw), described)


def check_version(tree: Tree, file: str) -> None:
    """Check the version of a folder, which may be missing.

    Raises:
        FormatError: the file is not what skopeo writes.
        UnsupportedError: no released skopeo reads the version.
    """
    if tree.find(dir_names.VERSION) is None:
        return
    raw = tree.read(dir_names.VERSION)
    match = dir_names.VERSION_TEXT.fullmatch(raw)
    if match is None:
        raise FormatError(
            "is not a version of a dir: folder", code="invalid-document", file=file, member=dir_names.VERSION
        )
    if (int(match[1]), int(match[2])) > dir_names.NEWEST_VERSION:
        newest = ".".join(map(str, dir_names.NEWEST_VERSION))
        raise UnsupportedError(
            f"is {int(match[1])}.{int(match[2])}, only versions up to {newest} are supported",
            code="unsupported-dir-version",
            file=file,
            member=dir_names.VERSION,
        )


def describe_top(reading: Reading, raw: bytes) -> Descriptor:
    """Return the descriptor that an index would have for `manifest.json`.

    Raises:
        FormatError, UnsupportedError: as `read_dir`.
    """
    return Descriptor(_manifest_type(reading, raw), Digest.of(raw), len(raw))


def _manifest_type(reading: Reading, raw: bytes) -> str:
    """Return the media type of `manifest.json` as skopeo finds it (manifest.go, `GuessMIMEType`).

    Raises:
        FormatError: it is neither a manifest nor an index.
        UnsupportedError: it is a manifest of schema 1.
    """
    value: Any = strict.parse(raw, where=reading.file, member=dir_names.MANIFEST)
    fields = Fields(value, reading.document(dir_names.MANIFEST, value, "oci-manifest"))
    media_type = fields.text("mediaType")
    if media_type in mediatype.MANIFESTS | mediatype.INDEXES:
        return media_type
    if fields.integer("schemaVersion") == _SCHEMA_1:
        raise UnsupportedError(
            "is a manifest of schema 1, which Docker gave up in 2020",
            code="unsupported",
            file=reading.file,
            member=dir_names.MANIFEST,
            hint="pull the image again: registries have converted it",
        )
    config = fields.object("config")
    config_type = config.text("mediaType") if config is not None else None
    if config_type == mediatype.DOCKER_CONFIG:
        return mediatype.DOCKER_MANIFEST
    if config_type is None and fields.has("manifests"):
        return mediatype.OCI_INDEX
    return mediatype.OCI_MANIFEST


def _warn_of_signatures(reading: Reading) -> None:
    """Report signatures, which sign a name at a registry: no other format holds them."""
    names = [name.removeprefix("./") for name in reading.tree.names()]
    if count := sum(1 for name in names if dir_names.SIGNATURE.match(name)):
        text = f"{count} signature{'s' if count > 1 else ''} beside the manifests are not read"
        reading.warn(Diagnostic(text, code="signatures-not-read", number=count))


def file_finder(tree: Tree, top: Digest) -> Callable[[Descriptor], str]:
    """Return what finds the file that holds what a descriptor names; `top` is the digest of `manifest.json`."""

    def is_there(name: str) -> bool:
        try:
            return tree.find(name) is not None
        except InputError:
            return True

    def find(described: Descriptor) -> str:
        is_manifest = described.media_type in mediatype.MANIFESTS | mediatype.INDEXES
        if is_manifest and described.digest == top:
            return dir_names.MANIFEST
        names = _files_of(described.digest, is_manifest=is_manifest)
        return next((name for name in names if is_there(name)), names[0])

    return find


def _files_of(digest: Digest, *, is_manifest: bool) -> tuple[str, ...]:
    """Return the files that may hold a blob, the right one first.

    Skopeo before 1.22 writes only the hex digits of a digest that is not sha256. imgconv writes something that an index
    lists under an unknown media type as a blob.
    """
    blob, child = dir_names.blob_file(digest), dir_names.child_file(digest)
    if is_manifest:
        return child, f"{digest.hex}.manifest.json", blob
    return blob, digest.hex, child


class _DirBlobs(LayoutBlobs):
    """Finds the files of a `dir:` folder."""

    top = dir_names.MANIFEST

    def __init__(self, reading: Reading, digest: Digest, raw: bytes) -> None:
        """Take digest and bytes of `manifest.json`, which is read already."""
        super().__init__(reading)
        self._raw = raw
        self._file_of = file_finder(reading.tree, digest)

    def member(self, described: Descriptor) -> str:
        """Return the file that holds what a descriptor names."""
        return self._file_of(described)

    def document(self, described: Descriptor, named_by: str = "") -> tuple[bytes, str]:
        """Return the verified bytes of a document and the name of its file; see `LayoutBlobs`."""
        member = self.member(described)
        if member == dir_names.MANIFEST and described.size == len(self._raw):
            return self._raw, member
        return super().document(described, named_by)

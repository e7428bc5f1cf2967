"""Read descriptors, manifests and indexes from JSON (image-spec, schema 2)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.diagnostics import Diagnostic
from convert.errors import FormatError, UnsafeInputError
from convert.jsonio.go_values import decode_base64
from convert.jsonio.strict import fold
from convert.limits import MAX_LAYERS
from convert.model import mediatype
from convert.model.descriptor import Descriptor
from convert.model.image import Manifest
from convert.reader.document import check

if TYPE_CHECKING:
    from convert.model.digest import Digest
    from convert.reader.document import Reading
    from convert.reader.fields import Fields

_DESCRIPTOR_KEYS: Final = frozenset(
    fold(name) for name in ("mediaType", "digest", "size", "urls", "annotations", "data", "platform", "artifactType")
)
_PLATFORM_TEXTS: Final = ("architecture", "os", "os.version", "variant")
_PLATFORM_LISTS: Final = ("os.features", "features")
_PLATFORM_KEYS: Final = frozenset(map(fold, (*_PLATFORM_TEXTS, *_PLATFORM_LISTS)))
# CVE-2021-41190: a document that reads as a manifest and as an index means two
# different things to two tools. containers/image refuses all of these keys.
NOT_IN_INDEX: Final = ("config", "layers", "fsLayers", "history")
NOT_IN_MANIFEST: Final = ("manifests", "fsLayers", "history")


def read_descriptor(fields: Fields) -> Descriptor:
    """Read a content descriptor.

    Raises:
        FormatError: a required field is missing or of the wrong kind, the size
            is negative, or embedded data does not decode.
    """
    media_type = fields.required_text("mediaType")
    if not media_type:  # to the tools, which are in Go, it is absent
        fields.fail("mediaType", "is missing")
    size = fields.integer("size")
    if size is None:
        fields.fail("size", "is missing")
    if size < 0:
        fields.fail("size", "is negative")
    described = fields.object("platform")
    return Descriptor(
        media_type=media_type,
        digest=fields.digest("digest"),
        size=size,
        urls=tuple(fields.strings("urls") or ()),
        annotations=fields.string_map("annotations"),
        data=_data(fields),
        platform=_platform(described) if described else None,
        artifact_type=fields.text("artifactType"),
        extra={key: value for key, value in fields.items() if fold(key) not in _DESCRIPTOR_KEYS},
    )


def check_data(described: Descriptor, *, file: str, member: str) -> None:
    """Verify the content that a descriptor embeds in `data` against its digest and size.

    Raises:
        DigestMismatchError: it is other content.
    """
    if described.data is not None:
        check(described.data, described.digest, described.size, file=file, member=f"{member} (data)")


def _platform(fields: Fields) -> dict[str, Any]:
    """Return a descriptor's `platform` with the keys of image-spec in its spelling, others as they are.

    Raises:
        FormatError: a field of the wrong kind, which no Go tool reads.
    """
    found: dict[str, Any] = {name: fields.text(name) for name in _PLATFORM_TEXTS}
    found |= {name: fields.strings(name) for name in _PLATFORM_LISTS}
    others = {key: value for key, value in fields.items() if fold(key) not in _PLATFORM_KEYS}
    return {key: value for key, value in found.items() if value is not None} | others


def _data(fields: Fields) -> bytes | None:
    text = fields.text("data")
    if not text:
        # Go writes no empty data, and reads it as none.
        return None
    try:
        return decode_base64(text)
    except ValueError:
        fields.fail("data", "expected base64")


def read_manifest(reading: Reading, raw: bytes, media_type: str, digest: Digest, member: str) -> Manifest:
    """Read an image or artifact manifest whose bytes were verified already.

    Raises:
        FormatError: broken JSON or fields, another `mediaType` inside than the
            descriptor's, or keys that make an index of it too.
    """
    schema = "docker-manifest-v2" if media_type == mediatype.DOCKER_MANIFEST else "oci-manifest"
    fields = reading.fields(raw, member, schema)
    _one_kind(reading, fields, media_type, member, NOT_IN_MANIFEST, "a manifest", "an index")
    config = fields.object("config")
    if config is None:
        fields.fail("config", "is missing")
    layers = tuple(read_descriptor(layer) for layer in fields.objects("layers"))
    if len(layers) > MAX_LAYERS:
        msg = f"names {len(layers)} layers, the limit is {MAX_LAYERS}"
        raise UnsafeInputError(msg, code="too-many-layers", file=reading.file, member=member)
    subject = fields.object("subject")
    return Manifest(
        raw=raw,
        media_type=media_type,
        digest=digest,
        config=read_descriptor(config),
        layers=layers,
        annotations=fields.string_map("annotations"),
        subject=read_descriptor(subject) if subject else None,
        artifact_type=fields.text("artifactType"),
    )


def index_fields(reading: Reading, raw: bytes, media_type: str, member: str) -> Fields:
    """Return the typed view of an index or manifest list.

    Raises:
        FormatError: as `read_manifest` does.
    """
    schema = "docker-manifest-list" if media_type == mediatype.DOCKER_MANIFEST_LIST else "oci-index"
    fields = reading.fields(raw, member, schema)
    _one_kind(reading, fields, media_type, member, NOT_IN_INDEX, "an index", "a manifest")
    return fields


def _one_kind(
    reading: Reading, fields: Fields, media_type: str, member: str, strangers: tuple[str, ...], kind: str, other: str
) -> None:
    inside = fields.text("mediaType")
    if inside is not None and inside != media_type:
        mismatch = f"calls itself {inside}, its descriptor gives {media_type}"
        same_kind = mediatype.INDEXES if media_type in mediatype.INDEXES else mediatype.MANIFESTS
        if inside not in same_kind:
            raise FormatError(mismatch, code="media-type-mismatch", file=reading.file, member=member)
        # Docker's and OCI's name for the same kind: every tool reads one document.
        reading.warn(Diagnostic(f"{member}: {mismatch}", code="media-type-differs", member=member))
    for key in strangers:
        if fields.has(key):
            raise FormatError(
                f"is ambiguous: {kind} with the key '{key}', by which some tools would take it for {other}",
                code="ambiguous-document",
                file=reading.file,
                member=member,
            )
    version = fields.integer("schemaVersion")
    if not version:
        # 0 is what Go reads where the key is absent, so no tool distinguishes the two.
        text = f"{member}: schemaVersion is {'missing' if version is None else 0}; read as 2"
        reading.warn(Diagnostic(text, code="schema-version-missing", member=member))
    elif version != 2:
        fields.fail("schemaVersion", f"is {version}, only 2 is supported")

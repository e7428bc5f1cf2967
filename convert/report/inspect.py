"""The `--json` document of `inspect`, as a plain dict.

Keys are always there; null means that the source lacks the value, or that the bytes were
not read. The text output of the command is made from this document.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.diagnostics import Diagnostic, Diagnostics
from convert.errors import ImgconvError
from convert.identity.engine_id import (
    entry_name,
    image_id,
    list_images,
    manifest_digest,
)
from convert.limits import (
    MAX_COMPARED_FILES,
    MAX_COMPARED_TIMES,
    MAX_HISTORIES_SIZE,
    MAX_LISTED_FILES,
    MAX_SHOWN_PATHS_SIZE,
)
from convert.model.image import Image, Index
from convert.report.contents import has_all, image_contents, layer_contents
from convert.report.identify import VERSION, engines_part, identity_part, problem_part, source_part
from convert.report.manifests import (
    Document,
    artifact_document,
    digest_text,
    index_document,
    list_artifacts,
    manifest_document,
    names_by_node,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.archive.open import Source
    from convert.codec.identify import Origin
    from convert.identity.engine_id import LayerDigests, NamedImage
    from convert.layer.contents.read import Contents
    from convert.layer.examine import LayerFacts
    from convert.model.config import Config, HistoryEntry
    from convert.model.image import Layer, Node
    from convert.model.image_set import ImageSet
    from convert.reader.producer import Producer

#: Bytes of a step of a history in the document besides its texts.
_STEP_SIZE: Final = 150


def inspect_document(
    source: Source,
    images: ImageSet,
    layers: LayerDigests,
    problems: Sequence[ImgconvError],
    *,
    producer: Producer | None = None,
    facts: Mapping[Layer, LayerFacts] | None = None,
    encoders: Mapping[Layer, Origin] | None = None,
    contents: Contents | None = None,
    earlier: Document | None = None,
) -> Document:
    """Return what `imgconv inspect --json` prints.

    `facts` are what `examine_layers` found, None without `--verify`;
    `encoders` what `identify_encoders` found, None without `--encoders`;
    `contents` what `read_contents` found, None without `--files`;
    `earlier` is another document of these images: its names and IDs are taken from it.
    """
    notes = Diagnostics()
    shared = _Shared()
    indexes = [node for node in images.nodes() if isinstance(node, Index)]
    names = names_by_node(images)
    listed_by: dict[Node | None, dict[str, None]] = {}
    for index in indexes:
        for child in index.children:
            listed_by.setdefault(child.node, {})[str(index.digest)] = None
    found: dict[Node | None, NamedImage] = {}
    for item in list_images(images):
        # An image that has names of its own is shown by those, also where an index lists it.
        if isinstance(item.node, Image) and (item.node not in found or item.index is None):
            found[item.node] = item
    shown = [(item, item.node) for item in found.values() if isinstance(item.node, Image)]
    known = earlier["images"] if earlier is not None else [None] * len(shown)
    if earlier is not None:
        for (_, image), before in zip(shown, known, strict=True):
            shared.take_v1_ids(image.config, before)
    document = {
        "report": "inspect",
        "version": VERSION,
        "source": source_part(source, images)
        | {"producer": {"name": producer.name, "evidence": list(producer.evidence)} if producer else None},
        "names": earlier["names"] if earlier is not None else [_name(entry) for entry in images.entries],
        "images": [
            identity_part(item)
            | {"engines": _known_engines(before) or engines_part(item, images, layers, notes)}
            | {"indexes": list(listed_by.get(image, ()))}
            | _image(image, layers, facts, encoders or {}, shared, contents)
            for (item, image), before in zip(shown, known, strict=True)
        ],
        "indexes": [index_document(index, names) for index in indexes],
        "artifacts": [artifact_document(node, names) for node in list_artifacts(images, indexes)],
        "notes": [],
        "warnings": [warning.entry() for warning in images.warnings],
        "problems": [problem_part(error) for error in problems],
    }
    if shared.omitted:
        text = (
            f"the histories of {shared.omitted} images are omitted, because their total size is more than "
            f"{MAX_HISTORIES_SIZE} bytes; --image shows one"
        )
        notes.append(Diagnostic(text, code="histories-not-shown", images=shared.omitted))
    if contents is not None:
        _note_omitted(contents, list(found), notes)
    document["notes"] = [note.entry() for note in notes]
    return document


def _known_engines(before: Document | None) -> Document | None:
    """Return the IDs that engines show by an earlier document; None if one was not known then."""
    engines: Document | None = before["engines"] if before is not None else None
    return None if engines is None or None in engines.values() else engines


def _note_omitted(contents: Contents, images: Sequence[Node | None], notes: Diagnostics) -> None:
    """Add a note for what `--files` leaves out because of a limit."""
    if contents.shortened:
        text = f"largest files are not shown for each layer: their paths have more than {MAX_SHOWN_PATHS_SIZE} bytes"
        notes.append(Diagnostic(text, code="paths-not-shown"))
    left_out = sum(layer.left_out for layer in contents.layers.values())
    if left_out:
        text = f"{left_out} files are counted by their size only: more than {MAX_LISTED_FILES} files, or names too long"
        notes.append(Diagnostic(text, code="files-not-listed", files=left_out))
    if not has_all(contents, [image for image in images if isinstance(image, Image)]):
        text = (
            f"the layers of some images are not compared: all images list more than {MAX_COMPARED_FILES} files "
            f"and {MAX_COMPARED_TIMES} times those of different layers"
        )
        notes.append(Diagnostic(text, code="images-not-compared"))


class _Shared:
    """What is made of a config once, however many images share it, and how much text there is of it."""

    def __init__(self) -> None:
        self.omitted = 0
        self._room = MAX_HISTORIES_SIZE
        self._histories: dict[Config, tuple[list[Document], list[Document] | None, int]] = {}
        self._v1_ids: dict[Config, list[str] | None] = {}

    def history(self, config: Config) -> tuple[list[Document], list[Document] | None]:
        """Return the history of a config, and the step that created each layer if the history has it.

        Return nothing if the size limit is exceeded.
        """
        if config not in self._histories:
            steps = [_history(entry) for entry in config.history]
            size = sum(_STEP_SIZE + sum(len(text) for text in step.values() if isinstance(text, str)) for step in steps)
            made = [step for step in steps if not step["empty_layer"]]
            self._histories[config] = steps, made if config.history_for_layers() is not None else None, size
        steps, layers, size = self._histories[config]
        # A layer shows its step a second time.
        if 2 * size > self._room:
            self.omitted += 1
            return [], None
        self._room -= 2 * size
        return steps, layers

    def take_v1_ids(self, config: Config, known: Document) -> None:
        """Take the v1 IDs of a config from an image of another document."""
        if known["v1_ids"] != "source":
            self._v1_ids[config] = [layer["v1_id"] for layer in known["layers"]] if known["v1_ids"] else None

    def v1_ids(self, config: Config) -> list[str] | None:
        """Return the v1 IDs that Docker would give; None for a config that no engine takes."""
        from convert.identity import v1_id  # noqa: PLC0415 - only inspect shows what follows from DiffIDs: start-up time of id

        if config not in self._v1_ids:
            try:
                self._v1_ids[config] = v1_id.docker_ids(config)
            except ImgconvError:
                # `validate` reports the reason.
                self._v1_ids[config] = None
        return self._v1_ids[config]


def step_text(history: Document | None) -> str:
    """Return a history line for a person: one line, without the shell that Docker puts in front."""
    if history is None:
        return ""
    text = " ".join((history["created_by"] or history["comment"] or "").split())
    return text.removeprefix("/bin/sh -c ").removeprefix("#(nop) ").strip()


def size_text(count: int) -> str:
    """Return bytes as people read them: `1.2 MB`."""
    if count < 1000:
        return f"{count} B"
    value = float(count)
    for unit in ("kB", "MB", "GB"):
        value /= 1000
        if value < 999.95:
            return f"{value:.1f} {unit}"
    return f"{value / 1000:.1f} TB"


def layers_of(images: ImageSet) -> list[Layer]:
    """Return every layer of every image."""
    return [layer for image in images.images() for layer in image.layers]


# -- parts -----------------------------------------------------------------------


def _name(entry: Any) -> Document:
    """Return one name of the archive and the digest of what it stands for."""
    digest = manifest_digest(entry.node) or image_id(entry.node)
    if digest is None and entry.descriptor is not None:
        digest = entry.descriptor.digest
    reference = entry.name.reference if entry.name is not None else None
    return {
        "name": entry_name(entry),
        "reference": reference.full if reference is not None else None,
        "ref_name": entry.name.ref_name if entry.name is not None else None,
        "digest": digest_text(digest),
        "present": entry.node is not None,
    }


def _image(
    image: Image,
    layers: LayerDigests,
    facts: Mapping[Layer, LayerFacts] | None,
    encoders: Mapping[Layer, Origin],
    shared: _Shared,
    contents: Contents | None,
) -> Document:
    # Only inspect shows what follows from DiffIDs: start-up time of id.
    from convert.identity import v1_id  # noqa: PLC0415

    config = image.config
    v1_ids, scheme = _v1_ids(image, shared)
    history, made = shared.history(config)
    chain = v1_id.chain_ids(config.diff_ids)
    inside = layer_contents(image, contents)
    return {
        "created": config.created,
        "config": {"digest": str(config.digest), "size": len(config.raw)},
        "manifest": manifest_document(image.manifest) if image.manifest is not None else None,
        "parent": digest_text(image.parent),
        "v1_ids": scheme,
        "layers": [
            {"diff_id": str(layer.diff_id), "chain_id": str(chain[number]), "v1_id": v1_ids[number] if v1_ids else None}
            | _layer(layer, layers, facts)
            | _encoder(encoders.get(layer))
            | {"contents": inside[number]}
            | {"history": made[number] if made else None}
            for number, layer in enumerate(image.layers)
        ],
        "contents": image_contents(image, contents),
        "history": history,
    }


def _v1_ids(image: Image, shared: _Shared) -> tuple[list[str] | None, str | None]:
    """Return an image's v1 IDs and where they are from.

    Those of the source's own directories, else those that Docker would give.
    """
    if image.v1_ids is not None:
        return list(image.v1_ids), "source"
    found = shared.v1_ids(image.config)
    return found, "docker" if found is not None else None


def _layer(layer: Layer, layers: LayerDigests, facts: Mapping[Layer, LayerFacts] | None) -> Document:
    stored, blob = layer.stored, layer.blob
    found = facts.get(layer) if facts is not None else None
    plain_size = found.plain_size if found is not None else None
    problem = found.problem if found is not None else None
    compression = layers.compression(blob) if blob is not None else None
    size = blob.size if blob is not None else None
    digest = stored.digest if stored is not None else found.digest if found is not None and compression else None
    return {
        "digest": digest_text(digest),
        "media_type": stored.media_type if stored is not None else None,
        "compression": compression if compression != "" else "none",
        "size": size if size is not None else stored.size if stored is not None else None,
        "plain_size": plain_size if plain_size is not None else size if compression == "" else None,
        "member": blob.where if blob is not None else None,
        "urls": list(stored.urls) if stored is not None else [],
        "present": blob is not None,
        "verified": facts is not None and blob is not None and problem is None,
        "problem": {"code": problem.code, "message": problem.message} if problem else None,
    }


def _encoder(origin: Origin | None) -> Document:
    """Return what is known of the encoder of a layer; nulls if it was not looked for."""
    recognised = origin is not None and origin.spec is not None
    return {
        "encoder": origin.name if origin is not None else None,
        "encoder_members": origin.members if origin is not None and recognised else None,
        "encoder_hint": (origin.hint or None) if origin is not None else None,
    }


def _history(entry: HistoryEntry) -> Document:
    return {
        "created": entry.created,
        "created_by": entry.created_by,
        "author": entry.author or None,
        "comment": entry.comment or None,
        "empty_layer": entry.empty_layer,
    }

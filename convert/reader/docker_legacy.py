"""Read archives from before Docker 1.10: only `repositories` and v1 directories.

The config is built from the v1 `json` files as Docker's own legacy load does
(moby image/tarexport/load.go, legacyLoadImage, up to 28; docs/formats-docker.md#archives-from-before-docker-110).
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.codec import decompress
from convert.codec.sniff import sniff
from convert.diagnostics import Dropped
from convert.errors import FormatError, UnsafeInputError
from convert.identity import legacy_config
from convert.jsonio import strict
from convert.limits import CHUNK, MAX_LAYER_SIZE, MAX_LAYERS, MAX_NODES
from convert.model.config import Config
from convert.model.digest import Digest
from convert.model.image import Image, Layer
from convert.model.image_set import Entry, ImageSet, Name, SourceFormat
from convert.model.reference import Reference
from convert.reader.sink import Part
from convert.reader.v1_directories import V1_ID

if TYPE_CHECKING:
    from convert.model.blob import Blob
    from convert.reader.document import Reading
    from convert.reader.fields import Fields


@dataclass(frozen=True, slots=True)
class _V1Image:
    raw: bytes
    parent: str | None
    blob: Blob


def read_v1(reading: Reading) -> ImageSet:
    """Read every image that `repositories` names, or every head without it.

    Each layer is read once here, because the config's DiffIDs have to be
    computed: the archive holds none.

    Raises:
        FormatError: an ID is not a v1 ID, a parent is missing or loops, a
            directory lacks `json` or `layer.tar`.
    """
    return _V1Reader(reading).read()


class _V1Reader:
    def __init__(self, reading: Reading) -> None:
        self._reading = reading
        self._images: dict[str, _V1Image] = {}
        self._diff_ids: dict[Blob, Digest] = {}
        self._nodes: dict[str, Image] = {}

    def read(self) -> ImageSet:
        reading = self._reading
        entries = []
        for name, top in self._named():
            with reading.part(Part(names=(name,) if name is not None else (), item=True)):
                entries.append(Entry(self._image(top), name))
        return ImageSet(entries=tuple(entries), format=SourceFormat.DOCKER_V1)

    def _named(self) -> list[tuple[Name | None, str]]:
        reading = self._reading
        if reading.tree.find("repositories") is None:
            # Docker up to 1.9 loads such an archive; its heads have no names.
            return [(None, head) for head in self._heads()]
        fields: Fields = reading.fields(reading.read("repositories"), "repositories", "repositories")
        named: list[tuple[Name | None, str]] = []
        for repository, tags in fields.string_maps():
            for tag, top in tags.items():
                if not V1_ID.match(top):
                    raise UnsafeInputError(
                        f"{repository}:{tag} names '{top}', which is not a v1 ID (64 hex digits)",
                        code="invalid-v1-id",
                        file=reading.file,
                        member="repositories",
                    )
                named.append((self._name(repository, tag), top))
        if len(named) > MAX_NODES:
            raise UnsafeInputError(
                f"names more than {MAX_NODES} images", code="too-many-images", file=reading.file, member="repositories"
            )
        return named

    def _name(self, repository: str, tag: str) -> Name | None:
        text = f"{repository}:{tag}"
        try:
            return Name(Reference.parse(text), None)
        except FormatError:
            line = f"repositories: '{text}' is not a valid image name; dropped"
            self._reading.warn(Dropped(line, what="name", of=text))
            return None

    def _heads(self) -> list[str]:
        suffix = "/json"
        ids = [name.removesuffix(suffix) for name in self._reading.tree.names() if name.endswith(suffix)]
        ids = [v1_id for v1_id in ids if V1_ID.match(v1_id)]
        if not ids:
            from convert.reader.not_images import not_an_image  # noqa: PLC0415 - only for the error

            raise not_an_image(self._reading.tree)
        parents = {self._v1_image(v1_id).parent for v1_id in ids}
        return [v1_id for v1_id in ids if v1_id not in parents]

    def _v1_image(self, v1_id: str) -> _V1Image:
        if v1_id in self._images:
            return self._images[v1_id]
        reading = self._reading
        if not V1_ID.match(v1_id):
            raise UnsafeInputError(f"'{v1_id}' is not a v1 ID (64 hex digits)", code="invalid-v1-id", file=reading.file)
        member = f"{v1_id}/json"
        if reading.tree.find(member) is None:
            raise FormatError(
                "is missing, though a v1 image needs it", code="missing-member", file=reading.file, member=member
            )
        raw = reading.read(member)
        value = reading.parse(raw, member)
        if not isinstance(value, dict):
            raise FormatError("expected an object", code="wrong-json-type", file=reading.file, member=member)
        parent = strict.lookup(value, "parent", where=reading.file, member=member)
        if parent is not None and not isinstance(parent, str):
            raise FormatError("parent: expected a string", code="wrong-json-type", file=reading.file, member=member)
        blob = reading.tree.find(f"{v1_id}/layer.tar")
        if blob is None:
            raise FormatError(
                "is missing, though a v1 image needs it",
                code="missing-layer",
                file=reading.file,
                member=f"{v1_id}/layer.tar",
            )
        image = _V1Image(raw, parent or None, blob)
        self._images[v1_id] = image
        return image

    def _image(self, top: str) -> Image:
        if top in self._nodes:
            return self._nodes[top]
        chain: list[str] = []
        seen: set[str] = set()
        v1_id: str | None = top
        while v1_id is not None:
            if v1_id in seen:
                raise UnsafeInputError(
                    f"v1 image {top} is its own parent", code="v1-parent-loop", file=self._reading.file
                )
            if len(chain) >= MAX_LAYERS:
                raise UnsafeInputError(
                    f"v1 image {top} has more than {MAX_LAYERS} layers", code="too-many-layers", file=self._reading.file
                )
            seen.add(v1_id)
            chain.append(v1_id)
            v1_id = self._v1_image(v1_id).parent
        self._reading.count_image(chain)
        chain.reverse()
        parts = [self._v1_image(v1_id) for v1_id in chain]
        diff_ids = [self._diff_id(part.blob) for part in parts]
        raw = legacy_config.config_from_v1(
            [part.raw for part in parts],
            diff_ids,
            where=self._reading.file,
            members=[f"{v1_id}/json" for v1_id in chain],
        )
        image = Image(
            config=Config.parse(raw, where=self._reading.file, member=f"{top}/json"),
            layers=tuple(Layer(diff_id, part.blob) for diff_id, part in zip(diff_ids, parts, strict=True)),
            v1_ids=tuple(chain),
        )
        self._nodes[top] = image
        return image

    def _diff_id(self, blob: Blob) -> Digest:
        if (cached := self._diff_ids.get(blob)) is not None:
            return cached
        with blob.open() as raw:
            head = raw.read(16)
        hasher = hashlib.sha256()
        size = 0
        with blob.open() as raw, decompress.decompress(raw, sniff(head), where=blob.where) as plain:
            while chunk := plain.read(CHUNK):
                size += len(chunk)
                if size > MAX_LAYER_SIZE:
                    raise UnsafeInputError(
                        f"unpacks to more than {MAX_LAYER_SIZE} bytes",
                        code="layer-too-large",
                        file=self._reading.file,
                        member=blob.where,
                    )
                hasher.update(chunk)
        digest = Digest("sha256", hasher.hexdigest())
        self._diff_ids[blob] = digest
        return digest

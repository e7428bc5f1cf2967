"""Compare the mark of a thin archive with what the archive lacks (docs/thin.md#marks)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, InputError, quoted
from convert.identity.chain_id import chain_ids
from convert.jsonio import strict
from convert.model.digest import Digest
from convert.model.image import Image
from convert.model.needs import NEEDS, NEEDS_MEMBER, SHORT
from convert.model.walk import descend

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from convert.archive.tree import Tree
    from convert.model.image import Layer
    from convert.model.image_set import ImageSet
    from convert.reader.sink import Fault

#: Images that one message names.
_MOST_NAMED: Final = 3


class Marks:
    """The marks of one source, compared with the layers that it lacks.

    `covered` are the members that a mark lists and that are absent. `problems` state where a mark
    and the archive disagree, each with the member that has the mark.
    """

    def __init__(self, tree: Tree, images: ImageSet, absent: Sequence[Fault]) -> None:
        """`absent` are the layers that the reader of `images` missed."""
        self.covered: set[str] = set()
        self.problems: list[tuple[str, str]] = []
        self._absent = absent
        self._read_document(tree, images)
        self._read_annotations(images)

    def _read_document(self, tree: Tree, images: ImageSet) -> None:
        """Read `.imgconv-needs.json` of a docker-save archive."""
        if tree.find(NEEDS_MEMBER) is None:
            return
        try:
            value = strict.parse(tree.read(NEEDS_MEMBER), where=tree.where, member=NEEDS_MEMBER)
            marked = dict(_images_of(value))
        except InputError as error:
            self._disagree(NEEDS_MEMBER, f"is not a mark of a thin archive: {error.message}")
            return
        missing: dict[Digest, list[str]] = {}
        for fault in self._absent:
            if fault.part is not None and fault.part.digest is not None and fault.error.member:
                missing.setdefault(fault.part.digest, []).append(fault.error.member)
        for image in images.images():
            chain_id = marked.pop(image.image_id, None)
            if chain_id is None:
                continue
            chain = chain_ids(image.config.diff_ids)
            last = max((at for at, layer in enumerate(image.layers) if layer.is_missing), default=-1)
            if last < 0:
                self._disagree(NEEDS_MEMBER, f"lists image {image.image_id}, whose layers are all in the archive")
            elif chain_id not in chain or chain.index(chain_id) < last:
                self._disagree(NEEDS_MEMBER, f"does not cover all absent layers of image {image.image_id}")
            else:
                self.covered.update(missing.get(image.image_id, ()))
        for image_id in marked:
            self._disagree(NEEDS_MEMBER, f"lists image {image_id}, which is not in the archive")

    def _read_annotations(self, images: ImageSet) -> None:
        """Read the annotations in `index.json` of a layout."""
        for entry in images.entries:
            text = entry.descriptor.annotations.get(NEEDS) if entry.descriptor is not None else None
            if text is None or entry.descriptor is None:
                continue
            try:
                listed = _blobs_of(strict.parse(text.encode(), where="", member="index.json"))
            except InputError as error:
                self._disagree("index.json", f"annotation {NEEDS} is not a mark: {error.message}")
                continue
            absent = {layer.stored.digest for layer in _layers(entry.node) if layer.is_missing and layer.stored}
            found = {digest for digest in absent if digest.hex[:SHORT] in listed}
            self.covered.update(f"blobs/{digest.algorithm}/{digest.hex}" for digest in found)
            if len(found) < len(absent) or len(found) < len(listed):
                text = f"annotation {NEEDS} of {entry.descriptor.digest} does not list exactly the absent layers"
                self._disagree("index.json", text)

    def _disagree(self, member: str, text: str) -> None:
        self.problems.append((member, text))


def named_bases(tree: Tree) -> list[str]:
    """Return the names of the images that a thin archive needs layers of, as far as its marks give them.

    They are a hint: whatever is wrong with a mark, there are just no names.
    """
    found: dict[str, None] = {}
    try:
        for value in _marks(tree):
            listed = value.get("of") if isinstance(value, dict) else None
            found.update((quoted(each), None) for each in listed or () if isinstance(each, str))
            if len(found) > _MOST_NAMED:
                break
    except (InputError, AttributeError, TypeError, KeyError, UnicodeError):
        return []
    return [*list(found)[:_MOST_NAMED], *(["…"] if len(found) > _MOST_NAMED else [])]


def _marks(tree: Tree) -> Iterator[Any]:
    """Yield the marks of all images, of any shape."""
    if tree.find(NEEDS_MEMBER) is not None:
        yield from strict.parse(tree.read(NEEDS_MEMBER), where=tree.where, member=NEEDS_MEMBER)["images"]
    elif tree.find("index.json") is not None:
        index = strict.parse(tree.read("index.json"), where=tree.where, member="index.json")
        for each in index["manifests"]:
            text = (each.get("annotations") or {}).get(NEEDS)
            if isinstance(text, str):
                yield strict.parse(text.encode(), where=tree.where, member="index.json")


def _layers(node: object) -> Iterator[Layer]:
    for each in descend(node):  # type: ignore[arg-type]
        if isinstance(each, Image):
            yield from each.layers


def _images_of(value: Any) -> Iterator[tuple[Digest, Digest]]:
    """Yield the image ID and the ChainID of each image in a mark."""
    images = value.get("images") if isinstance(value, dict) else None
    if not isinstance(images, list):
        raise FormatError("it lists no images")
    for image in images:
        entry = image if isinstance(image, dict) else {}
        image_id, chain_id = entry.get("id"), entry.get("chain_id")
        if not isinstance(image_id, str) or not isinstance(chain_id, str):
            raise FormatError("an image has no id and chain_id")
        yield Digest.parse(image_id), Digest.parse(chain_id)


def _blobs_of(value: Any) -> set[str]:
    """Return the first digits of the digests of the blobs that an annotation lists."""
    blobs = value.get("blobs") if isinstance(value, dict) else None
    if not isinstance(blobs, list) or not all(isinstance(blob, str) for blob in blobs):
        raise FormatError("it lists no blobs")
    return set(blobs)

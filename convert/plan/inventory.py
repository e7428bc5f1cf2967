"""Inventories: lists of what a receiver has, for thin archives (docs/recipes/thin.md#inventories).

An inventory is one JSON value or one digest a line: what `docker image inspect`, `podman image
inspect`, `crictl inspecti`, `skopeo inspect` or `imgconv inspect --json` prints, a manifest, or a
list of digests. It is evidence of nothing: what it lists is left out without a look at the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.errors import FormatError, UnsafeInputError
from convert.jsonio import strict
from convert.limits import MAX_INVENTORY_SIZE
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

#: Digests that one inventory may list.
_MAX_DIGESTS: Final = 1_000_000
#: Bytes that no text holds: control characters other than white space.
_NOT_TEXT: Final = bytes(set(range(32)) - set(b"\t\n\r\f"))


@dataclass(slots=True)
class Inventory:
    """What an inventory lists.

    `chains` are the DiffIDs of images, from the base up, with a name of the image or "". `blobs` are
    digests of layers as a registry stores them, with the name of an image that has them or "".
    `unspecified` are digests of a plain list: blobs, or ChainIDs for a docker-save target.
    """

    chains: list[tuple[tuple[Digest, ...], str]] = field(default_factory=list)
    blobs: dict[Digest, str] = field(default_factory=dict)
    unspecified: dict[Digest, None] = field(default_factory=dict)


def is_inventory(head: bytes) -> bool:
    """Return whether a file that begins with these bytes is text, which no archive is."""
    return bool(head.strip()) and head.translate(None, _NOT_TEXT) == head


def parse_inventory(raw: bytes, file: str) -> Inventory:
    """Read an inventory.

    Raises:
        UnsafeInputError: it is too large.
        FormatError: it is not JSON or of an unknown form.
    """
    if len(raw) > MAX_INVENTORY_SIZE:
        msg = f"an inventory may have {MAX_INVENTORY_SIZE >> 20} MiB, this has more"
        raise UnsafeInputError(msg, code="inventory-too-large", file=file)
    found = Inventory()
    if raw.lstrip()[:1] in {b"{", b"["}:
        value = strict.parse(raw, where=file, member="", limit=MAX_INVENTORY_SIZE)
        _Reader(found, file).read(value)
    else:
        for number, line in enumerate(raw.split(b"\n"), 1):
            if text := line.strip():
                found.unspecified[_digest(text.decode("utf-8", "replace"), file, f"line {number}")] = None
    if len(found.blobs) + len(found.unspecified) + sum(len(chain) for chain, _ in found.chains) > _MAX_DIGESTS:
        raise UnsafeInputError(f"lists more than {_MAX_DIGESTS} digests", code="inventory-too-large", file=file)
    return found


def _digest(text: object, file: str, place: str) -> Digest:
    if isinstance(text, str):
        try:
            return Digest.parse(text)
        except FormatError as error:
            reason = error.message
    else:
        reason = "expected a digest"
    raise FormatError(f"{place}: {reason}", code="invalid-inventory", file=file, hint=_HINT)


_HINT: Final = (
    "an inventory is the output of docker, podman or crictl inspect, of imgconv inspect --json, a manifest, "
    "or one digest a line"
)


class _Reader:
    """Recognises the forms of JSON inventories."""

    def __init__(self, found: Inventory, file: str) -> None:
        self._found = found
        self._file = file

    def read(self, value: Any) -> None:
        if isinstance(value, list):
            for number, item in enumerate(value):
                if isinstance(item, str):
                    self._found.unspecified[_digest(item, self._file, f"[{number}]")] = None
                else:
                    self._object(item, f"[{number}]")
        else:
            self._object(value, "the document")

    def _object(self, item: Any, place: str) -> None:
        if not isinstance(item, dict) or not any(form(item, place) for form in self._forms()):
            raise FormatError(f"{place} is of an unknown form", code="invalid-inventory", file=self._file, hint=_HINT)

    def _forms(self) -> Iterator[Any]:
        yield self._imgconv
        yield self._engine
        yield self._crictl
        yield self._skopeo
        yield self._manifest

    def _list(self, value: object, place: str) -> list[Any]:
        """Return a list; null is an empty one."""
        if value is None:
            return []
        if not isinstance(value, list):
            raise FormatError(f"{place}: expected a list", code="invalid-inventory", file=self._file, hint=_HINT)
        return value

    def _imgconv(self, item: Mapping[str, Any], place: str) -> bool:
        """Read the document of `imgconv inspect --json`, of one source or of several."""
        if item.get("report") == "inspect-sources":
            for each in self._list(item.get("sources"), f"{place}: sources"):
                inside = each.get("inspect") if isinstance(each, dict) else None
                if isinstance(inside, dict):
                    self._imgconv(inside, place)
            return True
        images = item.get("images")
        if item.get("report") != "inspect" or not isinstance(images, list):
            return False
        for number, image in enumerate(images):
            where = f"{place}: images[{number}]"
            layers = image.get("layers") if isinstance(image, dict) else None
            names = image.get("names") if isinstance(image, dict) else None
            name = _first_text(names)
            chain = []
            for layer in layers if isinstance(layers, list) else ():
                entry = layer if isinstance(layer, dict) else {}
                if entry.get("present") is False:
                    break
                chain.append(_digest(entry.get("diff_id"), self._file, where))
                if entry.get("digest") is not None:
                    self._found.blobs.setdefault(_digest(entry["digest"], self._file, where), name)
            self._found.chains.append((tuple(chain), name))
        return True

    def _engine(self, item: Mapping[str, Any], place: str) -> bool:
        """Read one object of `docker image inspect` or `podman image inspect`."""
        root = item.get("RootFS")
        if not isinstance(root, dict):
            return False
        where = f"{place}.RootFS.Layers"
        chain = tuple(_digest(text, self._file, where) for text in self._list(root.get("Layers"), where))
        self._found.chains.append((chain, _first_text(item.get("RepoTags"))))
        return True

    def _crictl(self, item: Mapping[str, Any], place: str) -> bool:
        """Read the output of `crictl inspecti`."""
        info, status = item.get("info"), item.get("status")
        spec = info.get("imageSpec") if isinstance(info, dict) else None
        root = spec.get("rootfs") if isinstance(spec, dict) else None
        if not isinstance(root, dict):
            return False
        where = f"{place}.info.imageSpec.rootfs.diff_ids"
        chain = tuple(_digest(text, self._file, where) for text in self._list(root.get("diff_ids"), where))
        name = _first_text(status.get("repoTags")) if isinstance(status, dict) else ""
        self._found.chains.append((chain, name))
        return True

    def _skopeo(self, item: Mapping[str, Any], place: str) -> bool:
        """Read the output of `skopeo inspect`, whose Layers are digests of blobs."""
        layers = item.get("Layers")
        if not isinstance(layers, list) or "RootFS" in item:
            return False
        name = item.get("Name")
        for text in layers:
            digest = _digest(text, self._file, f"{place}.Layers")
            self._found.blobs.setdefault(digest, name if isinstance(name, str) else "")
        return True

    def _manifest(self, item: Mapping[str, Any], place: str) -> bool:
        """Read an image manifest of OCI or Docker."""
        layers = item.get("layers")
        if not isinstance(layers, list) or not isinstance(item.get("config"), dict):
            return False
        for layer in layers:
            text = layer.get("digest") if isinstance(layer, dict) else None
            self._found.blobs.setdefault(_digest(text, self._file, f"{place}.layers"), "")
        return True


def _first_text(value: object) -> str:
    """Return the first text of a list, "" if there is none."""
    return next((text for text in value if isinstance(text, str)), "") if isinstance(value, list) else ""

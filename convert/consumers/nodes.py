"""What documents name: manifests, indexes, configs and blobs, as the rules look at them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from convert.consumers import values
from convert.errors import ImgconvError
from convert.model import mediatype
from convert.model.platform import Platform

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from convert.jsonio.go_struct import Struct
    from convert.model.blob import Blob
    from convert.model.digest import Digest

_IMAGE_NAME: Final = "io.containerd.image.name"
_REF_NAME: Final = "org.opencontainers.image.ref.name"


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """A blob as a descriptor names it; `blob` is None if it is absent."""

    media_type: str
    digest: Digest
    size: int
    blob: Blob | None
    urls: tuple[str, ...] = ()
    data: bytes | None = None


@dataclass(slots=True, eq=False)
class Node:
    """A manifest, an index or something else that an index lists.

    `was_read` states whether its document was read: it is not if it is absent or too large. `intact` states whether
    the digest identifies it. `keys` are those of the document that tell manifests from indexes, each with whether its
    value is not null; None if it is not an object or was not parsed, for which `fault` states why. `paths` counts what
    it lists: layers, and children with all that they list, once for each path. `platform` is that of the descriptor.
    """

    part: Part
    platform: Platform | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)
    was_read: bool = False
    intact: bool = False
    keys: Mapping[str, bool] | None = None
    fault: str = ""
    children: tuple[Node, ...] = ()
    config: Part | None = None
    layers: tuple[Part, ...] = ()
    paths: int = 0

    @property
    def is_index(self) -> bool:
        """Whether its type is that of an index."""
        return self.part.media_type in mediatype.INDEXES

    @property
    def is_manifest(self) -> bool:
        """Whether its type is that of a manifest."""
        return self.part.media_type in mediatype.MANIFESTS

    @property
    def image_name(self) -> str:
        """The annotation with its full name, "" without one."""
        return self.annotations.get(_IMAGE_NAME, "")

    @property
    def ref_name(self) -> str:
        """The annotation `org.opencontainers.image.ref.name`, "" without one."""
        return self.annotations.get(_REF_NAME, "")


@dataclass(frozen=True, slots=True, eq=False)
class Settings:
    """An image config as Go programs see it: its bytes and its JSON object.

    Many images may share one of very many keys, and each rule asks about each image: answers are kept.
    """

    raw: bytes
    value: Mapping[str, Any]
    _values: dict[tuple[str, ...], Any] = field(default_factory=dict, init=False, repr=False)
    _answers: dict[object, str] = field(default_factory=dict, init=False, repr=False)

    def get(self, *names: str) -> Any:
        """Return the value under nested keys in any letter case, None without one."""
        if names not in self._values:
            value: Any = self.value
            for name in names:
                value = values.get(value, name)
            self._values[names] = value
        return self._values[names]

    @property
    def diff_ids(self) -> list[str]:
        """The DiffIDs as they are written; none without a `rootfs`."""
        return values.texts(self.get("rootfs"), "diff_ids")

    @property
    def platform(self) -> Platform:
        """The platform, absent fields empty."""
        texts = [self.get(key) for key in ("os", "architecture", "variant", "os.version")]
        return Platform(*(text if isinstance(text, str) else "" for text in texts))

    def ask(self, check: Callable[[Settings], str]) -> str:
        """Return what a check finds in it."""
        if check not in self._answers:
            self._answers[check] = check(self)
        return self._answers[check]

    def decode_error(self, struct: Struct) -> str:
        """Return why a Go program does not decode it into a struct, "" if it does."""
        if struct not in self._answers:
            try:
                struct.read(self.value, "")
            except ImgconvError as error:
                self._answers[struct] = error.message
            else:
                self._answers[struct] = ""
        return self._answers[struct]


@dataclass(frozen=True, slots=True, eq=False)
class Item:
    """An element of `manifest.json`: what it names, and the blobs behind these names."""

    config_name: str
    config: Settings | None
    config_fault: str
    layers: tuple[tuple[str, Blob | None], ...]
    tags: tuple[str, ...]
    value: Mapping[str, Any]

"""Which images a docker or crane archive gets, under which names, and what is dropped."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Final, NamedTuple

from convert.diagnostics import Diagnostic, Dropped
from convert.errors import NotRepresentableError, quoted
from convert.model.image import Artifact, Image, Index, Other
from convert.model.platform import Platform
from convert.model.walk import child_platform, leaves

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Hashable

    from convert.model.digest import Digest
    from convert.model.image import Child, Node
    from convert.model.image_set import Entry, ImageSet, Name
    from convert.model.reference import Reference

#: Marks buildkit's attestations among the children of an index.
REFERENCE_TYPE: Final = "vnd.docker.reference.type"
_PREFERRED: Final = Platform("linux", "amd64")


class NamedImage(NamedTuple):
    """One image and its names, each with a tag and without a digest; untagged if none."""

    image: Image
    references: tuple[Reference, ...]


def single_images(images: ImageSet, target: str, warn: Callable[[Diagnostic], None]) -> tuple[NamedImage, ...]:
    """Return the images for a target that cannot hold indexes, in source order, each once.

    An image is one config: entries that share it are its names. Everything else is
    dropped with a warning each (docs/contract.md#images-and-artifacts).

    Raises:
        NotRepresentableError: no image remains; an index holds several platforms;
            one name stands for two images.
    """
    found: list[tuple[Entry, Image]] = []
    for entry in images.entries:
        image = _only_image(entry, target, warn)
        if image is not None:
            found.append((entry, image))
    if not found:
        raise nothing_left(images, target)
    check_names([(entry.name, image.image_id) for entry, image in found], target)
    by_id = _ByIdentity()
    for entry, image in found:
        by_id.add(image.image_id, image, tag_of(entry.name, target, warn))
    return by_id.all()


def representatives(images: ImageSet, target: str, warn: Callable[[Diagnostic], None]) -> tuple[NamedImage, ...]:
    """Return the images that `manifest.json` lists beside a layout, each manifest once.

    One image represents an index: linux/amd64 if it is in the source, else the first
    that is (docs/contract.md#layouts-and-re-created-manifests). Unlike with Docker,
    the platform of the machine does not matter. Only images are listed there.

    Raises:
        NotRepresentableError: the source holds no image; one name stands for two things.
    """
    check_names([(entry.name, node_digest(entry)) for entry in images.entries], target)
    by_manifest = _ByIdentity()
    for entry in images.entries:
        image = _representative(entry.node)
        if image is None:
            continue
        key = image.manifest.digest if image.manifest is not None else image.image_id
        by_manifest.add(key, image, tag_of(entry.name, target, warn, listed_only=True))
    named = by_manifest.all()
    if not named:
        raise nothing_left(images, target)
    return named


class _ByIdentity:
    """The names of each image; adding one of many thousands takes constant time."""

    def __init__(self) -> None:
        self._images: dict[Hashable, Image] = {}
        self._references: dict[Hashable, dict[Reference, None]] = {}

    def add(self, key: Hashable, image: Image, reference: Reference | None) -> None:
        """Add a name of an image; of several images with one key the first is kept."""
        self._images.setdefault(key, image)
        references = self._references.setdefault(key, {})
        if reference is not None:
            references[reference] = None

    def all(self) -> tuple[NamedImage, ...]:
        """Return the images in the order in which they were added, with their names."""
        return tuple(NamedImage(image, tuple(self._references[key])) for key, image in self._images.items())


def parent_of(image: Image, written: Container[Digest]) -> Digest | None:
    """Return the image that `manifest.json` names as the parent of this one, if it is `written` too.

    The source's `manifest.json` names it, else the `Image` field of the config, which
    Docker's classic builder sets to the parent.
    """
    for parent in (image.parent, image.config.parent):
        if parent is not None and parent in written and parent != image.image_id:
            return parent
    return None


def node_digest(entry: Entry) -> Digest | None:
    """Return the digest of what an entry names: of the manifest, else the image ID."""
    match entry.node:
        case Image():
            return entry.node.manifest.digest if entry.node.manifest is not None else entry.node.image_id
        case Artifact():
            return entry.node.manifest.digest
        case Index():
            return entry.node.digest
        case Other():
            return entry.node.descriptor.digest
        case _:
            return entry.descriptor.digest if entry.descriptor is not None else None


def tag_of(
    name: Name | None, target: str, warn: Callable[[Diagnostic], None], *, listed_only: bool = False
) -> Reference | None:
    """Return the reference with tag that RepoTags can hold for a name, or None with a warning.

    `listed_only`: index.json keeps the name in any case.
    """
    if name is None:
        return None
    reference = usable(name)
    if reference is None:
        shown = name.reference.full if name.reference is not None else name.ref_name
        if listed_only:
            text = (
                f"only index.json keeps name {quoted(shown or '')}: RepoTags take REPOSITORY:TAG (set one with --tag)"
            )
            warn(Diagnostic(text, code="name-only-in-index", name=shown or ""))
        else:
            text = f"dropped name {quoted(shown or '')}: {target} needs REPOSITORY:TAG (set one with --tag)"
            warn(Dropped(text, what="name", of=shown or ""))
    return reference


def usable(name: Name) -> Reference | None:
    """Return the reference of a name if it has a tag; a digest beside the tag is dropped.

    Docker saves an image named by digest as an untagged one (docs/formats-docker.md#manifestjson-and-repositories).
    """
    if name.reference is None:
        return None
    reference = name.reference.with_default_tag()
    if reference.tag is None:
        return None
    return reference if reference.digest is None else dataclasses.replace(reference, digest=None)


def check_names(named: list[tuple[Name | None, Hashable]], target: str) -> None:
    """Check that no name stands for two images.

    Raises:
        NotRepresentableError: one does; an engine would keep the last image and drop the other.
    """
    owners: dict[Reference, Hashable] = {}
    for name, identity in named:
        reference = usable(name) if name is not None else None
        if reference is not None and owners.setdefault(reference, identity) != identity:
            msg = f"name {reference.familiar} stands for two images ({owners[reference]}, {identity})"
            raise NotRepresentableError(
                f"{msg}, which {target} cannot hold", code="name-on-two-images", hint="pick one with --image"
            )


def nothing_left(images: ImageSet, target: str) -> NotRepresentableError:
    """Return the error for a source without images."""
    if not images.entries:
        return NotRepresentableError("the source holds no image, its index is empty", code="nothing-to-write")
    return NotRepresentableError(
        f"the source holds no image, only other things, and {target} holds images", code="nothing-to-write"
    )


def describe(node: Node | None, child: Child | None = None) -> str:
    """Return what a warning calls something."""
    if child is not None and is_attestation(child):
        return f"attestation {child.descriptor.digest}"
    match node:
        case Artifact():
            kind = node.manifest.artifact_type or node.manifest.config.media_type
            return f"artifact {node.manifest.digest} ({kind})"
        case Index():
            return f"index {node.digest}"
        case Other():
            return f"blob {node.descriptor.digest} ({node.descriptor.media_type})"
        case Image():
            return f"image {node.image_id}"
        case _:
            return "a manifest that is not in the source"


def is_attestation(child: Child) -> bool:
    """Whether a child of an index is an attestation that buildkit wrote."""
    return child.descriptor.annotations.get(REFERENCE_TYPE) == "attestation-manifest"


def _only_image(entry: Entry, target: str, warn: Callable[[Diagnostic], None]) -> Image | None:
    if isinstance(entry.node, Image):
        return entry.node
    if isinstance(entry.node, Artifact) and entry.node.config is not None:
        raise _cannot_unpack(entry, entry.node, target)
    if not isinstance(entry.node, Index):
        label = f", named {name_label(entry.name)}" if entry.name is not None else ""
        text = f"dropped {describe(entry.node)}{label}: {target} holds only images"
        warn(Dropped(text, what="artifact", of=name_label(entry.name)))
        return None
    found: dict[Image | Artifact, None] = {}
    platforms: dict[str, None] = {}
    others: list[Dropped] = []
    for child in leaves(entry.node):
        if isinstance(child.node, Image | Artifact) and child.node.config is not None:
            found[child.node] = None
            # --platform selects by the index, which need not agree with the config.
            platforms[str(child_platform(child) or child.node.config.platform)] = None
        elif child.node is not None:
            text = f"dropped {describe(child.node, child)}: {target} holds only images"
            about = child.descriptor.annotations.get("vnd.docker.reference.digest")
            what = "attestation" if is_attestation(child) else "artifact"
            others.append(Dropped(text, what=what, of=about or name_label(entry.name)))
    if len(found) > 1:
        msg = f"{name_label(entry.name)} holds several platforms ({', '.join(platforms)}), {target} can hold one"
        raise NotRepresentableError(msg, code="several-platforms", hint="pick one with --platform")
    for other in others:
        warn(other)
    if not found:
        text = f"dropped {describe(entry.node)}: none of its images is in the source"
        warn(Dropped(text, what="index", of=name_label(entry.name)))
        return None
    (image,) = found
    if isinstance(image, Artifact):
        raise _cannot_unpack(entry, image, target)
    return image


def _cannot_unpack(entry: Entry, image: Artifact, target: str) -> NotRepresentableError:
    label = name_label(entry.name) if entry.name is not None else str(image.manifest.config.digest)
    types = ", ".join(image.opaque_types) or "the config has no DiffIDs"
    msg = f"the layers of {label} cannot be unpacked ({types}), and {target} needs them as tar files"
    return NotRepresentableError(
        msg, code="layers-cannot-unpack", hint="oci, oci-archive and docker-oci keep them as they are"
    )


def _representative(node: Node | None) -> Image | None:
    if isinstance(node, Image):
        return node
    if isinstance(node, Artifact) and node.config is not None:
        # `manifest.json` needs only the config and the manifest.
        return Image(config=node.config, layers=(), manifest=node.manifest)
    if not isinstance(node, Index):
        return None
    nodes = [child.node for child in leaves(node) if isinstance(child.node, Image | Artifact)]
    found = [image for each in nodes if (image := _representative(each)) is not None]
    return next((image for image in found if _PREFERRED.matches(image.platform)), found[0] if found else None)


def name_label(name: Name | None) -> str:
    """Return what a message calls an entry of this name."""
    if name is None:
        return "an index"
    return name.reference.familiar if name.reference is not None else quoted(name.ref_name or "")

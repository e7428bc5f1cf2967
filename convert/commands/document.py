"""Return a config or manifest as it is stored: `config` and `manifest` (`imgconv config`, `imgconv manifest`)."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from convert.archive.open import open_source
from convert.commands.common import Options, ignore, options_of
from convert.commands.one_image import only_node, only_platform, select_one
from convert.errors import SelectionError, UsageError
from convert.model.image import Index, config_of
from convert.model.walk import node_digest
from convert.plan.read_selection import naming_source

if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from convert.commands.common import Path, Warn
    from convert.commands.keywords import ConfigFields, ManifestFields
    from convert.model.digest import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigOptions(Options):
    """The options of `config` (docs/contract.md#commands).

    Attributes:
        ref: the image, by name, image ID, manifest digest or a prefix of one; the only
            image if None (#selecting).
        platforms: select a platform, `OS/ARCH[/VARIANT]` (#selecting).
    """

    ref: str | None = None
    platforms: Sequence[str] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ManifestOptions(Options):
    """The options of `manifest` (docs/contract.md#commands).

    Attributes:
        ref: the image, by name, image ID, manifest digest or a prefix of one; the only
            image if None (#selecting).
        platforms: select a platform, `OS/ARCH[/VARIANT]` (#selecting).
    """

    ref: str | None = None
    platforms: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Document:
    """A document of a source: its bytes as they are, and their digest.

    `media_type` is that of a manifest or index, "" for a config.
    """

    raw: bytes
    digest: Digest
    media_type: str = ""


def config(
    source: Path, options: ConfigOptions | None = None, *, warn: Warn = ignore, **fields: Unpack[ConfigFields]
) -> Document:
    """Return the config of one image, byte for byte.

    Args:
        source: an archive or layout, as for `convert`.
        options: what to select; see `ConfigOptions`.
        warn: called with one line for each thing that was accepted.
        fields: the fields of `ConfigOptions`, instead of `options`.

    Raises:
        SelectionError: there are several images or platforms, or none.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: the source cannot be read.
    """
    given = options_of(ConfigOptions, options, dict(fields))
    with open_source(os.fspath(source)) as opened, naming_source(opened.path):
        found = config_of(only_platform(select_one(opened, given.ref, given.platforms, warn, accepts_absent=True)))
        if found is None:
            raise SelectionError("it is not an image", code="no-image-selected")
        return Document(found.raw, found.digest)


def manifest(
    source: Path, options: ManifestOptions | None = None, *, warn: Warn = ignore, **fields: Unpack[ManifestFields]
) -> Document:
    """Return the manifest of one image, or the index of a multi-platform image, byte for byte.

    Args:
        source: an archive or layout, as for `convert`.
        options: what to select; see `ManifestOptions`.
        warn: called with one line for each thing that was accepted.
        fields: the fields of `ManifestOptions`, instead of `options`.

    Raises:
        UsageError: the image has no manifest in the source, or there are several images or none.
        InputError: the source is damaged, hostile, unsupported or not an image archive.
        StorageError: the source cannot be read.
    """
    given = options_of(ManifestOptions, options, dict(fields))
    with open_source(os.fspath(source)) as opened, naming_source(opened.path):
        node = only_node(select_one(opened, given.ref, given.platforms, warn, accepts_absent=True))
        if isinstance(node, Index):
            return Document(node.raw, node.digest, node.media_type)
        if node.manifest is None or node_digest(node) is None:
            raise UsageError(
                "the source has no manifest of this image",
                code="no-manifest",
                file=opened.path,
                hint="imgconv digest --as PUSHER --manifest - computes the one that a push makes",
            )
        return Document(node.manifest.raw, node.manifest.digest, node.manifest.media_type)

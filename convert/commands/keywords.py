"""The fields of options classes, for callers that give them as keywords; imported by type checkers only.

A test compares them with the classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypedDict

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.commands.common import Path
    from convert.commands.convert_options import Format, PusherName, Verify
    from convert.identity.engine_id import Engine
    from convert.plan.forms import ManifestType
    from convert.report.comparison import By
    from convert.writer.options import V1Scheme


class ConvertFields(TypedDict, total=False):
    """The fields of `ConvertOptions`."""

    to: Format | None
    consumers: Sequence[str]
    images: Sequence[str]
    platforms: Sequence[str]
    drop: Sequence[str]
    untag: Sequence[str]
    rename: Sequence[str]
    tags: Sequence[str]
    join: str | None
    prune: bool
    no_attestations: bool
    flatten: bool
    pusher: PusherName | None
    compress: str | None
    recompress: bool
    manifest_type: ManifestType
    v1_ids: V1Scheme | None
    verify: Verify
    append: bool
    verify_output: bool
    max_layer_size: int | None
    jobs: int | None
    force: bool
    add_repositories: bool
    without: Sequence[str]
    with_: Sequence[str]


class AddRepositoriesFields(TypedDict, total=False):
    """The fields of `AddRepositoriesOptions`."""

    v1_ids: V1Scheme | None
    compress: str | None
    verify: Verify
    max_layer_size: int | None
    jobs: int | None
    force: bool


class DoctorFields(TypedDict, total=False):
    """The fields of `DoctorOptions`."""

    consumers: Sequence[str]
    platform: str


class OpenFields(TypedDict, total=False):
    """The fields of `OpenOptions`."""

    images: Sequence[str]
    platforms: Sequence[str]
    max_layer_size: int


class DigestFields(TypedDict, total=False):
    """The fields of `DigestOptions`."""

    pushers: Sequence[PusherName]
    images: Sequence[str]
    platforms: Sequence[str]
    max_layer_size: int | None
    jobs: int | None
    with_: Sequence[str]


class MatchFields(TypedDict, total=False):
    """The fields of `MatchOptions`."""

    to: Format | None
    destination: Path | None
    images: Sequence[str]
    platforms: Sequence[str]
    force: bool
    max_layer_size: int | None
    jobs: int | None
    with_: Sequence[str]


class DiffFields(TypedDict, total=False):
    """The fields of `DiffOptions`."""

    by: By
    files: bool
    ignore: Sequence[str]
    images: Sequence[str]
    platforms: Sequence[str]
    with_: Sequence[str]
    page: bool


class InspectFields(TypedDict, total=False):
    """The fields of `InspectOptions`."""

    verify: bool
    encoders: bool
    files: bool
    page: bool
    images: Sequence[str]
    platforms: Sequence[str]
    jobs: int | None


class IdentifyFields(TypedDict, total=False):
    """The fields of `IdentifyOptions`."""

    refs: Sequence[str]
    engine: Engine
    details: bool


class ValidateFields(TypedDict, total=False):
    """The fields of `ValidateOptions`."""

    jobs: int | None
    with_: Sequence[str]
    page: bool


class ConfigFields(TypedDict, total=False):
    """The fields of `ConfigOptions`."""

    ref: str | None
    platforms: Sequence[str]


class ManifestFields(TypedDict, total=False):
    """The fields of `ManifestOptions`."""

    ref: str | None
    platforms: Sequence[str]


class ExportFields(TypedDict, total=False):
    """The fields of `ExportOptions`."""

    ref: str | None
    platforms: Sequence[str]
    max_layer_size: int | None
    force: bool
    with_: Sequence[str]


class TagFields(TypedDict, total=False):
    """The fields of `TagOptions`."""

    old: str | None

"""The options of `convert`, and which of them exclude each other."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal, get_args

from convert.archive.transport import STDIN
from convert.codec import profile as profiles
from convert.commands.common import Options
from convert.errors import UsageError
from convert.plan.forms import ManifestType
from convert.writer.destination import check_options
from convert.writer.options import V1Scheme
from convert.writer.registry import TARGETS, targets_with_manifests

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.codec.profile import Profile
    from convert.identity.push.pushers import Pusher
    from convert.writer.registry import Target

#: The formats that can be written (docs/contract.md#formats); docker-archive is an alias of docker-save.
Format = Literal[
    "docker-save",
    "docker-save@25",
    "docker-save@29",
    "docker-oci",
    "docker-archive",
    "crane",
    "oci",
    "oci-archive",
    "dir",
]
#: The tools whose pushes imgconv computes (docs/contract.md#the-digest-that-a-push-gives).
PusherName = Literal[
    "crane",
    "crane@go1.26",
    "crane@go1.27",
    "docker",
    "docker@go1.26",
    "docker@go1.27",
    "docker-containerd",
    "nerdctl",
    "ctr",
    "podman",
    "podman@6",
    "skopeo",
    "buildah",
    "buildah@1.44",
    "imgconv",
]
#: How much is verified: the digests of what is read, or every DiffID too.
Verify = Literal["digests", "full"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ConvertOptions(Options):
    """The options of a conversion, as those of the command line (docs/contract.md).

    Attributes:
        to: the format of the destination (#formats); with `consumers` it may be left to them.
        consumers: the programs that have to load the result, each `NAME` or `NAME@VERSION`: the
            format and the smallest changes with which they do are chosen (docs/doctor.md).
        images: select images by name, image ID, manifest digest, or a hex prefix of one
            with at least 4 digits; all images without one (#selecting).
        platforms: select platforms, each `OS/ARCH[/VARIANT]` (#selecting).
        drop: leave these images out, each with all its names (#editing).
        untag: take these names away; the images stay (#editing).
        rename: give other names, each `OLD=NEW`; two prefixes that end in `/` change all names
            below them (#editing).
        tags: the new names of the image; only one image may be selected (#names).
        join: make one index of all images under this name (#several-sources).
        prune: remove absent children from indexes and leave out images that lack a blob
            (#editing).
        no_attestations: rewrite indexes without their attestations (#editing).
        flatten: replace nested indexes by one list (#editing).
        pusher: write the manifests and layers that a push by this tool gives
            (#the-digest-that-a-push-gives); excludes `compress`, `recompress` and
            `manifest_type`, and what rewrites indexes.
        compress: the name or alias of the profile that compresses layers, `gzip` if None
            (#compression-profiles).
        recompress: compress every layer again, which changes digests (#rules-of-identity).
        manifest_type: the family of media types of re-created manifests; `keep` keeps
            manifests (#rules-of-identity).
        v1_ids: the scheme of v1 directory names, `docker` if None (#v1-ids).
        verify: `digests` verifies what is read, `full` also unpacks every layer and
            verifies its DiffID (#output).
        append: add to an existing OCI layout (#append).
        verify_output: read the result back before it appears (#output).
        max_layer_size: the most bytes that a layer may unpack to, 64 GiB if None (#limits).
        jobs: the number of CPU cores to use, all if None; the output never depends on it.
        force: replace what is at the destination (#destinations).
        add_repositories: add the legacy `repositories` file (#--add-repositories).
        without: archives and inventories of what the receiver has; the result leaves that
            out (docs/thin.md).
        with_: archives that hold the layers which a thin source lacks (docs/thin.md).
    """

    choices: ClassVar = {
        "verify": get_args(Verify),
        "manifest_type": get_args(ManifestType),
        "v1_ids": get_args(V1Scheme),
    }

    to: Format | None = None
    consumers: Sequence[str] = ()
    images: Sequence[str] = ()
    platforms: Sequence[str] = ()
    drop: Sequence[str] = ()
    untag: Sequence[str] = ()
    rename: Sequence[str] = ()
    tags: Sequence[str] = ()
    join: str | None = None
    prune: bool = False
    no_attestations: bool = False
    flatten: bool = False
    pusher: PusherName | None = None
    compress: str | None = None
    recompress: bool = False
    manifest_type: ManifestType = "keep"
    v1_ids: V1Scheme | None = None
    verify: Verify = "digests"
    append: bool = False
    verify_output: bool = False
    max_layer_size: int | None = None
    jobs: int | None = None
    force: bool = False
    add_repositories: bool = False
    without: Sequence[str] = ()
    with_: Sequence[str] = ()


def check_request(options: ConvertOptions, wanted: Target, destination: str) -> tuple[Pusher | None, Profile]:
    """Refuse options that contradict each other or the target; return pusher and profile.

    Raises:
        UsageError: the request cannot be met.
    """
    pusher = None
    if options.pusher is not None:
        from convert.identity.push import pushers  # noqa: PLC0415 - start-up time

        pusher = pushers.get(options.pusher)
    profile = profiles.get(pusher.profile if pusher is not None else options.compress or profiles.DEFAULT)
    check_options(wanted, destination, append=options.append, verify_output=options.verify_output)
    if options.add_repositories and not wanted.manifest_json:
        raise UsageError(
            f"{wanted.name} has no manifest.json, so it takes no repositories",
            code="no-manifest-json",
            hint="--to docker-oci does",
        )
    if options.join is not None and not wanted.manifests:
        raise UsageError(
            f"{wanted.name} carries no index, so --join can make none",
            code="target-without-manifests",
            hint=f"targets for it: {targets_with_manifests()}",
        )
    if pusher is not None:
        _check_pusher(options, wanted)
    if options.without:
        _check_without(options, wanted)
    return pusher, profile


def _check_without(options: ConvertOptions, wanted: Target) -> None:
    """Refuse what cannot be thin: a format whose readers need every layer, and a layout that grows."""
    if not wanted.can_be_thin:
        fitting = ", ".join(name for name, each in TARGETS.items() if each.can_be_thin)
        raise UsageError(
            f"{wanted.name} cannot be a thin archive",
            code="target-cannot-be-thin",
            hint=f"--without works with {fitting}",
        )
    if options.append:
        raise UsageError("--without and --append exclude each other", code="incompatible-options")


def check_sources(paths: Sequence[str], options: ConvertOptions) -> None:
    """Refuse several sources where one is needed.

    Raises:
        UsageError: the options or the sources do not allow it.
    """
    if not paths:
        raise UsageError("missing SOURCE", code="missing-argument")
    if paths.count(STDIN) > 1:
        raise UsageError("only one SOURCE can be standard input", code="incompatible-options")
    if options.pusher is not None and len(paths) > 1:
        raise UsageError("--as takes one SOURCE", code="incompatible-options", hint="convert them one by one")


def _check_pusher(options: ConvertOptions, wanted: Target) -> None:
    """Refuse what `--as` decides by itself, and targets that carry no manifest."""
    excluded = {
        "--compress": options.compress,
        "--recompress": options.recompress,
        "--manifest-type": options.manifest_type != "keep",
        "--join": options.join,
        "--prune": options.prune,
        "--no-attestations": options.no_attestations,
        "--flatten": options.flatten,
    }
    unfit = [option for option, given in excluded.items() if given]
    if unfit:
        raise UsageError(
            f"--as decides how layers and manifests are written; remove {unfit[0]}", code="incompatible-options"
        )
    if not wanted.manifests:
        hint = f"targets for it: {targets_with_manifests()}"
        raise UsageError(
            f"{wanted.name} carries no manifest, so --as can write none", code="target-without-manifests", hint=hint
        )

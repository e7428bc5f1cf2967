"""The rules: which archives a consumer refuses, or loads with a loss, in which versions.

One row each: property, verdict, what helps, the case in the tests, the rule of `validate` that reports the same. The
rows of a table hold for the consumers and versions in its head, and are tried in order: a consumer stops at the first
fault, so the first row that fits states why it refuses. tests/peer/matrix.py compares the rules with real programs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from convert.consumers import containerd, containers_image, crane, docker, losses, umoci
from convert.consumers.consumer import Versions
from convert.consumers.rule import Repair, Rule, Verdict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.consumers.rule import Property

    Row = tuple[Property, Repair | None, str, str] | tuple[Property, Repair | None, str, str, str]

_CONVERT, _PRUNE, _NAMES, _SOURCE = Repair.CONVERT, Repair.PRUNE, Repair.NAMES, Repair.SOURCE
_PLATFORM, _SPLIT, _FLATTEN, _TAG = Repair.PLATFORM, Repair.SPLIT, Repair.FLATTEN, Repair.TAG

_MOBY: Final = "moby/moby@29.7.2 daemon/internal/image/tarexport/load.go: Load"
_STORE: Final = "moby/moby@29.7.2 daemon/containerd/image_exporter.go: LoadImage"
_IMPORT: Final = "containerd/containerd@2.3.4 core/images/archive/importer.go: ImportIndex"
_TRANSFER: Final = "containerd/containerd@2.3.4 core/transfer/local/import.go: importStream"
_UNPACK: Final = "containerd/containerd@2.3.4 core/unpack/unpacker.go: unpack"
_UNPACK_1: Final = "containerd/containerd@1.6.20 image.go: Unpack"
_K3S: Final = "k3s-io/k3s@1.30.2 pkg/agent/containerd/containerd.go: preloadFile"
_TARFILE: Final = "containers/image@5.22.1 docker/internal/tarfile/src.go: prepareLayerData"
_ARCHIVE: Final = "containers/image@5.22.1 docker/archive/reader.go: List"
_LAYOUT: Final = "containers/image@5.22.1 oci/layout/oci_transport.go: getManifestDescriptor"
_DIR: Final = "containers/image@5.23.1 directory/directory_src.go: GetManifest"
_COPY: Final = "containers/image@5.22.1 copy/copy.go: Image"
_STORAGE: Final = "containers/image@5.23.1 storage/storage_image.go: commitLayer"
_CRANE: Final = "google/go-containerregistry@0.21 pkg/v1/tarball/image.go: Image"
_PUSH: Final = "google/go-containerregistry@0.21 cmd/crane/cmd/push.go: loadImage"
_UMOCI: Final = "opencontainers/umoci@0.6.0 oci/casext/refname.go: ResolveReference"
_UMOCI_LAYER: Final = "opencontainers/umoci@0.6.0 oci/layer/unpack.go: UnpackRootfs"


def _rules(consumers: str, versions: str, source: str, verdict: Verdict, rows: Iterable[Row]) -> Iterable[Rule]:
    """Return the rules of a table: for consumers separated by spaces, and versions as FIRST-END, END excluded."""
    first, _, end = versions.partition("-")
    for consumer in consumers.split():
        for row in rows:
            versions_of_row = Versions(first, end)
            if len(row) > 4:
                own, _, own_end = row[4].partition("-")
                versions_of_row = Versions(own or first, own_end or end)
            check, helps, case, finding = row[:4]
            yield Rule(consumer, versions_of_row, check, verdict, helps, source, case, finding)


_REFUSES: Final = Verdict.REFUSES
_LOSS: Final = Verdict.LOSS

#: property, what helps, case, finding of validate[, versions]
_DOCKER: Final = (
    (docker.folder, _CONVERT, "folder", ""),
    (docker.zstd_archive, _CONVERT, "zstd-archive", "", "-23"),
    (docker.zstd_layer, _CONVERT, "zstd-layer", "", "-23"),
    (docker.tar_headers, _CONVERT, "tar-header", "tar"),
    (docker.early_hard_link, _CONVERT, "hard-link", ""),
    (docker.layout_only, _CONVERT, "layout-archive", "", "-29"),
    (docker.legacy_parts, _CONVERT, "v1-without-layer", "missing", "-29"),
    (docker.no_manifest_json, _CONVERT, "layout-archive", "", "29-"),
    (docker.manifest_json, _SOURCE, "null-manifest", "no-images"),
    (docker.config, _SOURCE, "no-config", "missing"),
    (docker.run_config, _SOURCE, "text-cmd", "run-config", "29-"),
    (docker.foreign_system, None, "windows", ""),
    (docker.layer_count, _SOURCE, "layer-count", "layer-count"),
    (docker.missing_layer, _PRUNE, "missing-layer", "missing"),
    (docker.layer_damaged, _SOURCE, "damaged-layer", "layer-damaged"),
    (docker.diff_id, _SOURCE, "wrong-diff-id", "diff-id"),
    (docker.path_twice, _SOURCE, "path-twice", "layer-path-twice"),
    (docker.many_layers, None, "many-layers", "many-layers"),
    (docker.history_too_long, _SOURCE, "long-history", "history-too-long"),
    (docker.repo_tag, _TAG, "bare-tag", "repo-tag"),
)
_DOCKER_LOSSES: Final = (
    (losses.unnamed_item, _TAG, "unnamed", ""),
    (losses.other_platforms, _CONVERT, "two-platforms", ""),
)

#: Reading the members of an archive; the same in every version.
_IMPORTS: Final = (
    (containerd.oci_layout, _CONVERT, "layout-version", "layout-version"),
    (containerd.docker_form, _CONVERT, "null-manifest", "no-images"),
    (containerd.member_names, _CONVERT, "hard-link", "missing"),
    (containerd.config_json, _SOURCE, "broken-config", "json"),
    (containerd.repo_tag, _TAG, "invalid-tag", "repo-tag"),
    (containerd.confused_manifest, _SOURCE, "both-kinds", "ambiguous"),
)
_STORE_LOSSES: Final = (
    (losses.not_runnable, _PRUNE, "other-platform", ""),
    (losses.unnamed_entry, _TAG, "unnamed-layout", ""),
    (losses.tag_only, _NAMES, "tag-only", ""),
)

_DOCKER_ARCHIVE: Final = (
    (docker.folder, _CONVERT, "folder", ""),
    (containers_image.no_manifest_json, _CONVERT, "layout-archive", ""),
    (docker.tar_headers, _CONVERT, "tar-header", "tar"),
    (containers_image.hard_link, _CONVERT, "hard-link", ""),
    (containers_image.config, _SOURCE, "no-config", "missing"),
    (docker.layer_count, _SOURCE, "layer-count", "layer-count"),
    (containers_image.one_path_for_two, _SOURCE, "one-path", "diff-id"),
    (containers_image.missing_layer, _PRUNE, "missing-layer", "missing"),
)
_LAYER_BYTES: Final = (
    (containers_image.layer_damaged, _SOURCE, "damaged-layer", "layer-damaged"),
    (docker.diff_id, _SOURCE, "wrong-diff-id", "diff-id"),
)
_OCI: Final = (
    (containers_image.no_index, _CONVERT, "null-manifest", ""),
    (containers_image.top_type, None, "unknown-top", "media-type"),
    (containers_image.top_document, _SOURCE, "absent-top", "missing"),
    (containers_image.ambiguous, _SOURCE, "both-kinds", "ambiguous"),
    (containers_image.no_platform, _PLATFORM, "other-platform", ""),
    (containers_image.chosen_document, _PRUNE, "host-absent", "absent-child"),
    (containers_image.nested_index, _FLATTEN, "nested-index", ""),
)
_OCI_BLOBS: Final = ((containers_image.blobs, _SOURCE, "absent-config", "missing"),)
_OCI_LOSSES: Final = ((losses.other_platforms, _PLATFORM, "two-platforms", ""),)

_TYPES_1: Final = ((containers_image.docker_types_without_zstd, _CONVERT, "docker-zstd", "docker-zstd"),)
_TYPES: Final = ((containers_image.docker_types, _CONVERT, "mixed-types", "docker-type"),)
_STORED: Final = (
    *_TYPES_1,
    *_OCI_BLOBS,
    (containers_image.stored_layers, _SOURCE, "trailing", "layer-trailing"),
    (containers_image.stored_config, _SOURCE, "text-cmd-layout", "run-config"),
)


def _of_dir(rows: Iterable[Row]) -> tuple[Row, ...]:
    """Return the rows of layouts for `dir:` folders; the case of a row is that of the layout, as such a folder."""
    return tuple((containers_image.of_dir(row[0]), row[1], f"dir-{row[2]}", row[3]) for row in rows)


_DIR_FOLDER: Final = (
    (containers_image.not_a_folder, _CONVERT, "layout-archive", ""),
    (containers_image.no_dir, _CONVERT, "folder", ""),
)
_DIR_DOCUMENTS: Final = (
    (containers_image.dir_type, _SOURCE, "dir-schema-1", ""),
    *_of_dir(_OCI[3:]),
)

RULES: Final = (
    # -- Docker with a graph driver
    *_rules("docker", "20.10-30", _MOBY, _REFUSES, _DOCKER),
    *_rules("docker", "20.10-30", _MOBY, _LOSS, _DOCKER_LOSSES),
    # -- containerd: alone, in Docker, and in k3s
    *_rules(
        "docker-containerd containerd k3s",
        "1-",
        _IMPORT,
        _REFUSES,
        ((docker.folder, _CONVERT, "folder", ""), (docker.tar_headers, _CONVERT, "tar-header", "tar")),
    ),
    *_rules("containerd", "1.6-2", _IMPORT, _REFUSES, ((containerd.compressed, _CONVERT, "gzip-archive", ""),)),
    *_rules(
        "containerd", "2-2.4", _TRANSFER, _REFUSES, ((containerd.compressed_otherwise, _CONVERT, "xz-archive", ""),)
    ),
    *_rules("k3s", "1.30.2-1.37", _K3S, _REFUSES, ((containerd.compressed_by_name, _CONVERT, "misnamed-archive", ""),)),
    *_rules("docker-containerd containerd k3s", "1-", _IMPORT, _REFUSES, _IMPORTS),
    *_rules("containerd", "1.6-2", _IMPORT, _REFUSES, ((containerd.run_config, _SOURCE, "text-cmd", "run-config"),)),
    *_rules(
        "containerd",
        "1.6-2.4",
        "containerd/containerd@2.3.4 core/images/image.go: Children",
        _REFUSES,
        ((containerd.absent_manifest, _PRUNE, "host-absent", "absent-child"),),
    ),
    *_rules(
        "containerd",
        "1.6-2",
        _UNPACK_1,
        _REFUSES,
        (
            (containerd.unknown_top, None, "unknown-top", "media-type"),
            (containerd.no_platform, _PLATFORM, "other-platform", ""),
            (containerd.docker_zstd, _CONVERT, "docker-zstd", "docker-zstd"),
            (containerd.unpack_one, _SOURCE, "damaged-layer", "layer-damaged"),
        ),
    ),
    *_rules(
        "containerd", "2.1-2.3", _UNPACK, _REFUSES, ((containerd.unpack_every_platform, _SOURCE, "damaged-layer", ""),)
    ),
    *_rules("containerd", "2.3-2.4", _UNPACK, _REFUSES, ((containerd.unpack_all, _SOURCE, "damaged-layer", ""),)),
    *_rules("k3s", "1.30.2-1.37", _K3S, _REFUSES, ((containerd.unnamed, _TAG, "unnamed-layout", ""),)),
    *_rules("docker-containerd k3s", "1-", _STORE, _LOSS, _STORE_LOSSES),
    *_rules("containerd", "1.6-2.4", _IMPORT, _LOSS, _STORE_LOSSES[1:]),
    # -- skopeo
    *_rules(
        "skopeo/docker-archive",
        "1.9-1.10",
        "containers/image@5.22.1 docker/internal/tarfile/reader.go: NewReaderFromFile",
        _REFUSES,
        ((containers_image.gzip_archive, _CONVERT, "gzip-archive", ""),),
    ),
    *_rules("skopeo/docker-archive", "1.9-1.23", _TARFILE, _REFUSES, _DOCKER_ARCHIVE),
    *_rules(
        "skopeo/docker-archive",
        "1.9-1.23",
        _TARFILE,
        _REFUSES,
        ((containers_image.linked_layer, _CONVERT, "linked-layer", ""), *_LAYER_BYTES),
    ),
    *_rules(
        "skopeo/docker-archive", "1.9-1.23", _TARFILE, _LOSS, ((losses.several_addresses, _SPLIT, "two-images", ""),)
    ),
    *_rules(
        "skopeo/oci", "1.9-1.23", _LAYOUT, _REFUSES, ((containers_image.not_a_folder, _CONVERT, "layout-archive", ""),)
    ),
    *_rules("skopeo/oci-archive", "1.9-1.23", _LAYOUT, _REFUSES, ((docker.folder, _CONVERT, "folder", ""),)),
    *_rules(
        "skopeo/oci",
        "1.9-1.18",
        _LAYOUT,
        _REFUSES,
        ((containers_image.several_entries, _SPLIT, "two-unnamed", "duplicate-name"),),
    ),
    *_rules(
        "skopeo/oci-archive",
        "1.9-1.23",
        _LAYOUT,
        _REFUSES,
        ((containers_image.several_entries, _SPLIT, "two-unnamed", "duplicate-name"),),
    ),
    *_rules(
        "skopeo/oci skopeo/oci-archive",
        "1.9-1.19",
        _LAYOUT,
        _REFUSES,
        ((containers_image.several_docker_entries, _SPLIT, "two-docker-entries", ""),),
    ),
    *_rules("skopeo/oci skopeo/oci-archive", "1.9-1.23", _LAYOUT, _REFUSES, _OCI),
    *_rules(
        "skopeo/oci skopeo/oci-archive",
        "1.9-1.10",
        _COPY,
        _REFUSES,
        _TYPES_1,
    ),
    *_rules(
        "skopeo/oci skopeo/oci-archive",
        "1.10-1.23",
        _COPY,
        _REFUSES,
        _TYPES,
    ),
    *_rules("skopeo/oci skopeo/oci-archive", "1.9-1.23", _COPY, _REFUSES, _OCI_BLOBS),
    *_rules("skopeo/oci skopeo/oci-archive", "1.9-1.23", _COPY, _LOSS, _OCI_LOSSES),
    *_rules("skopeo/dir", "1.9-1.23", _DIR, _REFUSES, _DIR_FOLDER),
    *_rules("skopeo/dir", "1.22-1.23", _DIR, _REFUSES, ((containers_image.dir_version, _SOURCE, "dir-version", ""),)),
    *_rules("skopeo/dir", "1.9-1.23", _DIR, _REFUSES, _DIR_DOCUMENTS),
    *_rules("skopeo/dir", "1.9-1.10", _COPY, _REFUSES, _of_dir(_TYPES_1)),
    *_rules("skopeo/dir", "1.10-1.23", _COPY, _REFUSES, _of_dir(_TYPES)),
    *_rules("skopeo/dir", "1.9-1.23", _COPY, _REFUSES, _of_dir(_OCI_BLOBS)),
    *_rules("skopeo/dir", "1.9-1.23", _COPY, _LOSS, _of_dir(_OCI_LOSSES)),
    # -- podman: a layout with one entry, else a docker archive
    *_rules(
        "podman/oci", "4.3-4.4", _LAYOUT, _REFUSES, ((containers_image.not_a_folder, _CONVERT, "layout-archive", ""),)
    ),
    *_rules("podman/oci-archive", "4.3-4.4", _LAYOUT, _REFUSES, ((docker.folder, _CONVERT, "folder", ""),)),
    *_rules(
        "podman/oci podman/oci-archive",
        "4.3-4.4",
        _LAYOUT,
        _REFUSES,
        ((containers_image.more_than_one, _SPLIT, "two-unnamed", ""), *_OCI),
    ),
    *_rules(
        "podman/oci podman/oci-archive",
        "4.3-4.4",
        _STORAGE,
        _REFUSES,
        _STORED,
    ),
    *_rules(
        "podman/oci-archive",
        "4.3-4.4",
        _LAYOUT,
        _REFUSES,
        ((containers_image.ref_name, _TAG, "odd-name", "ref-name"),),
    ),
    *_rules(
        "podman/oci podman/oci-archive",
        "4.3-4.4",
        _COPY,
        _LOSS,
        (*_OCI_LOSSES, (losses.unnamed_entry, _TAG, "unnamed-layout", "")),
    ),
    *_rules(
        "podman/docker-archive",
        "4.3-4.4",
        _TARFILE,
        _REFUSES,
        ((containers_image.gzip_archive, _CONVERT, "gzip-archive", ""), *_DOCKER_ARCHIVE[:2]),
    ),
    *_rules(
        "podman/docker-archive",
        "4.3-4.4",
        _ARCHIVE,
        _REFUSES,
        ((containers_image.repo_tag, _TAG, "bare-tag", "repo-tag"),),
    ),
    *_rules(
        "podman/docker-archive",
        "4.3-4.4",
        _TARFILE,
        _REFUSES,
        (
            *_DOCKER_ARCHIVE[2:],
            (docker.run_config, _SOURCE, "text-cmd", "run-config"),
            (containers_image.linked_layer_not_stored, _CONVERT, "linked-layer", ""),
            *_LAYER_BYTES,
            (docker.layer_damaged, _SOURCE, "damaged-layer", "layer-damaged"),
            (docker.path_twice, _SOURCE, "path-twice", "layer-path-twice"),
        ),
    ),
    *_rules("podman/docker-archive", "4.3-4.4", _TARFILE, _LOSS, ((losses.unnamed_item, _TAG, "unnamed", ""),)),
    *_rules("podman/dir", "4.3-4.4", _DIR, _REFUSES, (*_DIR_FOLDER, *_DIR_DOCUMENTS)),
    *_rules("podman/dir", "4.3-4.4", _STORAGE, _REFUSES, _of_dir(_STORED)),
    *_rules("podman/dir", "4.3-4.4", _COPY, _LOSS, _of_dir(_OCI_LOSSES)),
    # -- crane
    *_rules("crane", "0.20-0.22", _CRANE, _REFUSES, ((containerd.compressed, _CONVERT, "gzip-archive", ""),)),
    *_rules(
        "crane",
        "0.20-0.22",
        _CRANE,
        _REFUSES,
        (
            (crane.tarball, _CONVERT, "layout-archive", ""),
            (crane.config, _SOURCE, "text-cmd", "run-config"),
            (crane.foreign_source, None, "foreign-source", "absent-layer"),
        ),
    ),
    *_rules(
        "crane",
        "0.20-0.22",
        _PUSH,
        _REFUSES,
        (
            (crane.layout, _SPLIT, "two-unnamed-folder", ""),
            (crane.layout_documents, _PRUNE, "host-absent-folder", "absent-child"),
            (crane.foreign_layer, None, "foreign-layer", "absent-layer"),
            (crane.layout_blobs, _SOURCE, "absent-config-folder", "missing"),
        ),
    ),
    # -- umoci
    *_rules(
        "umoci",
        "0.4.7-0.7",
        _UMOCI,
        _REFUSES,
        (
            (containers_image.not_a_folder, _CONVERT, "layout-archive", ""),
            (umoci.layout, _CONVERT, "layout-version", "layout-version"),
            (umoci.no_ref_name, _TAG, "unnamed-layout", ""),
            (umoci.ref_name, _TAG, "odd-name", "ref-name"),
            (umoci.ambiguous, _PLATFORM, "two-platforms", "duplicate-name"),
            (umoci.not_a_manifest, _CONVERT, "docker-manifest", ""),
        ),
    ),
    *_rules(
        "umoci",
        "0.4.7-0.5",
        _UMOCI,
        _REFUSES,
        (
            (umoci.embedded_config, _SOURCE, "embedded-config", "inline-only"),
            (umoci.zstd, _CONVERT, "zstd-layout", ""),
        ),
    ),
    *_rules(
        "umoci",
        "0.4.7-0.7",
        _UMOCI_LAYER,
        _REFUSES,
        (
            (umoci.config, _SOURCE, "text-cmd-layout", "run-config"),
            (umoci.run_env, _SOURCE, "env-without-value", "run-env"),
            (umoci.layers, _SOURCE, "damaged-layout", "layer-damaged"),
        ),
    ),
    *_rules("umoci", "0.4.7-0.7", _UMOCI, _LOSS, ((losses.unaddressed, _TAG, "one-unnamed", ""),)),
)

"""The v1 IDs of go-containerregistry's legacy tarballs (pkg/legacy/tarball/write.go).

An ID covers the layer digest, the parent's ID and, for the top layer, the config's bytes. It
needs no ChainID, but the digest of a layer that is not compressed yet depends on the encoder.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.errors import FormatError, NotRepresentableError
from convert.identity.chain_id import V1Entry
from convert.jsonio.go_encode import dumps
from convert.jsonio.go_struct import Field, Omit, Struct
from convert.jsonio.go_values import boolean, integer, string, string_map, string_set, strings, time
from convert.model.digest import Digest

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from convert.model.config import Config

_HEALTH_CONFIG = Struct(
    (
        Field("Test", strings, Omit.EMPTY),
        Field("Interval", integer, Omit.EMPTY),
        Field("Timeout", integer, Omit.EMPTY),
        Field("StartPeriod", integer, Omit.EMPTY),
        Field("Retries", integer, Omit.EMPTY),
    )
)
# The order is ggcr's own (pkg/v1/config.go); it has no StopTimeout.
_RUN_CONFIG = Struct(
    (
        Field("AttachStderr", boolean, Omit.EMPTY),
        Field("AttachStdin", boolean, Omit.EMPTY),
        Field("AttachStdout", boolean, Omit.EMPTY),
        Field("Cmd", strings, Omit.EMPTY),
        Field("Healthcheck", _HEALTH_CONFIG.pointer, Omit.NIL),
        Field("Domainname", string, Omit.EMPTY),
        Field("Entrypoint", strings, Omit.EMPTY),
        Field("Env", strings, Omit.EMPTY),
        Field("Hostname", string, Omit.EMPTY),
        Field("Image", string, Omit.EMPTY),
        Field("Labels", string_map, Omit.EMPTY),
        Field("OnBuild", strings, Omit.EMPTY),
        Field("OpenStdin", boolean, Omit.EMPTY),
        Field("StdinOnce", boolean, Omit.EMPTY),
        Field("Tty", boolean, Omit.EMPTY),
        Field("User", string, Omit.EMPTY),
        Field("Volumes", string_set, Omit.EMPTY),
        Field("WorkingDir", string, Omit.EMPTY),
        Field("ExposedPorts", string_set, Omit.EMPTY),
        Field("ArgsEscaped", boolean, Omit.EMPTY),
        Field("NetworkDisabled", boolean, Omit.EMPTY),
        Field("MacAddress", string, Omit.EMPTY),
        Field("StopSignal", string, Omit.EMPTY),
        Field("Shell", strings, Omit.EMPTY),
    )
)
_TOP = Struct(
    (
        Field("architecture", string),
        Field("container", string, Omit.EMPTY),
        Field("created", time),
        Field("docker_version", string, Omit.EMPTY),
        Field("os", string),
        Field("config", _RUN_CONFIG.read),
    )
)
_OMITTED_EMPTY = frozenset({"author", "container", "docker_version", "parent", "comment"})
_STEP = Struct(
    (
        Field("author", string),
        Field("created", time),
        Field("created_by", string),
        Field("comment", string),
        Field("empty_layer", boolean),
    )
)


def chain_free(config: Config, layer_digests: Sequence[Digest]) -> list[V1Entry]:
    """Return the v1 ID and `json` file of each layer, lowest first.

    `layer_digests` are the digests of the stored layers, one for each DiffID.

    Raises:
        FormatError: a value that go-containerregistry refuses.
        NotRepresentableError: the number of history entries differs from that of the layers, which
            go-containerregistry refuses.
        ValueError: digests and layers differ in number.
    """
    if len(layer_digests) != len(config.diff_ids):
        msg = f"{len(layer_digests)} digests for {len(config.diff_ids)} layers"
        raise ValueError(msg)
    try:
        return _entries(config, layer_digests)
    except FormatError as error:
        raise FormatError(error.message, code=error.code, file=config.where, member=config.member) from None


def _entries(config: Config, layer_digests: Sequence[Digest]) -> list[V1Entry]:
    image = _TOP.read(config.view, "")
    blank = _TOP.read({}, "")
    entries: list[V1Entry] = []
    for index, (digest, step) in enumerate(zip(layer_digests, _steps(config), strict=True)):
        top = index == len(layer_digests) - 1
        parent = entries[-1].v1_id if entries else ""
        preimage = f"{digest.hex} {parent}".encode() + (b" " + config.raw if top else b"")
        v1_id = Digest.of(preimage).hex
        layer = image if top else blank | {"created": step["created"]}
        entries.append(V1Entry(v1_id, dumps(_file(layer, step, v1_id, parent))))
    return entries


def _steps(config: Config) -> list[dict[str, Any]]:
    """Return the build step of each layer; empty ones if the config has no history."""
    history = config.field("history") or []
    steps = [_STEP.read(step, f"history[{index}]") for index, step in enumerate(history)]
    steps = [step for step in steps if not step["empty_layer"]] or [_STEP.read({}, "")] * len(config.diff_ids)
    if len(steps) != len(config.diff_ids):
        msg = f"history: its entries do not match the {len(config.diff_ids)} layers, which chain-free v1 IDs require"
        raise NotRepresentableError(
            msg, code="history-does-not-fit", file=config.where, member=config.member, hint="choose --v1-ids docker"
        )
    return steps


def _file(layer: Mapping[str, Any], step: Mapping[str, Any], v1_id: str, parent: str) -> dict[str, Any]:
    """Return the `json` file: legacy.LayerConfigFile, its fields in the order of its structs."""
    members = {
        "architecture": layer["architecture"],
        "author": step["author"],
        "container": layer.get("container"),
        "created": layer["created"],
        "docker_version": layer.get("docker_version"),
        "os": layer["os"],
        "rootfs": {"type": "", "diff_ids": None},
        "config": layer["config"],
        "container_config": {"Cmd": [step["created_by"]]},
        "id": v1_id,
        "parent": parent,
        "comment": step["comment"],
    }
    return {key: value for key, value in members.items() if value or key not in _OMITTED_EMPTY}

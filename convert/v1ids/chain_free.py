"""The v1 IDs of go-containerregistry's legacy tarballs (pkg/legacy/tarball/write.go).

An ID is made of the layer's digest as a registry stores it, the parent's ID and,
for the top layer, the config's bytes. No ChainID is involved; but the digest of a
layer that is not compressed yet depends on who compresses it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from convert.config import HistoryEntry
from convert.digest import Digest
from convert.errors import FormatError
from convert.gojson import dumps
from convert.gostruct import (
    Field,
    Omit,
    Struct,
    boolean,
    integer,
    string,
    string_map,
    string_set,
    strings,
    time,
)
from convert.v1ids.entry import V1Entry

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.config import Config

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


def chain_free(config: Config, layer_digests: Sequence[Digest]) -> list[V1Entry]:
    """Return the v1 ID and `json` file of each layer, lowest first.

    `layer_digests` name the layers as stored, one for each DiffID. What goes into
    no file is not checked, though go-containerregistry decodes all of the config.

    Raises:
        FormatError: the history has entries for another number of layers, or a
            value that go-containerregistry does not take.
        ValueError: digests and layers differ in number.
    """
    if len(layer_digests) != len(config.diff_ids):
        msg = f"{len(layer_digests)} digests for {len(config.diff_ids)} layers"
        raise ValueError(msg)
    try:
        return _entries(config, layer_digests)
    except FormatError as error:
        raise FormatError(error.message, file=config.where, member=config.member) from None


def _entries(config: Config, layer_digests: Sequence[Digest]) -> list[V1Entry]:
    history = config.history_for_layers()
    if history is None:
        if any(not entry.empty_layer for entry in config.history):
            msg = f"history: its entries do not fit the {len(config.diff_ids)} layers, which chain-free v1 IDs need"
            raise FormatError(msg, hint="choose --v1-ids docker")
        history = (HistoryEntry(),) * len(layer_digests)
    image = _TOP.read(config.view, "")
    entries: list[V1Entry] = []
    for index, (digest, step) in enumerate(zip(layer_digests, history, strict=True)):
        top = index == len(layer_digests) - 1
        parent = entries[-1].v1_id if entries else ""
        preimage = f"{digest.hex} {parent}".encode() + (b" " + config.raw if top else b"")
        v1_id = Digest.of(preimage).hex
        entries.append(V1Entry(v1_id, dumps(_file(image if top else _lower(step), step, v1_id, parent))))
    return entries


def _lower(step: HistoryEntry) -> dict[str, Any]:
    return _TOP.read({"created": step.created}, "")


def _file(image: dict[str, Any], step: HistoryEntry, v1_id: str, parent: str) -> dict[str, Any]:
    """Return the `json` file: legacy.LayerConfigFile, fields in the order of its structs."""
    optional = {
        "author": step.author,
        "container": image.get("container"),
        "docker_version": image.get("docker_version"),
        "parent": parent,
        "comment": step.comment,
    }
    members = {
        "architecture": image["architecture"],
        "author": None,
        "container": None,
        "created": image["created"],
        "docker_version": None,
        "os": image["os"],
        "rootfs": {"type": "", "diff_ids": None},
        "config": image["config"],
        "container_config": {"Cmd": [step.created_by]},
        "id": v1_id,
        "parent": None,
        "comment": None,
    }
    return {key: optional.get(key, value) for key, value in members.items() if key not in optional or optional[key]}

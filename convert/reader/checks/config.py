"""Check image configs: schema, DiffIDs, history, and the settings of containers."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

from convert.errors import FormatError, InputError
from convert.jsonio import schema
from convert.limits import MAX_DOCKER_LAYERS
from convert.model import mediatype
from convert.model.config import Config
from convert.model.digest import Digest
from convert.reader.findings import refused, shown

if TYPE_CHECKING:
    from convert.reader.checks.documents import Checked


def read_config(checked: Checked, raw: bytes, member: str, media_type: str | None = None) -> Config | None:
    """Check a config and return it, None if nothing can be made of it.

    `media_type` is what a descriptor calls it; OCI's asks for more than Docker's.
    """
    key = Digest.of(raw), media_type
    if key not in checked.configs:
        checked.configs[key] = _config(checked, raw, member, media_type)
    return checked.configs[key]


def _config(checked: Checked, raw: bytes, member: str, media_type: str | None) -> Config | None:
    name = schema.OCI_CONFIG if media_type == mediatype.OCI_CONFIG else schema.IMAGE_CONFIG
    if checked.view(raw, member, name) is None:
        return None
    try:
        config = Config.parse(raw, where=checked.findings.file, member=member)
    except InputError as error:
        if not checked.findings.blames(member):
            checked.findings.add("schema", error.message, member=member)
        return None
    for warning in config.warnings:
        checked.findings.add("letter-case", warning, member=member)
    _check_history(checked, config)
    _check_layers(checked, config)
    with contextlib.suppress(FormatError):
        # Two spellings of a key: the schema's finding names them.
        _check_run(checked, config)
        if media_type != mediatype.OCI_CONFIG and config.field("architecture") is None:
            # The schema of OCI's type asks for it.
            message = "names no architecture; an OCI conversion of it is not valid"
            checked.findings.add("no-architecture", message, member=member)
    return config


def _check_history(checked: Checked, config: Config) -> None:
    """Compare the history with the layers (image-spec config.md, "history"; moby image/store.go)."""
    made = sum(not entry.empty_layer for entry in config.history)
    layers = len(config.diff_ids)
    if config.history and made != layers:
        entries = "1 entry" if made == 1 else f"{made} entries"
        message = f"has {entries} that made a layer, for {layers} DiffIDs"
        rule = "history"
        if made > layers:
            rule = "history-too-long"
            message += f"; {refused(rule)}"
        checked.findings.add(rule, message, member=config.member, place="history")


def _check_layers(checked: Checked, config: Config) -> None:
    """Check that an image has no more layers than Docker's graph drivers take."""
    layers = len(config.diff_ids)
    if layers > MAX_DOCKER_LAYERS:
        message = f"has {layers} layers, more than {MAX_DOCKER_LAYERS}; {refused('many-layers')}"
        checked.findings.add("many-layers", message, member=config.member, place="rootfs.diff_ids")


def _check_run(checked: Checked, config: Config) -> None:
    """Check the settings whose types are wider in old Docker than in image-spec (config.md, "config")."""
    settings = config.field("config")
    if not isinstance(settings, Mapping):
        return
    add = checked.findings.add
    for key in ("Cmd", "Entrypoint", "Shell"):
        if isinstance(config.field("config", key), str):
            message = f"is a string, not an array of strings; {refused('run-config')}"
            add("run-config", message, member=config.member, place=f"config.{key}")
    entries = config.field("config", "Env")
    for number, entry in enumerate(entries if isinstance(entries, list) else ()):
        # Windows has variables whose names begin with "=".
        if isinstance(entry, str) and entry.find("=") < (0 if config.platform.os == "windows" else 1):
            fault = "has no name" if "=" in entry else 'has no "="'
            message = f"{shown(entry)} {fault}; {refused('run-env')}"
            add("run-env", message, member=config.member, place=f"config.Env[{number}]")

"""Image configs: their schema, their DiffIDs, their history."""

from __future__ import annotations

from typing import TYPE_CHECKING

from convert import mediatypes, schema
from convert.config import Config
from convert.digest import Digest
from convert.errors import InputError

if TYPE_CHECKING:
    from convert.validate.documents import Checked


def read_config(checked: Checked, raw: bytes, member: str, media_type: str | None = None) -> Config | None:
    """Check a config and return it, None if nothing can be made of it.

    `media_type` is what a descriptor calls it; OCI's asks for more than Docker's.
    """
    key = Digest.of(raw), media_type
    if key not in checked.configs:
        checked.configs[key] = _config(checked, raw, member, media_type)
    return checked.configs[key]


def _config(checked: Checked, raw: bytes, member: str, media_type: str | None) -> Config | None:
    name = schema.OCI_CONFIG if media_type == mediatypes.OCI_CONFIG else schema.IMAGE_CONFIG
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
    return config


def _check_history(checked: Checked, config: Config) -> None:
    """Hold the history against the layers (image-spec config.md, "history"; Docker refuses too many)."""
    made = sum(not entry.empty_layer for entry in config.history)
    layers = len(config.diff_ids)
    if config.history and made != layers:
        entries = "1 entry" if made == 1 else f"{made} entries"
        checked.findings.add(
            "history", f"has {entries} that made a layer, for {layers} DiffIDs", member=config.member, place="history"
        )

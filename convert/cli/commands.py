"""The names of the commands."""

from __future__ import annotations

from typing import Final

#: Command -> its module under `convert.cli`, imported when the command is run.
COMMANDS: Final = {
    "batch": "batch",
    "completion": "completion",
    "config": "config",
    "convert": "convert",
    "diff": "diff",
    "digest": "digest",
    "doctor": "doctor",
    "export": "export",
    "id": "id_",
    "inspect": "inspect",
    "manifest": "manifest",
    "match": "match",
    "profiles": "profiles",
    "tag": "tag",
    "untag": "untag",
    "validate": "validate",
}

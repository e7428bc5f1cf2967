"""The names of the commands."""

from __future__ import annotations

from typing import Final

#: Command -> its module under `convert.cli`, imported when the command is run.
COMMANDS: Final = {
    "completion": "completion",
    "convert": "convert",
    "diff": "diff",
    "digest": "digest",
    "doctor": "doctor",
    "id": "id_",
    "inspect": "inspect",
    "match": "match",
    "profiles": "profiles",
    "validate": "validate",
}

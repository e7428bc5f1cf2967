"""The names of the commands."""

from __future__ import annotations

from typing import Final

#: Command -> module under `convert.cli` that holds it, imported when it is run.
COMMANDS: Final = {
    "convert": "convert",
    "diff": "diff",
    "digest": "digest",
    "id": "id_",
    "inspect": "inspect",
    "match": "match",
    "profiles": "profiles",
    "validate": "validate",
}

"""The `--json` document of `imgconv profiles` (schemas/report-profiles.json)."""

from __future__ import annotations

from typing import Any, Final

from convert.codec.profile import DEFAULT, all_profiles

#: Raised when a key of the document changes its meaning or goes away.
VERSION: Final = 1


def document() -> dict[str, Any]:
    """Return the document that `--json` prints."""
    return {
        "report": "profiles",
        "version": VERSION,
        "profiles": [
            {
                "name": profile.name,
                "compression": profile.compression or "none",
                "aliases": list(profile.aliases),
                "default": profile.name == DEFAULT,
                "made_by": profile.made_by,
            }
            for profile in all_profiles()
        ],
    }

"""Findings as SARIF 2.1.0, which code scanners and editors read (OASIS, sarif-v2.1.0)."""

from __future__ import annotations

import hashlib
import os
import re
from typing import TYPE_CHECKING, Any, Final

from convert.reader.findings import RULES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from convert.reader.findings import Finding, Verdict

_SCHEMA: Final = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
#: Letters with a meaning in Markdown that brings more than emphasis.
_MARKDOWN: Final = re.compile(r"[\\\[\]<>`*|]")
_LEGAL: Final = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/")


def sarif(verdicts: Sequence[Verdict], version: str) -> dict[str, Any]:
    """Return the SARIF log of a run of imgconv `version` over these sources."""
    order = {name: number for number, name in enumerate(RULES)}
    return {
        "$schema": _SCHEMA,
        "version": "2.1.0",
        "runs": [
            {
                "tool": {
                    "driver": {
                        "name": "imgconv",
                        "version": version,
                        "rules": [
                            {
                                "id": rule.id,
                                "shortDescription": {"text": rule.text},
                                "defaultConfiguration": {"level": rule.severity.value},
                                "help": {"text": f"Refused by: {rule.refused_by or 'no tool, as far as known'}."},
                            }
                            for rule in RULES.values()
                        ],
                    }
                },
                "invocations": [
                    {
                        "executionSuccessful": not any(verdict.error for verdict in verdicts),
                        "toolExecutionNotifications": [
                            {
                                "level": "error",
                                "message": {"text": escaped(verdict.error)},
                                "locations": [{"physicalLocation": {"artifactLocation": {"uri": uri(verdict.file)}}}],
                            }
                            for verdict in verdicts
                            if verdict.error
                        ],
                    }
                ],
                "columnKind": "unicodeCodePoints",
                "results": [_result(found, order) for verdict in verdicts for found in verdict.findings],
            }
        ],
    }


def _result(found: Finding, order: dict[str, int]) -> dict[str, Any]:
    inside = ": ".join(part for part in (found.member, found.place) if part)
    text = f"{found.inside}: {found.message}" if found.inside else found.message
    location: dict[str, Any] = {
        # An archive has no lines, but GitHub shows no result without one.
        "physicalLocation": {"artifactLocation": {"uri": uri(found.file)}, "region": {"startLine": 1}}
    }
    if inside:
        location["logicalLocations"] = [{"fullyQualifiedName": inside, "kind": "member"}]
    identity = f"{found.rule}\n{found.file}\n{inside}\n{found.message}"
    return {
        "ruleId": found.rule,
        "ruleIndex": order[found.rule],
        "level": found.severity.value,
        "message": {"text": escaped(text)},
        "locations": [location],
        "partialFingerprints": {"imgconv/v1": hashlib.sha256(identity.encode("utf-8", "replace")).hexdigest()},
    }


def escaped(text: str) -> str:
    """Return a message in which nothing from a source is a link, an image, code or HTML.

    Viewers render messages: brackets make links by the standard (3.11.6), which also escapes
    them by a backslash; GitHub and VS Code take Markdown.
    """
    return _MARKDOWN.sub(r"\\\g<0>", text)


def uri(path: str) -> str:
    """Return a path as a URI reference (RFC 3986): relative stays relative."""
    raw = os.fsencode(path)
    text = "".join(chr(byte) if byte in _LEGAL else f"%{byte:02X}" for byte in raw)
    return f"file://{text}" if path.startswith("/") else text

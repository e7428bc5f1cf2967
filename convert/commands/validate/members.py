"""Findings about the members of a tar as such: odd headers, and members that occur twice."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from convert.errors import FormatError
from convert.reader.findings import Severity

if TYPE_CHECKING:
    from collections.abc import Iterable

    from convert.archive.tree import Tree
    from convert.diagnostics import Diagnostic
    from convert.reader.findings import Findings

#: The file of a blob in the storage of a registry; findings call it as in a layout.
_STORED: Final = re.compile(r"(?:.*/)?blobs/(sha256|sha512)/[0-9a-f]{2}/([0-9a-f]+)/data", re.DOTALL)


def check_members(tree: Tree, findings: Findings) -> None:
    """Report odd headers, and members that occur twice."""
    report_warnings(tree.warnings, findings)
    # The documents of a registry's storage are no members.
    for name in tree.names() if not tree.is_registry else ():
        before = len(tree.warnings)
        try:
            tree.member(name)
        except FormatError as error:
            findings.add("duplicate-member", error.message, member=name, severity=Severity.ERROR)
        report_warnings(tree.warnings[before:], findings)


def report_warnings(warnings: Iterable[Diagnostic], findings: Findings) -> None:
    """Report what reading the headers of a tar, and looking members up, showed."""
    for warning in warnings:
        if warning.code == "repeated-member":
            name = warning.data["member"]
            match = _STORED.fullmatch(name)
            member = f"blobs/{match[1]}/{match[2]}" if match else name
            findings.add("duplicate-member", warning.removeprefix(f"{name}: "), member=member)
        else:
            findings.add("tar", warning)

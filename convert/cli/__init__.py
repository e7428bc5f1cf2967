"""The command line: one module a command; alone prints, reads no environment, exits."""

from __future__ import annotations

from convert.cli.main import main

__all__ = ["main"]

"""What differs between two archives: images, configs, layers, and the files in layers.

Answers are values; nothing here prints.
"""

from __future__ import annotations

from convert.commands.diff.images import By, Comparison, Difference, compare, other_layers
from convert.commands.diff.json_diff import KeyDifference
from convert.commands.diff.layer_files import FileDifference, layer_files

__all__ = [
    "By",
    "Comparison",
    "Difference",
    "FileDifference",
    "KeyDifference",
    "compare",
    "layer_files",
    "other_layers",
]

"""What differs between two archives: images, configs, layers, and the files in layers.

Answers are values; nothing here prints.
"""

from __future__ import annotations

from convert.diff.documents import KeyDifference
from convert.diff.files import FileDifference, layer_files
from convert.diff.images import By, Comparison, Difference, compare, other_layers

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

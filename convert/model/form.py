"""The form in which a layer is written to a target."""

from __future__ import annotations

from enum import Enum


class Form(Enum):
    """The form in which a layer is written to a target."""

    #: The bytes as stored.
    STORED = "kept"
    #: The uncompressed tar.
    PLAIN = "uncompressed"
    #: The uncompressed tar, compressed with the profile.
    ENCODED = "compressed"
    #: The bytes as stored, compressed though they are compressed already, as crane does (identity/push).
    COMPRESSED_TWICE = "compressed once more"
    #: The bytes as stored, under the descriptor that the source dictates.
    AS_DICTATED = "named"
    #: The bytes as stored, compressed, under the descriptor that the source dictates.
    DICTATED_COMPRESSED = "named, compressed as stored"

"""The documents that commands print."""

"""Identifiers of images: v1 IDs, ChainIDs, manifests, indexes, and the results of push tools."""

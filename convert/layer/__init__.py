"""Layers: read, verified, compressed."""
